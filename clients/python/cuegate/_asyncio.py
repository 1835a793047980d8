"""The client for asyncio."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, TypeVar

from . import _calls
from ._backoff import Retry
from ._calls import Call, Channel, EventState, Page, Published, Replaced, channel_path
from ._errors import CuegateError
from ._events import Event, Events
from ._limits import ANSWER_S, CONNECT_S, CONNECTIONS, TURN_BYTES
from ._outbox import Acknowledged
from ._payloads import Update
from ._session import Core, Entry, Options, text_of
from ._transport import Stream, Transport

Answer = TypeVar("Answer")


class AsyncClient:
    """A producer's client of one gateway, for asyncio. `Client` is the same for plain programs.

    Requests wait for their answers in threads of the client's own, at most 32; a call that is cancelled goes
    on there until its answer. Times are in seconds.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        ca: str | None = None,
        connect_timeout: float = CONNECT_S,
        timeout: float = ANSWER_S,
    ) -> None:
        """`url` is the gateway's address, as `http://127.0.0.1:8080`; `key` the API key or the token that is
        shown to it; `ca` a file of PEM with the authority of an https:// gateway, beside those of the system.
        Connecting and an answer may take `connect_timeout` and `timeout`. Raises `UsageError`."""
        self._transport = Transport(url, key, ca, connect_timeout, timeout)
        self._threads = ThreadPoolExecutor(CONNECTIONS, "cuegate")

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connections of requests. Sessions are closed by themselves."""
        self._threads.shutdown(wait=False)
        self._transport.close()

    async def publish(
        self,
        channel: str,
        events: Events,
        *,
        atomic: bool = False,
        wait: float | None = None,
        idempotency_key: str | None = None,
        retry_for: float = 0.0,
    ) -> Published:
        """Publishes an event or a batch to a channel, by alias or ARN: one request. See `Client.publish`."""
        path = channel_path(channel, "/events")
        return await self._publish(path, events, atomic, wait, idempotency_key, retry_for)

    async def publish_to_many(
        self,
        events: Events,
        *,
        atomic: bool = False,
        wait: float | None = None,
        idempotency_key: str | None = None,
        retry_for: float = 0.0,
    ) -> Published:
        """The same for events that name their channels."""
        return await self._publish("/v1/events", events, atomic, wait, idempotency_key, retry_for)

    async def replace(self, channel: str, event_id: str, event: Event | Mapping[str, Any]) -> Replaced:
        """Moves or corrects an event that is queued. See `Client.replace`."""
        return await self._ask(_calls.replace(channel, event_id, event))

    async def event(self, channel: str, event_id: str) -> EventState:
        """What became of an event. See `Client.event`."""
        return await self._ask(_calls.event(channel, event_id))

    async def cancel(self, channel: str, event_id: str) -> None:
        """Takes an event back that has not left the queue. See `Client.cancel`."""
        await self._ask(_calls.cancel(channel, event_id))

    async def purge(self, channel: str, *, type: str | None = None, key: str | None = None, all: bool = False) -> int:
        """Takes back what is queued and matches, and returns how many events they were. See `Client.purge`."""
        return await self._ask(_calls.purge(channel, type, key, all))

    async def pause(self, channel: str) -> None:
        """Stops sending to a channel. Events are still taken in, and expire as ever."""
        await self._ask(_calls.pause(channel))

    async def resume(self, channel: str) -> None:
        """Sends to a channel again."""
        await self._ask(_calls.resume(channel))

    async def status(self, channel: str) -> Channel:
        """The status of a channel, by alias or ARN."""
        return await self._ask(_calls.status(channel))

    async def channels_page(self, after: str | None = None) -> Page:
        """At most 1000 channels, those whose names come after `after`."""
        return await self._ask(_calls.channels_page(after))

    async def channels(self) -> list[Channel]:
        """All channels that the key may read, page after page."""
        page = await self.channels_page()
        found = list(page.channels)
        while page.next is not None:
            page = await self.channels_page(page.next)
            found += page.channels
        return found

    async def call(self, method: str, path: str, document: str | None = None) -> str:
        """Calls an endpoint that has no method here, and returns the answer's text. `cuegate.segment` makes a
        name a segment of a path."""
        return await self._ask(_calls.other(method, path, document))

    async def payloads(self, channel: str, after: int | None = None) -> AsyncPayloads:
        """Follows the payloads of a channel as they are delivered; with `after`, from the payload after that
        number on, as far as the gateway keeps them."""
        loop = asyncio.get_running_loop()
        return AsyncPayloads(await loop.run_in_executor(self._threads, self._transport.stream, channel, after))

    def session(self, channel: str, **options: Any) -> _Opening:
        """A WebSocket session for a channel: `async with client.session("quiz") as session`, or `await` it.

        The options are the members of `cuegate.Options`.
        """
        return _Opening(Core(self._transport, channel_path(channel, "/ws"), Options(**options)))

    def session_to_many(self, **options: Any) -> _Opening:
        """The same for events that name their channels."""
        return _Opening(Core(self._transport, "/v1/ws", Options(**options)))

    async def _publish(
        self, path: str, events: Events, atomic: bool, wait: float | None, key: str | None, retry_for: float
    ) -> Published:
        if retry_for > 0 and key is None:
            key = f"{random.getrandbits(64):016x}"
        call = _calls.publish(path, events, atomic=atomic, wait=wait, idempotency_key=key)
        retry = Retry(retry_for)
        while True:
            try:
                return await self._ask(call)
            except CuegateError as error:
                pause = retry.after(error)
                if pause is None:
                    raise
            await asyncio.sleep(pause)

    async def _ask(self, call: Call[Answer]) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._transport.ask, call)


class Receipt:
    """What a message's acknowledgement is awaited with. It may be dropped; the message is sent all the same."""

    __slots__ = ("_told",)

    def __init__(self, told: asyncio.Future[Acknowledged]) -> None:
        self._told = told

    def __await__(self) -> Generator[Any, None, Acknowledged]:
        # Whoever stops waiting does not take it from others who wait.
        return asyncio.shield(self._told).__await__()

    def done(self) -> bool:
        """Whether the message is through."""
        return self._told.done()


