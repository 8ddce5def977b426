"""Exports that read everything: what is gone, and an index that cannot be used."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_visma.exceptions import VismaStorageError
from tests.integration.severa_export.exporting import WEEK, Task, asked, change, delete, guids
from visma_sandbox.client import SandboxProcess


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
