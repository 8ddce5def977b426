"""Airflow's retry decision for this provider's errors.

The policy must never turn a failure into more tries than the task allows: Airflow caps it by ``retries``.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import RetryDecision, RetryPolicy

from airflow_provider_visma.exceptions import VismaPermanentError, VismaTransientError

if TYPE_CHECKING:
    from airflow.sdk import Context


class VismaRetryPolicy(RetryPolicy):
    """Fail at once where a retry cannot help; wait as long as the system asked for where it can.

    Every operator of this provider uses it. Give it to your own tasks that call our hooks too:
    ``@task(retries=3, retry_policy=VISMA_RETRY_POLICY)``.
    """

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,
        max_tries: int,
        context: Context | None = None,
    ) -> RetryDecision:
        """Decide by the error's class; see :mod:`airflow_provider_visma.exceptions`."""
        if isinstance(exception, VismaPermanentError):
            return RetryDecision.fail(reason=f"{type(exception).__name__}: a retry cannot help")
        if isinstance(exception, VismaTransientError) and exception.retry_after is not None:
            return RetryDecision.retry(
                delay=timedelta(seconds=exception.retry_after), reason="the service said when to come back"
            )
        return RetryDecision.default()

    def serialize(self) -> dict[str, Any]:
        """Return nothing: the policy has no settings."""
        return {}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> VismaRetryPolicy:
        """Return the policy; *data* is empty."""
        return cls()


VISMA_RETRY_POLICY = VismaRetryPolicy()
