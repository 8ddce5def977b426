from __future__ import annotations

import json
import logging
import time
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred

from airflow_provider_visma.exceptions import (
    VismaError,
    VismaUnavailableError,
)
from airflow_provider_visma.export_jobs import Attachment, JobStatus, decide_attachment
from airflow_provider_visma.export_request import ExportRequest
from airflow_provider_visma.hooks.hrm import VismaHrmHook
from airflow_provider_visma.protocols import oauth2
from airflow_provider_visma.protocols.bearer import AccessToken
from airflow_provider_visma.protocols.oauth2 import ClientCredentialsSource
from airflow_provider_visma.sensors.hrm import HrmJobSensor
from airflow_provider_visma.triggers.hrm import HrmJobTrigger
from visma_sandbox.client import SandboxClient, start_sandbox
from visma_sandbox.credentials import HRM_CLIENT_SECRET

CONN_ID = "visma_hrm_default"


def use(service: SandboxClient, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> VismaHrmHook:
    """A hook on the service's own connection, with some fields changed."""
    connection = service.connections()[CONN_ID]
    extra = {**connection["extra"], **changes.pop("extra", {})}
    monkeypatch.setenv(
        "AIRFLOW_CONN_VISMA_HRM_DEFAULT", json.dumps({**connection, **changes, "extra": extra})
    )
    return VismaHrmHook(CONN_ID)


class PromptTrigger(HrmJobTrigger):
    """Polls without waiting."""

    async def _sleep(self, seconds: float) -> None:
        """Go on."""


def trigger_for(job_id: str) -> PromptTrigger:
    return PromptTrigger(conn_id=CONN_ID, dataset="employees", job_id=job_id, deadline=time.time() + 600)


async def event_of(trigger: HrmJobTrigger) -> dict[str, Any]:
    [event] = [event.payload async for event in trigger.run()]
    return event


# From the worker to the triggerer and back


async def test_an_export_is_started_deferred_and_completed_over_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    with start_sandbox(employees=20, tls=True) as service:
        hook = use(service, monkeypatch)
        job_id = hook.start_export("employees")
        context: Any = {"ti": SimpleNamespace(start_date=datetime.now(UTC))}
        sensor = HrmJobSensor(task_id="wait", dataset="employees", job_id=job_id)
        with pytest.raises(TaskDeferred) as deferred:
            sensor.execute(context)
        path, arguments = deferred.value.trigger.serialize()
        assert path.endswith("HrmJobTrigger")
        event = await event_of(PromptTrigger(**json.loads(json.dumps(arguments))))
        sensor.execute_complete(context, event)
        assert hook.get_job("employees", job_id).status is JobStatus.COMPLETED


async def test_a_certificate_that_is_not_trusted_is_refused_by_every_client(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with start_sandbox(employees=20, tls=True) as service:
        hook = use(service, monkeypatch, extra={"verify": True})
        assert hook.test_connection()[0] is False
        with pytest.raises(VismaUnavailableError, match="ConnectError"):
            hook.start_export("employees")
        oauth2._cached_source.cache_clear()
        trusted = use(service, monkeypatch).settings.token_source().get_token()
        oauth2._cached_source.cache_clear()
        monkeypatch.setattr(ClientCredentialsSource, "_obtain", lambda self: trusted)
        untrusting = use(service, monkeypatch, extra={"verify": True})
        async with untrusting.polling_session() as session:
            with pytest.raises(VismaUnavailableError, match="CertificateError"):
                await untrusting.aget_job(session, "employees", "a-job")
        assert service.journal("hrm") == []


@pytest.mark.parametrize("form", ["seconds", "milliseconds", "ticks", "offset"])
def test_a_watermark_goes_back_exactly_as_it_came(sandbox: SandboxClient, form: str) -> None:
    sandbox.settings(hrm_job_polls=0, hrm_timestamp_form=form)
    hook = VismaHrmHook(CONN_ID)
    watermark = hook.get_job("employees", hook.start_export("employees")).watermark
    assert watermark is not None
    hook.start_export("employees", changed_after=watermark)
    assert sandbox.journal("hrm", "command/*")[-1]["query"] == {"changeTimestampAfter": watermark}


# Re-attaching


@pytest.mark.parametrize(
    ("fault", "attachment"),
    [
        (None, Attachment.REATTACH),
        ("job_failed", Attachment.SUBMIT),
        ("job_expired", Attachment.SUBMIT),
    ],
)
def test_a_retry_finds_its_job_or_knows_that_it_has_none(
    sandbox: SandboxClient, fault: str | None, attachment: Attachment
) -> None:
    hook = VismaHrmHook(CONN_ID)
    request = ExportRequest(dataset="employees")
    fingerprint = request.fingerprint(tenant_id=hook.tenant_id)
    stored = {"job_id": hook.submit(request), "fingerprint": fingerprint}
    if fault:
        sandbox.inject("hrm", "query/*", fault)
    decided, _ = decide_attachment(
        stored, fingerprint=fingerprint, read_job=lambda job_id: hook.get_job("employees", job_id)
    )
    assert decided is attachment


# Who signs in


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"password": "another-secret"}, "invalid_client"),
        ({"login": "isv_nobody"}, "invalid_client"),
        ({"extra": {"scopes": "hrmanalytics:nlhrm:exporteverything"}}, "invalid_scope"),
        ({"extra": {"tenant_id": "5a2d0b0c-0000-4000-8000-00000000000f"}}, "invalid_tenant"),
    ],
)
async def test_who_is_refused_by_visma_connect_asks_once_and_is_told_why(
    sandbox: SandboxClient, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], code: str
) -> None:
    job_id = VismaHrmHook(CONN_ID).start_export("employees")
    sandbox.clear_journal()
    hook = use(sandbox, monkeypatch, **changes)
    with pytest.raises(VismaError) as caught:
        hook.start_export("employees")
    assert caught.value.code == code
    assert (await event_of(trigger_for(job_id)))["status"] == "refused"
    assert len(sandbox.journal("connect")) == 1
    assert sandbox.journal("hrm") == []


