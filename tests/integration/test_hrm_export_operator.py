"""One task that exports what changed: tries, runs and its watermark, against the sandbox."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.exceptions import TaskDeferred

from airflow_provider_visma.exceptions import (
    VismaContentError,
    VismaError,
    VismaJobDeadlineError,
    VismaJobFailedError,
    VismaRequestError,
    VismaUnavailableError,
)
from airflow_provider_visma.hooks.hrm import VismaHrmHook
from airflow_provider_visma.operators.hrm import HrmExportOperator, HrmStartExportOperator
from airflow_provider_visma.storage import read_manifest
from airflow_provider_visma.triggers.hrm import HrmJobTrigger
from tests.integration.task_context import TaskRuns
from visma_sandbox.client import SandboxProcess

A_SECOND = timedelta(seconds=1)
WATERMARKS = "visma://hrm-watermarks/visma_hrm_default"


class Task:
    """A task of a DAG: every execution is a new operator, and Airflow's stores are all it remembers."""

    def __init__(self, destination: str, **arguments: Any) -> None:
        self.runs = TaskRuns()
        self._arguments = {"dataset": "employees", "destination": destination, **arguments}

    def operator(self, **changes: Any) -> HrmExportOperator:
        arguments = {"deferrable": False, "poll_interval": 0.0, **self._arguments, **changes}
        return HrmExportOperator(task_id="export", **arguments)

    def run(self, run_id: str = "run-1", **changes: Any) -> dict[str, Any]:
        """Execute one try."""
        operator = self.operator(**changes)
        return operator.execute(self.runs.context(operator, run_id))

    @property
    def watermarks(self) -> dict[str, Any]:
        return self.runs.asset_state[WATERMARKS].values

    @property
    def watermark(self) -> str | None:
        return next(iter(self.watermarks.values()), None)


@pytest.fixture
def task(service: SandboxProcess, destination: str) -> Task:
    return Task(destination)


def commands(service: SandboxProcess) -> list[dict[str, str]]:
    """What every export asked for."""
    return [entry["query"] for entry in service.journal("hrm", "command/*")]


def test_the_first_export_is_full_and_the_next_asks_for_what_changed(
    service: SandboxProcess, task: Task
) -> None:
    first = task.run("run-1")
    assert first["watermark"] == task.watermark
    service.change_person()
    second = task.run("run-2")
    assert commands(service) == [{}, {"changeTimestampAfter": first["watermark"]}]
    assert first["rows"] == service.counts()["hrm"]["employees"] - 1
    assert (second["rows"], second["changed_after"]) == (1, first["watermark"])
    assert task.watermark == second["watermark"] != first["watermark"]


@pytest.mark.parametrize("form", ["seconds", "milliseconds", "ticks", "offset"])
def test_the_watermark_is_the_servers_string(service: SandboxProcess, task: Task, form: str) -> None:
    service.settings(hrm_timestamp_form=form)
    manifest = task.run("run-1")
    task.run("run-2")
    assert commands(service)[1]["changeTimestampAfter"] == manifest["watermark"]


def test_a_dataset_without_timestamps_is_always_exported_whole(
    service: SandboxProcess, destination: str
) -> None:
    task = Task(destination, dataset="metadata/organization-units")
    rows = [task.run(run_id)["rows"] for run_id in ("run-1", "run-2")]
    assert rows == [service.counts()["hrm"]["metadata/organization-units"]] * 2
    assert commands(service) == [{}, {}]
    assert task.watermarks == {}


@pytest.mark.parametrize("given", [True, "True", "true"])
def test_a_full_refresh_ignores_the_watermark_and_moves_it(
    service: SandboxProcess, task: Task, given: bool | str
) -> None:
    task.run("run-1")
    manifest = task.run("run-2", full_refresh=given)
    assert commands(service) == [{}, {}]
    assert task.watermark == manifest["watermark"]


def test_a_window_of_its_own_leaves_the_watermark_alone(service: SandboxProcess, task: Task) -> None:
    first = task.run("run-1")
    task.run("run-2", changed_after="2026-01-01T00:00:00Z")
    assert commands(service)[1] == {"changeTimestampAfter": "2026-01-01T00:00:00Z"}
    assert task.watermark == first["watermark"]


