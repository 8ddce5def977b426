"""Exports beside the copy before: whether it is new enough, and whose columns changed."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_visma.exceptions import VismaAuthenticationError, VismaContentError, VismaGuardError
from airflow_provider_visma.hooks.orbit_reporting import OrbitReportingHook
from airflow_provider_visma.row_files import FORMATS
from tests.integration.orbit_reporting.exporting import INVOICES, Task, column, requests, rows, said
from visma_sandbox.client import SandboxProcess


def test_a_copy_that_is_young_enough_is_not_fetched_again(service: SandboxProcess, task: Task) -> None:
    hour = timedelta(hours=1)
    first = task.run("run-1", max_age=hour)
    second = task.run("run-2", after=timedelta(minutes=59), max_age=hour)
    assert second == first | {"reused": True}
    assert requests(service) == [INVOICES]
    assert task.events == []
    assert task.operator.published_uri == first["uri"]
    assert task.run("run-2", max_age="3600")["reused"] is True
    third = task.run("run-3", after=timedelta(minutes=1), max_age=hour)
    assert (third["reused"], len(requests(service))) == (False, 2)
    assert third["uri"] != first["uri"]
    assert len(task.events) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"max_age": None},
        {"max_age": "None"},
        {"file_format": "csv"},
        {"destination": "{elsewhere}"},
        {"query": {"$top": 5}},
        {"max_age": timedelta(0)},
    ],
    ids=str,
)
def test_another_copy_than_the_one_that_is_wanted_is_not_young_enough(
    service: SandboxProcess, task: Task, tmp_path: Path, changes: dict[str, Any]
) -> None:
    task.run("run-1")
    if "destination" in changes:
        changes = {"destination": f"file://{tmp_path}/elsewhere"}
    assert task.run("run-2", **{"max_age": timedelta(hours=1), **changes})["reused"] is False
    assert len(requests(service)) == 2


def test_a_copy_that_is_gone_is_fetched_again(service: SandboxProcess, task: Task) -> None:
    first = task.run("run-1")
    manifest = ObjectStoragePath(first["uri"]) / "_manifest.json"
    manifest.unlink()
    again = task.run("run-2", max_age=timedelta(hours=1))
    assert (again["reused"], again["previous"], again["column_changes"]) == (False, None, None)


def test_a_copy_that_another_user_made_is_not_served(
    service: SandboxProcess, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = task.run("run-1")
    connection = service.connections()["teamleader_orbit_reporting_default"]
    monkeypatch.setenv(
        "AIRFLOW_CONN_TEAMLEADER_ORBIT_REPORTING_DEFAULT", json.dumps(connection | {"login": "another"})
    )
    with pytest.raises(VismaAuthenticationError):
        task.run("run-2", max_age=timedelta(hours=1))
    monkeypatch.setenv("AIRFLOW_CONN_TEAMLEADER_ORBIT_REPORTING_DEFAULT", json.dumps(connection))
    assert task.run("run-2", max_age=timedelta(hours=1)) == first | {"reused": True}


@pytest.mark.parametrize("left", [None, b"PAR1"], ids=["removed", "cut"])
def test_a_copy_without_its_whole_file_is_fetched_again(
    service: SandboxProcess, task: Task, left: bytes | None
) -> None:
    first = task.run("run-1")
    file = ObjectStoragePath(first["uri"]) / "rows.parquet"
    if left is None:
        file.unlink()
    else:
        file.write_bytes(left)
    again = task.run("run-2", max_age=timedelta(hours=1))
    assert (again["reused"], again["rows"]) == (False, first["rows"])
    assert again["previous"]["uri"] == first["uri"]  # its columns are known all the same


def test_a_clock_that_was_wrong_keeps_no_copy_young(service: SandboxProcess, task: Task) -> None:
    task.run("run-1", after=timedelta(days=400))
    assert task.run("run-2", after=timedelta(days=-400), max_age=timedelta(hours=1))["reused"] is False


def test_a_try_that_ended_before_it_could_tell_is_told_by_the_next(task: Task) -> None:
    hour = timedelta(hours=1)
    first = task.run("run-1", max_age=hour)
    again = task.run("run-1", max_age=hour)
    assert again == first | {"reused": True}
    assert len(task.events) == 1


def test_a_run_that_is_late_does_not_turn_the_state_back(task: Task) -> None:
    later = task.run("run-2", after=timedelta(hours=1))
    task.run("run-1", after=timedelta(hours=-1))
    assert [state["uri"] for state in task.state.values()] == [later["uri"]]


def test_columns_that_come_go_or_change_are_in_the_manifest(service: SandboxProcess, task: Task) -> None:
    first = task.run("run-1")
    assert (first["column_changes"], first["previous"]) == (None, None)
    same = task.run("run-2")
    assert same["column_changes"] == {"appeared": [], "vanished": [], "changed": {}}
    assert same["previous"] == {"uri": first["uri"], "rows": first["rows"]}
    column(
        service,
        Remark=None,
        Number={"type": "Edm.String"},
        Status={"rename": "State"},
        Extra={"value": "3", "type": "Edm.Int32"},
    )
    third = task.run("run-3")
    assert third["column_changes"] == {
        "appeared": ["State", "Extra"],
        "vanished": ["Status", "Remark"],
        "changed": {"Number": ["integer", "text"]},
    }
    assert "Remark" not in third["header"]
    assert task.run("run-4")["column_changes"] == {"appeared": [], "vanished": [], "changed": {}}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"Currency": None}, "gone: Currency"),
        ({"Extra": {"value": "x"}}, "new: Extra"),
        ({"Number": {"type": "Edm.String"}}, r"of another type: Number \(integer to text\)"),
    ],
)
def test_a_change_of_columns_stops_the_task_where_it_is_told_to(
    service: SandboxProcess, task: Task, tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    task.run("run-1", on_column_change="fail")
    task.run("run-2", on_column_change="fail")
    column(service, **change)
    for _ in range(2):
        with pytest.raises(VismaGuardError, match=words):
            task.run("run-3", on_column_change="fail")
    assert not list(tmp_path.rglob("run_id=run-3/*"))
    task.run("run-3", on_column_change="warn")
    task.run("run-4", on_column_change="fail")


def test_columns_that_can_be_compared_with_no_copy_any_more_stop_the_task_where_a_change_would(
    service: SandboxProcess, task: Task
) -> None:
    first = task.run("run-1", on_column_change="fail")
    (ObjectStoragePath(first["uri"]) / "_manifest.json").unlink()
    column(service, Currency=None)
    for _ in range(2):
        with pytest.raises(VismaGuardError, match="not there any more"):
            task.run("run-2", on_column_change="fail")
    assert requests(service) == [INVOICES]
    accepted = task.run("run-2", on_column_change="warn")
    assert (accepted["reused"], accepted["column_changes"]) == (False, None)
    task.run("run-3", on_column_change="fail")


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_column_that_changes_within_a_feed_is_of_one_type_in_the_file(
    service: SandboxProcess, task: Task, file_format: str
) -> None:
    service.settings(orbit_report_rows=12_000)
    column(
        service,
        Number={"type": "Edm.String", "from_row": 7_000},
        Late={"type": "Edm.Decimal", "value": "1.10", "from_row": 11_990},
    )
    manifest = task.run(file_format=file_format)
    expected = said(service, INVOICES)
    found = rows(manifest)
    assert manifest["columns"]["Number"] == "text"
    assert manifest["columns"]["Late"] == "decimal"
    assert manifest["types"]["Number"] == ["Edm.Int32", "Edm.String"]
    assert [row["Number"] or None for row in found] == [row["Number"] for row in expected]
    late = [row.get("Late") or None for row in found]
    assert late[:11_990] == [None] * 11_990
    assert [Decimal(str(value)) for value in late[11_990:]] == [Decimal("1.10")] * 10
    assert [
        path.name for path in ObjectStoragePath(manifest["uri"]).iterdir() if path.name != "_manifest.json"
    ] == [f"rows.{file_format}"]


def test_a_report_without_rows_loses_no_column(service: SandboxProcess, task: Task) -> None:
    service.settings(orbit_report_options="served")
    first = task.run("run-1", on_column_change="fail", query={"$filter": "Status eq 'Betaald'"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OrbitReportingHook, "rows", lambda self, report, **options: iter(()))
        empty = task.run("run-2", on_column_change="fail", query={"$filter": "Status eq 'Betaald'"})
    assert (empty["rows"], empty["columns"]) == (0, first["columns"])
    task.run("run-3", on_column_change="fail", query={"$filter": "Status eq 'Betaald'"})


def test_rows_without_a_column_are_no_report(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    task.run("run-1")
    monkeypatch.setattr(OrbitReportingHook, "rows", lambda self, report, **options: iter([{}]))
    with pytest.raises(VismaContentError, match="no columns"):
        task.run("run-2")


def test_a_column_that_is_empty_for_a_day_keeps_its_type(service: SandboxProcess, task: Task) -> None:
    task.run("run-1", on_column_change="fail")
    column(service, Number={"value": None, "type": "Edm.String"})
    empty = task.run("run-2", on_column_change="fail")
    assert empty["columns"]["Number"] == "integer"
    schema = pyarrow.parquet.read_schema(f"{empty['uri'].removeprefix('file://')}/rows.parquet")
    assert str(schema.field("Number").type) == "int64"
    column(service, Number={"type": "Edm.String"})
    with pytest.raises(VismaGuardError, match="Number"):
        task.run("run-3", on_column_change="fail")
