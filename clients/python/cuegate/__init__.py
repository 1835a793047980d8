"""A producer's client for Cuegate, the gateway for timed metadata of Amazon IVS.

`Client` is for plain programs, `AsyncClient` for asyncio. They speak the gateway's HTTP and WebSocket surface
and know nothing of its insides.
"""

from ._asyncio import AsyncClient, AsyncPayloads, AsyncSession
from ._asyncio import Receipt as AsyncReceipt
from ._calls import Channel, EventState, Page, Published, Replaced, segment
from ._errors import (
    Busy,
    Conflict,
    CuegateError,
    Denied,
    Invalid,
    NotFound,
    Refused,
    Rejected,
    Unavailable,
    Unexpected,
    Unreachable,
    UsageError,
)
from ._events import Event, Events, Json, Ndjson
from ._outbox import Acknowledged
from ._payloads import Notice, Payload, Update
from ._plain import Client, Payloads, Receipt, Session
from ._session import Options

__version__ = "0.1.0"

__all__ = [
    "Acknowledged",
    "AsyncClient",
    "AsyncPayloads",
    "AsyncReceipt",
    "AsyncSession",
    "Busy",
    "Channel",
    "Client",
    "Conflict",
    "CuegateError",
    "Denied",
    "Event",
    "EventState",
    "Events",
    "Invalid",
    "Json",
    "Ndjson",
    "NotFound",
    "Notice",
    "Options",
    "Page",
    "Payload",
    "Payloads",
    "Published",
    "Receipt",
    "Refused",
    "Rejected",
    "Replaced",
    "Session",
    "Unavailable",
    "Unexpected",
    "Unreachable",
    "Update",
    "UsageError",
    "segment",
]
