"""Exports of what changed since the run before: no change is lost, and none comes twice."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_visma.exceptions import VismaIncompleteAnswerError
from airflow_provider_visma.export_assets import Watermark
from airflow_provider_visma.staged_file import StagedFile
from airflow_provider_visma.storage import Publication, read_manifest
from tests.integration.severa_export.exporting import Task, asked, change, guids, rows, staged
from tests.integration.task_context import TaskRuns
from visma_sandbox.client import SandboxProcess


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
