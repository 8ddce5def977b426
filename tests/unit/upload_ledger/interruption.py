"""SIGTERM or a time-out in the middle of an upload."""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from inspect import CO_GENERATOR
from types import FrameType, ModuleType
from typing import Any, Self

from airflow_provider_visma.upload_ledger import upload as row_upload


class _Interruption:
    def __init__(self, at: int, files: frozenset[str | None]) -> None:
        self.came = False
        self._left = at
        self._files = files

    def __enter__(self) -> Self:
        sys.settrace(self._called)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _called(self, frame: FrameType, event: str, arg: Any) -> Callable[..., Any] | None:
        is_uploads_own = frame.f_code.co_filename in self._files
        # Generators are closed by the collector too, which hears no exception.
        return self._reached if is_uploads_own and not frame.f_code.co_flags & CO_GENERATOR else None

    def _reached(self, frame: FrameType, event: str, arg: Any) -> Callable[..., Any]:
        self._left -= event in ("line", "return")
        if not self._left and not self.came:
            self.came = True
            raise SystemExit(143)
        return self._reached


def interrupted(at: int, run: Callable[[], Any], *, module: ModuleType) -> bool:
    """Run an upload that is interrupted at one line; return whether it has so many.

    :param at: which of the lines that it executes in its own modules.
    :param module: of this kind of upload, besides the one of all.
    """

    def run_interrupted() -> bool:
        with suppress(SystemExit), _Interruption(at, frozenset({module.__file__, row_upload.__file__})) as it:
            run()
        return it.came

    # In a thread of its own: an exception raised by tracing can leave one behind that was being handled.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(run_interrupted).result()
