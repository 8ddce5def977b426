"""The connection to Nmbrs: what is refused of it, and what its test says."""

from __future__ import annotations

import re
from typing import Any

import pytest

from airflow_provider_visma.exceptions import VismaAuthenticationError, VismaConnectionConfigError
from airflow_provider_visma.hooks.nmbrs import NmbrsHook
from tests.integration.nmbrs.companies import CANARY, connect
from visma_sandbox.client import SandboxProcess


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"password": "f" * 32}, "1001"), ({"login": CANARY}, "1001"), ({"extra": {"domain": "ander"}}, "1001")],
)
def test_a_wrong_login_is_an_authentication_error(
    sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], code: str
) -> None:
    with pytest.raises(VismaAuthenticationError) as error:
        list(connect(sandbox, monkeypatch, **changes).debtors())
    assert error.value.code == code
    assert CANARY not in str(error.value)
    assert len([entry for entry in sandbox.journal("nmbrs") if entry["method"] == "POST"]) == 1


@pytest.mark.parametrize(
    ("changes", "lacking"),
    [({"password": ""}, "API token"), ({"extra": {"domain": ""}}, "domain"), ({"login": None}, "user")],
)
def test_an_incomplete_connection_is_named(
    sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], lacking: str
) -> None:
    with pytest.raises(VismaConnectionConfigError, match=f"lacks {lacking}"):
        list(connect(sandbox, monkeypatch, **changes).debtors())


def test_the_whole_address_is_understood_as_a_domain(
    sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(connect(sandbox, monkeypatch, extra={"domain": "sandbox.nmbrs.nl"}).debtors())


def test_the_connection_test_says_what_it_checked(sandbox: SandboxProcess, hook: NmbrsHook) -> None:
    good, message = hook.test_connection()
    assert good
    assert f"{sandbox.url} accepts api@visma-sandbox.example for domain sandbox" in message
    assert "All nine read operations" in message
    assert sandbox.journal("nmbrs", "*UploadDocument") == []


def test_the_connection_test_names_what_is_not_open(sandbox: SandboxProcess, hook: NmbrsHook) -> None:
    sandbox.settings(
        nmbrs_denied_operations=["DebtorService.Function_GetList", "EmployeeService.Employment*"]
    )
    good, message = hook.test_connection()
    assert not good
    assert "may not call: DebtorService Function_GetList, EmployeeService Employment." in message


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({"operation": "*", "kind": "soap_fault", "code": 1001}, "invalid authentication"),
        ({"operation": "*", "kind": "status", "status": 503, "body": CANARY}, "HTTP 503"),
        (
            {"operation": "*", "kind": "html_error_page", "body": f"<html>{CANARY}</html>"},
            "a web page came",
        ),
        (
            {"operation": "*Function_GetList", "kind": "status", "status": 500},
            r"failed: .*Function_GetList \(HTTP 500\)",
        ),
    ],
)
def test_the_connection_test_tells_what_failed_without_echoing_it(
    sandbox: SandboxProcess, hook: NmbrsHook, fault: dict[str, Any], expected: str
) -> None:
    list(hook.debtors())  # so that the WSDL is there
    sandbox.inject("nmbrs", count=None, **fault)
    good, message = hook.test_connection()
    assert not good
    assert re.search(expected, message)
    assert CANARY not in message
