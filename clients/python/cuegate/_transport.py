"""Requests to one gateway over connections that are kept. It retries nothing.

HTTP is the standard library's: five kinds of small requests do not need another package.
"""

from __future__ import annotations

import contextlib
import http.client
import select
import socket
import ssl
import time
from collections import deque
from collections.abc import Iterator, Mapping
from typing import TypeVar
from urllib.parse import urlsplit

from ._calls import Call, channel_path
from ._errors import Unexpected, Unreachable, UsageError, refused
from ._limits import ANSWER_MAX_BYTES, CONNECTIONS, LINE_MAX_BYTES
from ._payloads import Parser, Update

Answer = TypeVar("Answer")


class Transport:
    """Requests to one gateway; it may be used by many threads."""

    def __init__(self, url: str, key: str | None, ca: str | None, connect_timeout: float, timeout: float) -> None:
        parts = _checked(url)
        #: Where it sends to, without a slash at its end.
        self.url = url.rstrip("/")
        self.connect_timeout = connect_timeout
        self.timeout = timeout
        self.tls = _tls(ca) if parts.scheme == "https" else None
        self.headers = _authorization(key)
        self._host, self._port, self._base = parts.hostname or "", parts.port, parts.path.rstrip("/")
        # Those that wait for the next request; the last one first, so that a few are busy and the others end.
        self._kept: deque[http.client.HTTPConnection] = deque(maxlen=CONNECTIONS)

    def ask(self, call: Call[Answer]) -> Answer:
        """Sends a request and reads its answer whole; what is no success is an error."""
        until = time.monotonic() + self.timeout
        with self._unreachable():
            connection, response = self._send(call.method, call.path, call.headers, call.body, until)
            body = self._whole(connection, response, until)
        self._keep(connection, response)
        if not 200 <= response.status < 300:
            raise refused(response.status, response.headers, body)
        try:
            return call.read(response.status, body)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise Unexpected(self.url, f"{type(error).__name__}: {error}") from error

    def stream(self, channel: str, after: int | None) -> Stream:
        """Opens a stream of payloads."""
        headers = {"Accept": "text/event-stream"}
        if after is not None:
            headers["Last-Event-ID"] = str(after)
        until = time.monotonic() + self.timeout
        with self._unreachable():
            connection, response = self._send("GET", channel_path(channel, "/payloads"), headers, b"", until)
            if response.status != 200:
                body = self._whole(connection, response, until)
                raise refused(response.status, response.headers, body)
            connection.sock.settimeout(None)
        return Stream(self, connection, response)

    def close(self) -> None:
        """Ends the connections that are kept."""
        while self._kept:
            self._kept.pop().close()

    def _send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, until: float
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        connection = self._connection()
        try:
            connection.sock.settimeout(_left(until))
            connection.request(method, self._base + path, body or None, {**self.headers, **headers})
            return connection, connection.getresponse()
        except BaseException:
            connection.close()
            raise

    def _connection(self) -> http.client.HTTPConnection:
        """A kept connection that the gateway has not closed meanwhile, or a new one."""
        while self._kept:
            with contextlib.suppress(IndexError):
                kept = self._kept.pop()
                if not _is_readable(kept.sock):
                    return kept
                kept.close()
        if self.tls is not None:
            connection = http.client.HTTPSConnection(self._host, self._port, timeout=self.connect_timeout, context=self.tls)
        else:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=self.connect_timeout)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _keep(self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> None:
        if response.will_close or len(self._kept) == self._kept.maxlen:
            connection.close()
        else:
            self._kept.append(connection)

    def _whole(
        self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse, until: float
    ) -> bytes:
        parts, size = [], 0
        try:
            while True:
                if connection.sock is not None:
                    connection.sock.settimeout(_left(until))
                part = response.read(1 << 16)
                if not part:
                    return b"".join(parts)
                size += len(part)
                if size > ANSWER_MAX_BYTES:
                    raise Unexpected(self.url, f"more than {ANSWER_MAX_BYTES} bytes")
                parts.append(part)
        except BaseException:
            connection.close()
            raise

    @contextlib.contextmanager
    def _unreachable(self) -> Iterator[None]:
        """What the standard library says of a broken connection, in this client's words."""
        try:
            yield
        except TimeoutError as error:
            raise Unreachable(self.url, "no answer in time") from error
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(self.url, str(error) or type(error).__name__) from error


class Stream:
    """A stream of payloads, line by line."""

    def __init__(self, transport: Transport, connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> None:
        self._url = transport.url
        self._connection, self._response = connection, response
        self._parser = Parser()
        self._closed = False

    def next(self) -> Update:
        """Waits for what comes next."""
        while True:
            try:
                line = self._response.readline(LINE_MAX_BYTES + 1)
            except (OSError, ValueError, AttributeError, http.client.HTTPException) as error:
                raise Unreachable(self._url, str(error)) from error
            if not line:
                raise Unreachable(self._url, "the stream was closed" if self._closed else "the gateway closed the stream")
            try:
                update = self._parser.line(line)
            except ValueError as error:
                raise Unexpected(self._url, str(error)) from error
            if update is not None:
                return update

    def close(self) -> None:
        """Ends it; a thread that waits for what comes next is woken."""
        self._closed = True
        if self._connection.sock is not None:
            with contextlib.suppress(OSError):
                self._connection.sock.shutdown(socket.SHUT_RDWR)

    def release(self) -> None:
        """Frees the connection, once nobody reads from it any more."""
        self._response.close()
        self._connection.close()


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _is_readable(sock: socket.socket) -> bool:
    """Whether a connection that nothing is asked of brings something: its end."""
    try:
        if hasattr(select, "poll"):
            poll = select.poll()
            poll.register(sock, select.POLLIN)
            return bool(poll.poll(0))
        return bool(select.select([sock], [], [], 0)[0])
    except (OSError, ValueError):
        return True


def _checked(url: str):
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise UsageError(f"{url}: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"{url}: an address that begins with http:// or https:// is needed")
    if parts.query or parts.fragment:
        raise UsageError(f"{url}: an address without a query is needed")
    return parts


def _authorization(key: str | None) -> dict[str, str]:
    if key is None:
        return {}
    if not key or not all("!" <= character <= "~" for character in key):
        raise UsageError("a key has visible ASCII characters only")
    return {"Authorization": f"Bearer {key}"}


def _tls(ca: str | None) -> ssl.SSLContext:
    """The system's authorities, and those of a file of PEM."""
    context = ssl.create_default_context()
    if ca is not None:
        try:
            context.load_verify_locations(ca)
        except (OSError, ssl.SSLError) as error:
            raise UsageError(f"{ca}: {error}") from error
    return context
