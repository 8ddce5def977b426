"""How this program is ended: SIGTERM and a closed terminal unwind it like Ctrl-C does.

None of them disturbs the clearing up.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_Handler = Callable[[int, FrameType | None], object] | signal.Handlers


@contextmanager
def termination_raises() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into SystemExit, so that every `with` and `finally` gets its turn.

    SIGINT is listened to as well, also where a shell that started us in the background had it ignored;
    whoever has SIGHUP ignored (nohup) means it.
    """

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    handlers: dict[signal.Signals, _Handler] = {
        signal.SIGTERM: leave,
        signal.SIGINT: signal.default_int_handler,
    }
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        handlers[signal.SIGHUP] = leave
    with _handling(handlers):
        yield


@contextmanager
def interruptions_ignored() -> Iterator[None]:
    """Do not listen to Ctrl-C, SIGTERM and a closed terminal."""
    with _handling(dict.fromkeys((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), signal.SIG_IGN)):
        yield


@contextmanager
def _handling(handlers: dict[signal.Signals, _Handler]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # Python gives signals to the main thread alone
        return
    previous = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
