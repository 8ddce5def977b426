"""Exports of Severa against the sandbox: tries, runs, what changed meanwhile, and what must not be lost."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.definitions.asset import AssetUniqueKey

from airflow_provider_visma.exceptions import (
    VismaContentError,
    VismaError,
    VismaGuardError,
    VismaIncompleteAnswerError,
    VismaQuotaError,
    VismaRequestError,
    VismaStorageError,
)
from airflow_provider_visma.export_assets import Watermark
from airflow_provider_visma.hooks.severa import SeveraHook
from airflow_provider_visma.operators.severa import SeveraExportOperator
from airflow_provider_visma.row_files import read_rows
from airflow_provider_visma.staged_file import StagedFile
from airflow_provider_visma.storage import Publication, read_manifest
from tests.integration.task_context import TaskRuns
from visma_sandbox.client import SandboxProcess

WATERMARKS = "visma://severa-watermarks/severa_default"
NARROW_KEY = "visma-sandbox-severa-key-narrow"
WEEK = timedelta(days=7)

CHANGES = {"contract": "IHourEntry", "operation": "GetHourEntriesChangedSince"}
HOURS = {
    "contract": "IHourEntry",
    "operation": "GetHourEntriesByDate",
    "arguments": {"businessUnitGUID": ""},
}
ALL_CASES = {"contract": "ICase", "operation": "GetAllCases", "arguments": {"businessUnitGUID": ""}}


class Task:
    """A task of a DAG: every execution is a new operator, and Airflow's stores are all it remembers.

    :ivar now: what the worker's clock says.
    """

    def __init__(self, destination: str, **arguments: Any) -> None:
        self.runs = TaskRuns()
        self.now = datetime(2026, 11, 20, 2, 0, 30, tzinfo=UTC)
        self._arguments = {"destination": destination, **arguments}

    def operator(self, **changes: Any) -> SeveraExportOperator:
        operator = SeveraExportOperator(task_id="export", **{**self._arguments, **changes})
        operator._now = lambda: self.now  # type: ignore[method-assign]
        return operator

    def run(self, run_id: str = "run-1", *, at: str | None = None, **changes: Any) -> dict[str, Any]:
        """Execute one try.

        :param at: what the clock says from then on, ``02:00:30`` or ``2026-11-21T02:00:30``.
        """
        if at is not None:
            text = at if "T" in at else f"{self.now:%Y-%m-%d}T{at}"
            self.now = datetime.fromisoformat(text).replace(tzinfo=UTC)
        operator = self.operator(**changes)
        context = self.runs.context(operator, run_id)
        context["data_interval_start"] = self.now
        self.last_context = context
        return operator.execute(context)

    @property
    def watermarks(self) -> dict[str, Any]:
        stored = self.runs.asset_state[WATERMARKS].values
        return {key: value for key, value in stored.items() if key.startswith("watermark:")}

    @property
    def watermark(self) -> str | None:
        """When the read began that the next one follows."""
        return next((value["read_at"] for value in self.watermarks.values()), None)


@pytest.fixture(autouse=True)
def _nothing_changed_yet(service: SandboxProcess) -> None:
    """Let the sandbox's own data be few, and older than the first run of every test."""
    # Its clock is ahead of all that these tests tell the worker's; the one about two clocks sets both.
    ahead = datetime(2027, 11, 20, tzinfo=UTC).timestamp() - time.time()
    service.settings(severa_today="2026-11-19", severa_hour_entries=300, clock_offset=ahead)


@pytest.fixture
def task(service: SandboxProcess, destination: str) -> Task:
    return Task(destination, **CHANGES)


@pytest.fixture
def hours(service: SandboxProcess, destination: str) -> Task:
    return Task(destination, **HOURS, window="2026-11-01/2026-11-30")


def change(service: SandboxProcess, at: str, guid: str | None = None, **values: Any) -> str:
    """Somebody changes an hour entry, or adds one; return its GUID."""
    at = at if "T" in at else f"2026-11-20T{at}"
    changed = service.change_severa("hour_entry", guid, changes=values, at=at)
    return str(changed["guid"])


def delete(service: SandboxProcess, guid: str) -> None:
    service.change_severa("hour_entry", guid, delete=True, at="2026-11-20T02:00:00")


