"""Nmbrs' codes become errors that say who must act; its texts go no further."""

from __future__ import annotations

import pytest

from airflow_provider_visma.exceptions import (
    VismaAuthenticationError,
    VismaError,
    VismaNotFoundError,
    VismaPermissionError,
    VismaRequestError,
    VismaTransientError,
    VismaUnavailableError,
)
from airflow_provider_visma.hooks._nmbrs_faults import fault_error
from airflow_provider_visma.protocols.soap import SoapFault

PREFIX = "Server was unable to process request. ---> "
CANARY = "kanarie@geheim.example.com"


@pytest.mark.parametrize(
    ("text", "kind", "code"),
    [
        ("1001: Invalid Authentication", VismaAuthenticationError, "1001"),
        ("1002: Unauthorized access", VismaPermissionError, "1002"),
        ("1003: Unauthorized access", VismaPermissionError, "1003"),
        ("1004: Disabled", VismaPermissionError, "1004"),
        ("1006: Generic Login Security Failure", VismaUnavailableError, "1006"),
        ("2003: Unauthorized access", VismaNotFoundError, "2003"),
        ("2004: Unauthorized access", VismaNotFoundError, "2004"),
        ("2006: Invalid Period", VismaRequestError, "2006"),
        ("2009: Unauthorized access", VismaNotFoundError, "2009"),
        ("2030: Invalid Set of Values", VismaRequestError, "2030"),
        ("2040: Provide File Name with an Extension", VismaRequestError, "2040"),
        ("2041: File Too Large", VismaRequestError, "2041"),
        ("2046: Not Found", VismaNotFoundError, "2046"),
        ("2047: Invalid Document Type", VismaRequestError, "2047"),
        ("2017: something new", VismaRequestError, "2017"),
        ("9999: Unkown", VismaUnavailableError, "9999"),
        ("Object reference not set", VismaUnavailableError, "Server"),
    ],
)
def test_the_code_decides(text: str, kind: type[VismaError], code: str) -> None:
    error = fault_error(SoapFault("Server", f"{PREFIX}{text} {CANARY}", None))
    assert type(error) is kind
    assert error.code == code
    assert CANARY not in str(error)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("Client", VismaRequestError),
        ("Sender", VismaRequestError),
        ("VersionMismatch", VismaRequestError),
        ("Receiver", VismaUnavailableError),
        ("", VismaUnavailableError),
    ],
)
def test_the_framework_s_own_faults_go_by_their_side(code: str, kind: type[VismaError]) -> None:
    error = fault_error(SoapFault(code, f"There is an error in XML document (1, 2). {CANARY}", None))
    assert type(error) is kind
    assert CANARY not in str(error)


@pytest.mark.parametrize("code", ["1001", "1002", "1003", "1004", "2003", "2004", "2009", "2041", "2047"])
def test_a_retry_is_only_tried_where_it_may_help(code: str) -> None:
    assert not isinstance(fault_error(SoapFault("Server", f"{PREFIX}{code}: x", None)), VismaTransientError)
