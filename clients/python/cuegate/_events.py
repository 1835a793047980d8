"""Events, as the gateway takes them, to JSON text."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, TypedDict, Union

from ._errors import UsageError
from ._limits import MESSAGE_MAX_BYTES


class _Required(TypedDict):
    data: Any


class Event(_Required, total=False):
    """One event: its data, and what the gateway should know of it. It is a `dict`; the gateway checks the
    values, and answers with what is wrong."""

    #: 1 to 64 bytes.
    type: str
    #: 1 to 128 bytes: the same id again within the channel's `dedup_window_ms` is a duplicate.
    id: str
    #: 1 to 128 bytes: order and merging are per key.
    key: str
    #: How it goes into the last queued event of its key; it needs one.
    merge: Literal["replace", "sum", "max", "min", "patch"]
    priority: Literal["high", "normal", "low"]
    #: 1 to 86400000.
    ttl_ms: int
    #: Not before this moment of the wall clock: with a zone, RFC 3339, or milliseconds since 1970.
    at: Union[datetime, str, int]
    #: Its data, which is a string then, leaves byte for byte, alone in its payload.
    envelope: Literal["raw"]
    #: Its channel, by alias or ARN: where the request or the session is for no single channel.
    channel: str


class Json:
    """An event, or an array of them, as JSON text that the caller wrote. It is sent as it is: its events
    are given no ids."""

    content_type = "application/json"

    def __init__(self, text: str | bytes) -> None:
        self.text = text.encode() if isinstance(text, str) else bytes(text)


class Ndjson(Json):
    """Events as JSON text that the caller wrote, one a line; over HTTP only."""

    content_type = "application/x-ndjson"


Events = Union[Event, Mapping[str, Any], Sequence[Union[Event, Mapping[str, Any]]], Json]


def _moment(value: object) -> str:
    """What JSON has no form for."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise TypeError("a datetime without a zone")
        return value.isoformat()
    raise TypeError(f"a {type(value).__name__}")


# The data stays as it is: its characters are not escaped, and what is no JSON number is a mistake.
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_moment).encode


def text(value: object) -> bytes:
    """The JSON text of an event or of many."""
    try:
        return _encode(value).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"the event is not JSON: {error}") from error


def body(events: Events) -> tuple[str, bytes]:
    """The content type and the body of a request."""
    if isinstance(events, Json):
        return events.content_type, events.text
    if isinstance(events, Mapping):
        return Json.content_type, text(events)
    # A line that is wrong refuses itself alone.
    return Ndjson.content_type, b"".join(text(event) + b"\n" for event in events)


class Ids:
    """A source of ids for events that have none, so that they can be sent again: the same random part, and a
    number that counts.

    64 bits of randomness tell producers apart: among a million sessions, two have the same with a
    probability of 3 in 10^8.
    """

    def __init__(self, random: int) -> None:
        self._prefix = f"{random:016x}-"
        self._next = itertools.count()

    def identified(self, events: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """The events with ids: at most 37 bytes each."""
        # One expression for all of them: at 200,000 events a second a call for each would cost a tenth.
        prefix, number = self._prefix, self._next.__next__
        return [event if "id" in event else {**event, "id": f"{prefix}{number()}"} for event in events]


def message(events: Events, ids: Ids | None) -> bytes:
    """The text of a message of a session."""
    if isinstance(events, Ndjson):
        raise UsageError("a message of a session is one event or an array, not lines")
    if isinstance(events, Json):
        written = events.text
    elif not isinstance(events, Mapping) and not events:
        raise UsageError("a batch without events")
    else:
        batch = [events] if isinstance(events, Mapping) else events
        try:
            identified = ids.identified(batch) if ids else list(batch)
        except TypeError as error:
            raise UsageError(f"an event is a dict: {error}") from error
        written = text(identified[0] if isinstance(events, Mapping) else identified)
    if len(written) > MESSAGE_MAX_BYTES:
        what = f"a message of {len(written)} bytes; the gateway takes {MESSAGE_MAX_BYTES} at most: make smaller batches"
        raise UsageError(what)
    return written
