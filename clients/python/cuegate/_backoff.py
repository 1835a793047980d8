"""How long to wait before another try. Time and randomness are arguments."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from ._errors import CuegateError
from ._limits import BACKOFF_FIRST_S, BACKOFF_MAX_S, RETRY_AFTER_MAX_S


def wait(nth: int, retry_after: float | None, chance: float) -> float:
    """The wait before try number `nth` after a failure, `nth` counting from 0, in seconds.

    The wait doubles with every failure up to `BACKOFF_MAX_S`. Half of it is random, so that producers that
    lost the same gateway do not come back together; `chance` is in 0..1. What the gateway asked for
    (`Retry-After`) is never undercut: the wait is added to it.
    """
    most = min(BACKOFF_FIRST_S * 2 ** min(nth, 64), BACKOFF_MAX_S)
    own = most / 2 + most / 2 * chance
    if retry_after is None:
        return own
    # The gateway knows better than a guess; a little is added for the same reason.
    return min(retry_after, RETRY_AFTER_MAX_S) + min(own, BACKOFF_FIRST_S)


class Retry:
    """The tries of one request, which end after so many seconds."""

    def __init__(
        self,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._clock, self._chance = clock, chance
        self._until = clock() + seconds if seconds > 0 else None
        self._nth = 0

    def after(self, error: CuegateError) -> float | None:
        """The wait before the next try; none: this failure is the last."""
        if self._until is None or not error.retryable:
            return None
        pause = wait(self._nth, error.retry_after, self._chance())
        self._nth += 1
        return pause if self._clock() + pause <= self._until else None
