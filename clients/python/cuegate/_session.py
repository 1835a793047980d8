"""A WebSocket session: messages that do not wait for one another, acknowledged in order.

`_outbox` decides what is not acknowledged yet and what an answer or a lost connection means for it, `_link`
when to connect again. This is the task that moves messages between the two and the connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import random as _random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus

from ._errors import CuegateError, Refused, Unexpected, Unreachable, UsageError, refused, too_big
from ._events import Events, Ids, message
from ._limits import (
    ACK_S,
    CLOSE_S,
    GIVE_UP_AFTER_S,
    MESSAGE_MAX_BYTES,
    PING_S,
    PONG_S,
    TURN_BYTES,
    WINDOW_BYTES,
    WINDOW_MESSAGES,
)
from ._link import Link
from ._outbox import Garbled, Outbox, Outcome
from ._transport import Transport

SUBPROTOCOL = "cuegate.v1"
TOO_BIG = 1009


@dataclass(frozen=True)
class Options:
    """How a session is kept. Times are in seconds."""

    #: Whether what a lost connection leaves unacknowledged is sent again.
    resend: bool = True
    #: How many messages may wait for their acknowledgement, at least 1.
    window: int = WINDOW_MESSAGES
    #: How many bytes these messages may have. One message is always let through.
    window_bytes: int = WINDOW_BYTES
    #: How long an acknowledgement may take before the connection counts as lost.
    ack_timeout: float = ACK_S
    #: How long the session tries to find the gateway again before it ends.
    give_up_after: float = GIVE_UP_AFTER_S


class Entry:
    """A message on its way: who hears of it, and the room that it takes until then."""

    __slots__ = ("text", "size", "told", "admitted")

    def __init__(self, text: bytes, told: Any) -> None:
        self.text = text
        self.size = max(1, len(text))
        # A future of asyncio, or of `concurrent.futures`.
        self.told = told
        self.admitted: Any = None


class Core:
    """A session, of one event loop. What it is told, it is told there."""

    def __init__(
        self,
        transport: Transport,
        path: str,
        options: Options,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = _random.random,
    ) -> None:
        self._transport, self._path, self._options = transport, path, options
        self._clock, self._chance = clock, chance
        self.ids = Ids(_random.getrandbits(64)) if options.resend else None
        self._link = Link(options.give_up_after)
        self._outbox: Outbox[Entry] = Outbox(options.resend)
        self._window, self._window_bytes = max(1, options.window), max(1, options.window_bytes)
        self._taken = self._taken_bytes = 0
        # Messages that wait for room, in their order.
        self._ahead: deque[Entry] = deque()
        self._wake = asyncio.Event()
        self._closing = False
        self._ended: CuegateError | None = None
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """The first connection is tried once."""
        socket = await self._connect()
        self._task = asyncio.create_task(self._run(socket))

    def offer(self, entry: Entry) -> None:
        """Takes a message in; `entry.admitted` is told where it has to wait for room."""
        if self._ended is not None:
            _tell(entry.told, self._ended)
            if entry.admitted is not None:
                _tell(entry.admitted, self._ended)
        elif self._ahead or not self._fits(entry):
            self._ahead.append(entry)
        else:
            self._admit(entry)

    def admits(self, entry: Entry) -> bool:
        """Whether a message would be taken in at once."""
        return not self._ahead and self._fits(entry)

    def withdraw(self, entry: Entry) -> None:
        """Takes a message back that still waits for room."""
        with contextlib.suppress(ValueError):
            self._ahead.remove(entry)

    @property
    def has_ended(self) -> bool:
        """Whether no message is taken any more."""
        return self._closing or self._ended is not None

    def check_open(self) -> None:
        """Raises why no message is taken any more."""
        if self._ended is not None:
            raise self._ended
        if self._closing:
            raise UsageError("the session is closed")

    async def close(self) -> None:
        """Waits until every message is through, and closes the connection."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await asyncio.shield(self._task)
        if self._ended is not None:
            raise self._ended

    async def abort(self) -> None:
        """Ends at once: what became of messages that are not acknowledged is not known."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])

    def _fits(self, entry: Entry) -> bool:
        return self._taken < self._window and (
            self._taken_bytes + entry.size <= self._window_bytes or self._taken == 0
        )

    def _admit(self, entry: Entry) -> None:
        self._taken += 1
        self._taken_bytes += entry.size
        self._outbox.push(entry.text, entry)
        self._wake.set()
        if entry.admitted is not None:
            _tell(entry.admitted, None)

    def _settle(self, settled: list[tuple[Entry, Outcome]]) -> None:
        for entry, outcome in settled:
            self._taken -= 1
            self._taken_bytes -= entry.size
            _tell(entry.told, outcome)
        while self._ahead and self._fits(self._ahead[0]):
            self._admit(self._ahead.popleft())

    async def _run(self, socket: ClientConnection) -> None:
        """Runs until the session was closed and every message is through, or until it ends for good."""
        try:
            while True:
                self._link.connected(self._clock())
                error = await self._serve(socket)
                if error is None:
                    await socket.close()
                    return
                socket.transport.abort()
                self._settle(self._outbox.disconnected(error))
                reconnected = await self._reconnect(error)
                if reconnected is None:
                    return
                socket = reconnected
        except CuegateError as error:
            self._end(error)
        except asyncio.CancelledError:
            socket.transport.abort()
            self._end(Unreachable(self._transport.url, "the session was given up"))
            raise

    async def _serve(self, socket: ClientConnection) -> CuegateError | None:
        """Serves one connection until the session is done, or until the connection is lost."""
        parts = [asyncio.create_task(part(socket)) for part in (self._read, self._write, self._watch)]
        try:
            done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for part in parts:
                part.cancel()
            await asyncio.wait(parts)
        # The reader knows best why a connection is lost.
        return next(part for part in parts if part in done).result()

    async def _read(self, socket: ClientConnection) -> CuegateError | None:
        try:
            while True:
                answer = await socket.recv()
                if isinstance(answer, bytes):
                    return Unexpected(self._transport.url, "a binary message")
                settled = self._outbox.hear(answer, self._clock())
                if settled:
                    self._link.progressed()
                    self._settle(settled)
                    if self._closing and not len(self._outbox) and not self._ahead:
                        return None
        except Garbled as error:
            return Unexpected(self._transport.url, str(error))
        except ConnectionClosed as closed:
            return self._closed(closed)

    async def _write(self, socket: ClientConnection) -> CuegateError | None:
        try:
            while True:
                self._wake.clear()
                while (text := self._outbox.next(self._clock())) is not None:
                    await socket.send(text, text=True)
                if self._closing and not len(self._outbox) and not self._ahead:
                    return None
                await self._wake.wait()
        except ConnectionClosed:
            # The reader says why.
            await asyncio.sleep(CLOSE_S)
            return Unreachable(self._transport.url, "the connection broke")

    async def _watch(self, _: ClientConnection) -> CuegateError | None:
        # Whether a connection is silent, websockets watches with its pings.
        ack_time = self._options.ack_timeout
        while True:
            now = self._clock()
            overdue_at = self._outbox.overdue_at(ack_time)
            if overdue_at is not None and now >= overdue_at:
                return Unreachable(self._transport.url, "no acknowledgement in time")
            # What is sent meanwhile is overdue no earlier than after this, or is seen a little late.
            await asyncio.sleep(min(ack_time / 4, ack_time if overdue_at is None else overdue_at - now) + 0.001)

    def _closed(self, closed: ConnectionClosed) -> CuegateError:
        if closed.rcvd is None:
            return Unreachable(self._transport.url, str(closed))
        if closed.rcvd.code == TOO_BIG:
            self._settle(self._outbox.refuse_first(too_big(closed.rcvd.reason)))
        what = f"the gateway closed the connection: {closed.rcvd.reason} ({closed.rcvd.code})"
        return Unreachable(self._transport.url, what, closed.rcvd.code)

    async def _reconnect(self, error: CuegateError) -> ClientConnection | None:
        """Connects again, for as long as that makes sense; none when nobody needs it any more."""
        while True:
            pause = self._link.lost(self._clock(), error, self._chance())
            if pause is None:
                raise error
            if await self._is_done_within(pause):
                return None
            try:
                return await self._connect()
            except CuegateError as again:
                error = again

    async def _is_done_within(self, pause: float) -> bool:
        """Waits, and returns whether the session was closed meanwhile with nothing left to send."""
        until = self._clock() + pause
        while not (self._closing and not len(self._outbox) and not self._ahead):
            self._wake.clear()
            left = until - self._clock()
            if left <= 0:
                return False
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._wake.wait(), left)
        return True

    async def _connect(self) -> ClientConnection:
        transport = self._transport
        try:
            return await connect(
                "ws" + transport.url.removeprefix("http") + self._path,
                subprotocols=[SUBPROTOCOL],  # type: ignore[list-item]
                additional_headers=transport.headers,
                user_agent_header=None,
                compression=None,
                proxy=None,
                ssl=transport.tls,
                # The handshake is an answer of the gateway's.
                open_timeout=2 * transport.connect_timeout,
                ping_interval=PING_S,
                ping_timeout=PONG_S,
                close_timeout=CLOSE_S,
                max_size=MESSAGE_MAX_BYTES,
                write_limit=TURN_BYTES,
            )
        except InvalidStatus as error:
            response = error.response
            raise refused(response.status_code, response.headers, bytes(response.body or b"")) from error
        except (InvalidMessage, OSError, TimeoutError, asyncio.TimeoutError) as error:
            raise Unreachable(transport.url, str(error) or "no answer in time") from error
        except InvalidHandshake as error:
            raise Unexpected(transport.url, f"the connection did not become a WebSocket: {error}") from error

    def _end(self, error: CuegateError) -> None:
        """Ends for good: everyone who waits hears why, and everyone who sends after that."""
        if self._ended is not None:
            return
        self._ended = error
        ahead, self._ahead = self._ahead, deque()
        self._settle(self._outbox.abandon(error))
        for entry in ahead:
            _tell(entry.told, error)
            if entry.admitted is not None:
                _tell(entry.admitted, error)


def _tell(future: Any, outcome: Outcome | None) -> None:
    """Whoever does not want to know any more has cancelled, or never looks."""
    if future.done():
        return
    if isinstance(outcome, CuegateError):
        future.set_exception(outcome)
        # It counts as seen: a receipt may be dropped.
        future.exception()
    else:
        future.set_result(outcome)


def text_of(core: Core, events: Events) -> bytes:
    """The text of a message, with ids where the session sends again."""
    return message(events, core.ids)
