"""Waiting for an export job in the triggerer.

The trigger only polls: what an answer means is :class:`Poller`'s business, and files are the worker's.
Nothing but ids and times is in its arguments and its event, since Airflow stores and prints both.
"""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_visma.exceptions import VismaConnectionConfigError, VismaError
from airflow_provider_visma.export_jobs import PollDecision, Poller

if TYPE_CHECKING:
    from airflow_provider_visma.hooks.hrm import VismaHrmHook


class HrmJobTrigger(BaseTrigger):
    """Poll an export job until it ends, then fire one event: see :meth:`Poller.event`.

    :param conn_id: a connection of type ``visma_hrm``.
    :param dataset: path of the dataset that the job exports.
    :param job_id: the job.
    :param deadline: seconds since the epoch after which the job is given up. Absolute, so that another
        triggerer that takes over does not begin anew.
    :param poll_interval: seconds between the first two polls; the wait grows from there.
    :param max_poll_interval: seconds that the wait grows to.
    :param not_before: seconds since the epoch before which not to poll, where the service asked for it.
    """

    def __init__(
        self,
        *,
        conn_id: str,
        dataset: str,
        job_id: str,
        deadline: float,
        poll_interval: float = 2.0,
        max_poll_interval: float = 60.0,
        not_before: float = 0.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.conn_id = conn_id
        self.dataset = dataset
        self.job_id = job_id
        self.deadline = deadline
        self.poll_interval = poll_interval
        self.max_poll_interval = max_poll_interval
        self.not_before = not_before

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments, all of them JSON's own types."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "conn_id": self.conn_id,
                "dataset": self.dataset,
                "job_id": self.job_id,
                "deadline": self.deadline,
                "poll_interval": self.poll_interval,
                "max_poll_interval": self.max_poll_interval,
                "not_before": self.not_before,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield the one event. Cancelled, it lets go of its connections and yields none."""
        yield TriggerEvent(await self._wait())  # type: ignore[no-untyped-call]

    async def on_kill(self) -> None:
        """Say that the job is given up. Airflow has cancelled :meth:`run` before it calls this."""
        self.log.warning(
            "Given up by a user; the job may run on, since the API cannot cancel one",
            dataset=self.dataset,
            job_id=self.job_id,
        )

    async def _sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def _wait(self) -> dict[str, str]:
        poller = Poller(
            dataset=self.dataset,
            job_id=self.job_id,
            deadline=self.deadline,
            poll_interval=self.poll_interval,
            max_poll_interval=self.max_poll_interval,
        )
        await self._sleep(self.not_before - time.time())
        try:
            decision = await self._poll(await _hook(self.conn_id), poller)
        except VismaConnectionConfigError as error:
            decision = poller.on_error(error)
        return poller.event(decision)

    async def _poll(self, hook: VismaHrmHook, poller: Poller) -> PollDecision:
        async with hook.polling_session() as session:
            while True:
                try:
                    decision = poller.on_job(await hook.aget_job(session, self.dataset, self.job_id))
                except VismaError as error:
                    decision = poller.on_error(error)
                if decision.changed:
                    self.log.info(decision.message, dataset=self.dataset, job_id=self.job_id)
                if decision.outcome:
                    return decision
                await self._sleep(decision.wait)


async def _hook(conn_id: str) -> VismaHrmHook:
    # Its imports take most of a second the first time: too long for the loop that all triggers share.
    module = await asyncio.to_thread(importlib.import_module, "airflow_provider_visma.hooks.hrm")
    hook: VismaHrmHook = module.VismaHrmHook(conn_id)
    return hook
