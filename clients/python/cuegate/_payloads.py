"""A channel's payloads as they are delivered: server-sent events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Union

from ._limits import LINE_MAX_BYTES


@dataclass(frozen=True)
class Payload:
    """A delivered payload."""

    #: Its number. Show the last one as `after` to go on where a stream ended.
    n: int | None
    #: Its text.
    text: str


@dataclass(frozen=True)
class Notice:
    """The gateway's word on the stream, as that this reader was too slow and missed payloads (`lagged`)."""

    #: What it is about.
    name: str
    #: What it says.
    data: str


Update = Union[Payload, Notice]


class Parser:
    """Server-sent events out of lines."""

    def __init__(self) -> None:
        self._name: str | None = None
        self._id: int | None = None
        self._data: list[str] = []
        self._bytes = 0

    def line(self, raw: bytes) -> Update | None:
        """Takes a line, and returns the event that it ends. Raises `ValueError` where it is too long."""
        self._bytes += len(raw)
        if self._bytes > LINE_MAX_BYTES:
            raise ValueError("a line of the stream is too long")
        line = raw.decode("utf-8", "replace").rstrip("\r\n")
        if not line:
            return self._event()
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            self._data.append(value)
        elif field == "event":
            self._name = value
        elif field == "id":
            self._id = int(value) if value.isascii() and value.isdigit() else None
        elif not self._data:
            # A comment, as those that keep a connection alive.
            self._bytes = 0
        return None

    def _event(self) -> Update | None:
        name, number, data = self._name, self._id, self._data
        self._name, self._id, self._data, self._bytes = None, None, [], 0
        if not data:
            return None
        whole = "\n".join(data)
        return Payload(number, whole) if name is None else Notice(name, whole)
