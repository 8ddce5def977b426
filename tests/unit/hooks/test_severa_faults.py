"""The type of a fault's detail decides; what the service says stays out of the message."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk import RetryAction

from airflow_provider_visma.exceptions import (
    VismaAuthenticationError,
    VismaError,
    VismaNotFoundError,
    VismaPermanentError,
    VismaPermissionError,
    VismaQuotaError,
    VismaRequestError,
    VismaUnavailableError,
)
from airflow_provider_visma.hooks._severa_faults import CAUSES_OF_DENIAL, fault_error
from airflow_provider_visma.hooks._severa_quota import QuotaWatch
from airflow_provider_visma.protocols.soap import SoapFault
from airflow_provider_visma.retry import VISMA_RETRY_POLICY

CANARY = "kanarie@geheim.example.com"
EVENING = datetime(2026, 3, 14, 22, 30, tzinfo=UTC)


def error_of(code: str, detail: str | None) -> VismaError:
    quota = QuotaWatch(reserve=0, conn_id="severa_default", clock=lambda: EVENING, warn=lambda *_, **__: None)
    return fault_error(SoapFault(code, f"Niet goed: {CANARY}", detail), quota=quota)


@pytest.mark.parametrize(
    ("code", "detail", "kind", "told"),
    [
        ("Client", "AuthenticationFailureException", VismaAuthenticationError, None),
        ("Client", "NoPermissionException", VismaPermissionError, None),
        ("Client", "ValidationException", VismaRequestError, None),
        ("Client", "NotFoundException", VismaNotFoundError, None),
        ("Client", "GeneralFailureException", VismaRequestError, None),
        ("Client", "TosNotApprovedException", VismaPermissionError, None),
        ("Client", "QuotaLimitExceededException", VismaQuotaError, None),
        ("Client", "NieuweException", VismaRequestError, None),
        ("DeserializationFailed", None, VismaRequestError, "DeserializationFailed"),
        ("ActionNotSupported", None, VismaRequestError, "ActionNotSupported"),
        ("Client", None, VismaUnavailableError, "Client"),
        ("Server", None, VismaUnavailableError, "Server"),
        ("InternalServiceFault", "ExceptionDetail", VismaUnavailableError, "ExceptionDetail"),
        ("", None, VismaUnavailableError, None),
    ],
)
def test_the_type_decides(code: str, detail: str | None, kind: type[VismaError], told: str | None) -> None:
    error = error_of(code, detail)
    assert type(error) is kind
    assert error.code == (told or detail)
    assert CANARY not in str(error)


@pytest.mark.parametrize(
    ("detail", "delay"),
    [
        ("QuotaLimitExceededException", timedelta(hours=1, minutes=31)),
        ("ExceptionDetail", None),
        (None, None),
    ],
)
def test_what_may_pass_is_tried_again(detail: str | None, delay: timedelta | None) -> None:
    decision = VISMA_RETRY_POLICY.evaluate(error_of("Client", detail), 1, 3)
    assert decision.action is not RetryAction.FAIL
    assert decision.retry_delay == delay


@pytest.mark.parametrize(
    "kind",
    ["AuthenticationFailure", "NoPermission", "Validation", "NotFound", "GeneralFailure", "TosNotApproved"],
)
def test_a_declared_type_is_never_tried_again(kind: str) -> None:
    error = error_of("Client", f"{kind}Exception")
    assert isinstance(error, VismaPermanentError)
    assert VISMA_RETRY_POLICY.evaluate(error, 1, 3).action is RetryAction.FAIL


@pytest.mark.parametrize(
    ("description", "reason"),
    [("Quantity te groot", "Quantity te groot"), (None, "Validation failed"), ("x" * 900, "x" * 500)],
)
def test_what_the_service_says_is_kept_for_whoever_may_see_it(description: str | None, reason: str) -> None:
    quota = QuotaWatch(reserve=0, conn_id="c", clock=lambda: EVENING, warn=lambda *_, **__: None)
    fault = SoapFault("Client", "Validation failed", "ValidationException", description)
    error = fault_error(fault, quota=quota)
    assert error.reason == reason
    assert reason not in str(error)


def test_access_denied_lists_the_vendors_causes_in_their_order() -> None:
    said: Any = str(error_of("Client", "AuthenticationFailureException"))
    places = [said.index(cause) for cause in CAUSES_OF_DENIAL]
    assert places == sorted(places)
    words = ["add-on", "permission", "own profile", "API key", "access rights"]
    assert [word in cause for word, cause in zip(words, CAUSES_OF_DENIAL, strict=True)] == [True] * 5
