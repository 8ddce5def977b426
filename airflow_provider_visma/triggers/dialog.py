"""Waiting in the triggerer for reviews to be finished in Dialog.

The trigger only tells that there is something to do. What is filed the operator's ledger decides, so an event
that comes twice, or is lost with a triggerer and made up for by the next, does no harm.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_provider_visma.exceptions import VismaError

if TYPE_CHECKING:
    from airflow_provider_visma.dialog_reviews.review import Review
    from airflow_provider_visma.hooks.dialog import DialogHook

_TOLD = 100
_SHORTEST_WAIT = 5.0
_LONGEST_WAIT = 3600.0


class DialogReviewsTrigger(BaseEventTrigger):
    """Fire an event whenever reviews were finished in Dialog since the last one; for an AssetWatcher.

    How far it has come is kept in the asset's state, under ``reviews:<connection>``, so a triggerer that is
    replaced goes on there. The first time it fires for all finished reviews that there are. It never ends:
    while Dialog does not answer it asks less often, and says so once.

    The event holds ``conn_id``, ``reviews`` (how many), ``review_ids`` (at most a hundred) and
    ``finished_until``; nothing about a person.

    :param conn_id: a connection of type ``dialog``.
    :param poll_interval: seconds between two polls, 5 or more.
    :param max_poll_interval: seconds that the wait grows to while Dialog does not answer, an hour at most.
    """

    def __init__(
        self,
        *,
        conn_id: str = "dialog_default",
        poll_interval: float = 60.0,
        max_poll_interval: float = 900.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.conn_id = conn_id
        self.poll_interval = poll_interval
        self.max_poll_interval = max_poll_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments, all of them JSON's own types."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "conn_id": self.conn_id,
                "poll_interval": self.poll_interval,
                "max_poll_interval": self.max_poll_interval,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield an event per poll that finds something. Cancelled, it lets go of its connections."""
        mark = _Mark.from_json(await self._stored())
        failures = 0
        while True:
            try:
                found = await self._poll(mark)
            # Whatever keeps it from asking may pass; a trigger that ends is started again at once, or never.
            except Exception as error:
                failures += 1
                if failures == 1:
                    told = error if isinstance(error, VismaError) else type(error).__name__
                    self.log.warning("Dialog does not answer; asking less often: %s", told)
                await self._sleep(self._wait_after(failures, getattr(error, "retry_after", None)))
                continue
            if failures:
                self.log.info("Dialog answers again after %s failures", failures)
                failures = 0
            if found:
                mark = mark.after(found)
                # The event first: what is told twice does no harm, what is never told would.
                yield TriggerEvent(  # type: ignore[no-untyped-call]
                    {
                        "conn_id": self.conn_id,
                        "reviews": len(found),
                        "review_ids": [review.id for review in found[:_TOLD]],
                        "finished_until": mark.finished_at,
                    }
                )
                await self._store(mark.to_json())
            await self._sleep(self._interval)

    async def _poll(self, mark: _Mark) -> list[Review]:
        # Its imports take most of a second the first time: too long for the loop that all triggers share.
        module = await asyncio.to_thread(importlib.import_module, "airflow_provider_visma.hooks.dialog")
        hook: DialogHook = module.DialogHook(self.conn_id)
        async with hook.polling_client() as client:
            found = [review async for review in hook.afinished_reviews(client, mark.since)]
        return [review for review in found if not mark.covers(review)]

    @property
    def _interval(self) -> float:
        return max(float(self.poll_interval), _SHORTEST_WAIT)

    def _wait_after(self, failures: int, asked_for: float | None) -> float:
        longest = min(max(float(self.max_poll_interval), self._interval), _LONGEST_WAIT)
        asked = min(asked_for or 0.0, _LONGEST_WAIT)
        grown: float = self._interval * 2 ** min(failures, 20)
        return max(min(grown, longest), asked)

    async def _sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    @property
    def _key(self) -> str:
        return f"reviews:{self.conn_id}"

    async def _stored(self) -> Any:
        # Several assets that watch alike share one trigger, and which one's state it is nobody could say.
        try:
            return await self.asset_state_store.aget(self._key) if self.asset_state_store else None
        except ValueError:
            self.log.warning("Several assets share this watcher: where it has come is not kept")
            self.asset_state_store = None
            return None

    async def _store(self, mark: dict[str, Any]) -> None:
        if self.asset_state_store is not None:
            await self.asset_state_store.aset(self._key, mark)


class _Mark:
    """How far reviews were told: up to a moment, and which of that very moment.

    :param finished_at: ISO 8601; None before the first event.
    """

    def __init__(self, finished_at: str | None = None, ids: frozenset[str] = frozenset()) -> None:
        self.finished_at = finished_at
        self._ids = ids

    @classmethod
    def from_json(cls, stored: Any) -> _Mark:
        """Return what was stored, the beginning where that is nothing of ours."""
        try:
            datetime.fromisoformat(stored["finished_at"])
            return cls(stored["finished_at"], frozenset(map(str, stored["ids"])))
        except (TypeError, KeyError, ValueError):
            return cls()

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"finished_at": self.finished_at, "ids": sorted(self._ids)}

    @property
    def since(self) -> datetime | None:
        """The moment from which to ask."""
        return datetime.fromisoformat(self.finished_at) if self.finished_at else None

    def covers(self, review: Review) -> bool:
        """Return whether the review was told."""
        since = self.since
        if since is None or review.finished_at > since:
            return False
        return review.finished_at < since or review.id in self._ids

    def after(self, found: list[Review]) -> _Mark:
        """Return the mark after *found*, none of which it covers."""
        last = max(review.finished_at for review in found)
        ids = frozenset(review.id for review in found if review.finished_at == last)
        return _Mark(
            last.astimezone(UTC).isoformat(), ids | (self._ids if last == self.since else frozenset())
        )
