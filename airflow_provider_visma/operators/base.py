"""What all operators of this provider share: their retry policy."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseOperator

from airflow_provider_visma.retry import VISMA_RETRY_POLICY


class VismaOperator(BaseOperator):
    """Base of the provider's operators.

    Permanent errors fail the task at once and a wait that a service asks for is kept, unless the
    DAG author passes a ``retry_policy`` of their own.
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("retry_policy", VISMA_RETRY_POLICY)
        super().__init__(**kwargs)
