from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_visma.exceptions import (
    VismaAuthenticationError,
    VismaConnectionConfigError,
    VismaContentError,
    VismaError,
    VismaIncompleteAnswerError,
    VismaNotFoundError,
    VismaPermissionError,
    VismaRequestError,
    VismaThrottledError,
    VismaUnavailableError,
)
from airflow_provider_visma.export_jobs import JobStatus
from airflow_provider_visma.hooks.hrm import VismaHrmHook
from visma_sandbox.client import SandboxClient
from visma_sandbox.credentials import HRM_CLIENT_SECRET, HRM_TENANT_ID

CONN_ID = "visma_hrm_default"


@pytest.fixture
def hook(sandbox: SandboxClient) -> VismaHrmHook:
    return VismaHrmHook(CONN_ID)


def connect(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> VismaHrmHook:
    """A hook on a connection that leads nowhere, with some fields changed."""
    connection = {
        "conn_type": "visma_hrm",
        "host": "https://api.example.com",
        "login": "isv_test",
        "password": "canary-secret",
        "extra": {"tenant_id": "a-tenant", **changes.pop("extra", {})},
        **changes,
    }
    monkeypatch.setenv("AIRFLOW_CONN_CHANGED", json.dumps(connection))
    return VismaHrmHook("changed")


# Reading the connection


def test_an_empty_connection_names_all_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    hook = connect(monkeypatch, login=None, password=None, extra={"tenant_id": ""})
    with pytest.raises(VismaConnectionConfigError, match="lacks client ID, client secret, tenant ID"):
        _ = hook.settings


def test_empty_fields_have_the_documented_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = connect(monkeypatch, host="", extra={"scopes": None, "connect_url": None}).settings
    assert settings.connection.base_url == "https://api.analytics1.hrm.visma.net"
    assert settings.credentials.token_url == "https://connect.visma.com/connect/token"
    assert settings.credentials.scopes == ""


@pytest.mark.parametrize("address", ["connect.visma.com", "ftp://connect.visma.com/", "https://"])
def test_a_token_address_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    with pytest.raises(VismaConnectionConfigError, match="connect_url"):
        _ = connect(monkeypatch, extra={"connect_url": address}).settings


@pytest.mark.parametrize(
    ("extra", "hosts", "insecure"),
    [
        ({}, ("api.example.com",), False),
        ({"file_hosts": "a.example.net .b.example.net"}, ("a.example.net", ".b.example.net"), False),
        ({"allow_insecure_files": True}, ("api.example.com",), True),
        ({"allow_insecure_files": "true"}, ("api.example.com",), True),
        ({"allow_insecure_files": "false"}, ("api.example.com",), False),
        ({"allow_insecure_files": None}, ("api.example.com",), False),
    ],
)
def test_files_come_from_the_apis_own_host_unless_the_connection_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, extra: dict[str, Any], hosts: tuple[str, ...], insecure: bool
) -> None:
    rules = connect(monkeypatch, extra=extra).link_rules
    assert (rules.hosts, rules.allow_insecure) == (hosts, insecure)


def test_the_session_for_files_carries_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    session = connect(monkeypatch).requests_session()
    assert session.auth is None
    assert "canary-secret" not in str(dict(session.headers)) + str(session.params)
    assert "tenant_id" not in session.headers


# Starting


def test_an_export_is_started_as_the_manual_says(hook: VismaHrmHook, sandbox: SandboxClient) -> None:
    job_id = hook.start_export(
        "employees",
        changed_after="2022-01-01T00:01:00.002Z",
        exclude_fields=["birthdate", "bsn"],
        callback_address="https://example.com/done",
    )
    [entry] = sandbox.journal("hrm", "command/*")
    assert (entry["method"], entry["path"]) == ("POST", "/v1/command/nl/hrm/employees")
    assert entry["query"] == {"changeTimestampAfter": "2022-01-01T00:01:00.002Z", "fields": "!birthdate,bsn"}
    assert (entry["authorization"], entry["authorized"]) == ("bearer", True)
    assert entry["body_size"] > 0
    assert entry["note"]["job_id"] == job_id


def test_an_include_list_has_no_exclamation_mark_and_a_plain_start_no_body(
    hook: VismaHrmHook, sandbox: SandboxClient
) -> None:
    hook.start_export("metadata/cost-centers", fields=["costcenter", "costcentername"])
    [entry] = sandbox.journal("hrm", "command/*")
    assert entry["query"] == {"fields": "costcenter,costcentername"}
    assert entry["body_size"] == 0


