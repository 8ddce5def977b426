"""Exports of windows and lists, which are read whole each time."""

from __future__ import annotations

import json

import pytest

from tests.integration.severa_export.exporting import ALL_CASES, WEEK, Task, change, delete, guids, rows
from visma_sandbox.client import SandboxProcess


def test_a_window_is_read_whole_each_time_and_lists_what_is_gone(
    service: SandboxProcess, hours: Task
) -> None:
    added = change(service, "01:00:00", EventDate="2026-11-19T00:00:00")
    first = hours.run("run-1")
    assert first["asked"] == {"startdate": "2026-11-01T00:00:00", "enddate": "2026-11-30T23:59:00"}
    assert (first["read"], first["previous"], first["gone"]) == ("window", None, None)
    delete(service, added)
    second = hours.run("run-2")
    assert (second["rows"], second["repeated"]) == (first["rows"] - 1, 0)
    assert second["previous"] == {"uri": first["uri"], "rows": first["rows"], "comparable": True}
    assert second["gone"] == {"rows": 1, "first": [{"GUID": added}]}
    again = hours.run("run-2")
    assert again["gone"] == second["gone"], "what a repeated run lists must not shrink"
    assert hours.run("run-3")["gone"] == {"rows": 0, "first": []}


def test_another_month_is_not_compared_and_the_first_is_not_forgotten(
    service: SandboxProcess, hours: Task
) -> None:
    october, november = "2026-10-01/2026-10-31", "2026-11-01/2026-11-30"
    first = hours.run("run-1", window=october)
    assert hours.run("run-2", window=november)["previous"] is None
    assert hours.run("run-3", window=october)["previous"]["uri"] == first["uri"]


def test_the_rows_of_a_run_that_was_repeated_with_another_window_are_not_called_gone(
    service: SandboxProcess, hours: Task
) -> None:
    october, november = "2026-10-01/2026-10-31", "2026-11-01/2026-11-30"
    assert hours.run("run-1", window=october)["rows"]
    assert hours.run("run-1", window=november)["rows"]
    again = hours.run("run-2", window=october)
    assert (again["previous"]["comparable"], again["gone"]) == (True, None)
    assert hours.run("run-3", window=october)["gone"] == {"rows": 0, "first": []}


def test_the_month_is_that_of_the_runs_data_interval(service: SandboxProcess, hours: Task) -> None:
    manifest = hours.run("run-1", at="2026-10-15T02:00:00", window="month")
    assert manifest["asked"] == {"startdate": "2026-10-01T00:00:00", "enddate": "2026-10-31T23:59:00"}


def test_a_window_reaches_back_to_the_start_now_and_then(service: SandboxProcess, hours: Task) -> None:
    arguments = {"full_refresh_every": WEEK, "initial_start": "2020-01-01"}
    first = hours.run("run-1", at="2026-11-01T02:00:00", **arguments)
    assert (first["read"], first["asked"]["startdate"]) == ("everything", "2020-01-01T00:00:00")
    assert first["rows"] == service.counts()["severa"]["hour_entries"]
    old = next(row["GUID"] for row in rows(first) if str(row["EventDate"]) < "2026-10")
    delete(service, old)
    assert hours.run("run-2", at="2026-11-02T02:00:00", **arguments)["read"] == "window"
    full = hours.run("run-3", at="2026-11-08T02:00:00", **arguments)
    assert (full["read"], full["previous"]["rows"]) == ("everything", first["rows"])
    assert full["gone"]["first"] == [{"GUID": old}]


def test_a_list_without_dates_is_compared_with_the_last_one(
    service: SandboxProcess, destination: str
) -> None:
    cases = Task(destination, **ALL_CASES)
    first = cases.run("run-1")
    assert first["read"] == "list"
    victim = guids(first)[0]
    service.change_severa("case", victim, delete=True)
    second = cases.run("run-2")
    assert second["gone"] == {"rows": 1, "first": [{"GUID": victim}]}
    assert second["previous"]["rows"] == first["rows"]


def test_a_list_in_pages_is_one_file(service: SandboxProcess, destination: str) -> None:
    arguments = {"contract": "ICustomer", "operation": "GetAllCustomers", "arguments": {"options": 2}}
    manifest = Task(destination, **arguments, file_format="parquet").run()
    assert len(service.journal("severa", "ICustomer.GetAllCustomers")) > 1
    assert manifest["rows"] == len(set(guids(manifest))) == service.counts()["severa"]["customers"]


def test_invoices_have_no_changes_but_a_window_and_their_rows_are_kept_whole(
    service: SandboxProcess, destination: str
) -> None:
    invoices = Task(
        destination,
        contract="IInvoice",
        operation="GetInvoicesByDate",
        arguments={"businessUnitGUID": "", "options": 0},
        window="month",
        file_format="parquet",
    )
    manifest = invoices.run("run-1", at="2026-11-19T02:00:00")
    assert manifest["rows"] == service.counts()["severa"]["invoices_this_month"] > 0
    assert any(json.loads(row["InvoiceRows"]) for row in rows(manifest))
    assert invoices.run("run-2", at="2026-11-19T03:00:00")["gone"] == {"rows": 0, "first": []}


def test_rows_without_a_key_are_exported_and_nothing_is_said_of_what_was_before(
    service: SandboxProcess, destination: str
) -> None:
    statuses = Task(destination, contract="IInvoiceStatus", operation="GetAllInvoiceStatuses", key=None)
    assert statuses.run("run-1")["rows"] > 0
    second = statuses.run("run-2")
    assert (second["gone"], second["knows_all"]) == (None, False)
    assert second["previous"]["rows"] == second["rows"]
    assert [file["uri"].rsplit("/", 1)[-1] for file in second["files"]] == ["rows.jsonl"]


@pytest.mark.parametrize("file_format", ["jsonl", "csv", "parquet"])
def test_an_empty_answer_is_a_file_with_a_manifest(hours: Task, file_format: str) -> None:
    manifest = hours.run(window="1999-01-01/1999-01-31", file_format=file_format)
    assert manifest["rows"] == 0
    assert rows(manifest) == []
    assert manifest["files"][-1]["uri"].endswith(f"rows.{file_format}")
    assert "GUID" in manifest["header"]


def test_all_formats_hold_the_same_rows(service: SandboxProcess, destination: str) -> None:
    found = []
    for file_format in ("jsonl", "csv", "parquet"):
        task = Task(destination, **ALL_CASES, file_format=file_format, export_name=file_format)
        found.append(sorted(guids(task.run())))
    assert found[0] == found[1] == found[2] != []
