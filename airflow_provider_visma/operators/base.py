"""What operators of this provider share: a retry policy, names in errors, checks of arguments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from airflow.sdk import BaseOperator, RetryPolicy

from airflow_provider_visma.exceptions import VismaError, VismaRequestError
from airflow_provider_visma.retry import VISMA_RETRY_POLICY


class VismaOperator(BaseOperator):
    """Base of the provider's operators.

    Permanent errors fail the task at once and a wait that a service asks for is kept, unless the
    DAG author passes a ``retry_policy`` of their own.
    """

    # A default in the signature: that is where Airflow looks for it when a task is mapped.
    def __init__(self, *, retry_policy: RetryPolicy | None = VISMA_RETRY_POLICY, **kwargs: Any) -> None:
        super().__init__(retry_policy=retry_policy, **kwargs)


@contextmanager
def named_errors(*, system: str, conn_id: str, operation: str) -> Iterator[None]:
    """Say in an error where it happened, as far as it does not say so itself."""
    try:
        yield
    except VismaError as error:
        error.system = error.system or system
        error.conn_id = error.conn_id or conn_id
        error.operation = error.operation or operation
        raise


def check_mappings(**arguments: Any) -> None:
    """Check that each argument is a mapping, or None.

    :raises VismaRequestError: one is something else, as a template makes of it.
    """
    for name, value in arguments.items():
        if value is not None and not isinstance(value, Mapping):
            raise VismaRequestError(
                f"{name} is no mapping",
                advice="A template makes text of it, unless the DAG has render_template_as_native_obj=True.",
            )


def is_true(value: bool | str) -> bool:
    """Return whether a switch is on, which a template may have turned into text."""
    return str(value).strip().lower() == "true"
