"""Never more calls a second than a service allows, over all threads of this process."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable


class CallPace:
    """Lets at most *limit* calls begin in any window of *period* seconds.

    :param clock: seconds, monotonic.
    :param sleep: waits for seconds.
    """

    def __init__(
        self,
        limit: int,
        *,
        period: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._begun: deque[float] = deque(maxlen=limit)
        self._period = period
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Return when the next call may begin."""
        with self._lock:
            now = self._clock()
            if len(self._begun) == self._begun.maxlen and (left := self._begun[0] + self._period - now) > 0:
                # Sleeping with the lock held keeps the callers in line.
                self._sleep(left)
                now = self._clock()
            self._begun.append(now)
