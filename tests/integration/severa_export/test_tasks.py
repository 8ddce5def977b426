"""What an export of Severa is to its DAG: state, files and events of one task."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.definitions.asset import AssetUniqueKey

from airflow_provider_visma.exceptions import VismaError, VismaRequestError
from airflow_provider_visma.operators.severa import SeveraExportOperator
from airflow_provider_visma.storage import read_manifest
from sandbox.tests.waiting import wait_until
from tests.integration.severa_export.exporting import ALL_CASES, CHANGES, Task, change, staged
from tests.integration.task_context import TaskRuns
from tests.integration.waiting import Try
from visma_sandbox.client import SandboxProcess


def test_every_task_and_export_has_a_watermark_of_its_own(service: SandboxProcess, task: Task) -> None:
    task.run("run-1")
    task.run("run-1", export_name="hours")
    assert sorted(task.watermarks) == [
        "watermark:a_dag.export:IHourEntry.GetHourEntriesChangedSince",
        "watermark:a_dag.export:hours",
    ]


def test_a_task_never_overwrites_what_another_landed(service: SandboxProcess, task: Task) -> None:
    manifest = task.run()
    operator = SeveraExportOperator(task_id="other", destination=task.operator().destination, **CHANGES)
    with pytest.raises(VismaRequestError, match=r"a_dag\.export landed"):
        operator.execute(TaskRuns().context(operator))
    assert read_manifest(ObjectStoragePath(manifest["uri"])) == manifest


def test_two_instances_of_a_mapped_task_need_two_names(service: SandboxProcess, destination: str) -> None:
    runs = TaskRuns()

    def instance(map_index: int, **changes: Any) -> dict[str, Any]:
        operator = SeveraExportOperator(task_id="export", destination=destination, **{**ALL_CASES, **changes})
        context = runs.context(operator)
        context["ti"].map_index = map_index
        return operator.execute(context)

    instance(0)
    with pytest.raises(VismaRequestError, match="another instance"):
        instance(1, fields="Name")
    assert instance(1, fields="Name", export_name="names")["rows"]
    assert instance(0, fields="Name")["rows"], "the author changed it, and repeats the run"


def test_the_asset_of_the_export_is_told(service: SandboxProcess, task: Task) -> None:
    manifest = task.run()
    (event,) = task.last_context["outlet_events"][task.operator().outlets[0]].asset_alias_events
    uri = "visma://severa/severa_default/IHourEntry.GetHourEntriesChangedSince"
    assert event.dest_asset_key == AssetUniqueKey(name=uri, uri=uri)
    assert event.extra == manifest
    assert json.loads(json.dumps(manifest)) == manifest


def test_what_goes_to_xcom_is_small_and_holds_nobodys_values(service: SandboxProcess, task: Task) -> None:
    change(service, "01:00:00", Description="a secret of somebody")
    for run in range(4):
        manifest = task.run(f"run-{run}", at=f"02:0{run}:00")
    assert len(json.dumps(manifest)) < 4000
    assert "secret" not in json.dumps([manifest, task.watermarks])


def test_sigterm_while_reading_leaves_nothing(service: SandboxProcess, task: Task, tmp_path: Path) -> None:
    service.inject("severa", "*.GetHourEntriesChangedSince", "slow_body", bytes=100, interval=0.05)
    process = Try(target=task.run)
    process.start()
    asked = "*.GetHourEntriesChangedSince"
    wait_until(lambda: any(each["bytes_sent"] for each in service.journal("severa", asked)))
    wait_until(lambda: bool(staged(tmp_path)))
    process.terminate()
    assert process.wait() == 128 + signal.SIGTERM  # long before the answer has ended: that takes minutes
    assert staged(tmp_path) == []
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_an_error_names_connection_and_operation(service: SandboxProcess, task: Task) -> None:
    service.settings(severa_addon=False)
    with pytest.raises(VismaError) as caught:
        task.run()
    assert "severa_default" in str(caught.value)
    assert "GetHourEntriesChangedSince" in str(caught.value)
