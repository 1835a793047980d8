"""The client for plain programs: every call waits for its answer."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from types import TracebackType
from typing import Any, TypeVar

from . import _calls
from ._backoff import Retry
from ._calls import Call, Channel, EventState, Page, Published, Replaced, channel_path
from ._errors import CuegateError
from ._events import Event, Events
from ._limits import ANSWER_S, CONNECT_S
from ._outbox import Acknowledged
from ._payloads import Update
from ._session import Core, Entry, Options, text_of
from ._transport import Stream, Transport

Answer = TypeVar("Answer")


class Client:
    """A producer's client of one gateway; it may be used by many threads. `AsyncClient` is the same for asyncio.

    Times are in seconds.
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
        self._loop: _Loop | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connections of requests, and sessions that are still open, at once."""
        self._transport.close()
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is not None:
            loop.stop()

    def publish(
        self,
        channel: str,
        events: Events,
        *,
        atomic: bool = False,
        wait: float | None = None,
        idempotency_key: str | None = None,
        retry_for: float = 0.0,
    ) -> Published:
        """Publishes an event or a batch to a channel, by alias or ARN: one request.

        - `atomic`: all of the events, or none.
        - `wait`: the answer comes only when all events have ended, or after so many seconds, at most 30.
        - `idempotency_key`: gives events that have no id the ids `KEY/0`, `KEY/1`, … so that they can be sent
          again; at most 100 bytes.
        - `retry_for`: tries again for so many seconds where that can help: without an answer, and after a
          refusal of the whole request that passes by itself. `Retry-After` is honoured; other waits grow from
          0.2 s to 10 s at most, half of each random. The request gets an idempotency key if it has none, so
          that no event is taken in twice. The gateway remembers ids for the channel's `dedup_window_ms`, 5
          minutes by default: do not try for longer.
        """
        path = channel_path(channel, "/events")
        return self._publish(path, events, atomic, wait, idempotency_key, retry_for)

    def publish_to_many(
        self,
        events: Events,
        *,
        atomic: bool = False,
        wait: float | None = None,
        idempotency_key: str | None = None,
        retry_for: float = 0.0,
    ) -> Published:
        """The same for events that name their channels."""
        return self._publish("/v1/events", events, atomic, wait, idempotency_key, retry_for)

    def replace(self, channel: str, event_id: str, event: Event | Mapping[str, Any]) -> Replaced:
        """Moves or corrects an event that is queued: it is replaced whole, key and merge too. Without a new
        `at` or key it keeps its place. An id that is not known, or whose event was cancelled, expired, evicted
        or dead-lettered, is taken in as a new event.

        `Conflict` with the code `already_sent`: it was sent or merged. A refusal leaves the old one as it was.
        """
        return self._ask(_calls.replace(channel, event_id, event))

    def event(self, channel: str, event_id: str) -> EventState:
        """What became of an event, for as long as its id is remembered; then `NotFound`."""
        return self._ask(_calls.event(channel, event_id))

    def cancel(self, channel: str, event_id: str) -> None:
        """Takes an event back that has not left the queue. Its id stays taken.

        `NotFound`: no event with this id is remembered. `Conflict`: it was sent or merged.
        """
        self._ask(_calls.cancel(channel, event_id))

    def purge(self, channel: str, *, type: str | None = None, key: str | None = None, all: bool = False) -> int:
        """Takes back what is queued and has this type, this key or both, or everything with `all`; returns how
        many events they were."""
        return self._ask(_calls.purge(channel, type, key, all))

    def pause(self, channel: str) -> None:
        """Stops sending to a channel. Events are still taken in, and expire as ever."""
        self._ask(_calls.pause(channel))

    def resume(self, channel: str) -> None:
        """Sends to a channel again."""
        self._ask(_calls.resume(channel))

    def status(self, channel: str) -> Channel:
        """The status of a channel, by alias or ARN."""
        return self._ask(_calls.status(channel))

    def channels_page(self, after: str | None = None) -> Page:
        """At most 1000 channels, those whose names come after `after`."""
        return self._ask(_calls.channels_page(after))

    def channels(self) -> list[Channel]:
        """All channels that the key may read, page after page: about 1 KB each."""
        page = self.channels_page()
        found = list(page.channels)
        while page.next is not None:
            page = self.channels_page(page.next)
            found += page.channels
        return found

    def call(self, method: str, path: str, document: str | None = None) -> str:
        """Calls an endpoint that has no method here, and returns the answer's text. `cuegate.segment` makes a
        name a segment of a path."""
        return self._ask(_calls.other(method, path, document))

    def payloads(self, channel: str, after: int | None = None) -> Payloads:
        """Follows the payloads of a channel as they are delivered; with `after`, from the payload after that
        number on, as far as the gateway keeps them."""
        return Payloads(self._transport.stream(channel, after))

    def session(self, channel: str, **options: Any) -> Session:
        """Opens a WebSocket session for a channel. The options are the members of `cuegate.Options`."""
        return self._session(channel_path(channel, "/ws"), Options(**options))

    def session_to_many(self, **options: Any) -> Session:
        """The same for events that name their channels."""
        return self._session("/v1/ws", Options(**options))

    def _session(self, path: str, options: Options) -> Session:
        with self._lock:
            loop = self._loop = self._loop or _Loop()
        return Session(loop, self._transport, path, options)

    def _publish(
        self, path: str, events: Events, atomic: bool, wait: float | None, key: str | None, retry_for: float
    ) -> Published:
        if retry_for > 0 and key is None:
            key = f"{random.getrandbits(64):016x}"
        call = _calls.publish(path, events, atomic=atomic, wait=wait, idempotency_key=key)
        retry = Retry(retry_for)
        while True:
            try:
                return self._ask(call)
            except CuegateError as error:
                pause = retry.after(error)
                if pause is None:
                    raise
            time.sleep(pause)

    def _ask(self, call: Call[Answer]) -> Answer:
        return self._transport.ask(call)


class _Loop:
    """The thread in which the sessions of a client live. It ends with the program: close a session to be sure
    that every message is through."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="cuegate-sessions", daemon=True)
        self._thread.start()

    def run(self, coroutine: Any) -> Any:
        """Waits for it there."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

    def stop(self) -> None:
        """Ends it, with every session."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()

    def _run(self) -> None:
        self.loop.run_forever()
        left = asyncio.all_tasks(self.loop)
        for task in left:
            task.cancel()
        if left:
            self.loop.run_until_complete(asyncio.wait(left))
        self.loop.close()