class AsyncSession:
    """An open session. It can be shared among tasks; messages go out in the order in which they were sent.

    A connection that is lost is made again, after waits that grow from 0.2 s to 10 s (half of each is random),
    and what was not acknowledged is sent again, first and in its order.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._since_pause = 0

    async def send(self, events: Events) -> Receipt:
        """Sends an event or a batch, and returns what its acknowledgement can be awaited with.

        It waits while the window is full, also while the gateway is away: so a producer is never further ahead
        than that. Raises `UsageError` where the message is empty or too large, else why the session has ended.
        """
        core = self._core
        core.check_open()
        loop = asyncio.get_running_loop()
        entry = Entry(text_of(core, events), loop.create_future())
        if core.admits(entry):
            core.offer(entry)
            await self._let_others_run(entry.size)
        else:
            entry.admitted = loop.create_future()
            core.offer(entry)
            try:
                await entry.admitted
            except asyncio.CancelledError:
                core.withdraw(entry)
                raise
        return Receipt(entry.told)

    async def close(self) -> None:
        """Waits until every message is through, and closes the connection. Raises why the session ended
        before; each receipt says the same of its message."""
        await self._core.close()

    async def abort(self) -> None:
        """Ends at once: what became of messages that are not acknowledged is not known."""
        await self._core.abort()

    async def _let_others_run(self, size: int) -> None:
        """A producer that never waits would keep the session's own task from sending."""
        self._since_pause += size
        if self._since_pause >= TURN_BYTES:
            self._since_pause = 0
            await asyncio.sleep(0)


class _Opening:
    """A session that is opened when it is awaited or entered."""

    def __init__(self, core: Core) -> None:
        self._session = AsyncSession(core)

    def __await__(self) -> Generator[Any, None, AsyncSession]:
        return self.__aenter__().__await__()

    async def __aenter__(self) -> AsyncSession:
        await self._session._core.open()
        return self._session

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            await self._session.close()
        else:
            await self._session.abort()


class AsyncPayloads:
    """The payloads of a channel. It ends with `Unreachable`, which the gateway's own end is too: open another
    with the number of the last payload."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        # A thread of its own, so that streams do not keep requests from being asked.
        self._thread = ThreadPoolExecutor(1, "cuegate-payloads")

    def __aiter__(self) -> AsyncIterator[Update]:
        return self

    async def __anext__(self) -> Update:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._stream.next)

    async def __aenter__(self) -> AsyncPayloads:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends it."""
        self._stream.close()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._stream.release)
        self._thread.shutdown(wait=False)
