from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from typing import Any

import pytest
import structlog
from airflow.triggers.base import TriggerEvent

from airflow_provider_visma.hooks import _polling_session
from airflow_provider_visma.hooks.hrm import VismaHrmHook
from airflow_provider_visma.protocols import oauth2
from airflow_provider_visma.triggers.hrm import HrmJobTrigger
from visma_sandbox.client import SandboxClient

CONN_ID = "visma_hrm_default"
INTERVAL = 2.0


class PromptTrigger(HrmJobTrigger):
    """Notes its waits instead of waiting."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.waits: list[float] = []

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)


class WaitingTrigger(HrmJobTrigger):
    """Waits for good after its first poll, and says so."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.waits = asyncio.Event()

    async def _sleep(self, seconds: float) -> None:
        if seconds > 0:
            self.waits.set()
            await asyncio.Event().wait()


@pytest.fixture
def job_id(sandbox: SandboxClient) -> str:
    return VismaHrmHook(CONN_ID).start_export("employees")


def trigger_for(job_id: str, **arguments: Any) -> PromptTrigger:
    return PromptTrigger(
        **{
            "conn_id": CONN_ID,
            "dataset": "employees",
            "job_id": job_id,
            "deadline": time.time() + 3600,
            "poll_interval": INTERVAL,
            **arguments,
        }
    )


async def events_of(trigger: HrmJobTrigger) -> list[dict[str, Any]]:
    return [event.payload async for event in trigger.run()]


def polls(sandbox: SandboxClient) -> int:
    return len(sandbox.journal("hrm", "query/*"))


def test_what_is_serialized_makes_the_same_trigger_and_is_plain_json() -> None:
    trigger = HrmJobTrigger(
        conn_id="c",
        dataset="metadata/cost-centers",
        job_id="j",
        deadline=1.5,
        poll_interval=3.0,
        max_poll_interval=4.0,
        not_before=5.0,
    )
    path, arguments = trigger.serialize()
    assert path == "airflow_provider_visma.triggers.hrm.HrmJobTrigger"
    assert json.loads(json.dumps(arguments)) == arguments
    assert HrmJobTrigger(**arguments).serialize() == (path, arguments)
    assert {name: getattr(trigger, name) for name in arguments} == arguments


def test_importing_it_loads_nothing_heavy() -> None:
    code = (
        "import sys, airflow.triggers.base; before = set(sys.modules)\n"
        "import airflow_provider_visma.triggers.hrm\n"
        "heavy = {'zeep', 'lxml', 'pyarrow', 'pandas', 'requests', 'aiohttp', 'httpx'}\n"
        "print(sorted(heavy & (set(sys.modules) - before)))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.splitlines()[-1] == "[]"


async def test_a_completed_job_is_one_small_event_without_a_link(sandbox: SandboxClient, job_id: str) -> None:
    trigger = trigger_for(job_id)
    assert await events_of(trigger) == [
        {
            "status": "completed",
            "dataset": "employees",
            "job_id": job_id,
            "message": f"Job {job_id} of employees has status Completed",
        }
    ]
    assert (polls(sandbox), len(trigger.waits)) == (3, 3)


@pytest.mark.parametrize(
    ("kind", "status", "part_of_message"),
    [("job_failed", "failed", "status Failed"), ("unknown_status", "refused", "unknown status")],
)
async def test_each_bad_end_is_one_event(
    sandbox: SandboxClient, job_id: str, kind: str, status: str, part_of_message: str
) -> None:
    sandbox.inject("hrm", "query/*", kind)
    [event] = await events_of(trigger_for(job_id))
    assert event["status"] == status
    assert part_of_message in event["message"]


async def test_a_job_that_never_ends_is_given_up_at_the_deadline(sandbox: SandboxClient, job_id: str) -> None:
    sandbox.inject("hrm", "query/*", "never_ends", count=None)
    [event] = await events_of(trigger_for(job_id, deadline=time.time() - 1))
    assert event["status"] == "timeout"
    assert polls(sandbox) == 1


async def test_a_job_that_is_done_counts_as_done_after_the_deadline(
    sandbox: SandboxClient, job_id: str
) -> None:
    sandbox.settings(hrm_job_polls=0)
    [event] = await events_of(trigger_for(job_id, deadline=time.time() - 1))
    assert event["status"] == "completed"


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("status", {"status": 500}),
        ("status", {"status": 503}),
        ("status", {"status": 404}),
        ("reset", {}),
        ("truncated", {}),
        ("html_error_page", {}),
        ("html_error_page", {"body": "[" * 100_000}),
    ],
)
async def test_five_failures_in_a_row_are_one_event(
    sandbox: SandboxClient, job_id: str, kind: str, arguments: dict[str, Any]
) -> None:
    sandbox.inject("hrm", "query/*", kind, count=None, **arguments)
    trigger = trigger_for(job_id)
    [event] = await events_of(trigger)
    assert event["status"] == "gave_up"
    assert len(trigger.waits[1:]) == 4  # aiohttp itself asks again where a connection is reset


async def test_four_failures_in_a_row_are_survived(sandbox: SandboxClient, job_id: str) -> None:
    sandbox.inject("hrm", "query/*", "status", count=4, status=502)
    [event] = await events_of(trigger_for(job_id))
    assert event["status"] == "completed"


