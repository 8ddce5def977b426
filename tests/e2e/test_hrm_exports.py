"""HRM exports on a real Airflow: waiting in the triggerer, being killed, giving up, and coming back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from demo.airflow_api import TaskInstance, wait_until
from demo.airflow_stack import AirflowStack
from visma_sandbox.client import SandboxProcess

pytestmark = pytest.mark.e2e
PATIENT = "export_with_patience"
WITH_DEADLINE = "export_with_deadline"
INCREMENTAL = "hrm_incremental_export"
ORGANIZATION = "metadata/organization-units"  # has no change time, so it is always exported whole
WATERMARKS = "visma://hrm-watermarks/visma_hrm_default"


@pytest.fixture(autouse=True)
def dags(airflow: AirflowStack) -> None:
    airflow.wait_for_dags("hrm_csv_export", PATIENT, WITH_DEADLINE)


def start(airflow: AirflowStack, dag_id: str, destination: Path, **conf: Any) -> str:
    return airflow.api.run(dag_id, {"destination": f"file://{destination}", **conf})


def export(airflow: AirflowStack, run_id: str, dag_id: str = PATIENT) -> TaskInstance:
    (instance,) = airflow.api.task_instances(dag_id, run_id, "export")
    return instance


def deferred(airflow: AirflowStack, run_id: str, dag_id: str = PATIENT) -> TaskInstance:
    return airflow.api.wait_for_task(dag_id, run_id, "export", states=["deferred"], seconds=180)


def finish(airflow: AirflowStack, run_id: str, dag_id: str = PATIENT) -> str:
    return airflow.api.wait_for_run(dag_id, run_id, seconds=180)


def rows_of_a_run(airflow: AirflowStack, dag_id: str, destination: Path) -> dict[str, int]:
    run_id = start(airflow, dag_id, destination, datasets=["employees", ORGANIZATION])
    assert finish(airflow, run_id, dag_id) == "success"
    manifests = [airflow.api.xcom(one) for one in airflow.api.task_instances(dag_id, run_id, "export")]
    return {manifest["dataset"]: manifest["rows"] for manifest in manifests}


def commands(sandbox: SandboxProcess) -> list[dict[str, Any]]:
    return sandbox.journal("hrm", "command/*")


def polls(sandbox: SandboxProcess) -> list[dict[str, Any]]:
    return sandbox.journal("hrm", "query/*")


def visible_files(destination: Path) -> set[str]:
    """Return what a reader of the destination sees: staging is hidden by its name."""
    return {
        path.name
        for path in destination.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(destination).parts)
    }


def watermarks(airflow: AirflowStack) -> dict[str, Any]:
    found = airflow.api.get("/assets", uri_pattern=WATERMARKS)["assets"]
    stored = airflow.api.get(f"/assets/{found[0]['id']}/state-store")["asset_state_store"]
    return {state["key"]: state["value"] for state in stored}


def test_every_dataset_of_the_csv_export_is_waited_for_in_the_triggerer(
    airflow: AirflowStack, sandbox: SandboxProcess, destination: Path
) -> None:
    run_id = start(airflow, "hrm_csv_export", destination)

    assert finish(airflow, run_id, "hrm_csv_export") == "success"
    waits = airflow.api.task_instances("hrm_csv_export", run_id, "export.wait")
    downloads = airflow.api.task_instances("hrm_csv_export", run_id, "export.download")
    manifests = [airflow.api.xcom(instance) for instance in downloads]
    assert len(waits) == len(downloads) == len(commands(sandbox)) > 1
    assert all(airflow.api.was_deferred(instance) for instance in waits)
    rows = sandbox.counts()["hrm"]
    assert {one["dataset"]: one["rows"] for one in manifests} == {
        one["dataset"]: rows[one["dataset"]] for one in manifests
    }
    assert all(entry["authorization"] is None for entry in sandbox.journal("files"))


def test_the_incremental_export_lands_everything_once_and_after_that_what_changed(
    airflow: AirflowStack, sandbox: SandboxProcess, destination: Path
) -> None:
    airflow.wait_for_dags(INCREMENTAL)

    first = rows_of_a_run(airflow, INCREMENTAL, destination)
    sandbox.change_person(last_name="Testpersoon", nickname="Nieuw")
    second = rows_of_a_run(airflow, INCREMENTAL, destination)

    everything = sandbox.counts()["hrm"]
    assert first["employees"] == everything["employees"] - 1
    assert second["employees"] == 1
    assert first[ORGANIZATION] == second[ORGANIZATION] == everything[ORGANIZATION]


def test_a_cleared_task_lands_the_files_of_its_job_again(
    airflow: AirflowStack, sandbox: SandboxProcess, destination: Path
) -> None:
    run_id = start(airflow, PATIENT, destination, full_refresh=True)
    assert finish(airflow, run_id) == "success"
    first = airflow.api.xcom(export(airflow, run_id))

    airflow.api.clear(export(airflow, run_id))  # from then on the run is not finished

    assert finish(airflow, run_id) == "success"
    assert export(airflow, run_id).try_number == 2
    assert airflow.api.xcom(export(airflow, run_id))["files"] == first["files"]
    assert len(commands(sandbox)) == 1


def test_another_triggerer_goes_on_waiting_for_the_same_job(
    airflow: AirflowStack, sandbox: SandboxProcess, destination: Path
) -> None:
    sandbox.settings(hrm_job_polls=1_000_000)
    run_id = start(airflow, PATIENT, destination)
    instance = deferred(airflow, run_id)

    airflow.restart_triggerer()
    sandbox.settings(hrm_job_polls=0)

    assert finish(airflow, run_id) == "success"
    assert len(commands(sandbox)) == 1
    assert "Given up" not in airflow.api.log(instance)


def test_a_deferred_task_that_is_marked_failed_stops_polling_and_says_what_becomes_of_the_job(
    airflow: AirflowStack, sandbox: SandboxProcess, destination: Path
) -> None:
    sandbox.inject("hrm", "command/*", "never_ends")
    run_id = start(airflow, PATIENT, destination)
    instance = deferred(airflow, run_id)
    wait_until("a poll by the triggerer", lambda: len(polls(sandbox)) > 2, seconds=180)

    airflow.api.mark(instance, "failed")

    assert finish(airflow, run_id) == "failed"
    wait_until("the trigger's last word", lambda: "Given up" in airflow.api.log(instance), seconds=180)
    asked = len(polls(sandbox))
    with pytest.raises(TimeoutError):
        wait_until("another poll", lambda: len(polls(sandbox)) > asked, seconds=5)
    assert len(commands(sandbox)) == 1
    assert visible_files(destination) == set()


def test_a_job_that_never_ends_is_given_up_at_the_deadline_and_never_started_again(
    airflow: AirflowStack, sandbox: SandboxProcess, destination: Path
) -> None:
    sandbox.inject("hrm", "command/*", "never_ends", count=None)
    run_id = start(airflow, WITH_DEADLINE, destination)

    assert finish(airflow, run_id, WITH_DEADLINE) == "failed"
    log = airflow.api.log(export(airflow, run_id, WITH_DEADLINE))
    assert "VismaJobDeadlineError" in log
    assert len(commands(sandbox)) == 1
    assert visible_files(destination) == set()


def test_a_retry_after_a_kill_in_mid_download_lands_the_files_of_the_first_job(
    airflow: AirflowStack, sandbox: SandboxProcess, destination: Path
) -> None:
    sandbox.inject("files", "*", "slow_body", bytes=4, interval=0.2)  # not to be there before the kill
    run_id = start(airflow, PATIENT, destination, full_refresh=True)
    wait_until(
        "bytes of the file", lambda: any(one["bytes_sent"] for one in sandbox.journal("files")), seconds=180
    )

    airflow.kill_worker(export(airflow, run_id))
    seen_after_the_kill = visible_files(destination)

    assert finish(airflow, run_id) == "success"
    assert export(airflow, run_id).try_number == 2
    assert seen_after_the_kill == set()
    assert len(commands(sandbox)) == 1
    assert visible_files(destination) == {"part-0000.csv", "_manifest.json"}
    assert list(destination.rglob(".visma-staging-*")) == []
    assert airflow.api.xcom(export(airflow, run_id))["rows"] == sandbox.counts()["hrm"]["employees"]


def test_a_failed_run_leaves_the_watermark_and_the_next_run_starts_from_it(
    airflow: AirflowStack, sandbox: SandboxProcess, destination: Path
) -> None:
    assert finish(airflow, start(airflow, PATIENT, destination)) == "success"
    ((key, watermark),) = [one for one in watermarks(airflow).items() if PATIENT in one[0]]
    sandbox.inject("files", "*", "status", status=403, count=None)

    failed_run = start(airflow, PATIENT, destination)

    assert finish(airflow, failed_run) == "failed"
    assert watermarks(airflow)[key] == watermark
    sandbox.clear_faults()
    sandbox.clear_journal()
    assert finish(airflow, start(airflow, PATIENT, destination)) == "success"
    assert watermark in commands(sandbox)[0]["query"].values()
    assert watermarks(airflow)[key] != watermark
