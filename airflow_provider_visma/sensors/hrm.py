"""Waiting for an export job, in the triggerer or on a worker.

Both ways ask the same :class:`Poller`. A job that failed is an error of this provider, never a skipped
task; only the sensor's own time-out follows Airflow's rules for sensors.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator, RetryPolicy
from airflow.sdk.exceptions import AirflowSensorTimeout

from airflow_provider_visma.exceptions import VismaError, VismaJobDeadlineError
from airflow_provider_visma.export_jobs import PollDecision, Poller, outcome_error
from airflow_provider_visma.retry import VISMA_RETRY_POLICY

if TYPE_CHECKING:
    from airflow.sdk import Context


class HrmJobSensor(BaseSensorOperator):
    """Wait until an export job is completed.

    :param dataset: path of the dataset that the job exports.
    :param job_id: the job.
    :param hrm_conn_id: a connection of type ``visma_hrm``.
    :param deadline: moment after which the job is given up with an error that may be retried. Passing the
        sensor's ``timeout``, which counts from the start of the try, is final, as in every sensor.
    :param poke_interval: seconds between the first two polls; the wait grows by half each time.
    :param max_poll_interval: seconds that the wait grows to.
    :param deferrable: wait in the triggerer instead of holding a worker's slot.
    :raises VismaJobFailedError: the job ended without a result.
    :raises VismaJobDeadlineError: *deadline* passed.
    """

    template_fields: Sequence[str] = ("dataset", "job_id", "hrm_conn_id")
    # Freeing the slot between two polls is what deferring does, without forgetting the failures so far.
    valid_modes = ("poke",)

    def __init__(
        self,
        *,
        dataset: str,
        job_id: str,
        hrm_conn_id: str = "visma_hrm_default",
        deadline: datetime | None = None,
        poke_interval: timedelta | float = 2.0,
        max_poll_interval: float = 60.0,
        deferrable: bool = True,
        retry_policy: RetryPolicy | None = VISMA_RETRY_POLICY,
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=poke_interval, retry_policy=retry_policy, **kwargs)
        self.dataset = dataset
        self.job_id = job_id
        self.hrm_conn_id = hrm_conn_id
        self.deadline = deadline
        self.max_poll_interval = max_poll_interval
        self.deferrable = deferrable
        self._poller: Poller | None = None
        self._next_wait = 0.0

    def execute(self, context: Context) -> None:
        """Look once; when the job is still running, defer."""
        if not self.deferrable:
            super().execute(context)
        elif not self.poke(context):
            from airflow_provider_visma.triggers.hrm import HrmJobTrigger

            now = time.time()
            deadline = self._deadline(context)
            self.defer(
                trigger=HrmJobTrigger(
                    conn_id=self.hrm_conn_id,
                    dataset=self.dataset,
                    job_id=self.job_id,
                    deadline=deadline,
                    poll_interval=self.poke_interval,
                    max_poll_interval=self.max_poll_interval,
                    not_before=now + self._next_wait,
                ),
                method_name=self.execute_complete.__name__,
                # The trigger keeps the deadline. This only catches a triggerer that is not there.
                timeout=timedelta(seconds=max(deadline - now, 0) + 2 * self.max_poll_interval + 60),
            )

    def execute_complete(self, context: Context, event: Mapping[str, Any] | None = None) -> None:
        """Go on after the trigger's event."""
        self._conclude(context, event)

    def poke(self, context: Context) -> bool:
        """Look at the job once."""
        if self._poller is None:
            self._poller = Poller(
                dataset=self.dataset,
                job_id=self.job_id,
                deadline=self._deadline(context),
                poll_interval=self.poke_interval,
                max_poll_interval=self.max_poll_interval,
            )
        decision = self._poll(self._poller)
        if decision.changed:
            self.log.info(decision.message, dataset=self.dataset, job_id=self.job_id)
        self._next_wait = decision.wait
        if decision.outcome is None:
            return False
        self._conclude(context, self._poller.event(decision))
        return True

    def _poll(self, poller: Poller) -> PollDecision:
        from airflow_provider_visma.hooks.hrm import VismaHrmHook  # not while a DAG is parsed

        try:
            job = VismaHrmHook(self.hrm_conn_id).get_job(self.dataset, self.job_id, repeat=False)
        except VismaError as error:
            return poller.on_error(error)
        return poller.on_job(job)

    def _conclude(self, context: Context, event: Mapping[str, Any] | None) -> None:
        error = outcome_error(event, conn_id=self.hrm_conn_id)
        if isinstance(error, VismaJobDeadlineError) and self._timeout_at(context) <= self._deadline(context):
            raise AirflowSensorTimeout(str(error))
        if error is not None:
            raise error

    def _timeout_at(self, context: Context) -> float:
        # The start of the try stays what it was when the task comes back from the triggerer.
        start = context["ti"].start_date
        return (start.timestamp() if start else time.time()) + self.timeout

    def _deadline(self, context: Context) -> float:
        timeout_at = self._timeout_at(context)
        return min(timeout_at, self.deadline.timestamp()) if self.deadline else timeout_at

    def _get_next_poke_interval(
        self, started_at: datetime | float, run_duration: Callable[[], float], poke_count: int
    ) -> float:
        """Return the wait that the poller decided on, instead of a fixed one."""
        return self._next_wait
