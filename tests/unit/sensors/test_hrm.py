from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowSensorTimeout, AirflowSkipException, TaskDeferred

from airflow_provider_visma.exceptions import (
    VismaContentError,
    VismaError,
    VismaJobDeadlineError,
    VismaJobFailedError,
    VismaPermanentError,
    VismaUnavailableError,
)
from airflow_provider_visma.hooks.hrm import VismaHrmHook
from airflow_provider_visma.operators.base import VismaOperator
from airflow_provider_visma.retry import VISMA_RETRY_POLICY
from airflow_provider_visma.sensors.hrm import HrmJobSensor
from airflow_provider_visma.triggers.hrm import HrmJobTrigger
from visma_sandbox.client import SandboxClient

CONN_ID = "visma_hrm_default"
START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def job_id(sandbox: SandboxClient) -> str:
    return VismaHrmHook(CONN_ID).start_export("employees")


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    seconds: list[float] = []
    monkeypatch.setattr("airflow.sdk.bases.sensor.time.sleep", seconds.append)
    return seconds


def sensor(**arguments: Any) -> HrmJobSensor:
    return HrmJobSensor(task_id="wait", **{"dataset": "employees", "job_id": "a-job", **arguments})


def context(started: datetime | None = None) -> Any:
    return {"ti": SimpleNamespace(start_date=started or datetime.now(UTC))}


def deferred(task: HrmJobSensor, started: datetime | None = None) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as caught:
        task.execute(context(started))
    return caught.value


def ended(status: str) -> dict[str, str]:
    return {"status": status, "dataset": "employees", "job_id": "a-job", "message": "what happened"}


def test_it_defers_by_default_with_an_absolute_deadline(sandbox: SandboxClient, job_id: str) -> None:
    started = datetime.now(UTC) - timedelta(seconds=100)
    wait = deferred(sensor(job_id=job_id, timeout=600), started)
    assert isinstance(wait.trigger, HrmJobTrigger)
    assert wait.trigger.deadline == started.timestamp() + 600
    assert (wait.trigger.dataset, wait.trigger.job_id, wait.trigger.conn_id) == ("employees", job_id, CONN_ID)
    assert wait.method_name == "execute_complete"
    assert wait.timeout > timedelta(seconds=500), "the backstop comes after the trigger's own deadline"


def test_deferring_again_does_not_extend_the_deadline(sandbox: SandboxClient, job_id: str) -> None:
    sandbox.settings(hrm_job_polls=9)
    started = datetime.now(UTC)
    task = sensor(job_id=job_id, timeout=600)
    assert deferred(task, started).trigger.deadline == deferred(task, started).trigger.deadline


def test_an_earlier_deadline_of_its_own_wins(sandbox: SandboxClient, job_id: str) -> None:
    earlier = datetime.now(UTC) + timedelta(seconds=60)
    wait = deferred(sensor(job_id=job_id, timeout=600, deadline=earlier))
    assert wait.trigger.deadline == earlier.timestamp()


def test_a_job_that_is_done_already_does_not_defer(sandbox: SandboxClient, job_id: str) -> None:
    sandbox.settings(hrm_job_polls=0)
    assert sensor(job_id=job_id).execute(context()) is None


