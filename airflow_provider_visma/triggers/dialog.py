"""Waiting in the triggerer for reviews to be finished in Dialog.

The trigger only tells that there is something to do. What is filed the operator's ledger decides, so an event
that comes twice, or is lost with a triggerer and made up for by the next, does no harm.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from airflow_provider_visma.dialog_reviews.review import read_moment
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
        mark: _Mark | None = None
        kept, failures = True, 0
        while True:
            try:
                mark = mark or _Mark.from_json(await self._stored())
                found = await self._poll(mark)
            # Whatever keeps it from asking may pass; a trigger that ends is started again at once, or never.
            except Exception as error:
                failures += 1
                if failures == 1:
                    told = error if isinstance(error, VismaError) else type(error).__name__
                    self.log.warning("Looking for reviews failed; looking less often: %s", told)
                await self._sleep(self._wait_after(failures, getattr(error, "retry_after", None)))
                continue
            if failures:
                self.log.info("Looking for reviews succeeded after %s failures", failures)
                failures = 0
            if found:
                mark = mark.after(found, now=self._now())
                # The event first: what is told twice does no harm, what is never told would.
                yield TriggerEvent(  # type: ignore[no-untyped-call]
                    {
                        "conn_id": self.conn_id,
                        "reviews": len(found),
                        "review_ids": [review.id for review in found[:_TOLD]],
                        "finished_until": mark.finished_at,
                    }
                )
                kept = False
            if not kept:
                kept = await self._keep(mark, complain=bool(found))
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

    async def _keep(self, mark: _Mark, *, complain: bool) -> bool:
        """Store how far it has come; return whether that is done."""
        try:
            if self.asset_state_store is not None:
                await self.asset_state_store.aset(self._key, mark.to_json())
        # Ended by this it would be started again at once, from the old mark: an event for each start.
        except Exception as error:
            if complain:
                self.log.warning("Where it has come could not be kept: %s", type(error).__name__)
            return False
        return True

    def _now(self) -> datetime:
        return datetime.now(UTC)


class _Mark:
    """How far reviews were told: all up to a moment, and which of that moment and later.

    The moment is never in the future: a wrong year in Dialog, or a clock that is ahead, would hide all that
    is finished until then.

    :param finished_at: ISO 8601; None before the first event.
    :param told: when those of the moment and later were finished, ISO 8601 in UTC, by id.
    """

    def __init__(self, finished_at: str | None = None, told: Mapping[str, str] | None = None) -> None:
        self.finished_at = finished_at
        self._told = dict(told or {})

    @classmethod
    def from_json(cls, stored: Any) -> _Mark:
        """Return what was stored, the beginning where that is nothing of ours."""
        try:
            moment = read_moment(stored["finished_at"])
            return cls(_written(moment), {str(id_): str(at) for id_, at in stored["told"].items()})
        except (TypeError, KeyError, ValueError, AttributeError):
            return cls()

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"finished_at": self.finished_at, "told": self._told}

    @property
    def since(self) -> datetime | None:
        """The moment from which to ask."""
        return datetime.fromisoformat(self.finished_at) if self.finished_at else None

    def covers(self, review: Review) -> bool:
        """Return whether the review was told."""
        since = self.since
        if since is None:
            return False
        return review.finished_at < since or self._told.get(review.id) == _written(review.finished_at)

    def after(self, found: list[Review], *, now: datetime) -> _Mark:
        """Return the mark after *found*, none of which it covers."""
        moment = min(max(review.finished_at for review in found), now)
        finished_at = max(_written(moment), self.finished_at or "")
        told = {**self._told, **{review.id: _written(review.finished_at) for review in found}}
        return _Mark(finished_at, {id_: at for id_, at in told.items() if at >= finished_at})


def _written(moment: datetime) -> str:
    """Return a moment as text whose order is that of time."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
