"""Exports of Orbit's reports against the sandbox: formats, types, and what goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG, ObjectStoragePath
from airflow.sdk.definitions.asset import AssetUniqueKey

from airflow_provider_visma.exceptions import (
    VismaContentError,
    VismaError,
    VismaIncompleteAnswerError,
    VismaNotFoundError,
    VismaPermissionError,
    VismaRequestError,
    VismaUnavailableError,
)
from airflow_provider_visma.export_assets import ORBIT_REPORTING
from airflow_provider_visma.hooks.orbit_reporting import OrbitReportingHook
from airflow_provider_visma.operators.orbit_reporting import OrbitReportExportOperator
from airflow_provider_visma.row_files import FORMATS
from airflow_provider_visma.storage import read_manifest
from tests.integration.orbit_reporting.exporting import HOURS, INVOICES, REPORTS, Task, requests, rows, said
from visma_sandbox.client import SandboxProcess
from visma_sandbox.orbit_reporting.every_type import EveryType


@pytest.mark.parametrize(
    ("report", "file_format"),
    # Parquet refuses the edges of every type, as another test shows.
    [each for each in product(REPORTS, FORMATS) if each != (EveryType.id, "parquet")],
)
def test_every_report_becomes_a_file_of_every_format(
    service: SandboxProcess, task: Task, report: str, file_format: str
) -> None:
    service.settings(orbit_report_every_type=True)
    manifest = task.run(report=report, file_format=file_format)
    expected = said(service, report)
    assert manifest["rows"] == len(expected)
    assert manifest["reused"] is False
    assert (manifest["report"], manifest["tenant"], manifest["format"]) == (report, "127.0.0.1", file_format)
    stored = read_manifest(ObjectStoragePath(manifest["uri"]))
    assert stored == {name: value for name, value in manifest.items() if name != "reused"}
    if expected:
        found = rows(manifest)
        assert list(manifest["columns"]) == manifest["header"] == list(expected[0])
        key = next(iter(expected[0]))
        assert [str(row[key]) for row in found] == [str(row[key]) for row in expected]
        # Int64 beyond 2**53: a float would have made neighbours of them equal.
        assert len({str(row[key]) for row in found}) == len(found)


def test_parquet_has_the_types_of_the_feed(task: Task) -> None:
    manifest = task.run()
    schema = pyarrow.parquet.read_schema(f"{manifest['uri'].removeprefix('file://')}/rows.parquet")
    assert {
        name: str(schema.field(name).type) for name in ("InvoiceKey", "AmountExVat", "PaidAt", "IsCredit")
    } == {
        "InvoiceKey": "int64",
        "AmountExVat": "decimal128(38, 18)",
        "PaidAt": "timestamp[us]",
        "IsCredit": "bool",
    }
    assert manifest["columns"]["PaidAt"] == "moment"
    assert manifest["columns"]["InvoiceDate"] == "datetime"
    assert manifest["types"]["InvoiceKey"] == ["Edm.Int64"]


def test_an_export_is_announced_for_its_report(task: Task) -> None:
    manifest = task.run()
    (event,) = task.events
    uri = f"visma://orbit-reporting/127.0.0.1/{INVOICES}"
    assert event.dest_asset_key == AssetUniqueKey(name=uri, uri=uri)
    assert event.extra["uri"] == manifest["uri"]
    assert task.operator.published_uri == manifest["uri"]


@pytest.mark.parametrize(
    ("fault", "arguments", "kind"),
    [
        ("m_error_in_stream", {}, VismaUnavailableError),
        ("m_error_in_stream", {"inside": True}, VismaUnavailableError),
        ("m_error", {"status": 500}, VismaUnavailableError),
        ("m_error", {"status": 404}, VismaNotFoundError),
        ("m_error", {"status": 403, "form": "html"}, VismaPermissionError),
        ("foreign_next_link", {"url": "http://localhost:1/x"}, VismaContentError),
        ("circular_next_link", {}, VismaContentError),
        ("bad_value", {"column": "AmountExVat", "row": 5}, VismaContentError),
        ("other_document", {"document": "v4_atom"}, VismaContentError),
        ("other_document", {"document": "v4_json"}, VismaContentError),
        ("other_document", {"document": "metadata"}, VismaContentError),
        ("truncated", {"keep": 0.99}, VismaIncompleteAnswerError),
        ("truncated", {"keep": 0.99, "chunked": True}, VismaIncompleteAnswerError),
        ("truncated", {"keep": 700}, VismaIncompleteAnswerError),
        ("reset_body", {}, VismaIncompleteAnswerError),
        ("empty_body", {}, VismaIncompleteAnswerError),
        ("trailing_garbage", {}, VismaIncompleteAnswerError),
        ("bad_utf8", {}, VismaIncompleteAnswerError),
        ("html_error_page", {}, VismaIncompleteAnswerError),
        ("redirect", {"location": "http://localhost:1/login"}, VismaRequestError),
        ("status", {"status": 503, "retry_after": 1}, VismaUnavailableError),
        ("gzip_bomb", {"size": 2**30}, VismaContentError),
        ("doctype", {"element": "Number"}, VismaContentError),
        ("billion_laughs", {"element": "Remark"}, VismaContentError),
        ("deep_nesting", {"element": "Remark", "depth": 300}, VismaContentError),
    ],
)
def test_nothing_is_published_of_what_went_wrong(
    service: SandboxProcess,
    task: Task,
    tmp_path: Path,
    fault: str,
    arguments: dict[str, Any],
    kind: type[VismaError],
) -> None:
    earlier = task.run()
    service.inject("orbit_reporting", INVOICES, fault, count=None, **arguments)
    service.settings(orbit_report_page_size=100)
    with pytest.raises(kind, match=f"report {INVOICES}"):
        task.run("run-2")
    published = [path.parent.name for path in tmp_path.rglob("_manifest.json")]
    assert published == ["run_id=run-1"]
    assert list(tmp_path.rglob(".visma-staging-*")) == []
    assert task.events == []
    assert [state["uri"] for state in task.state.values()] == [earlier["uri"]]


def test_a_report_that_was_removed_is_told(service: SandboxProcess, task: Task) -> None:
    service.settings(orbit_report_removed=[INVOICES])
    with pytest.raises(VismaNotFoundError, match="knows no such report"):
        task.run()


def test_parquet_refuses_what_it_cannot_hold(service: SandboxProcess, task: Task) -> None:
    service.settings(orbit_report_every_type=True)
    with pytest.raises(VismaContentError, match="cannot be written to parquet"):
        task.run(report=EveryType.id, file_format="parquet")


@pytest.mark.parametrize(
    "changes",
    [
        {"file_format": "xlsx"},
        {"on_column_change": "ignore"},
        {"export_name": ".."},
        {"max_age": "an hour"},
        {"report": "RP-not-one"},
        {"query": "{'$top': 1}"},
    ],
)
def test_what_makes_no_sense_is_refused(service: SandboxProcess, task: Task, changes: dict[str, Any]) -> None:
    with pytest.raises(VismaRequestError):
        task.run(**changes)
    assert set(requests(service)) <= {"service_document"}


def test_two_instances_of_a_task_do_not_overwrite_each_other(task: Task) -> None:
    task.run(map_index=0)
    task.run(map_index=0)
    task.run(map_index=1)  # the same, once more
    with pytest.raises(VismaRequestError, match="export_name"):
        task.run(map_index=2, query={"$top": 1})
    assert task.run(map_index=2, query={"$top": 1}, export_name="one")["uri"].endswith("/one/run_id=run-1")


def test_a_mapped_task_declares_its_assets_when_the_dag_is_parsed() -> None:
    with DAG("a_dag", schedule=None):
        mapped = OrbitReportExportOperator.partial(
            task_id="export", destination="file:///tmp/x", orbit_reporting_conn_id="other"
        ).expand(report=[HOURS, INVOICES])
    assert mapped.partial_kwargs["inlets"] == [ORBIT_REPORTING.watermarks("other")]
    assert mapped.partial_kwargs["outlets"] == [ORBIT_REPORTING.alias("other")]
    instance = mapped.unmap({"report": HOURS})
    assert all(hasattr(instance, field) for field in instance.template_fields)


@pytest.fixture(scope="module")
def list_reports() -> Callable[..., list[str]]:
    """What the DAG's first task does."""
    dags = DagBag(str(Path(__file__).parents[3] / "dags" / "orbit_reports_to_parquet.py")).dags
    listing: Any = dags["orbit_reports_to_parquet"].get_task("reports")
    found: Callable[..., list[str]] = listing.python_callable
    return found


def test_the_dag_exports_the_reports_that_are_listed_or_those_that_are_named(
    service: SandboxProcess, list_reports: Callable[..., list[str]]
) -> None:
    assert list_reports(params={"reports": []}) == list(service.counts()["orbit_reporting"])
    assert list_reports(params={"reports": [HOURS, INVOICES, HOURS]}) == [HOURS, INVOICES]
    service.settings(orbit_report_service_document=False)
    assert list_reports(params={"reports": [HOURS]}) == [HOURS]
    with pytest.raises(VismaRequestError, match="does not list its reports"):
        list_reports(params={"reports": []})


def test_the_dag_exports_a_report_once_that_is_listed_twice(
    service: SandboxProcess, list_reports: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = OrbitReportingHook().reports()
    assert listed
    monkeypatch.setattr(OrbitReportingHook, "reports", lambda self: [*listed, *listed])
    assert list_reports(params={"reports": []}) == [each.name for each in listed]
