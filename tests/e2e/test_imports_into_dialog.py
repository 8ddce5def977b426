"""nmbrs_to_dialog on a real Airflow: what one night does, and what the nights after it do not undo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests

from demo.airflow_stack import AirflowStack
from visma_sandbox.client import SandboxProcess

pytestmark = pytest.mark.e2e
DAG_ID = "nmbrs_to_dialog"


def import_once(airflow: AirflowStack, destination: Path) -> dict[str, Any]:
    """Run the DAG to its end and return what it reports."""
    run_id = airflow.api.run(DAG_ID, {"destination": f"file://{destination}"})
    assert airflow.api.wait_for_run(DAG_ID, run_id, seconds=180) == "success"
    (instance,) = airflow.api.task_instances(DAG_ID, run_id, "import")
    report: dict[str, Any] = airflow.api.xcom(instance)
    return report


def users(sandbox: SandboxProcess) -> dict[str, dict[str, Any]]:
    """Return the users that Dialog holds, by EmployeeId."""
    dialog = sandbox.connections()["dialog_default"]
    answer = requests.get(
        f"{dialog['host']}/Users",
        params={"count": "1000"},
        headers={"Authorization": f"Bearer {dialog['password']}"},
        timeout=60,
    )
    return {user["externalId"]: user for user in answer.json()["Resources"]}


def changed(report: dict[str, Any]) -> dict[str, int]:
    return {name: report[name] for name in ("created", "updated", "frozen")}


def test_an_import_brings_everybody_whom_the_sandbox_counts_and_a_second_one_changes_nobody(
    airflow: AirflowStack, sandbox: SandboxProcess, destination: Path
) -> None:
    airflow.wait_for_dags(DAG_ID)
    expected = sandbox.counts()["nmbrs_to_dialog"]

    first = import_once(airflow, destination)
    second = import_once(airflow, destination)

    assert first["created"] == len(users(sandbox)) == expected["importable"]
    assert first["set_aside"].items() >= expected["set_aside"].items()
    assert (first["departments"], first["functions"]) == (expected["departments"], expected["functions"])
    assert changed(second) == {"created": 0, "updated": 0, "frozen": 0}
    assert second["unchanged"] == first["created"]


def test_a_change_overnight_reaches_a_user_who_is_imported_and_never_one_who_is_invited(
    airflow: AirflowStack, sandbox: SandboxProcess, destination: Path
) -> None:
    airflow.wait_for_dags(DAG_ID)
    import_once(airflow, destination)
    imported, invited, *_ = users(sandbox)
    kept_address = users(sandbox)[invited]["userName"]
    sandbox.move_user(invited, "invited")
    sandbox.change_person(int(imported), email_work="moved.imported@example.com")
    sandbox.change_person(int(invited), email_work="moved.invited@example.com")
    sandbox.change_person(email_work="newcomer@example.com", nickname="Nieuw", last_name="Testpersoon")

    report = import_once(airflow, destination)

    assert changed(report) == {"created": 1, "updated": 1, "frozen": 1}
    assert users(sandbox)[imported]["userName"] == "moved.imported@example.com"
    assert users(sandbox)[invited]["userName"] == kept_address
