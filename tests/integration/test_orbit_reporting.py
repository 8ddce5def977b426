"""Exports of Orbit's reports against the sandbox: formats, freshness, changed columns, what goes wrong."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG, ObjectStoragePath
from airflow.sdk.definitions.asset import AssetUniqueKey

from airflow_provider_visma.exceptions import (
    VismaAuthenticationError,
    VismaContentError,
    VismaError,
    VismaGuardError,
    VismaIncompleteAnswerError,
    VismaNotFoundError,
    VismaPermissionError,
    VismaRequestError,
    VismaUnavailableError,
)
from airflow_provider_visma.export_assets import ORBIT_REPORTING
from airflow_provider_visma.hooks.orbit_reporting import OrbitReportingHook
from airflow_provider_visma.operators.orbit_reporting import OrbitReportExportOperator
from airflow_provider_visma.row_files import FORMATS, read_rows
from airflow_provider_visma.storage import read_manifest
from tests.integration.task_context import TaskRuns
from visma_sandbox.client import SandboxProcess
from visma_sandbox.orbit_reporting.every_type import Empty, EveryType
from visma_sandbox.orbit_reporting.projects import HoursPerProject
from visma_sandbox.orbit_reporting.sales import Invoices, SalesPipeline
from visma_sandbox.orbit_reporting.staff import EmployeesAndContracts

HOURS, INVOICES = HoursPerProject.id, Invoices.id
REPORTS = [HOURS, INVOICES, SalesPipeline.id, EmployeesAndContracts.id, Empty.id, EveryType.id]
STATE = "visma://orbit-reporting-watermarks/teamleader_orbit_reporting_default"


class Task:
    """A task of a DAG: every execution is a new operator, and Airflow's stores are all it remembers.

    :ivar now: what the worker's clock says.
    """

    def __init__(self, destination: str, **arguments: Any) -> None:
        self.runs = TaskRuns()
        self.now = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
        self._arguments = {"destination": destination, "report": INVOICES, **arguments}

    def run(
        self, run_id: str = "run-1", *, after: timedelta = timedelta(), map_index: int = -1, **changes: Any
    ) -> dict[str, Any]:
        """Execute one try, so much later."""
        self.now += after
        operator = OrbitReportExportOperator(task_id="export", **{**self._arguments, **changes})
        operator._now = lambda: self.now  # type: ignore[method-assign]
        operator._hook = lambda: OrbitReportingHook(sleep=lambda seconds: None)  # type: ignore[method-assign]
        self.context = self.runs.context(operator, run_id)
        self.context["ti"].map_index = map_index
        self.operator = operator
        return operator.execute(self.context)

    @property
    def events(self) -> list[Any]:
        """What the last try announced."""
        alias = ORBIT_REPORTING.alias("teamleader_orbit_reporting_default")
        found: list[Any] = self.context["outlet_events"][alias].asset_alias_events
        return found

    @property
    def state(self) -> dict[str, Any]:
        return self.runs.asset_state[STATE].values


@pytest.fixture
def task(service: SandboxProcess, destination: str) -> Task:
    return Task(destination)


@pytest.fixture
def hook(service: SandboxProcess) -> OrbitReportingHook:
    return OrbitReportingHook(sleep=lambda seconds: None)


def rows(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """What was published."""
    path = ObjectStoragePath(manifest["uri"]) / f"rows.{manifest['format']}"
    return list(read_rows(path, manifest["format"]))


def said(service: SandboxProcess, report: str) -> list[dict[str, Any]]:
    """The rows as the sandbox itself has them, each value as on the wire."""
    with urllib.request.urlopen(f"{service.url}/_control/orbit_reporting/rows/{report}?top=100000") as answer:
        found: list[dict[str, Any]] = json.load(answer)
    return found


def column(service: SandboxProcess, report: str = INVOICES, /, **changes: Any) -> None:
    """Somebody edits the report."""
    service.settings(orbit_report_columns={report: changes})


def requests(service: SandboxProcess) -> list[str]:
    return [entry["operation"] for entry in service.journal("orbit_reporting")]


# The hook


def test_the_service_document_lists_what_the_sandbox_counts(
    service: SandboxProcess, hook: OrbitReportingHook
) -> None:
    counted = service.counts()["orbit_reporting"]
    assert {each.name: each.title for each in hook.reports() or []} == {
        report: each["title"] for report, each in counted.items()
    }
    for links in ("rooted", "absolute"):
        service.settings(orbit_report_links=links)
        assert {each.name for each in hook.reports() or []} == set(counted)
    service.settings(orbit_report_service_document=False)
    assert hook.reports() is None


@pytest.mark.parametrize("report", REPORTS)
@pytest.mark.parametrize("page_size", [0, 7])
def test_the_rows_are_those_of_the_report(
    service: SandboxProcess, hook: OrbitReportingHook, report: str, page_size: int
) -> None:
    service.settings(
        orbit_report_every_type=True,
        orbit_report_page_size=page_size,
        orbit_report_empty_last_page=True,
        orbit_report_rows=50,
    )
    found = list(hook.rows(report))
    expected = said(service, report)
    assert len(found) == len(expected) == service.counts()["orbit_reporting"][report]["rows"]
    for row, wire in zip(found, expected, strict=True):
        assert set(row) == set(wire)
        for name, value in row.items():
            assert (value is None) == (wire[name] is None), name
            if type(value) in (int, Decimal) and "P" not in wire[name]:  # a duration, told in seconds
                assert value == Decimal(wire[name]), name
            if isinstance(value, str):
                assert value == wire[name], name


STRICT = {
    "orbit_report_accept_strict": True,
    "orbit_report_options": "refused",
    "orbit_report_errors": "m_error",
}
LOOSE = {
    "orbit_report_service_document": False,
    "orbit_report_metadata": False,
    "orbit_report_version": "",
    "orbit_report_content_type": "text/plain",
}


@pytest.mark.parametrize("settings", [STRICT, LOOSE], ids=["strict", "loose"])
@pytest.mark.parametrize("links", ["relative", "rooted", "absolute"])
def test_strict_and_loose_servers_are_read_alike(
    service: SandboxProcess, hook: OrbitReportingHook, settings: dict[str, Any], links: str
) -> None:
    expected = list(hook.rows(INVOICES))
    service.settings(**settings, orbit_report_links=links, orbit_report_page_size=100, orbit_report_gzip=True)
    assert list(hook.rows(INVOICES)) == expected


def test_a_query_reaches_a_server_that_knows_it(service: SandboxProcess, hook: OrbitReportingHook) -> None:
    service.settings(orbit_report_options="served")
    found = list(hook.rows(INVOICES, query={"$filter": "Status eq 'Betaald'", "$top": 5}))
    assert [row["Status"] for row in found] == ["Betaald"] * 5


def test_a_wrong_password_is_told(
    service: SandboxProcess, hook: OrbitReportingHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert hook.test_connection()[0]
    connection = service.connections()["teamleader_orbit_reporting_default"] | {"password": "kanarie-7731"}
    monkeypatch.setenv("AIRFLOW_CONN_TEAMLEADER_ORBIT_REPORTING_DEFAULT", json.dumps(connection))
    success, message = OrbitReportingHook().test_connection()
    assert not success
    assert "not accepted" in message
    assert "kanarie" not in message


# The export


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


# Freshness


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


# Columns that change


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


def test_parquet_refuses_what_it_cannot_hold(service: SandboxProcess, task: Task) -> None:
    service.settings(orbit_report_every_type=True)
    with pytest.raises(VismaContentError, match="cannot be written to parquet"):
        task.run(report=EveryType.id, file_format="parquet")


# What it is to a DAG


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


# The DAG


@pytest.fixture(scope="module")
def list_reports() -> Callable[..., list[str]]:
    """What the DAG's first task does."""
    dags = DagBag(str(Path(__file__).parents[2] / "dags" / "orbit_reports_to_parquet.py")).dags
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