def test_two_connections_that_sign_in_alike_share_a_token(
    sandbox: SandboxClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = sandbox.connections()[CONN_ID]
    monkeypatch.setenv("AIRFLOW_CONN_ANOTHER", json.dumps(connection))
    VismaHrmHook(CONN_ID).start_export("employees")
    VismaHrmHook("another").start_export("employees")
    assert len(sandbox.journal("connect")) == 1


# Nothing secret leaves, whatever goes wrong

LEAKY = {"body": f"you sent {HRM_CLIENT_SECRET}"}
FAULTS: list[tuple[str, str, str, dict[str, Any]]] = [
    ("connect", "*", "oauth_error", {"error": "invalid_client", "description": HRM_CLIENT_SECRET}),
    ("connect", "*", "status", {"status": 401, **LEAKY}),
    ("connect", "*", "status", {"status": 429, **LEAKY}),
    ("connect", "*", "status", {"status": 500, **LEAKY}),
    ("connect", "*", "html_error_page", LEAKY),
    ("connect", "*", "truncated", {}),
    ("connect", "*", "reset", {}),
    ("connect", "*", "unknown_token", {}),
    ("hrm", "*", "status", {"status": 401, **LEAKY}),
    ("hrm", "*", "status", {"status": 403, **LEAKY}),
    ("hrm", "*", "status", {"status": 404, **LEAKY}),
    ("hrm", "*", "status", {"status": 429, **LEAKY}),
    ("hrm", "*", "status", {"status": 500, **LEAKY}),
    ("hrm", "*", "html_error_page", LEAKY),
    ("hrm", "*", "redirect", {}),
    ("hrm", "*", "truncated", {}),
    ("hrm", "*", "reset", {}),
    ("hrm", "*", "act_then_reset", {}),
    ("hrm", "*", "gzip_bomb", {"size": 1 << 26}),
    ("hrm", "query/*", "missing_scope", {}),
    ("hrm", "query/*", "expired_token", {}),
    ("hrm", "query/*", "job_failed", {}),
    ("hrm", "query/*", "job_expired", {}),
    ("hrm", "query/*", "unknown_status", {}),
    ("hrm", "query/*", "never_ends", {}),
]


@pytest.fixture
def tokens(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Every token that was issued."""
    seen: list[str] = []
    plain = ClientCredentialsSource._obtain

    def request(self: ClientCredentialsSource) -> AccessToken:
        token = plain(self)
        seen.append(token.value)
        return token

    monkeypatch.setattr(ClientCredentialsSource, "_obtain", request)
    return seen


@pytest.mark.parametrize(
    ("system", "operation", "kind", "arguments"),
    FAULTS,
    ids=[f"{system}-{kind}-{arguments.get('status', '')}" for system, _, kind, arguments in FAULTS],
)
async def test_secret_and_token_appear_nowhere_whatever_goes_wrong(
    sandbox: SandboxClient,
    tokens: list[str],
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    system: str,
    operation: str,
    kind: str,
    arguments: dict[str, Any],
) -> None:
    caplog.set_level(logging.DEBUG)
    job_id = VismaHrmHook(CONN_ID).start_export("employees")
    sandbox.settings(hrm_job_polls=1)
    oauth2._cached_source.cache_clear()
    sandbox.inject(system, operation, kind, count=None, **arguments)

    said: list[str] = []
    hook = VismaHrmHook(CONN_ID)
    for call in (
        hook.test_connection,
        lambda: hook.start_export("employees"),
        lambda: hook.get_job("employees", job_id),
    ):
        try:
            said.append(repr(call()))
        except VismaError as error:
            said += [repr(error), *traceback.format_exception(error)]
    trigger = trigger_for(job_id)
    trigger.deadline = time.time()
    said += [repr(trigger), repr(trigger.serialize()), repr(await event_of(trigger)), repr(vars(hook))]
    said += [*capfd.readouterr(), caplog.text]

    assert job_id in "".join(said), "nothing was captured"
    for secret in (HRM_CLIENT_SECRET, *tokens):
        assert not [text for text in said if secret in text]
