"""Hours from a file to Severa, against the sandbox: killed and cut off, none is written twice."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from airflow_provider_visma.exceptions import VismaUnknownOutcomeError
from sandbox.tests.waiting import wait_until
from tests.integration.hour_uploads import ADD, NOWHERE, Hours, Row, Task, as_counter, write_csv
from visma_sandbox.client import SandboxProcess


def test_every_row_becomes_an_entry(hours: Hours, task: Task, rows: list[Row]) -> None:
    result = task.run()
    assert hours.rows == as_counter(rows)
    assert {**result, "ledger": ""} == {
        "rows": 12,
        "accepted": 12,
        "rejected": 0,
        "sent": 12,
        "ledger": "",
        "rejected_file": None,
    }


@pytest.mark.parametrize("file_format", ["jsonl", "parquet"])
def test_rows_come_from_other_files_too(
    hours: Hours, rows: list[Row], destination: str, tmp_path: Path, file_format: str
) -> None:
    path = tmp_path / f"hours.{file_format}"
    if file_format == "jsonl":
        typed = [{**row, "Quantity": 7.5, "IsBillable": True} for row in rows]
        path.write_text("".join(f"{json.dumps(row)}\n" for row in typed))
    else:
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    assert Task(destination, path).run()["accepted"] == 12
    assert hours.rows == as_counter(rows)


def test_neither_log_nor_xcom_says_anything_of_people(
    severa: SandboxProcess,
    rows: list[Row],
    destination: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    wrong = [*rows[:4], {**rows[4], "PhaseGUID": NOWHERE}, *rows[5:]]
    task = Task(destination, write_csv(tmp_path / "hours.csv", wrong))
    severa.inject("severa", ADD, "act_then_reset", after=2)
    told = json.dumps(task.run(max_rejected=1)) + "".join(capfd.readouterr())
    assert "Sent a batch" in told
    for value in {value for row in wrong for value in row.values() if len(value) > 5}:
        assert value not in told


def test_the_same_file_again_sends_nothing(hours: Hours, task: Task, rows: list[Row]) -> None:
    task.run()
    for run_id in ("run-1", "run-2"):
        assert task.run(run_id)["sent"] == 0
    assert (hours.sent, hours.rows) == (12, as_counter(rows))


@pytest.mark.parametrize(
    ("fault", "sent"),
    [("act_then_hang", 1), ("act_then_hang", 5), ("act_then_hang", 6), ("act_then_hang", 12), ("hang", 6)],
)
def test_a_killed_upload_goes_on_and_writes_nothing_twice(
    severa: SandboxProcess, hours: Hours, task: Task, rows: list[Row], fault: str, sent: int
) -> None:
    severa.inject("severa", ADD, fault, after=sent - 1)
    process = task.start(severa_conn_id="severa_patient")
    try:
        wait_until(lambda: hours.sent == sent and hours.stored == sent - (fault == "hang"))
    finally:
        process.kill()
    assert process.wait() == -signal.SIGKILL
    severa.clear_faults()
    assert task.run()["accepted"] == 12
    assert hours.rows == as_counter(rows)
    assert hours.sent == 12 + (fault == "hang")


def test_a_stopped_upload_notes_what_it_knows_before_it_ends(
    severa: SandboxProcess, hours: Hours, task: Task, rows: list[Row], destination: str
) -> None:
    severa.inject("severa", ADD, "act_then_hang", after=6)
    process = task.start(severa_conn_id="severa_patient")
    wait_until(lambda: hours.stored == 7)
    process.terminate()
    assert process.wait() == 128 + signal.SIGTERM
    assert not list(Path(destination.removeprefix("file://")).glob(".visma-staging-*"))
    severa.clear_faults()
    severa.clear_journal()
    assert task.run()["accepted"] == 12
    assert hours.sent == 5, "of the batch only the row without an answer was in doubt"
    assert hours.rows == as_counter(rows)


@pytest.mark.parametrize(
    ("fault", "after"),
    [("act_then_hang", 0), ("act_then_hang", 7), ("act_then_reset", 4), ("hang", 0), ("reset", 4)],
)
def test_a_row_without_an_answer_is_looked_up_and_not_sent_blindly(
    severa: SandboxProcess, hours: Hours, task: Task, rows: list[Row], fault: str, after: int
) -> None:
    severa.inject("severa", ADD, fault, after=after)
    assert task.run()["accepted"] == 12
    assert hours.rows == as_counter(rows)
    assert hours.sent == (12 if fault.startswith("act") else 13)


@pytest.mark.parametrize(
    "form", [{"severa_zone": "Z"}, {"severa_nil_form": "absent"}, {"severa_newer_members": True}]
)
def test_a_row_is_found_in_whatever_form_the_service_returns_it(
    severa: SandboxProcess, hours: Hours, task: Task, rows: list[Row], form: dict[str, Any]
) -> None:
    severa.settings(**form)
    severa.inject("severa", ADD, "act_then_reset", after=2, count=1)
    severa.inject("severa", ADD, "act_then_reset", after=4, count=1)
    assert task.run()["accepted"] == 12
    severa.settings(severa_zone="", severa_nil_form="nil", severa_newer_members=False)
    assert hours.rows == as_counter(rows)
    assert hours.sent == 12


def test_without_leave_to_ask_a_row_in_doubt_stops_the_upload_until_a_person_looked(
    severa: SandboxProcess, hours: Hours, task: Task, rows: list[Row]
) -> None:
    severa.inject("severa", ADD, "act_then_reset", after=3)
    for _ in range(2):
        with pytest.raises(VismaUnknownOutcomeError, match="row 4 may or may not have been carried out"):
            task.run(in_doubt="fail")
    assert hours.sent == 4
    guid = hours.added[-1]["GUID"]
    assert task.run(in_doubt="fail", settled=json.dumps({"4": guid}))["accepted"] == 12
    assert hours.rows == as_counter(rows)


def test_an_identical_entry_from_before_is_not_taken_for_the_row(
    severa: SandboxProcess, hours: Hours, task: Task, rows: list[Row], destination: str, tmp_path: Path
) -> None:
    Task(f"{destination}-other", write_csv(tmp_path / "other.csv", rows[:1])).run()
    severa.inject("severa", ADD, "hang")
    assert task.run()["accepted"] == 12
    assert hours.rows == as_counter([rows[0], *rows])
