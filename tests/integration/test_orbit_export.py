"""Exports of Orbit's lists against the sandbox: formats, columns, assets, what goes wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow.parquet
import pytest
from airflow.sdk import DAG, ObjectStoragePath
from airflow.sdk.definitions.asset import AssetUniqueKey

from airflow_provider_visma.exceptions import (
    VismaAuthenticationError,
    VismaContentError,
    VismaError,
    VismaIncompleteAnswerError,
    VismaPermissionError,
    VismaRequestError,
    VismaUnavailableError,
)
from airflow_provider_visma.export_assets import ORBIT
from airflow_provider_visma.operators.orbit import OrbitExportOperator
from airflow_provider_visma.row_files import FORMATS
from airflow_provider_visma.storage import Publication, read_manifest
from tests.integration.orbit_exports import Task, ids_of, nothing_lies_in, rows_of
from tests.integration.orbit_world import CONN_ID, Orbit


@pytest.fixture
def task(orbit: Orbit, destination: str) -> Task:
    return Task(orbit, destination)


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("resource", ["projects", "companies", "deals", "users"])
def test_a_list_lands_whole_in_every_format(
    orbit: Orbit, destination: str, resource: str, file_format: str
) -> None:
    manifest = Task(orbit, destination, resource=resource, file_format=file_format).run()
    expected = {row["id"]: row for row in orbit.sandbox.orbit_rows(resource)}
    found = {row["id"]: row for row in rows_of(manifest)}
    assert found.keys() == expected.keys()
    assert manifest["rows"] == len(expected)
    assert manifest["header"] == list(manifest["columns"])
    assert read_manifest(ObjectStoragePath(manifest["uri"])) == manifest
    for row_id, row in expected.items():
        assert found[row_id]["updated_at"] == row["updated_at"]
        assert (found[row_id]["name"] or None) == (row["name"] or None)


def test_fractions_are_decimals_and_lists_are_json(orbit: Orbit, destination: str) -> None:
    manifest = Task(orbit, destination, resource="deals", file_format="parquet").run()
    assert manifest["columns"]["value"] == "decimal"
    schema = pyarrow.parquet.read_schema(f"{manifest['uri'].removeprefix('file://')}/rows.parquet")
    assert str(schema.field("value").type) == "decimal128(38, 18)"
    manifest = Task(orbit, destination, resource="companies").run()
    assert manifest["columns"]["emails"] == "json"


@pytest.mark.parametrize("moment", ["while it reads", "while it publishes"])
def test_a_run_that_is_killed_publishes_nothing_and_its_retry_everything(
    task: Task, orbit: Orbit, destination: str, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    orbit.sandbox.settings(orbit_rows=120)

    def killed(*arguments: Any, **more: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        if moment == "while it reads":
            plain = type(orbit.hook())._once
            calls: list[int] = []

            def once(hook: Any, call: Any) -> Any:
                calls.append(1)
                return killed() if len(calls) > 3 else plain(hook, call)

            patched.setattr("airflow_provider_visma.hooks.orbit.OrbitHook._once", once)
        else:
            patched.setattr(Publication, "publish", killed)
        with pytest.raises(KeyboardInterrupt):
            task.run()
    assert nothing_lies_in(destination)
    assert task.state is None
    assert task.events == []
    assert ids_of(task.run()) == orbit.ids()


FAULTS: list[tuple[dict[str, Any], type[VismaError]]] = [
    ({"kind": "status", "status": 503}, VismaUnavailableError),
    ({"kind": "status", "status": 403}, VismaPermissionError),
    ({"kind": "truncated"}, VismaUnavailableError),
    ({"kind": "malformed"}, VismaIncompleteAnswerError),
    ({"kind": "html_error_page"}, VismaError),
    ({"kind": "reset"}, VismaUnavailableError),
]


@pytest.mark.parametrize(("fault", "error"), FAULTS, ids=[str(fault["kind"]) for fault, _ in FAULTS])
def test_a_list_that_breaks_off_is_not_published(
    task: Task, orbit: Orbit, destination: str, fault: dict[str, Any], error: type[VismaError]
) -> None:
    orbit.sandbox.settings(orbit_rows=200)
    orbit.sandbox.inject("orbit", "projects.list", count=None, after=4, **fault)
    with pytest.raises(error):
        task.run()
    assert nothing_lies_in(destination)
    assert (task.state, task.events) == (None, [])


def test_without_a_sign_in_nothing_is_published(task: Task, orbit: Orbit, destination: str) -> None:
    orbit.forget()
    with pytest.raises(VismaAuthenticationError, match="orbit-login"):
        task.run()
    assert nothing_lies_in(destination)


def test_whole_numbers_in_a_column_of_fractions_stay_decimals(orbit: Orbit, destination: str) -> None:
    task = Task(orbit, destination, resource="deals", file_format="parquet", export_name="projects")
    task.run()
    changed = orbit.ids("deals")[0]
    orbit.sandbox.change_orbit("deals", changed, {"value": 12})
    second = task.run("run-2")
    assert (second["rows"], second["columns"]["value"]) == (1, "decimal")
    assert second["column_changes"] == {"appeared": [], "vanished": [], "changed": {}}
    assert [str(row["value"].normalize()) for row in rows_of(second)] == ["12"]


def test_an_empty_list_is_an_empty_file(task: Task, orbit: Orbit) -> None:
    first = task.run(filter={"name": "there is no such project"})
    assert (first["rows"], first["watermark"]) == (0, None)


def test_another_filter_is_another_export(task: Task, orbit: Orbit) -> None:
    task.run()
    name = orbit.sandbox.orbit_rows("projects")[0]["name"]
    second = task.run("run-2", filter={"name": name})
    assert (second["read"], second["previous"]) == ("everything", None)
    assert {row["name"] for row in rows_of(second)} == {name}


def test_each_export_is_an_event_of_its_asset(task: Task) -> None:
    manifest = task.run()
    [event] = task.events
    assert event.dest_asset_key == AssetUniqueKey.from_asset(ORBIT.exported(CONN_ID, "projects"))
    assert event.extra == manifest
    assert task.operator.published_uri == manifest["uri"]


def test_two_instances_of_a_mapped_task_cannot_land_in_one_folder(task: Task, orbit: Orbit) -> None:
    task.run(map_index=0)
    with pytest.raises(VismaRequestError, match="another instance of this mapped task"):
        task.run(map_index=1, resource="deals", export_name="projects")


@pytest.mark.parametrize(
    "wrong",
    [
        {"file_format": "xlsx"},
        {"on_column_change": "ignore"},
        {"export_name": "../x/.."},
        {"export_name": "."},
        {"resource": "a/b"},
        {"page_size": 0},
        {"overlap": timedelta(hours=-1)},
        {"filter": "{'name': 'x'}"},
        {"changed_filter": "updated_at"},
    ],
)
def test_a_wrong_parameter_is_refused_before_anything_is_asked(
    task: Task, orbit: Orbit, wrong: dict[str, Any]
) -> None:
    with pytest.raises(VismaRequestError, match=rf"^Teamleader Orbit .*\(connection {CONN_ID}\): "):
        task.run(**wrong)
    assert orbit.asked() == []


def test_a_value_that_parquet_cannot_hold_is_an_error_that_says_where(
    task: Task, orbit: Orbit, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = iter([{"id": "a", "n": 10**30}])
    monkeypatch.setattr("airflow_provider_visma.hooks.orbit.OrbitHook.rows", lambda *a, **more: rows)
    with pytest.raises(
        VismaContentError, match=rf"^Teamleader Orbit projects\.list \(connection {CONN_ID}\): "
    ):
        task.run(file_format="parquet")


def test_a_mapped_task_has_the_inlet_and_the_outlet_of_a_plain_one() -> None:
    with DAG("mapped", start_date=datetime(2026, 1, 1, tzinfo=UTC)):
        mapped = OrbitExportOperator.partial(task_id="export", destination="file:///tmp/x").expand(
            resource=["projects", "deals"]
        )
    assert mapped.partial_kwargs["inlets"] == [ORBIT.watermarks(CONN_ID)]
    assert mapped.partial_kwargs["outlets"] == [ORBIT.alias(CONN_ID)]