def test_every_task_and_dataset_has_a_watermark_of_its_own(service: SandboxProcess, task: Task) -> None:
    task.run("run-1")
    task.run("run-1-contracts", dataset="contracts")
    tenant = VismaHrmHook().tenant_id
    assert sorted(task.watermarks) == [
        f"watermark:a_dag.export:{tenant}/contracts",
        f"watermark:a_dag.export:{tenant}/employees",
    ]


@pytest.mark.parametrize(
    ("system", "kind", "arguments"),
    [
        ("files", "truncated", {}),
        ("files", "status", {"status": 500}),
        ("files", "link_expired", {}),
        ("files", "html_error_page", {}),
    ],
)
def test_a_failed_run_leaves_the_watermark_and_its_retry_lands_the_same_job(
    service: SandboxProcess, task: Task, system: str, kind: str, arguments: dict[str, Any]
) -> None:
    before = task.run("run-1")["watermark"]
    service.change_person()
    service.inject(system, "*", kind, count=None, **arguments)
    with pytest.raises(VismaError):
        task.run("run-2")
    assert task.watermark == before
    service.clear_faults()
    manifest = task.run("run-2")
    assert len(commands(service)) == 2
    assert (manifest["rows"], manifest["changed_after"]) == (1, before)
    assert task.watermark == manifest["watermark"]


def test_a_retry_keeps_its_window_while_other_runs_move_the_watermark(
    service: SandboxProcess, task: Task
) -> None:
    first = task.run("run-1")
    service.inject("files", "*", "status", status=500, count=None)
    with pytest.raises(VismaUnavailableError):
        task.run("run-2")
    service.clear_faults()
    third = task.run("run-3")
    second = task.run("run-2")
    assert second["changed_after"] == first["watermark"]
    assert len(commands(service)) == 3
    assert task.watermark == third["watermark"], "a late run must not turn the watermark back"


def test_a_run_that_is_repeated_after_its_success_exports_the_same_window_again(
    service: SandboxProcess, task: Task, destination: str
) -> None:
    task.run("run-1")
    service.change_person()
    second = task.run("run-2")
    again = task.run("run-2")
    assert (again["job_id"], again["files"]) == (second["job_id"], second["files"])
    task.runs = _without_task_state(task.runs)
    anew = task.run("run-2")
    assert anew["job_id"] != second["job_id"]
    assert (anew["changed_after"], anew["rows"]) == (second["changed_after"], second["rows"])
    assert read_manifest(ObjectStoragePath(anew["uri"])) == anew


def _without_task_state(runs: TaskRuns) -> TaskRuns:
    """Newer versions of Airflow forget a task's state when it is cleared."""
    fresh = TaskRuns()
    fresh.asset_state = runs.asset_state
    return fresh


@pytest.mark.parametrize(
    "changes", [{"fields": ["employeeid"]}, {"exclude_fields": ["gender"]}, {"full_refresh": True}]
)
def test_a_stored_job_that_answers_another_question_is_not_used(
    service: SandboxProcess, task: Task, changes: dict[str, Any]
) -> None:
    service.inject("files", "*", "status", status=500, count=None)
    with pytest.raises(VismaUnavailableError):
        task.run()
    service.clear_faults()
    task.run(**changes)
    assert len(commands(service)) == (1 if "full_refresh" in changes else 2)


@pytest.mark.parametrize("fault", ["job_failed", "job_expired"])
def test_a_job_that_failed_or_is_forgotten_is_started_anew_by_the_retry(
    service: SandboxProcess, task: Task, fault: str
) -> None:
    service.inject("hrm", "query/*", fault)
    with pytest.raises(VismaError):
        task.run(timeout=A_SECOND)
    assert task.watermark is None
    manifest = task.run()
    assert len(commands(service)) == 2
    assert task.watermark == manifest["watermark"]


def test_a_failed_job_is_an_error_with_a_name(service: SandboxProcess, task: Task) -> None:
    service.inject("hrm", "command/*", "job_failed")
    with pytest.raises(VismaJobFailedError, match="Failed"):
        task.run()


def test_a_job_that_never_ends_is_given_up_at_the_deadline_and_found_again(
    service: SandboxProcess, task: Task
) -> None:
    service.inject("hrm", "command/*", "never_ends")
    with pytest.raises(VismaJobDeadlineError):
        task.run(timeout=A_SECOND, poll_interval=0.2)
    with pytest.raises(VismaJobDeadlineError):
        task.run(timeout=A_SECOND, poll_interval=0.2)
    assert len(commands(service)) == 1


