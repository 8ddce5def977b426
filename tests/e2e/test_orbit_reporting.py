"""Exports of Orbit's reports on a real Airflow: all of a tenant, again while they are new, and a kill."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from demo.airflow_api import TaskInstance, wait_until
from demo.airflow_stack import AirflowStack
from visma_sandbox.client import SandboxProcess
from visma_sandbox.orbit_reporting.projects import HoursPerProject

pytestmark = pytest.mark.e2e
NIGHTLY = "orbit_reports_to_parquet"
PATIENT = "report_with_patience"
HOURS = HoursPerProject.id


@pytest.fixture(autouse=True)
def dags(airflow: AirflowStack) -> None:
    airflow.wait_for_dags(NIGHTLY, PATIENT)


def start(airflow: AirflowStack, dag_id: str, destination: Path, **conf: Any) -> str:
    return airflow.api.run(dag_id, {"destination": destination.as_uri(), **conf})


def exports(airflow: AirflowStack, dag_id: str, run_id: str) -> list[TaskInstance]:
    return airflow.api.task_instances(dag_id, run_id, "export")


def night(airflow: AirflowStack, destination: Path, **conf: Any) -> dict[str, dict[str, Any]]:
    """Run the nightly export to its end and return its manifests by report."""
    run_id = start(airflow, NIGHTLY, destination, **conf)
    assert airflow.api.wait_for_run(NIGHTLY, run_id, seconds=180) == "success"
    manifests = [airflow.api.xcom(one) for one in exports(airflow, NIGHTLY, run_id)]
    return {manifest["report"]: manifest for manifest in manifests}


def events(airflow: AirflowStack) -> list[str]:
    """Return the assets of which the nightly export announced a copy, each as often as it did."""
    found = airflow.api.get("/assets/events", source_dag_id=NIGHTLY)["asset_events"]
    return sorted(event["uri"] for event in found)


def requests(sandbox: SandboxProcess) -> list[str]:
    return sorted(entry["operation"] for entry in sandbox.journal("orbit_reporting"))


def rows_in(manifest: dict[str, Any]) -> int:
    """Return how many rows the published file itself holds."""
    path = Path(manifest["uri"].removeprefix("file://")) / "rows.parquet"
    return int(pyarrow.parquet.ParquetFile(path).metadata.num_rows)


def test_every_report_of_the_tenant_is_exported_and_not_again_while_its_copy_is_new(
    airflow: AirflowStack, sandbox: SandboxProcess, destination: Path
) -> None:
    counted = {name: each["rows"] for name, each in sandbox.counts()["orbit_reporting"].items()}

    first = night(airflow, destination)
    announced, asked = events(airflow), requests(sandbox)
    sandbox.clear_journal()
    second = night(airflow, destination, max_age=3600)

    assert {name: manifest["rows"] for name, manifest in first.items()} == counted
    assert {name: rows_in(manifest) for name, manifest in first.items()} == counted
    assert announced == sorted(f"visma://orbit-reporting/127.0.0.1/{name}" for name in counted)
    assert asked == sorted([*counted, "service_document"])
    assert {name: manifest["uri"] for name, manifest in second.items()} == {
        name: manifest["uri"] for name, manifest in first.items()
    }
    assert all(manifest["reused"] for manifest in second.values())
    assert requests(sandbox) == ["service_document"]
    assert events(airflow) == announced


def test_a_retry_after_a_kill_in_the_middle_of_a_feed_publishes_it_whole(
    airflow: AirflowStack, sandbox: SandboxProcess, destination: Path
) -> None:
    sandbox.inject("orbit_reporting", HOURS, "slow_body", bytes=1024, interval=0.2)
    run_id = start(airflow, PATIENT, destination, report=HOURS)
    wait_until(
        "entries of the feed",
        lambda: any(one["bytes_sent"] > 20_000 for one in sandbox.journal("orbit_reporting", HOURS)),
        seconds=180,
    )

    (instance,) = exports(airflow, PATIENT, run_id)
    airflow.kill_worker(instance)
    seen_after_the_kill = list(destination.rglob("_manifest.json"))

    assert airflow.api.wait_for_run(PATIENT, run_id, seconds=180) == "success"
    (instance,) = exports(airflow, PATIENT, run_id)
    manifest = airflow.api.xcom(instance)
    assert instance.try_number == 2
    assert seen_after_the_kill == []
    assert manifest["reused"] is False
    assert manifest["rows"] == rows_in(manifest) == sandbox.counts()["orbit_reporting"][HOURS]["rows"]
    assert list(destination.rglob(".visma-staging-*")) == []
    assert requests(sandbox) == [HOURS, HOURS]
