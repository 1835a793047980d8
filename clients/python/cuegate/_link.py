"""When a session connects again, and when it gives up. No sockets, no clock, no randomness of its own."""

from __future__ import annotations

from . import _backoff
from ._errors import CuegateError
from ._limits import STABLE_S


class Link:
    """How a session stands with the gateway; it ends after `give_up_after` seconds without it."""

    def __init__(self, give_up_after: float) -> None:
        self._give_up_after = give_up_after
        self._failures = 0
        self._connected: float | None = None
        self._progressed = False
        self._away_since: float | None = None

    def connected(self, now: float) -> None:
        """A connection was made."""
        self._connected, self._progressed = now, False

    def progressed(self) -> None:
        """An acknowledgement came: the connection is a good one."""
        self._progressed = True

    def lost(self, now: float, error: CuegateError, chance: float) -> float | None:
        """The connection was lost, or could not be made: the wait before the next try; none: the session
        ends, because no try can help or because it has been without the gateway for too long.

        A connection that only opens and breaks is no good one: the waits go on growing.
        """
        if not error.retryable:
            return None
        if self._connected is not None and (self._progressed or now - self._connected >= STABLE_S):
            self._failures, self._away_since = 0, None
        self._connected = None
        if self._away_since is None:
            self._away_since = now
        pause = _backoff.wait(self._failures, error.retry_after, chance)
        self._failures += 1
        return None if now + pause > self._away_since + self._give_up_after else pause
