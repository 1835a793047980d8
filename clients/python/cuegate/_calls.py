"""The requests of the gateway's surface: what is asked, and what the answer means. Nothing is sent here."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlencode

from . import _events
from ._errors import Rejected, UsageError
from ._limits import PAGE

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Call(Generic[Answer]):
    """One request, and how its answer is read: from its status and its body."""

    method: str
    path: str
    read: Callable[[int, bytes], Answer]
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Published:
    """What the gateway did with a request's events."""

    #: Events that were taken in.
    accepted: int = 0
    #: Events that were seen before, and were not taken in again.
    duplicates: int = 0
    #: Which ones these were, counting from 0.
    duplicate: tuple[int, ...] = ()
    #: Events that were refused, each with its reason; the others were taken in.
    rejected: tuple[Rejected, ...] = ()
    #: Events in the queue afterwards. Not with `wait`.
    queued: int | None = None
    #: How long the queue takes, in milliseconds; none while the channel is paused or offline.
    eta_ms: int | None = None
    #: With `wait`: how many of them were delivered in time.
    delivered: int | None = None
    #: With `wait`: how many have ended otherwise, by their end.
    ended: Mapping[str, int] = field(default_factory=dict)
    #: With `wait`: how many are still queued.
    pending: int | None = None
    #: The answer's text as it came.
    document: str = ""


@dataclass(frozen=True)
class Replaced:
    """What became of a replacement."""

    #: Whether a queued event was replaced; else the event was taken in as a new one.
    replaced: bool
    #: Events in the queue afterwards.
    queued: int | None
    #: How long the queue takes, in milliseconds; none while the channel is paused or offline.
    eta_ms: int | None


@dataclass(frozen=True)
class EventState:
    """What became of an event."""

    id: str
    #: `scheduled`, `waiting`, `in_flight`, or its end: `delivered`, `merged`, `expired`, `cancelled`,
    #: `evicted`, `dead_lettered`.
    state: str
    #: Why it is a dead letter.
    reason: str | None = None
    #: The `n` of the payload that it is or was in.
    n: int | None = None
    #: When it is due, if it is scheduled; when it ended, if it has. RFC 3339.
    at: str | None = None


@dataclass(frozen=True)
class Channel:
    """The status of a channel. Times are in milliseconds; `tokens`, `limits`, `last_error` and `totals` are
    the answer's objects as they are."""

    #: Its alias, or the ARN of one that is not listed.
    channel: str
    arn: str
    #: `live`, `offline`, `paused` or `failing`.
    state: str
    #: Events in the queue: waiting, scheduled, held and in flight.
    queued: int
    #: Their bytes.
    bytes: int
    eta_ms: int | None = None
    oldest_age_ms: int | None = None
    paused_ms: int | None = None
    tokens: Mapping[str, int] = field(default_factory=dict)
    limits: Mapping[str, Any] = field(default_factory=dict)
    last_error: Mapping[str, Any] | None = None
    totals: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Page:
    """A page of the list of channels."""

    channels: tuple[Channel, ...]
    #: What to ask for after these; none: there are no more.
    next: str | None


def segment(name: str) -> str:
    """A name as one segment of a path, or one value of a query: percent-encoded."""
    return quote(name, safe="-._~")


def channel_path(channel: str, rest: str = "") -> str:
    """A path below a channel, by alias or ARN."""
    return f"/v1/channels/{segment(channel)}{rest}"


def event_path(channel: str, event_id: str) -> str:
    """The path of an event."""
    return channel_path(channel, f"/events/{segment(event_id)}")


def publish(
    path: str,
    events: _events.Events,
    *,
    atomic: bool,
    wait: float | None,
    idempotency_key: str | None,
) -> Call[Published]:
    """Publishes events."""
    query: dict[str, str] = {"atomic": "true"} if atomic else {}
    if wait is not None:
        query |= {"wait": "delivered", "timeout_ms": str(round(wait * 1000))}
    content_type, body = _events.body(events)
    headers = {"Content-Type": content_type}
    if idempotency_key is not None:
        if not idempotency_key.isprintable() or not idempotency_key.isascii():
            raise UsageError("an idempotency key has visible ASCII characters only")
        headers["Idempotency-Key"] = idempotency_key
    return Call("POST", f"{path}?{urlencode(query)}" if query else path, _published, body, headers)


def replace(channel: str, event_id: str, event: Mapping[str, Any]) -> Call[Replaced]:
    """Replaces a queued event."""

    def read(status: int, body: bytes) -> Replaced:
        answer = json.loads(body)
        return Replaced(status == 200, answer.get("queued"), answer.get("eta_ms"))

    headers = {"Content-Type": "application/json"}
    body = event.text if isinstance(event, _events.Json) else _events.text(event)
    return Call("PUT", event_path(channel, event_id), read, body, headers)


def event(channel: str, event_id: str) -> Call[EventState]:
    """Asks what became of an event."""
    return Call("GET", event_path(channel, event_id), lambda _, body: _known(EventState, json.loads(body)))


def cancel(channel: str, event_id: str) -> Call[None]:
    """Takes an event back."""
    return Call("DELETE", event_path(channel, event_id), _nothing)


def purge(channel: str, type: str | None, key: str | None, all: bool) -> Call[int]:
    """Takes the queued events back that are selected."""
    chosen = {"type": type, "key": key, "all": "true" if all else None}
    query = urlencode({name: value for name, value in chosen.items() if value is not None}, quote_via=quote)
    path = channel_path(channel, f"/events?{query}" if query else "/events")
    return Call("DELETE", path, lambda _, body: int(json.loads(body)["cancelled"]))


def pause(channel: str) -> Call[None]:
    """Stops sending to a channel."""
    return Call("POST", channel_path(channel, "/pause"), _nothing)


def resume(channel: str) -> Call[None]:
    """Sends to a channel again."""
    return Call("POST", channel_path(channel, "/resume"), _nothing)


def status(channel: str) -> Call[Channel]:
    """Asks for the status of a channel."""
    return Call("GET", channel_path(channel), lambda _, body: _known(Channel, json.loads(body)))


def channels_page(after: str | None) -> Call[Page]:
    """Asks for at most 1000 channels, those whose names come after `after`."""

    def read(_: int, body: bytes) -> Page:
        answer = json.loads(body)
        return Page(tuple(_known(Channel, one) for one in answer["channels"]), answer.get("next"))

    rest = "" if after is None else f"&after={segment(after)}"
    return Call("GET", f"/v1/channels?limit={PAGE}{rest}", read)


def other(method: str, path: str, document: str | None) -> Call[str]:
    """An endpoint that has no method of its own."""
    headers = {} if document is None else {"Content-Type": "application/json"}
    return Call(method, path, lambda _, body: body.decode("utf-8", "replace"), (document or "").encode(), headers)


def _published(_: int, body: bytes) -> Published:
    answer = json.loads(body)
    answer["rejected"] = tuple(Rejected.of(one) for one in answer.get("rejected") or ())
    answer["duplicate"] = tuple(answer.get("duplicate") or ())
    return _known(Published, {**answer, "document": body.decode("utf-8", "replace")})


def _nothing(_: int, __: bytes) -> None:
    return None


def _known(kind: type[Answer], answer: Mapping[str, Any]) -> Answer:
    """What this version knows of an answer; a later gateway may say more."""
    names = {member.name for member in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: value for name, value in answer.items() if name in names})