def test_an_unusable_dataset_sends_nothing(hook: VismaHrmHook, sandbox: SandboxClient) -> None:
    with pytest.raises(VismaRequestError):
        hook.start_export("../../connect/token")
    with pytest.raises(VismaRequestError):
        hook.get_job("employees", "../../../x")
    assert sandbox.journal() == []


@pytest.mark.parametrize("kind", ["act_then_reset", "act_then_hang"])
def test_a_start_without_an_answer_is_not_repeated_and_says_so(
    hook: VismaHrmHook, sandbox: SandboxClient, kind: str
) -> None:
    sandbox.inject("hrm", "command/*", kind, seconds=0.1)
    with pytest.raises(VismaUnavailableError, match="A job may have been started"):
        hook.start_export("employees")
    assert len(sandbox.journal("hrm", "command/*")) == 1


def test_a_start_that_never_reached_the_service_does_not_warn_of_a_job(
    hook: VismaHrmHook, monkeypatch: pytest.MonkeyPatch, sandbox: SandboxClient
) -> None:
    connection = sandbox.connections()[CONN_ID] | {"host": "http://127.0.0.1:9"}
    monkeypatch.setenv("AIRFLOW_CONN_VISMA_HRM_DEFAULT", json.dumps(connection))
    with pytest.raises(VismaUnavailableError) as caught:
        VismaHrmHook(CONN_ID).start_export("employees")
    assert "may have been started" not in str(caught.value)


def test_an_expired_token_is_replaced_once_and_the_start_repeated(
    hook: VismaHrmHook, sandbox: SandboxClient
) -> None:
    sandbox.inject("hrm", "command/*", "expired_token")
    assert hook.start_export("employees")
    assert [entry["status"] for entry in sandbox.journal("hrm")] == [401, 200]
    assert len(sandbox.journal("connect")) == 2


# Reading


def test_a_job_is_read_until_it_is_completed(hook: VismaHrmHook, sandbox: SandboxClient) -> None:
    sandbox.settings(hrm_job_polls=1, hrm_parts=3)
    job_id = hook.start_export("employees")
    running, done = hook.get_job("employees", job_id), hook.get_job("employees", job_id)
    assert (running.status, running.file_uris, running.watermark) == (JobStatus.IN_PROGRESS, (), None)
    assert done.status is JobStatus.COMPLETED
    assert len(done.file_uris) == 3
    assert done.watermark is not None
    assert running.oddities == done.oddities == ()


@pytest.mark.parametrize(
    ("kind", "arguments", "error"),
    [
        ("status", {"status": 401}, VismaAuthenticationError),
        ("status", {"status": 403}, VismaPermissionError),
        ("missing_scope", {}, VismaAuthenticationError),
        ("job_expired", {}, VismaNotFoundError),
        ("status", {"status": 429, "retry_after": 9}, VismaThrottledError),
        ("status", {"status": 500}, VismaUnavailableError),
        ("reset", {}, VismaUnavailableError),
        ("truncated", {}, VismaUnavailableError),
        ("html_error_page", {}, VismaIncompleteAnswerError),
        ("html_error_page", {"body": "[" * 100_000}, VismaIncompleteAnswerError),
        ("gzip_bomb", {"size": 1 << 26}, VismaContentError),
        ("unknown_status", {}, VismaContentError),
        ("redirect", {}, VismaRequestError),
    ],
)
def test_each_fault_is_its_own_error_that_names_operation_and_connection(
    hook: VismaHrmHook,
    sandbox: SandboxClient,
    kind: str,
    arguments: dict[str, Any],
    error: type[VismaError],
) -> None:
    job_id = hook.start_export("employees")
    sandbox.inject("hrm", "query/*", kind, count=None, **arguments)
    with pytest.raises(error) as caught:
        hook.get_job("employees", job_id)
    assert type(caught.value) is error


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_names_the_scopes_and_the_tenant(
    hook: VismaHrmHook, sandbox: SandboxClient, status: int
) -> None:
    job_id = hook.start_export("employees")
    sandbox.inject("hrm", "query/*", "status", count=None, status=status)
    with pytest.raises(VismaError) as caught:
        hook.get_job("employees", job_id)
    message = str(caught.value)
    assert HRM_TENANT_ID in message
    assert "hrmanalytics:nlhrm:exportemployees" in message
    assert CONN_ID in message
    assert "query employees" in message