@pytest.mark.parametrize(
    "arguments", [{"file_format": "xml"}, {"schema": {"a": "int64"}}, {"dataset": "../x"}]
)
def test_what_is_wrong_with_the_arguments_is_said_before_an_export_is_started(
    service: SandboxProcess, task: Task, arguments: dict[str, Any]
) -> None:
    with pytest.raises(VismaRequestError):
        task.run(**arguments)
    assert commands(service) == []


# Deferred


def deferral(task: Task, run_id: str = "run-1") -> TaskDeferred:
    with pytest.raises(TaskDeferred) as caught:
        task.run(run_id, deferrable=True)
    return caught.value


def resume(task: Task, event: Any, run_id: str = "run-1") -> dict[str, Any]:
    operator = task.operator(deferrable=True)
    return operator.execute_complete(task.runs.context(operator, run_id), event)


async def test_it_defers_with_nothing_secret_and_lands_after_the_event(
    service: SandboxProcess, task: Task
) -> None:
    deferred = deferral(task)
    assert deferred.method_name == "execute_complete"
    assert deferred.kwargs is None
    _, arguments = deferred.trigger.serialize()
    assert json.loads(json.dumps(arguments)) == arguments
    assert time.time() + 7000 < arguments["deadline"] < time.time() + 7300
    assert deferred.timeout.total_seconds() > 7200
    trigger = HrmJobTrigger(**{**arguments, "not_before": 0.0})
    (event,) = [event.payload async for event in trigger.run()]
    manifest = resume(task, event)
    assert manifest["rows"] == service.counts()["hrm"]["employees"]
    assert task.watermark == manifest["watermark"]


def test_a_retry_waits_for_the_job_of_the_first_try(service: SandboxProcess, task: Task) -> None:
    service.settings(hrm_job_polls=5)
    first = deferral(task).trigger.serialize()[1]
    second = deferral(task).trigger.serialize()[1]
    assert first["job_id"] == second["job_id"]
    assert len(commands(service)) == 1


def test_a_retry_lands_at_once_what_was_completed_meanwhile(service: SandboxProcess, task: Task) -> None:
    deferral(task)
    assert task.run(deferrable=True)["rows"] == service.counts()["hrm"]["employees"]


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (lambda told: None, VismaContentError),
        (lambda told: {}, VismaContentError),
        (lambda told: {**told, "status": "success"}, VismaContentError),
        (lambda told: {**told, "job_id": "another"}, VismaContentError),
        (lambda told: {**told, "dataset": "contracts"}, VismaContentError),
        (lambda told: {**told, "status": "failed"}, VismaJobFailedError),
        (lambda told: {**told, "status": "timeout"}, VismaJobDeadlineError),
        (lambda told: {**told, "status": "gave_up"}, VismaUnavailableError),
    ],
)
def test_an_event_is_believed_only_about_this_tasks_job(
    service: SandboxProcess, task: Task, event: Callable[[dict[str, str]], Any], kind: type[VismaError]
) -> None:
    job_id = deferral(task).trigger.serialize()[1]["job_id"]
    told = {"status": "completed", "dataset": "employees", "job_id": job_id, "message": "what happened"}
    with pytest.raises(kind):
        resume(task, event(told))
    assert task.watermark is None


# Only starting


def test_starting_again_comes_back_to_the_same_job(service: SandboxProcess) -> None:
    runs = TaskRuns()

    def start(run_id: str = "run-1", **arguments: Any) -> str:
        operator = HrmStartExportOperator(task_id="start", dataset="employees", **arguments)
        return operator.execute(runs.context(operator, run_id))

    first = start()
    assert start() == first
    assert start(exclude_fields=["gender"]) != first
    assert start("run-2") != first
    service.inject("hrm", "query/*", "job_failed")
    assert start("run-2") not in (first, None)
    assert len(commands(service)) == 4
    assert {"fields": "!gender"} in commands(service)


def test_a_task_never_overwrites_what_another_landed(service: SandboxProcess, task: Task) -> None:
    manifest = task.run()
    other = HrmExportOperator(
        task_id="other", dataset="employees", destination=task.operator().destination, deferrable=False
    )
    with pytest.raises(VismaRequestError, match=r"a_dag\.export landed"):
        other.execute(TaskRuns().context(other))
    assert len(commands(service)) == 1
    assert read_manifest(ObjectStoragePath(manifest["uri"])) == manifest