def rows(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """What was published."""
    path = ObjectStoragePath(manifest["uri"]) / f"rows.{manifest['format']}"
    return list(read_rows(path, manifest["format"]))


def guids(manifest: dict[str, Any]) -> list[str]:
    return [row["GUID"] for row in rows(manifest)]


def asked(service: SandboxProcess, name: str = "startDate") -> list[str]:
    """From when each read asked."""
    entries = service.journal("severa", "*.Get*ChangedSince")
    return [entry["note"]["values"][name] for entry in entries]


def staged(tmp_path: Path) -> list[Path]:
    return list(tmp_path.rglob(".visma-staging-*"))


# What changed


def test_three_runs_lose_nothing_and_publish_nothing_twice(service: SandboxProcess, task: Task) -> None:
    first = task.run("run-1", at="02:00:30")
    assert (first["read"], first["rows"]) == ("everything", service.counts()["severa"]["hour_entries"])
    known = guids(first)

    # Within the overlap of the first run: before it, in its very minute, and after it.
    before = change(service, "01:59:10", Description="before, and seen late")
    in_minute = change(service, "02:00:40", known[0], Description="in the minute of the first run")
    after = change(service, "02:07:00", Description="after it")
    second = task.run("run-2", at="02:10:45")
    assert asked(service)[1].startswith("2026-11-20T01:58:00")
    assert sorted(guids(second)) == sorted([before, in_minute, after])

    # All of them come again in the overlap of the second run but only what changed again is published.
    later = change(service, "02:09:30", Description="seen late, too")
    change(service, "02:10:50", after, Description="changed again in the minute of the second run")
    third = task.run("run-3", at="02:11:20")
    assert asked(service)[2].startswith("2026-11-20T02:08:00")
    assert sorted(guids(third)) == sorted([later, after])
    assert next(row for row in rows(third) if row["GUID"] == after)["Description"].startswith("changed again")

    fourth = task.run("run-4", at="02:12:20")
    assert (fourth["rows"], fourth["received"], fourth["repeated"]) == (0, 2, 2)
    assert task.watermark == "2026-11-20T02:12:20+00:00"


@pytest.mark.parametrize("form", ["nil", "absent"])
def test_a_row_that_writes_its_nulls_in_another_way_is_still_the_same(
    service: SandboxProcess, task: Task, form: str
) -> None:
    task.run("run-1", at="02:00:30")
    change(service, "02:00:10", Description=None)
    task.run("run-2", at="02:00:40")
    service.settings(severa_nil_form=form)
    assert task.run("run-3", at="02:00:50")["rows"] == 0


@pytest.mark.parametrize(("sent", "requests"), [(100, 3), (150_000, 1)], ids=["at once", "after a row"])
def test_an_answer_that_breaks_off_publishes_nothing_and_the_retry_asks_the_same(
    service: SandboxProcess,
    task: Task,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sent: int,
    requests: int,
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    first = task.run("run-1", at="02:00:30")
    change(service, "02:05:00")
    change(service, "02:05:00", Description="long" * 50_000)
    service.inject("severa", "*.GetHourEntriesChangedSince", "truncated", count=None, keep=sent)
    with pytest.raises(VismaIncompleteAnswerError):
        task.run("run-2", at="02:10:00")
    assert len(asked(service)) == 1 + requests
    assert read_manifest(ObjectStoragePath(first["uri"].replace("run-1", "run-2"))) is None
    assert staged(tmp_path) == []
    assert task.watermark == first["started_at"]
    service.clear_faults()
    second = task.run("run-2", at="02:20:00")
    assert (second["rows"], second["asked"]) == (2, {"startDate": "2026-11-20T01:58:00+00:00"})
    assert task.watermark == second["started_at"]


def test_a_retry_after_publishing_but_before_the_watermark_publishes_the_same_again(
    service: SandboxProcess, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = task.run("run-1", at="02:00:30")
    changed = change(service, "02:05:00")
    with monkeypatch.context() as patch:
        patch.setattr(Watermark, "advance", _killed)
        with pytest.raises(KeyboardInterrupt):
            task.run("run-2", at="02:10:00")
    assert task.watermark == first["started_at"]
    second = task.run("run-2", at="02:12:00")
    assert guids(second) == [changed]
    assert task.watermark == second["started_at"]
    assert task.run("run-3", at="02:13:00")["rows"] == 0


def _killed(*_: Any, **__: Any) -> bool:
    raise KeyboardInterrupt


def test_a_run_that_is_repeated_after_later_ones_publishes_its_changes_and_turns_nothing_back(
    service: SandboxProcess, task: Task
) -> None:
    task.run("run-1", at="02:00:30")
    changed = change(service, "02:05:00", Quantity="1")
    task.run("run-2", at="02:10:00")
    third = task.run("run-3", at="03:10:00")
    for fresh in (False, True):
        if fresh:  # newer versions of Airflow forget a task's state when it is cleared
            task.runs = _without_task_state(task.runs)
        again = task.run("run-2", at="03:20:00")
        assert guids(again) == [changed]
        assert again["asked"] == {"startDate": "2026-11-20T01:58:00+00:00"}
    assert task.watermark == third["started_at"]


def _without_task_state(runs: TaskRuns) -> TaskRuns:
    fresh = TaskRuns()
    fresh.asset_state = runs.asset_state
    return fresh


def test_what_a_repeated_run_published_out_of_turn_is_not_taken_for_known(
    service: SandboxProcess, task: Task
) -> None:
    entry = change(service, "01:00:00", Quantity="1")
    task.run("run-1", at="02:00:30")
    task.run("run-2", at="02:10:00")
    change(service, "02:10:30", entry, Quantity="1")
    task.run("run-3", at="02:11:00")
    change(service, "02:11:30", entry, Quantity="2")
    assert rows(task.run("run-2", at="02:12:00"))[0]["GUID"] == entry
    change(service, "02:12:30", entry, Quantity="1")
    # As it was in run 3, but not as it was published last.
    assert guids(task.run("run-4", at="02:13:00")) == [entry]
    assert task.run("run-5", at="02:13:30")["rows"] == 0


def test_of_two_runs_at_once_the_later_one_does_not_overwrite_what_the_first_remembered(
    service: SandboxProcess, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    task.run("run-1", at="02:00:30")
    early = change(service, "02:05:00")
    landed: dict[str, dict[str, Any]] = {}
    advance = Watermark.advance

    def overtaken(self: Watermark, **arguments: Any) -> bool:
        if "run-3" not in landed:
            landed["run-3"] = {}
            late = change(service, "02:10:30")
            landed["run-3"] = task.run("run-3", at="02:11:00")
            assert sorted(guids(landed["run-3"])) == sorted([early, late])
        return advance(self, **arguments)

    monkeypatch.setattr(Watermark, "advance", overtaken)
    second = task.run("run-2", at="02:10:00")
    assert guids(second) == [early]
    assert task.watermark == landed["run-3"]["started_at"] == "2026-11-20T02:11:00+00:00"
    assert len(task.watermarks) == 1


def test_a_repeated_run_that_is_killed_while_it_publishes_does_not_hide_what_it_read(
    service: SandboxProcess, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    task.run("run-1", at="02:00:30")
    task.run("run-2", at="02:10:00")
    changed = change(service, "03:00:00")
    place = Publication._place

    def killed(self: Publication, file: StagedFile) -> None:
        if file.name == "rows.jsonl":
            raise KeyboardInterrupt
        place(self, file)

    with monkeypatch.context() as patch:
        patch.setattr(Publication, "_place", killed)
        with pytest.raises(KeyboardInterrupt):
            task.run("run-2", at="03:10:00")
    assert guids(task.run("run-3", at="04:00:00")) == [changed]


def test_a_clock_that_was_ahead_once_does_not_hide_changes_for_ever(
    service: SandboxProcess, task: Task
) -> None:
    task.run("run-1", at="2027-11-20T02:00:30")
    task.run("run-2", at="2026-11-21T02:00:30")
    changed = change(service, "2026-11-21T05:00:00")
    assert guids(task.run("run-3", at="2026-11-21T06:00:30")) == [changed]


def test_changes_since_a_moment_of_ones_own_leave_the_watermark_alone(
    service: SandboxProcess, task: Task
) -> None:
    first = task.run("run-1", at="02:00:30")
    entry = change(service, "02:01:00")
    own = task.run("run-2", at="02:10:00", changed_since="2026-11-20T02:00:00Z")
    assert (own["read"], guids(own), own["repeated"]) == ("changes", [entry], 0)
    assert task.watermark == first["started_at"]


@pytest.mark.parametrize("ahead", [timedelta(hours=3), timedelta(hours=-3)])
def test_a_workers_clock_that_is_wrong_loses_no_change(
    service: SandboxProcess, task: Task, ahead: timedelta
) -> None:
    now = datetime(2026, 11, 20, 2, 0, 30, tzinfo=UTC)
    service.settings(clock_offset=now.timestamp() - time.time())
    task.now = now + ahead
    task.run("night-1")
    changed = change(service, "02:30:00")
    service.settings(clock_offset=now.timestamp() + 24 * 3600 - time.time())
    task.now += timedelta(days=1)
    second = task.run("night-2")
    assert guids(second) == [changed]
    service.settings(clock_offset=now.timestamp() + 48 * 3600 - time.time())
    task.now += timedelta(days=1)
    assert guids(task.run("night-3")) == []


def test_what_the_export_was_before_does_not_count_for_what_it_is_now(
    service: SandboxProcess, task: Task
) -> None:
    task.run("run-1", at="02:00:30")
    narrower = task.run("run-2", at="02:10:00", fields="Quantity,EventDate")
    assert (narrower["read"], narrower["previous"]) == ("everything", None)
    assert set(narrower["header"]) == {"GUID", "Quantity", "EventDate"} == set(rows(narrower)[0])
    assert task.run("run-3", at="02:20:00", fields="Quantity,EventDate")["read"] == "changes"


def test_a_full_refresh_reads_everything_and_lists_what_is_gone(service: SandboxProcess, task: Task) -> None:
    first = task.run("run-1", at="02:00:30", full_refresh_every=WEEK)
    assert first["gone"] is None
    added = change(service, "02:05:00")
    kept = change(service, "02:06:00")
    task.run("run-2", at="2026-11-21T02:00:30", full_refresh_every=WEEK)
    victims = sorted([guids(first)[3], added])
    for guid in victims:
        delete(service, guid)
    delta = task.run("run-3", at="2026-11-22T02:00:30", full_refresh_every=WEEK)
    assert (delta["read"], delta["gone"]) == ("changes", None)
    full = task.run("run-4", at="2026-11-27T02:00:10", full_refresh_every=WEEK)
    assert (full["read"], full["rows"]) == ("everything", first["rows"])
    assert kept in guids(full)
    assert full["gone"] == {"rows": 2, "first": [{"GUID": guid} for guid in victims]}
    gone = (ObjectStoragePath(full["uri"]) / "gone.jsonl").read_text().splitlines()
    assert [json.loads(line)["GUID"] for line in gone] == victims
    again = task.run("run-5", at="2026-12-04T02:00:10", full_refresh_every=WEEK)
    assert again["gone"] == {"rows": 0, "first": []}


def test_a_full_refresh_by_hand_cannot_tell_what_is_gone_of_rows_it_did_not_keep(
    service: SandboxProcess, task: Task
) -> None:
    task.run("run-1", at="02:00:30")
    assert task.run("run-2", at="02:10:00", full_refresh="True")["gone"] == {"rows": 0, "first": []}
    task.run("run-3", at="02:20:00")
    assert task.run("run-4", at="02:30:00", full_refresh=True)["gone"] is None


def test_what_came_before_a_later_start_is_not_called_gone(service: SandboxProcess, task: Task) -> None:
    first = task.run("run-1", at="02:00:30", full_refresh_every=WEEK)
    added = change(service, "02:05:00")
    moved = {"initial_start": "2026-11-20", "full_refresh_every": WEEK}
    later = task.run("run-2", at="02:10:00", **moved, full_refresh=True, max_drop=0.0)
    assert (guids(later), later["gone"], later["previous"]) == ([added], None, None)
    delete(service, added)
    again = task.run("run-3", at="2026-11-27T02:10:00", **moved, max_drop=1.0)
    assert (again["rows"], again["gone"]) == (0, {"rows": 1, "first": [{"GUID": added}]})
    back = task.run("run-4", at="2026-11-27T02:20:00", full_refresh=True)
    assert (back["rows"], back["gone"]) == (first["rows"], {"rows": 0, "first": []})


@pytest.mark.parametrize(
    "damage",
    [
        Path.unlink,
        lambda index: index.write_bytes(b"\xff\tno index\n"),
        lambda index: index.write_bytes(index.read_bytes()[:-60]),
    ],
)
def test_an_index_that_was_removed_or_damaged_costs_repeats_and_not_the_run(
    service: SandboxProcess, task: Task, damage: Callable[[Path], Any]
) -> None:
    first = task.run("run-1", at="02:00:30", full_refresh_every=WEEK)
    change(service, "02:00:20")
    damage(Path(ObjectStoragePath(first["uri"]).path) / "index.tsv")
    second = task.run("run-2", at="02:00:50", full_refresh_every=WEEK)
    assert (second["rows"], second["repeated"]) == (1, 0)
    assert task.run("run-3", at="2026-11-28T02:00:30", full_refresh_every=WEEK)["gone"] is None


def test_an_index_that_cannot_be_read_now_is_not_one_that_is_not_there(
    service: SandboxProcess, task: Task
) -> None:
    first = task.run("run-1", at="02:00:30")
    index = Path(ObjectStoragePath(first["uri"]).path) / "index.tsv"
    index.unlink()
    index.mkdir()
    with pytest.raises(VismaStorageError, match="index of an earlier run"):
        task.run("run-2", at="02:10:00")
    assert len(asked(service)) == 1


# Windows and lists


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


# What keeps rows from being published


def test_far_fewer_rows_than_before_are_not_published(
    service: SandboxProcess, hours: Task, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = hours.run("run-1", max_drop=0.1)
    connection = service.connections()["severa_default"]
    monkeypatch.setenv("AIRFLOW_CONN_SEVERA_DEFAULT", json.dumps({**connection, "password": NARROW_KEY}))
    with pytest.raises(VismaGuardError, match=r"brought \d+; 10% .* API user's rights") as caught:
        hours.run("run-2", max_drop=0.1)
    assert "severa_default" in str(caught.value)
    assert read_manifest(ObjectStoragePath(first["uri"].replace("run-1", "run-2"))) is None
    assert staged(tmp_path) == []
    assert hours.watermarks[next(iter(hours.watermarks))]["reads"][0]["rows"] == first["rows"]
    accepted = hours.run("run-2", max_drop=0.1, on_drop="warn")
    assert 0 < accepted["rows"] < first["rows"] * 0.9
    assert accepted["previous"]["rows"] == first["rows"]
    assert hours.run("run-3", max_drop=0.1)["previous"]["rows"] == accepted["rows"]


def test_changes_are_not_compared_and_a_full_refresh_of_them_is(
    service: SandboxProcess, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = task.run("run-1", at="02:00:30", full_refresh_every=WEEK, max_drop=0.1)
    second = task.run("run-2", at="02:10:00", full_refresh_every=WEEK, max_drop=0.1)
    assert second["previous"] == {"uri": first["uri"], "rows": first["rows"], "comparable": False}
    connection = service.connections()["severa_default"]
    monkeypatch.setenv("AIRFLOW_CONN_SEVERA_DEFAULT", json.dumps({**connection, "password": NARROW_KEY}))
    with pytest.raises(VismaGuardError):
        task.run("run-3", at="2026-11-28T02:00:30", full_refresh_every=WEEK, max_drop=0.1)
    assert task.watermark == second["started_at"]


def test_a_new_version_of_the_entities_is_told_once(
    service: SandboxProcess, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    warnings: list[dict[str, Any]] = []
    first = task.run("run-1", at="02:00:30")
    service.settings(severa_entity_schema_version="2027.1")
    for run_id in ("run-2", "run-3"):
        operator = task.operator()
        monkeypatch.setattr(
            type(operator), "log", _Log(lambda _, values: warnings.append(values)), raising=False
        )
        manifest = operator.execute(task.runs.context(operator, run_id))
    assert [(each["before"], each["now"]) for each in warnings if "now" in each] == [
        (first["schema_version"], "2027.1")
    ]
    assert manifest["schema_version"] == "2027.1"
    assert len(service.journal("severa", "IAPI.GetEntitySchemaVersion")) == 3


class _Log:
    """A log that tells its warnings."""

    def __init__(self, warn: Callable[[str, dict[str, Any]], None]) -> None:
        self._warn = warn

    def warning(self, text: str, *_: Any, **values: Any) -> None:
        self._warn(text, values)

    def info(self, *_: Any, **__: Any) -> None:
        pass

    debug = error = info


def test_members_newer_than_the_wsdl_are_counted_and_left_out(service: SandboxProcess, task: Task) -> None:
    service.settings(severa_newer_members=True)
    manifest = task.run()
    assert manifest["unknown_members"]["CaseName"] == manifest["rows"]
    assert "CaseName" not in rows(manifest)[0]


def test_rows_that_cannot_be_read_are_not_published_unless_allowed(
    service: SandboxProcess, hours: Task, tmp_path: Path
) -> None:
    name = "*.GetHourEntriesByDate"
    service.inject("severa", name, "huge_text", count=None, element="IsBillable", size=9)
    with pytest.raises(VismaContentError, match=r"row 1: IsBillable is unreadable") as caught:
        hours.run()
    assert "A" * 9 not in str(caught.value)
    assert staged(tmp_path) == []
    first = hours.run(max_unreadable=1)
    assert (first["unreadable"], first["received"]) == (1, first["rows"])
    assert hours.run("run-2", max_unreadable=1)["gone"] is None


def test_rows_that_come_twice_in_one_answer_are_published_once(
    service: SandboxProcess, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = SeveraHook.rows

    def twice(self: SeveraHook, *names: str, **arguments: Any) -> Iterator[dict[str, Any]]:
        found = list(read(self, *names, **arguments))
        yield from found
        yield from found
        yield {**found[0], "Description": "changed while it was read"}

    count = service.counts()["severa"]["hour_entries"]
    monkeypatch.setattr(SeveraHook, "rows", twice)
    manifest = task.run()
    assert (manifest["received"], manifest["duplicates"], manifest["conflicting"]) == (
        2 * count + 1,
        count,
        1,
    )
    assert manifest["rows"] == count + 1
    assert rows(manifest)[-1]["Description"] == "changed while it was read", "who reads on takes the last"


def test_a_quota_that_is_used_up_tells_when_to_come_back(service: SandboxProcess, task: Task) -> None:
    first = task.run("run-1", at="02:00:30")
    assert first["quota"]["used"] > 0
    service.settings(severa_quota=1)
    with pytest.raises(VismaQuotaError) as caught:
        task.run("run-2", at="02:10:00")
    assert caught.value.retry_after is not None
    assert task.watermark == first["started_at"]


def test_a_destination_that_fails_leaves_the_watermark(
    service: SandboxProcess, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = task.run("run-1", at="02:00:30")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(VismaStorageError):
            task.run("run-2", at="02:10:00")
    assert task.watermark == first["started_at"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"file_format": "xml"}, "file format"),
        ({"on_drop": "shrug"}, "on_drop"),
        ({"max_drop": 2.0}, "max_drop"),
        ({"export_name": "../x"}, "name of an export"),
        ({"contract": "IHours"}, "IHours"),
        ({"operation": "GetHourEntriesChanged"}, "GetHourEntriesChanged"),
        ({"arguments": {"startDate": "2026-01-01"}}, "startDate is not yours"),
        ({"arguments": {"colour": "red"}}, "colour"),
        ({"window": "month"}, "no window"),
        ({"initial_start": "long ago"}, "initial_start"),
        ({"key": "Guid"}, "no Guid"),
        ({**HOURS}, "start to an end"),
        ({**HOURS, "window": "2026-11"}, "not a window"),
        ({**HOURS, "window": "month", "arguments": {"startdate": None}}, "both window and startdate"),
        ({**HOURS, "window": "month", "changed_since": "2026-11-01"}, "does not tell what changed"),
    ],
)
def test_what_is_wrong_with_the_arguments_is_said_before_anything_is_asked(
    service: SandboxProcess, task: Task, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(VismaRequestError, match=message):
        task.run(**arguments)
    assert service.journal("severa", "IHourEntry.*") == []


def test_bounds_among_the_arguments_are_the_authors_own(service: SandboxProcess, destination: str) -> None:
    arguments = {"businessUnitGUID": "", "startdate": None, "enddate": None}
    manifest = Task(destination, **{**HOURS, "arguments": arguments}).run()
    assert (manifest["read"], manifest["rows"]) == ("list", service.counts()["severa"]["hour_entries"])


# Tasks


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
    service.inject("severa", "*.GetHourEntriesChangedSince", "slow_body", bytes=2000, interval=0.05)
    process = get_context("fork").Process(target=task.run)
    process.start()
    deadline = time.monotonic() + 30
    while not any(each["bytes_sent"] for each in service.journal("severa", "*.GetHourEntriesChangedSince")):
        assert time.monotonic() < deadline
    process.join(0.3)
    assert staged(tmp_path)
    assert process.pid
    os.kill(process.pid, signal.SIGTERM)
    process.join(5)
    assert process.exitcode == 128 + signal.SIGTERM
    assert staged(tmp_path) == []
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_an_error_names_connection_and_operation(service: SandboxProcess, task: Task) -> None:
    service.settings(severa_addon=False)
    with pytest.raises(VismaError) as caught:
        task.run()
    assert "severa_default" in str(caught.value)
    assert "GetHourEntriesChangedSince" in str(caught.value)
