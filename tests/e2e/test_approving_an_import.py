"""The guard on a real Airflow: it asks a person, and the answer decides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests

from demo.airflow_api import TaskInstance
from demo.airflow_stack import AirflowStack
from visma_sandbox.client import SandboxProcess

pytestmark = pytest.mark.e2e
DAG_ID = "nmbrs_to_dialog"


def family_names(sandbox: SandboxProcess) -> dict[int, str]:
    """Return the name of each user in Dialog, by EmployeeId."""
    dialog = sandbox.connections()["dialog_default"]
    answer = requests.get(
        f"{dialog['host']}/Users",
        params={"count": "1000"},
        headers={"Authorization": f"Bearer {dialog['password']}"},
        timeout=10,
    )
    return {int(user["externalId"]): user["name"]["familyName"] for user in answer.json()["Resources"]}


def start(airflow: AirflowStack, destination: Path) -> str:
    return airflow.api.run(DAG_ID, {"destination": destination.as_uri()})


def the(airflow: AirflowStack, run_id: str, task_id: str) -> TaskInstance:
    (instance,) = airflow.api.task_instances(DAG_ID, run_id, task_id)
    return instance


@pytest.fixture
def asking(airflow: AirflowStack, sandbox: SandboxProcess, destination: Path) -> str:
    """Return a run that waits for a person: half of the users were renamed overnight."""
    airflow.wait_for_dags(DAG_ID)
    assert airflow.api.wait_for_run(DAG_ID, start(airflow, destination), seconds=90) == "success"
    known = sorted(family_names(sandbox))
    for employee_id in known[: len(known) // 2]:
        sandbox.change_person(employee_id, last_name="Hernoemd")
    run_id = start(airflow, destination)
    airflow.api.wait_for_task(DAG_ID, run_id, "approve", states=["awaiting_input"], seconds=90)
    return run_id


def test_an_approved_plan_is_imported(airflow: AirflowStack, sandbox: SandboxProcess, asking: str) -> None:
    approve = the(airflow, asking, "approve")
    form: dict[str, Any] = airflow.api.get(f"{approve.path}/-1/hitlDetails")
    assert "the limit is 20%" in form["body"]
    assert "Hernoemd" not in form["body"]
    assert "Hernoemd" not in family_names(sandbox).values()

    airflow.answer(approve, "Approve")

    assert airflow.api.wait_for_run(DAG_ID, asking, seconds=90) == "success"
    found = list(family_names(sandbox).values()).count("Hernoemd")
    assert (
        found
        == len(family_names(sandbox)) // 2
        == airflow.api.xcom(the(airflow, asking, "import"))["updated"]
    )


def test_a_rejected_plan_is_not_imported(airflow: AirflowStack, sandbox: SandboxProcess, asking: str) -> None:
    airflow.answer(the(airflow, asking, "approve"), "Reject")

    assert airflow.api.wait_for_run(DAG_ID, asking, seconds=90) == "success"
    assert the(airflow, asking, "import").state == "skipped"
    assert "Hernoemd" not in family_names(sandbox).values()