@pytest.mark.parametrize(
    ("status", "arguments", "requests", "end"),
    [
        (401, {}, 2, "refused"),
        (403, {}, 1, "refused"),
        (429, {}, 5, "gave_up"),
    ],
)
async def test_a_refusal_costs_at_most_one_request_per_interval(
    sandbox: SandboxClient, job_id: str, status: int, arguments: dict[str, Any], requests: int, end: str
) -> None:
    sandbox.inject("hrm", "query/*", "status", count=None, status=status, **arguments)
    trigger = trigger_for(job_id)
    [event] = await events_of(trigger)
    assert event["status"] == end
    assert polls(sandbox) == requests
    waits_between = trigger.waits[1:]
    assert len(waits_between) == requests - 1
    assert all(wait >= INTERVAL for wait in waits_between)


@pytest.mark.parametrize("form", ["seconds", "http_date", "reset"])
async def test_throttling_is_waited_out_as_long_as_the_service_says(
    sandbox: SandboxClient, job_id: str, form: str
) -> None:
    sandbox.inject("hrm", "query/*", "status", count=7, status=429, retry_after=30, form=form)
    before = int(time.time())  # an HTTP date has no fractions of a second
    trigger = trigger_for(job_id)
    [event] = await events_of(trigger)
    assert event["status"] == "completed"
    # Of the thirty seconds until a date, what it took to read of it is gone; of a number nothing is.
    least = before + 30 - time.time() if form == "http_date" else 30
    assert all(least <= wait <= 30 for wait in trigger.waits[1:8])


async def test_a_token_that_expires_while_polling_is_replaced_once(
    sandbox: SandboxClient, job_id: str
) -> None:
    sandbox.inject("hrm", "query/*", "expired_token", count=1, after=1)
    trigger = trigger_for(job_id)
    [event] = await events_of(trigger)
    assert event["status"] == "completed"
    assert len(sandbox.journal("connect")) == 2
    assert all(wait >= INTERVAL for wait in trigger.waits[1:])


async def test_a_missing_scope_is_named_with_the_tenant(sandbox: SandboxClient, job_id: str) -> None:
    sandbox.inject("hrm", "query/*", "missing_scope", count=None)
    [event] = await events_of(trigger_for(job_id))
    settings = VismaHrmHook(CONN_ID).settings
    assert event["status"] == "refused"
    assert settings.credentials.tenant_id in event["message"]
    assert settings.credentials.scopes in event["message"]


async def test_credentials_that_stop_working_end_the_waiting(sandbox: SandboxClient, job_id: str) -> None:
    oauth2._cached_source.cache_clear()
    sandbox.inject("connect", "*", "oauth_error", count=None, error="invalid_client")
    [event] = await events_of(trigger_for(job_id))
    assert event["status"] == "refused"
    assert "invalid_client" in event["message"]
    assert polls(sandbox) == 0


async def test_a_connection_that_lacks_a_field_is_an_event_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_EMPTY_HRM", json.dumps({"conn_type": "visma_hrm"}))
    [event] = await events_of(trigger_for("a-job", conn_id="empty_hrm"))
    assert event["status"] == "refused"
    assert "client secret" in event["message"]


async def test_it_does_not_poll_before_the_service_allows(sandbox: SandboxClient, job_id: str) -> None:
    before = time.time()
    trigger = trigger_for(job_id, not_before=before + 40)
    await events_of(trigger)
    assert before + 40 - time.time() <= trigger.waits[0] <= 40


async def test_a_line_is_logged_per_state_and_not_per_poll(sandbox: SandboxClient, job_id: str) -> None:
    sandbox.settings(hrm_job_polls=9)
    with structlog.testing.capture_logs() as lines:
        await events_of(trigger_for(job_id))
    states = [line["event"].rpartition(" ")[2] for line in lines if line.get("job_id") == job_id]
    assert states == ["InProgress", "Completed"]


async def test_a_kill_says_that_the_job_may_run_on() -> None:
    with structlog.testing.capture_logs() as lines:
        await trigger_for("a-job").on_kill()
    [line] = lines
    assert "cannot cancel" in line["event"]
    assert (line["dataset"], line["job_id"]) == ("employees", "a-job")


async def test_cancelled_it_lets_go_of_its_connections_and_fires_nothing(
    sandbox: SandboxClient, job_id: str
) -> None:
    fired: list[TriggerEvent] = []
    trigger = WaitingTrigger(conn_id=CONN_ID, dataset="employees", job_id=job_id, deadline=time.time() + 60)

    async def run() -> None:
        async for event in trigger.run():
            fired.append(event)

    task = asyncio.create_task(run())
    async with asyncio.timeout(60):
        await trigger.waits.wait()
    leases = _polling_session._LEASES[asyncio.get_running_loop()]
    [lease] = leases.values()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert fired == []
    assert leases == {}
    assert lease.session.closed


async def test_many_pollers_share_one_session_and_one_token(sandbox: SandboxClient) -> None:
    hook = VismaHrmHook(CONN_ID)
    job_ids = [hook.start_export("employees") for _ in range(30)]
    oauth2._cached_source.cache_clear()
    sandbox.clear_journal()
    all_events = await asyncio.gather(*(events_of(trigger_for(job_id)) for job_id in job_ids))
    assert [event["status"] for events in all_events for event in events] == ["completed"] * 30
    assert len(sandbox.journal("connect")) == 1
