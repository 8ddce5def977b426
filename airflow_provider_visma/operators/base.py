"""What all operators of this provider share: their retry policy."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseOperator, RetryPolicy

from airflow_provider_visma.retry import VISMA_RETRY_POLICY


class VismaOperator(BaseOperator):
    """Base of the provider's operators.

    Permanent errors fail the task at once and a wait that a service asks for is kept, unless the
    DAG author passes a ``retry_policy`` of their own.
    """

    # A default in the signature: that is where Airflow looks for it when a task is mapped.
    def __init__(self, *, retry_policy: RetryPolicy | None = VISMA_RETRY_POLICY, **kwargs: Any) -> None:
        super().__init__(retry_policy=retry_policy, **kwargs)