class Receipt:
    """What a message's acknowledgement is waited for with. It may be dropped; the message is sent all the same."""

    __slots__ = ("_told",)

    def __init__(self, told: Future[Acknowledged]) -> None:
        self._told = told

    def result(self, timeout: float | None = None) -> Acknowledged:
        """Waits until the message is through. Raises `TimeoutError`, or why the session has ended."""
        try:
            return self._told.result(timeout)
        except TimeoutError:
            raise
        except Exception as error:
            # Before Python 3.11 the time-out of futures is another.
            if type(error).__name__ == "TimeoutError" and not isinstance(error, CuegateError):
                raise TimeoutError from error
            raise

    def done(self) -> bool:
        """Whether the message is through."""
        return self._told.done()


class Session:
    """An open session. It can be shared among threads; messages go out in the order in which they were sent.

    A connection that is lost is made again, after waits that grow from 0.2 s to 10 s (half of each is random),
    and what was not acknowledged is sent again, first and in its order.
    """

    def __init__(self, loop: _Loop, transport: Transport, path: str, options: Options) -> None:
        self._loop = loop
        self._window, self._window_bytes = max(1, options.window), max(1, options.window_bytes)
        self._taken = self._taken_bytes = 0
        self._room = threading.Condition()

        async def opened() -> Core:
            core = Core(transport, path, options)
            await core.open()
            return core

        self._core: Core = loop.run(opened())

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self.abort()

    def send(self, events: Events, timeout: float | None = None) -> Receipt:
        """Sends an event or a batch, and returns what its acknowledgement can be waited for with.

        It waits while the window is full, also while the gateway is away: so a producer is never further ahead
        than that. Raises `UsageError` where the message is empty or too large, `TimeoutError` where there was
        no room in time and nothing was sent, else why the session has ended.
        """
        entry = Entry(text_of(self._core, events), Future())
        with self._room:
            if not self._room.wait_for(lambda: self._core.has_ended or self._fits(entry), timeout):
                raise TimeoutError("no room in the session's window")
            self._core.check_open()
            self._taken += 1
            self._taken_bytes += entry.size
            self._loop.loop.call_soon_threadsafe(self._core.offer, entry)
        entry.told.add_done_callback(lambda _: self._free(entry))
        return Receipt(entry.told)

    def close(self) -> None:
        """Waits until every message is through, and closes the connection. Raises why the session ended
        before; each receipt says the same of its message."""
        self._loop.run(self._core.close())

    def abort(self) -> None:
        """Ends at once: what became of messages that are not acknowledged is not known."""
        self._loop.run(self._core.abort())

    def _fits(self, entry: Entry) -> bool:
        return self._taken < self._window and (
            self._taken_bytes + entry.size <= self._window_bytes or self._taken == 0
        )

    def _free(self, entry: Entry) -> None:
        with self._room:
            self._taken -= 1
            self._taken_bytes -= entry.size
            self._room.notify_all()


class Payloads:
    """The payloads of a channel. It ends with `Unreachable`, which the gateway's own end is too: open another
    with the number of the last payload."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[Update]:
        return self

    def __next__(self) -> Update:
        return self._stream.next()

    def __enter__(self) -> Payloads:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._stream.release()

    def close(self) -> None:
        """Ends it, from any thread: the one that waits hears `Unreachable`."""
        self._stream.close()
