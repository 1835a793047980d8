"""What can go wrong, whether another try makes sense, and the one map from the gateway's codes to types."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any


class CuegateError(Exception):
    """Why a call failed."""

    #: Whether the same request can succeed later.
    retryable: bool = False
    #: In how many seconds another try makes sense, where the gateway said so.
    retry_after: float | None = None


class UsageError(CuegateError):
    """The caller's mistake: an address, a key, a file of certificates or an event that cannot be used.
    Nothing was sent."""


class Unreachable(CuegateError):
    """There is no connection to the gateway, it broke, or no answer came in time. Whether the gateway took
    what was sent is not known: send it again with the same ids."""

    retryable = True

    def __init__(self, url: str, reason: str, close_code: int | None = None) -> None:
        super().__init__(f"{url}: {reason}")
        #: The code with which the gateway closed a WebSocket, as 1012 when it drains.
        self.close_code = close_code


class Unexpected(CuegateError):
    """Something answered that is not Cuegate, or a version that this client does not know."""

    def __init__(self, url: str, what: str) -> None:
        super().__init__(f"{url}: not an answer of Cuegate: {what}")


@dataclass(frozen=True)
class Rejected:
    """The refusal of one event of a batch; the others were taken in."""

    #: Which event of the request or the message, counting from 0.
    index: int
    #: Why, for programs.
    code: str
    #: Why, for people.
    detail: str = ""
    #: In how many seconds another try makes sense.
    retry_after: float | None = None

    @property
    def retryable(self) -> bool:
        """Whether the same event can be taken later."""
        return _FAMILIES.get(self.code, Refused).retryable

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Rejected:
        """As the gateway words it."""
        return cls(
            int(answer["index"]), str(answer["code"]), str(answer.get("detail", "")), seconds(answer.get("retry_after_ms"))
        )


class Refused(CuegateError):
    """The gateway refused the whole request (RFC 9457). Its subclasses are the families of codes."""

    def __init__(
        self,
        code: str,
        status: int,
        detail: str,
        retry_after: float | None = None,
        index: int | None = None,
        rejected: tuple[Rejected, ...] = (),
        document: str = "",
    ) -> None:
        super().__init__(f"{code or _title(status)}: {detail}")
        #: Why, for programs; empty where the answer has none, as a proxy's.
        self.code = code
        #: The HTTP status.
        self.status = status
        #: Why, for people.
        self.detail = detail
        self.retry_after = retry_after
        #: The index of the event that was refused, for an atomic batch.
        self.index = index
        #: Every event that was refused, where a batch was refused event by event.
        self.rejected = rejected
        #: The answer's body as it came.
        self.document = document


class Invalid(Refused):
    """The request itself is wrong, and stays so: `malformed`, `invalid_event`, `event_too_large` and the like."""


class Denied(Refused):
    """`unauthenticated` or `forbidden`: the key is missing, unknown, or does not allow this."""


class NotFound(Refused):
    """`unknown_channel`, `unknown_event` or `not_found`."""


class Conflict(Refused):
    """`channel_offline` or `already_sent`: the state of the channel or the event does not allow it."""


class Busy(Refused):
    """`queue_full`, `would_expire` or `rate_limited`: try again after `retry_after`."""

    retryable = True


class Unavailable(Refused):
    """`overloaded`, `draining` or `slow_request`: the gateway, or what is before it, cannot answer now."""

    retryable = True


_FAMILIES: dict[str, type[Refused]] = {
    "malformed": Invalid,
    "event_too_large": Invalid,
    "body_too_large": Invalid,
    "unsupported_media_type": Invalid,
    "invalid_event": Invalid,
    "method_not_allowed": Invalid,
    "upgrade_required": Invalid,
    "unauthenticated": Denied,
    "forbidden": Denied,
    "unknown_channel": NotFound,
    "unknown_event": NotFound,
    "not_found": NotFound,
    "channel_offline": Conflict,
    "already_sent": Conflict,
    "queue_full": Busy,
    "would_expire": Busy,
    "rate_limited": Busy,
    "overloaded": Unavailable,
    "draining": Unavailable,
    "slow_request": Unavailable,
}
#: For a code that this version does not know, and an answer without one.
_BY_STATUS = {401: Denied, 403: Denied, 404: NotFound, 409: Conflict, 408: Unavailable, 429: Busy}


def refused(status: int, headers: Mapping[str, str], body: bytes) -> Refused:
    """Reads an answer that is no success."""
    document = body.decode("utf-8", "replace")
    try:
        problem = json.loads(document)
    except ValueError:
        problem = None
    problem = problem if isinstance(problem, dict) else {}
    code = str(problem.get("code") or "")
    family = _FAMILIES.get(code) or _BY_STATUS.get(status) or (Unavailable if status >= 500 else Invalid)
    retry_after = seconds(problem.get("retry_after_ms"))
    return family(
        code,
        status,
        str(problem.get("detail") or document),
        _header(headers) if retry_after is None else retry_after,
        problem.get("index"),
        tuple(Rejected.of(one) for one in problem.get("rejected") or ()),
        document,
    )


def too_big(reason: str) -> Refused:
    """The gateway closed a WebSocket over the size of a message."""
    return Invalid("body_too_large", 413, f"the gateway takes no message of this size: {reason}")


def seconds(millis: float | None) -> float | None:
    """What the wire has in milliseconds."""
    return None if millis is None else millis / 1000


def _header(headers: Mapping[str, str]) -> float | None:
    """`Retry-After` in its form of seconds (RFC 9110), which is the one that the gateway sends."""
    value = (headers.get("Retry-After") or "").strip()
    return float(value) if value.isascii() and value.isdigit() else None


def _title(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
