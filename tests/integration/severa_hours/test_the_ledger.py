"""Several runs with one file, and what the ledger keeps of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_provider_visma.exceptions import VismaContentError, VismaRequestError, VismaTransientError
from sandbox.tests.waiting import wait_until
from tests.integration.hour_uploads import ADD, Hours, Row, Task, as_counter, write_csv
from visma_sandbox.client import SandboxProcess


def test_of_two_runs_at_once_one_is_turned_away_until_the_other_has_ended(
    severa: SandboxProcess, hours: Hours, task: Task, rows: list[Row]
) -> None:
    severa.inject("severa", ADD, "act_then_hang", after=6)
    process = task.start("run-1", severa_conn_id="severa_patient")
    try:
        wait_until(lambda: hours.stored == 7)
        for states in ({"run-1": {"upload": "running"}}, {"run-1": {"upload": "up_for_retry"}}, {}):
            task.states = states  # type: ignore[assignment]
            with pytest.raises(VismaTransientError, match=r"a_dag\.upload of run run-1 is uploading"):
                task.run("run-2")
        assert hours.sent == 7
    finally:
        process.kill()
        process.wait()
    severa.clear_faults()
    with pytest.raises(VismaTransientError, match=r"run with take_over=True"):
        task.run("run-2")
    task.states = {"run-1": {"upload": "failed"}}
    assert task.run("run-2")["accepted"] == 12
    assert hours.rows == as_counter(rows)


def test_of_two_runs_that_begin_together_one_sends(hours: Hours, task: Task, rows: list[Row]) -> None:
    processes = [task.start(run_id) for run_id in ("run-1", "run-2")]
    ends = [process.wait() for process in processes]
    assert hours.rows == as_counter(rows)
    assert 0 in ends
    assert hours.sent == 12


def test_an_owner_of_whom_airflow_knows_nothing_is_replaced_only_when_a_person_says_so(
    severa: SandboxProcess, hours: Hours, task: Task, rows: list[Row]
) -> None:
    severa.inject("severa", ADD, "hang", after=6)
    process = task.start("run-1", severa_conn_id="severa_patient")
    wait_until(lambda: hours.sent == 7)
    process.kill()
    process.wait()
    severa.clear_faults()
    task.states = {}
    assert task.run("run-2", take_over="True")["accepted"] == 12
    assert hours.rows == as_counter(rows)


def test_a_process_that_was_taken_for_dead_and_wakes_up_sends_nothing_more(
    severa: SandboxProcess, hours: Hours, task: Task, rows: list[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if it slept for longer than a process goes on without looking whether the ledger is still its own.
    monkeypatch.setattr("airflow_provider_visma.upload_ledger.upload._OWNED_FOR", 0.0)
    severa.inject("severa", ADD, "act_then_hang", after=6)
    process = task.start("run-1", severa_conn_id="severa_patient")
    wait_until(lambda: hours.stored == 7)
    assert task.run("run-1")["accepted"] == 12  # the retry of the same task instance
    severa.clear_faults()  # the connection on which the first one waits is closed
    assert process.wait() == 1
    assert hours.rows == as_counter(rows)
    assert hours.sent == 12
    assert task.run("run-1")["sent"] == 0


@pytest.mark.parametrize("name", ["000001.intent.json", "000002.outcome-1.json", "000001.owner.json"])
def test_a_damaged_ledger_is_an_error_and_nothing_is_sent(
    hours: Hours, task: Task, destination: str, name: str
) -> None:
    task.run()
    (segment,) = Path(destination.removeprefix("file://")).glob(f"*/{name}")
    segment.write_bytes(segment.read_bytes()[:-7])
    with pytest.raises(VismaContentError, match=f"{name} of the ledger is damaged"):
        task.run()
    assert hours.sent == 12


@pytest.mark.parametrize("changes", [{"columns": {"Note": None}}, {"defaults": {"IsBillable": False}}])
def test_a_file_is_not_continued_as_something_else(hours: Hours, task: Task, changes: dict[str, Any]) -> None:
    task.run()
    with pytest.raises(VismaRequestError, match=f"with another {next(iter(changes))}"):
        task.run(**changes)
    assert hours.sent == 12


def test_a_file_with_a_wrong_mapping_may_be_given_another_one(
    hours: Hours, rows: list[Row], destination: str, tmp_path: Path
) -> None:
    renamed = [{"uren" if name == "Quantity" else name: value for name, value in row.items()} for row in rows]
    task = Task(destination, write_csv(tmp_path / "hours.csv", renamed))
    with pytest.raises(VismaRequestError, match="column 5 is not a member"):
        task.run()
    assert task.run(columns={"uren": "Quantity"})["accepted"] == 12