@pytest.mark.parametrize(("repeat", "requests"), [(True, 2), (False, 1)])
def test_a_refused_token_costs_one_request_to_who_polls(
    hook: VismaHrmHook, sandbox: SandboxClient, repeat: bool, requests: int
) -> None:
    job_id = hook.start_export("employees")
    sandbox.inject("hrm", "query/*", "status", count=None, status=401)
    with pytest.raises(VismaAuthenticationError):
        hook.get_job("employees", job_id, repeat=repeat)
    assert len(sandbox.journal("hrm", "query/*")) == requests


async def test_the_asynchronous_reading_means_the_same(hook: VismaHrmHook, sandbox: SandboxClient) -> None:
    sandbox.settings(hrm_job_polls=0)
    job_id = hook.start_export("employees")
    fresh = VismaHrmHook(CONN_ID)
    async with fresh.polling_session() as session:
        job = await fresh.aget_job(session, "employees", job_id)
    again = hook.get_job("employees", job_id)
    # Each reading signs its links anew, for a second that may be another one by then.
    assert [uri.partition("?")[0] for uri in job.file_uris] == [
        uri.partition("?")[0] for uri in again.file_uris
    ]
    assert replace(job, file_uris=()) == replace(again, file_uris=())


async def test_no_extra_of_the_connection_is_sent_as_a_header(
    hook: VismaHrmHook, sandbox: SandboxClient
) -> None:
    async with hook.polling_session() as session:
        assert set(session.headers) == {"Accept", "Accept-Encoding"}
        assert session.auth is None


@pytest.mark.parametrize("kind", ["gzip_bomb", "redirect"])
async def test_the_asynchronous_reading_refuses_bombs_and_redirects(
    hook: VismaHrmHook, sandbox: SandboxClient, kind: str
) -> None:
    job_id = hook.start_export("employees")
    sandbox.inject("hrm", "query/*", kind)
    async with hook.polling_session() as session:
        with pytest.raises(VismaError):
            await hook.aget_job(session, "employees", job_id)
    assert len(sandbox.journal("hrm", "query/*")) == 1


# Testing the connection


def test_the_connection_test_says_what_it_got(hook: VismaHrmHook) -> None:
    worked, message = hook.test_connection()
    assert worked
    for part in (HRM_TENANT_ID, "hrmanalytics:nlhrm:exportemployees", "3600 s"):
        assert part in message


@pytest.mark.parametrize(
    ("kind", "arguments", "part"),
    [
        ("oauth_error", {"error": "invalid_client"}, "invalid_client"),
        ("oauth_error", {"error": "invalid_scope"}, "invalid_scope"),
        ("oauth_error", {"error": "invalid_tenant"}, "invalid_tenant"),
        ("status", {"status": 500, "body": f"it was {HRM_CLIENT_SECRET}"}, "HTTP 500"),
        ("html_error_page", {"body": f"it was {HRM_CLIENT_SECRET}"}, "not a JSON object"),
        ("reset", {}, "no answer"),
    ],
)
def test_a_failed_connection_test_says_why_and_nothing_secret(
    hook: VismaHrmHook, sandbox: SandboxClient, kind: str, arguments: dict[str, Any], part: str
) -> None:
    sandbox.inject("connect", "*", kind, count=None, **arguments)
    worked, message = hook.test_connection()
    assert not worked
    assert part in message
    assert HRM_CLIENT_SECRET not in message


def test_the_connection_test_asks_again_each_time(hook: VismaHrmHook, sandbox: SandboxClient) -> None:
    hook.start_export("employees")
    hook.test_connection()
    hook.test_connection()
    assert len(sandbox.journal("connect")) == 3


def test_the_forms_test_button_finds_the_hook(
    sandbox: SandboxClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.models import Connection  # as the API server has it

    fields = sandbox.connections()[CONN_ID]
    monkeypatch.setenv("AIRFLOW_CONN_SOME_RANDOM_ID", json.dumps(fields))
    connection = Connection(conn_id="some_random_id", **{**fields, "extra": json.dumps(fields["extra"])})
    worked, message = connection.test_connection()
    assert worked, message
    assert HRM_TENANT_ID in message
