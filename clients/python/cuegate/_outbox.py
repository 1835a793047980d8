"""The messages that are not acknowledged yet: what is sent next, what an answer settles, what a lost
connection means. No sockets, no clock: time is an argument."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, Union

from ._errors import CuegateError, Refused, Rejected

Tag = TypeVar("Tag")


@dataclass(frozen=True)
class Acknowledged:
    """What the gateway did with a message: every event that is not in `rejected` was taken in, or was a
    duplicate, and is as durable as after a 202."""

    #: The events of the message that were refused.
    rejected: tuple[Rejected, ...]
    #: Events in the queue afterwards; of a session for many channels, those of the last one.
    queued: int


Outcome = Union[Acknowledged, CuegateError]


class Garbled(Exception):
    """An answer that makes no sense: nor does the connection any more."""


class _Waiting(Generic[Tag]):
    __slots__ = ("text", "tag", "rejected")

    def __init__(self, text: bytes, tag: Tag) -> None:
        self.text = text
        self.tag = tag
        self.rejected: tuple[Rejected, ...] = ()


class Outbox(Generic[Tag]):
    """Messages in their order, each with a tag of its sender's. With `resend`, what a lost connection leaves
    unacknowledged is sent again."""

    def __init__(self, resend: bool) -> None:
        self._resend = resend
        # Oldest first. The first `sent` of them went over this connection.
        self._waiting: deque[_Waiting[Tag]] = deque()
        self._unsent: deque[_Waiting[Tag]] = deque()
        # Messages that were acknowledged on this connection: messages count from 1 on each.
        self._acked = 0
        # The last acknowledgement, or the moment when a first message was sent after a pause.
        self._progress = 0.0

    def push(self, text: bytes, tag: Tag) -> None:
        """Takes a message in, behind the others."""
        self._unsent.append(_Waiting(text, tag))

    def __len__(self) -> int:
        """Messages that are not through."""
        return len(self._waiting) + len(self._unsent)

    def next(self, now: float) -> bytes | None:
        """The next message that this connection has not seen; it counts as sent."""
        if not self._unsent:
            return None
        if not self._waiting:
            self._progress = now
        message = self._unsent.popleft()
        self._waiting.append(message)
        return message.text

    def overdue_at(self, ack_time: float) -> float | None:
        """When the gateway must have acknowledged something; none while nothing is on its way."""
        return self._progress + ack_time if self._waiting else None

    def hear(self, text: str | bytes, now: float) -> list[tuple[Tag, Outcome]]:
        """Takes an answer of the gateway, and returns the messages that it settles."""
        try:
            answer = json.loads(text)
            if "ack" in answer:
                return self._acknowledge(_count(answer["ack"]), _count(answer.get("queued", 0)), now)
            nth = _count(answer["msg"]) - self._acked - 1
            if not 0 <= nth < len(self._waiting):
                raise ValueError
            rejected = Rejected.of(answer)
        except (ValueError, TypeError, KeyError) as error:
            raise Garbled(f"not an acknowledgement and not a refusal: {text!r}") from error
        self._waiting[nth].rejected += (rejected,)
        return []

    def _acknowledge(self, number: int, queued: int, now: float) -> list[tuple[Tag, Outcome]]:
        count = number - self._acked
        if not 0 <= count <= len(self._waiting):
            raise Garbled(f"message {number} is acknowledged, but {self._acked} were before and {len(self._waiting)} wait")
        self._acked = number
        self._progress = now
        done = (self._waiting.popleft() for _ in range(count))
        return [(message.tag, Acknowledged(message.rejected, queued)) for message in done]

    def disconnected(self, error: CuegateError) -> list[tuple[Tag, Outcome]]:
        """The connection is lost. What was sent and not acknowledged is to be sent again; without `resend` its
        senders hear the error instead, because nobody knows what became of it."""
        sent, self._waiting = self._waiting, deque()
        self._acked = 0
        if not self._resend:
            return [(message.tag, error) for message in sent]
        for message in sent:
            # A message that is sent again is answered again, whole.
            message.rejected = ()
        sent.extend(self._unsent)
        self._unsent = sent
        return []

    def refuse_first(self, error: Refused) -> list[tuple[Tag, Outcome]]:
        """The gateway closed the connection over a message that it will never take: the first one that it did
        not acknowledge, because it handles them in order."""
        if not self._waiting:
            return []
        self._acked += 1
        return [(self._waiting.popleft().tag, error)]

    def abandon(self, error: CuegateError) -> list[tuple[Tag, Outcome]]:
        """Nothing will be sent any more."""
        left = [*self._waiting, *self._unsent]
        self._waiting.clear()
        self._unsent.clear()
        return [(message.tag, error) for message in left]


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(value)
    return value
