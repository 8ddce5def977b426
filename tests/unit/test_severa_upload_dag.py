"""Which files a run of severa_upload_hours takes: each one once, and none before it is whole."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import Asset

DAGS = Path(__file__).parents[2] / "dags"
ARRIVAL = "visma://severa-hours/arrived"
OLD, NEW = 3600.0, 0.0

Take = Callable[..., list[str]]


@pytest.fixture(scope="module")
def dag() -> Any:
    return DagBag(str(DAGS / "severa_upload_hours.py")).dags["severa_upload_hours"]


@pytest.fixture
def take(dag: Any, tmp_path: Path) -> Take:
    def run(run_id: str = "manual__2026-11-22T02:00:00+00:00", **given: Any) -> list[str]:
        announced = given.pop("announced", [])
        events = [SimpleNamespace(extra=extra) for extra in announced]
        taken: list[str] = dag.get_task("take").python_callable(
            params={"folder": tmp_path.as_uri(), "quiet_seconds": 60, "files": [], **given},
            run_id=run_id,
            triggering_asset_events={Asset(ARRIVAL): events} if events else {},
        )
        return taken

    return run


def arrive(folder: Path, name: str, *, age: float, text: str = "hours") -> Path:
    inbox = folder / "inbox"
    inbox.mkdir(exist_ok=True)
    file = inbox / name
    file.write_text(text)
    os.utime(file, (time.time() - age,) * 2)
    return file


def names(addresses: list[str]) -> list[str]:
    return [address.rpartition("/")[2] for address in addresses]


def test_it_waits_for_the_asset_and_for_the_clock(dag: Any) -> None:
    assert dag.timetable.asset_condition.uri == ARRIVAL
    assert dag.timetable.timetable.expression == "*/15 * * * *"
    assert dag.max_active_runs == 1


def test_without_an_inbox_there_is_nothing_to_take(take: Take) -> None:
    assert take() == []


def test_a_file_is_moved_to_the_runs_own_folder_and_belongs_to_that_run_alone(
    take: Take, tmp_path: Path
) -> None:
    arrive(tmp_path, "a.csv", age=OLD)

    (taken,) = take("manual__1+1")

    assert taken == f"file://{tmp_path}/taken/run_id=manual__1-1/a.csv"
    assert Path(taken.removeprefix("file://")).read_text() == "hours"
    assert take("manual__2") == []


def test_a_file_that_somebody_may_still_write_to_stays(take: Take, tmp_path: Path) -> None:
    arrive(tmp_path, "a.csv", age=NEW)
    arrive(tmp_path, "b.csv", age=OLD)

    assert names(take()) == ["b.csv"]
    assert [file.name for file in (tmp_path / "inbox").iterdir()] == ["a.csv"]


def test_a_file_that_an_event_names_is_taken_at_once(take: Take, tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv", "c.csv"):
        arrive(tmp_path, name, age=NEW)

    found = take(announced=[{"file": "a.csv"}, {}, {"file": "../c.csv"}, {"file": "b.csv"}])

    assert names(found) == ["a.csv", "b.csv"]


@pytest.mark.parametrize("name", [".hidden.csv", "_half.csv", "hours.csv.part", "hours.xlsx", "readme"])
def test_what_is_no_file_of_hours_stays(take: Take, tmp_path: Path, name: str) -> None:
    arrive(tmp_path, name, age=OLD)
    assert take() == []
    assert (tmp_path / "inbox" / name).exists()


def test_a_retry_returns_what_the_try_before_it_moved(take: Take, tmp_path: Path) -> None:
    arrive(tmp_path, "a.csv", age=OLD)
    take()
    arrive(tmp_path, "b.jsonl", age=OLD)

    assert names(take()) == ["a.csv", "b.jsonl"]


def test_another_file_of_the_same_name_never_takes_the_place_of_one_that_was_taken(
    take: Take, tmp_path: Path
) -> None:
    arrive(tmp_path, "a.csv", age=OLD, text="first")
    take("run-1")
    arrive(tmp_path, "a.csv", age=OLD, text="second")

    (kept,) = take("run-1")
    (next_one,) = take("run-2")

    assert Path(kept.removeprefix("file://")).read_text() == "first"
    assert Path(next_one.removeprefix("file://")).read_text() == "second"


def test_files_that_a_person_names_are_uploaded_in_place_of_the_inbox(take: Take, tmp_path: Path) -> None:
    arrive(tmp_path, "a.csv", age=OLD)
    assert take(files=["s3://hours/old.csv"]) == ["s3://hours/old.csv"]
    assert (tmp_path / "inbox" / "a.csv").exists()
