"""Keeping Dialog over restarts: one JSON file, replaced whole, so that it is never half a Dialog."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from aiohttp import web

from visma_sandbox.dialog_store import DialogStore

SAVE_INTERVAL = 1.0


class DialogFile:
    """A Dialog's file: read when the application starts, written after changes and when it stops.

    :param path: where; a file that does not exist yet is an empty Dialog.
    :param interval: seconds between two saves at least.
    """

    def __init__(self, path: Path, store: DialogStore, *, interval: float = SAVE_INTERVAL) -> None:
        self._path = path
        self._store = store
        self._interval = interval
        self._saved: int | None = None

    async def kept(self, app: web.Application) -> AsyncIterator[None]:
        """Hold the store and the file together while the application runs (an aiohttp clean-up context)."""
        if self._path.exists():
            self._restore()
            self._saved = self._store.revision
        stopped = asyncio.Event()
        saving = asyncio.create_task(self._save_regularly(stopped))
        yield
        stopped.set()
        await saving

    def _restore(self) -> None:
        try:
            self._store.restore(json.loads(self._path.read_bytes()))
        except (ValueError, LookupError, TypeError) as error:
            raise ValueError(f"{self._path} is damaged; remove it to begin with an empty Dialog") from error

    async def _save_regularly(self, stopped: asyncio.Event) -> None:
        stopping, pause = False, self._interval
        while not stopping:
            with suppress(TimeoutError):
                stopping = await asyncio.wait_for(stopped.wait(), pause)
            if self._store.revision != self._saved:
                # 100,000 users take seconds to write: in a thread, and for a tenth of the time at most.
                began = time.monotonic()
                await asyncio.to_thread(self._save, self._store.snapshot())
                pause = max(self._interval, 9 * (time.monotonic() - began))

    def _save(self, snapshot: dict[str, Any]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        staged = self._path.with_name(f"{self._path.name}.part")
        staged.write_text(json.dumps(snapshot, ensure_ascii=False), encoding="utf-8")
        os.replace(staged, self._path)
        self._saved = snapshot["revision"]