def test_the_trigger_keeps_a_wait_that_the_service_asked_for(sandbox: SandboxClient, job_id: str) -> None:
    sandbox.inject("hrm", "query/*", "status", status=429, retry_after=50)
    before = time.time()
    assert before + 50 <= deferred(sensor(job_id=job_id)).trigger.not_before <= time.time() + 50


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("failed", VismaJobFailedError),
        ("gave_up", VismaUnavailableError),
        ("refused", VismaPermanentError),
        ("timeout", AirflowSensorTimeout),
        ("levitating", VismaContentError),
    ],
)
def test_each_bad_event_is_its_own_error(status: str, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        sensor().execute_complete(context(), ended(status))
    assert type(caught.value) is error


def test_a_good_event_pushes_nothing() -> None:
    assert sensor().execute_complete(context(), ended("completed")) is None


def test_passing_its_own_deadline_may_be_retried() -> None:
    task = sensor(deadline=START, timeout=600)
    with pytest.raises(VismaJobDeadlineError):
        task.execute_complete(context(), ended("timeout"))


def test_a_failed_job_is_never_a_skipped_task() -> None:
    task = sensor(soft_fail=True)
    with pytest.raises(VismaJobFailedError):
        task.resume_execution("execute_complete", {"event": ended("failed")}, context())


def test_a_time_out_follows_soft_fail_like_any_sensors() -> None:
    task = sensor(soft_fail=True)
    with pytest.raises(AirflowSkipException):
        task.resume_execution("execute_complete", {"event": ended("timeout")}, context())


def test_a_triggerer_that_is_not_there_is_a_time_out() -> None:
    with pytest.raises(AirflowSensorTimeout):
        sensor().resume_execution("__fail__", {"error": "Trigger timeout"}, context())


# On a worker


def test_poking_waits_as_the_poller_says(sandbox: SandboxClient, job_id: str, slept: list[float]) -> None:
    sandbox.settings(hrm_job_polls=4)
    assert sensor(job_id=job_id, deferrable=False).execute(context()) is None
    assert len(slept) == 4
    assert all(0.8 * full <= wait <= full for wait, full in zip(slept, (2, 3, 4.5, 6.75), strict=True))
    assert slept[0] == 2.0


@pytest.mark.parametrize(
    ("kind", "arguments", "error", "requests"),
    [
        ("status", {"status": 401}, VismaPermanentError, 2),
        ("status", {"status": 403}, VismaPermanentError, 1),
        ("status", {"status": 429}, VismaUnavailableError, 5),
        ("status", {"status": 500}, VismaUnavailableError, 5),
        ("job_failed", {}, VismaJobFailedError, 1),
        ("unknown_status", {}, VismaPermanentError, 1),
    ],
)
def test_poking_costs_at_most_one_request_per_interval(
    sandbox: SandboxClient,
    job_id: str,
    slept: list[float],
    kind: str,
    arguments: dict[str, Any],
    error: type[VismaError],
    requests: int,
) -> None:
    sandbox.inject("hrm", "query/*", kind, count=None, **arguments)
    with pytest.raises(error):
        sensor(job_id=job_id, deferrable=False).execute(context())
    assert len(sandbox.journal("hrm", "query/*")) == requests
    assert len(slept) == requests - 1
    assert all(wait >= 2.0 for wait in slept)


def test_poking_ends_at_the_time_out(sandbox: SandboxClient, job_id: str, slept: list[float]) -> None:
    sandbox.inject("hrm", "query/*", "never_ends", count=None)
    with pytest.raises(AirflowSensorTimeout):
        sensor(job_id=job_id, deferrable=False, timeout=60).execute(
            context(datetime.now(UTC) - timedelta(seconds=61))
        )


def test_rescheduling_is_refused_since_deferring_does_it_better() -> None:
    with pytest.raises(ValueError, match="reschedule"):
        sensor(mode="reschedule")


# The retry policy of sensor and operators


class _Operator(VismaOperator):
    def execute(self, context: Any) -> None:
        """Do nothing."""


@pytest.mark.parametrize("kind", [HrmJobSensor, _Operator])
def test_the_retry_policy_is_ours_unless_the_author_says_otherwise(kind: type[Any]) -> None:
    arguments = {"dataset": "employees", "job_id": "a-job"} if kind is HrmJobSensor else {}
    with DAG("a", start_date=START):
        assert kind(task_id="plain", **arguments).retry_policy is VISMA_RETRY_POLICY
        assert kind(task_id="off", retry_policy=None, **arguments).retry_policy is None
    with DAG("b", start_date=START, default_args={"retry_policy": None}):
        assert kind(task_id="off_by_default", **arguments).retry_policy is None


def test_a_mapped_sensor_keeps_the_retry_policy() -> None:
    with DAG("c", start_date=START):
        mapped = HrmJobSensor.partial(task_id="mapped").expand(dataset=["employees"], job_id=["a-job"])
    assert mapped.retry_policy is VISMA_RETRY_POLICY
