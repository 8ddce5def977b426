"""dialog_reviews_to_nmbrs on an Airflow of its own, whose scheduler runs what its watcher asks for."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from demo.airflow_api import wait_until
from demo.airflow_stack import AirflowStack
from tests.e2e.conftest import ROOT
from visma_sandbox.client import SandboxProcess
from visma_sandbox.people import FIRST_EMPLOYEE_ID

pytestmark = pytest.mark.e2e
DAG_ID = "dialog_reviews_to_nmbrs"
TITLE = "Gesprek met Testpersoon Zeldzaam"


@pytest.fixture
def watching(sandbox: SandboxProcess, tmp_path: Path) -> Iterator[AirflowStack]:
    """An Airflow with this DAG alone, unpaused, and its watcher at work."""
    dags = tmp_path / "dags"
    dags.mkdir()
    shutil.copy(ROOT / "dags" / f"{DAG_ID}.py", dags)
    environment = {
        **sandbox.environment(),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "True",
        "VISMA_DESTINATION": f"file://{tmp_path}/destination",
        "VISMA_REVIEWS_POLL_SECONDS": "5",
    }
    with AirflowStack(
        tmp_path / "airflow", dag_folders=[dags], environment=environment, parallelism=1
    ) as stack:
        stack.wait_for_dags(DAG_ID)
        yield stack


def link(sandbox: SandboxProcess, employee_id: int) -> None:
    dialog = sandbox.connections()["dialog_default"]
    requests.post(
        f"{dialog['host']}/Users",
        headers={"Authorization": f"Bearer {dialog['password']}", "Content-Type": "application/scim+json"},
        json={
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "userName": "persoon@example.com",
            "externalId": str(employee_id),
        },
        timeout=60,
    ).raise_for_status()
    sandbox.move_user(employee_id, "linked")


def runs(airflow: AirflowStack) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = airflow.api.get(f"/dags/{DAG_ID}/dagRuns", order_by="id")["dag_runs"]
    return found


def test_each_finished_review_makes_the_dag_run_by_itself_and_is_filed_once(
    watching: AirflowStack, sandbox: SandboxProcess
) -> None:
    link(sandbox, FIRST_EMPLOYEE_ID)
    made = []
    for number in (1, 2, 3):
        if number == 3:
            watching.restart_triggerer()
        made.append(sandbox.finish_review(FIRST_EMPLOYEE_ID, title=TITLE)["sha256"])
        wait_until("the review in Nmbrs", lambda n=number: len(sandbox.documents()) == n, seconds=180)
        wait_until("the run", lambda: {run["state"] for run in runs(watching)} == {"success"}, seconds=180)

    assert [document["sha256"] for document in sandbox.documents()] == made
    assert {run["run_type"] for run in runs(watching)} == {"asset_triggered"}
    last = watching.api.task_instances(DAG_ID, runs(watching)[-1]["dag_run_id"], "file_reviews")[0]
    told = watching.api.xcom(last)
    assert (told["filed"], told["filed_before"]) == (1, 2)
    events = watching.api.get("/assets/events", order_by="timestamp")["asset_events"]
    assert [event["extra"]["payload"]["reviews"] for event in events] == [1, 1, 1]
    logs = [path for path in watching.log_folder.rglob("*.log") if path.is_file()]
    assert [path for path in logs if TITLE in path.read_text(errors="replace")] == []
    assert any("review_ids" in path.read_text(errors="replace") for path in logs)
