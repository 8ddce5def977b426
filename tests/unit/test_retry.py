from __future__ import annotations

import inspect
from datetime import timedelta

import pytest
from airflow.sdk import RetryAction

from airflow_provider_visma import exceptions
from airflow_provider_visma.exceptions import VismaError, VismaPermanentError, VismaTransientError
from airflow_provider_visma.retry import VISMA_RETRY_POLICY, VismaRetryPolicy

BASES = {VismaError, VismaPermanentError, VismaTransientError}
ERRORS = [
    kind
    for _, kind in inspect.getmembers(exceptions, inspect.isclass)
    if issubclass(kind, VismaError) and kind not in BASES
]


@pytest.mark.parametrize("kind", ERRORS)
def test_every_error_says_whether_a_retry_helps(kind: type[VismaError]) -> None:
    assert issubclass(kind, VismaPermanentError) != issubclass(kind, VismaTransientError)
    action = VISMA_RETRY_POLICY.evaluate(kind("x"), 1, 3).action
    assert action is (RetryAction.FAIL if issubclass(kind, VismaPermanentError) else RetryAction.DEFAULT)


def test_a_wait_that_the_service_asked_for_is_the_retry_delay() -> None:
    decision = VISMA_RETRY_POLICY.evaluate(exceptions.VismaThrottledError("x", retry_after=17), 1, 3)
    assert (decision.action, decision.retry_delay) == (RetryAction.RETRY, timedelta(seconds=17))


@pytest.mark.parametrize("error", [ValueError("x"), VismaError("x"), KeyboardInterrupt()])
def test_any_other_error_is_left_to_airflow(error: BaseException) -> None:
    assert VISMA_RETRY_POLICY.evaluate(error, 1, 3).action is RetryAction.DEFAULT


def test_the_policy_survives_serialization() -> None:
    assert (
        VismaRetryPolicy.deserialize(VISMA_RETRY_POLICY.serialize())
        .evaluate(exceptions.VismaRequestError("x"), 1, 3)
        .action
        is RetryAction.FAIL
    )


@pytest.mark.parametrize("kind", ERRORS)
def test_no_error_is_one_that_soft_fail_would_skip(kind: type[VismaError]) -> None:
    from airflow.sdk.exceptions import AirflowException

    assert not issubclass(kind, AirflowException)


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ({}, "what happened"),
        ({"system": "Nmbrs"}, "Nmbrs: what happened"),
        (
            {
                "system": "Nmbrs",
                "operation": "List_Get",
                "conn_id": "c",
                "code": "1002",
                "advice": "Do this.",
            },
            "Nmbrs List_Get (connection c): what happened [1002]. Do this.",
        ),
    ],
)
def test_a_message_says_where_what_and_what_to_do(parts: dict[str, str], text: str) -> None:
    assert str(VismaError("what happened", **parts)) == text
