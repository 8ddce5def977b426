"""Hours from a file to Severa, against the sandbox: killed, cut off, refused; none is written twice."""

from __future__ import annotations

import json
import signal
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import fsspec
import pyarrow
import pyarrow.parquet
import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import attach

from airflow_provider_visma.exceptions import (
    VismaAuthenticationError,
    VismaContentError,
    VismaQuotaError,
    VismaRequestError,
    VismaStorageError,
    VismaTransientError,
    VismaUnknownOutcomeError,
)
from airflow_provider_visma.staged_file import StagedFile
from airflow_provider_visma.upload_ledger.ledger import Ledger
from tests.integration.hour_uploads import (
    ADD,
    Hours,
    Row,
    Task,
    as_counter,
    read_csv,
    wait_until,
    write_csv,
)
from visma_sandbox.client import SandboxProcess

NOWHERE = "5e7e4a00-ffff-4000-8000-00000000ffff"


@pytest.fixture
def severa(sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> SandboxProcess:
    """A sandbox that hears little of patience: a request without an answer is given up after a second."""
    sandbox.settings(severa_hour_entries=300)  # the tests read all of them, again and again
    connection = {**sandbox.connections()["severa_default"], "extra": {"timeout": 1}}
    monkeypatch.setenv("AIRFLOW_CONN_SEVERA_DEFAULT", json.dumps(connection))
    return sandbox


@pytest.fixture
def hours(severa: SandboxProcess) -> Hours:
    return Hours(severa)


@pytest.fixture
def rows(hours: Hours) -> list[Row]:
    return hours.patterns(12)


@pytest.fixture
def task(rows: list[Row], destination: str, tmp_path: Path) -> Task:
    return Task(destination, write_csv(tmp_path / "hours.csv", rows))


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


# Killed


@pytest.mark.parametrize(
    ("fault", "sent"),
    [("act_then_hang", 1), ("act_then_hang", 5), ("act_then_hang", 6), ("act_then_hang", 12), ("hang", 6)],
)
def test_a_killed_upload_goes_on_and_writes_nothing_twice(
    severa: SandboxProcess, hours: Hours, task: Task, rows: list[Row], fault: str, sent: int
) -> None:
    severa.inject("severa", ADD, fault, after=sent - 1, seconds=60)
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
    severa.inject("severa", ADD, "act_then_hang", after=6, seconds=60)
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


@pytest.fixture(autouse=True)
def patient_connection(severa: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that waits until its process is killed."""
    connection = severa.connections()["severa_default"]
    monkeypatch.setenv("AIRFLOW_CONN_SEVERA_PATIENT", json.dumps(connection))


# Cut off


@pytest.mark.parametrize(
    ("fault", "after"),
    [("act_then_hang", 0), ("act_then_hang", 7), ("act_then_reset", 4), ("hang", 0), ("reset", 4)],
)
def test_a_row_without_an_answer_is_looked_up_and_not_sent_blindly(
    severa: SandboxProcess, hours: Hours, task: Task, rows: list[Row], fault: str, after: int
) -> None:
    severa.inject("severa", ADD, fault, after=after, seconds=60)
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


# Refused


def test_a_rejected_row_is_told_with_its_reason_and_the_rest_goes_on(
    hours: Hours, rows: list[Row], destination: str, tmp_path: Path
) -> None:
    wrong = [*rows[:4], {**rows[4], "PhaseGUID": NOWHERE}, *rows[5:]]
    task = Task(destination, write_csv(tmp_path / "hours.csv", wrong))
    with pytest.raises(VismaRequestError, match="1 of 12 rows were rejected, 11 accepted; 0 may") as caught:
        task.run()
    assert NOWHERE not in str(caught.value)
    assert hours.rows == as_counter([*rows[:4], *rows[5:]])
    result = task.run(max_rejected="1")
    assert (result["accepted"], result["rejected"], result["sent"]) == (11, 1, 1)
    (told,) = read_csv(result["rejected_file"])
    assert {name: told[name] for name in rows[0]} == wrong[4]
    assert (told["rejected_row"], told["rejected_code"]) == ("5", "ValidationException")
    assert told["rejected_reason"] == "HourEntry.PhaseGUID: unknown", "the service's own words"
    corrected = write_csv(tmp_path / "corrected.csv", [{**told, "PhaseGUID": rows[4]["PhaseGUID"]}])
    assert Task(destination, corrected).run()["accepted"] == 1
    assert hours.rows == as_counter(rows)


def test_a_rejected_row_of_a_parquet_file_can_be_corrected_too(
    hours: Hours, rows: list[Row], destination: str, tmp_path: Path
) -> None:
    free = pyarrow.array([Decimal(0)] * 2, pyarrow.decimal128(38, 18))
    days = pyarrow.array([datetime.fromisoformat(rows[0]["EventDate"])] * 2, pyarrow.timestamp("us"))
    table = pyarrow.Table.from_pylist([{**rows[0], "PhaseGUID": NOWHERE}, rows[1]])
    table = table.set_column(table.column_names.index("EventDate"), "EventDate", days)
    path = tmp_path / "hours.parquet"
    pyarrow.parquet.write_table(table.append_column("UnitPrice", free), path)
    result = Task(destination, path).run(max_rejected=1)
    told = Path(result["rejected_file"].removeprefix("file://")).read_text()
    assert json.loads(told)["rejected_row"] == 1
    corrected = tmp_path / "corrected.jsonl"
    corrected.write_text(told.replace(NOWHERE, rows[0]["PhaseGUID"]))
    assert Task(destination, corrected).run()["accepted"] == 1
    assert hours.rows == as_counter(rows[:2])


def test_a_task_that_is_cleared_sends_what_was_rejected_once_more(
    severa: SandboxProcess, hours: Hours, task: Task, rows: list[Row]
) -> None:
    severa.settings(severa_denied_operations=[ADD])
    with pytest.raises(VismaRequestError, match="12 of 12 rows were rejected, 0 accepted"):
        task.run()
    assert hours.rows == as_counter([])
    severa.settings(severa_denied_operations=[])
    result = task.run()
    assert (result["accepted"], result["rejected"], result["rejected_file"]) == (12, 0, None)
    assert hours.rows == as_counter(rows)


def test_no_row_is_sent_while_one_is_wrong_and_all_that_is_wrong_is_told(
    severa: SandboxProcess, hours: Hours, rows: list[Row], destination: str, tmp_path: Path
) -> None:
    wrong = [*rows, {**rows[0], "Quantity": "7,5", "UserGUID": "Jansen"}, {**rows[0], "EventDate": ""}]
    with pytest.raises(VismaRequestError) as caught:
        Task(destination, write_csv(tmp_path / "hours.csv", wrong)).run()
    message = str(caught.value)
    assert "row 13: UserGUID is not a GUID" in message
    assert "row 13: Quantity needs a decimal point" in message
    assert "row 14: EventDate is empty" in message
    assert "Jansen" not in message
    assert severa.journal("severa", "IHourEntry.Get*") == severa.journal(
        "severa", "IHourEntry.GetHourEntriesByDate"
    )
    assert hours.sent == 0
    (report,) = Path(destination.removeprefix("file://")).glob("*/problems/problems.csv")
    assert [(line["row"], line["column"]) for line in read_csv(str(report))] == [
        ("13", "UserGUID"),
        ("13", "Quantity"),
        ("14", "EventDate"),
    ]


def test_a_message_names_a_hundred_problems_and_the_report_all(
    hours: Hours, rows: list[Row], destination: str, tmp_path: Path
) -> None:
    wrong = [{**rows[0], "Quantity": "0"} for _ in range(250)]
    with pytest.raises(VismaRequestError, match=r"row 100: .*; and 150 more"):
        Task(destination, write_csv(tmp_path / "hours.csv", wrong)).run()
    (report,) = Path(destination.removeprefix("file://")).glob("*/problems/problems.csv")
    assert len(read_csv(str(report))) == 250
    assert hours.sent == 0


def test_a_refused_key_stops_the_upload_at_once(
    severa: SandboxProcess, hours: Hours, task: Task, rows: list[Row]
) -> None:
    severa.inject("severa", ADD, "soap_fault", type="AuthenticationFailureException", after=5)
    with pytest.raises(VismaAuthenticationError):
        task.run()
    assert hours.sent == 6
    assert task.run()["accepted"] == 12
    assert hours.rows == as_counter(rows)
    assert hours.sent == 13


def test_the_quota_ends_a_try_and_the_next_goes_on(
    severa: SandboxProcess, hours: Hours, task: Task, rows: list[Row]
) -> None:
    severa.settings(severa_quota=1000, severa_used_quota=990)
    with pytest.raises(VismaQuotaError) as caught:
        task.run()
    assert caught.value.retry_after is not None
    assert 0 < caught.value.retry_after <= 24 * 3600
    severa.settings(severa_quota=100_000, severa_used_quota=0)
    stored = hours.stored
    assert 0 < stored < 12
    assert task.run()["sent"] == 12 - stored
    assert hours.rows == as_counter(rows)


# Two at once


def test_of_two_runs_at_once_one_is_turned_away_until_the_other_has_ended(
    severa: SandboxProcess, hours: Hours, task: Task, rows: list[Row]
) -> None:
    severa.inject("severa", ADD, "act_then_hang", after=6, seconds=60)
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
    severa.inject("severa", ADD, "hang", after=6, seconds=60)
    process = task.start("run-1", severa_conn_id="severa_patient")
    wait_until(lambda: hours.sent == 7)
    process.kill()
    process.wait()
    severa.clear_faults()
    task.states = {}
    assert task.run("run-2", take_over="True")["accepted"] == 12
    assert hours.rows == as_counter(rows)


def test_a_process_that_was_taken_for_dead_and_wakes_up_sends_nothing_more(
    severa: SandboxProcess, hours: Hours, task: Task, rows: list[Row]
) -> None:
    severa.inject("severa", ADD, "act_then_hang", after=6, seconds=6)
    process = task.start("run-1", severa_conn_id="severa_patient")
    wait_until(lambda: hours.stored == 7)
    assert task.run("run-1")["accepted"] == 12  # the retry of the same task instance
    assert process.wait() == 1
    assert hours.rows == as_counter(rows)
    assert hours.sent == 12
    assert task.run("run-1")["sent"] == 0


# The ledger


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


@pytest.fixture
def store() -> Iterator[str]:
    memory = fsspec.filesystem("memory")
    attach(protocol="memory", fs=memory)
    yield "memory://bucket"
    memory.rm("/bucket", recursive=True)


def test_file_and_ledger_may_be_in_an_object_store(
    severa: SandboxProcess,
    hours: Hours,
    rows: list[Row],
    store: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    local = write_csv(tmp_path / "hours.csv", [*rows[:11], {**rows[11], "PhaseGUID": NOWHERE}])
    source = ObjectStoragePath(f"{store}/in/hours.csv")
    source.fs.pipe_file(source.path, local.read_bytes())
    severa.inject("severa", ADD, "act_then_reset", after=6)
    severa.inject("severa", ADD, "soap_fault", type="AuthenticationFailureException", after=8)
    task = Task(f"{store}/ledger", source)
    with pytest.raises(VismaAuthenticationError):
        task.run()
    # Nothing goes to the system's own place for temporary files, which may be small.
    monkeypatch.setattr(tempfile, "tempdir", str(local))
    result = task.run(max_rejected=1, staging_dir=str(tmp_path / "staging"))
    assert (result["accepted"], result["rejected"]) == (11, 1)
    rejected = ObjectStoragePath(result["rejected_file"])
    assert NOWHERE.encode() in rejected.fs.cat_file(rejected.path)
    assert hours.rows == as_counter(rows[:11])


def test_a_file_that_is_still_being_written_is_left_for_a_retry(
    hours: Hours, task: Task, rows: list[Row], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "hours.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:5]))
    write = StagedFile.write

    def while_another_writes(staged: StagedFile, piece: bytes) -> None:
        write(staged, piece)
        path.write_text("".join(lines))

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(StagedFile, "write", while_another_writes)
        with pytest.raises(VismaTransientError, match="was written to while it was read"):
            task.run()
    assert hours.sent == 0
    task.run()
    assert hours.rows == as_counter(rows)


def test_a_task_that_outlives_its_sigterm_is_retried(
    hours: Hours, task: Task, rows: list[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    load = Ledger.load

    def load_and_lose_the_copy(ledger: Ledger, **arguments: Any) -> None:
        load(ledger, **arguments)
        for copy in Path(ledger.folder.parent.path).glob(".visma-staging-*/rows"):
            copy.unlink()

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(Ledger, "load", load_and_lose_the_copy)
        with pytest.raises(VismaStorageError, match="the private copy of the file is gone"):
            task.run()
    assert task.run()["accepted"] == 12
    assert hours.rows == as_counter(rows)


def test_a_missing_file_is_a_permanent_error(task: Task) -> None:
    with pytest.raises(VismaRequestError, match="there is no such file"):
        task.run(path="file:///nowhere/hours.csv")


def test_a_file_that_is_no_table_is_named_and_nothing_is_sent(
    hours: Hours, task: Task, rows: list[Row], tmp_path: Path
) -> None:
    path = tmp_path / "hours.csv"
    path.write_text(path.read_text() + "one,two\n")
    with pytest.raises(VismaRequestError, match=rf"file://{path}: row 13 has 2 values and the header 7"):
        task.run()
    assert hours.sent == 0


@pytest.mark.parametrize(
    "arguments",
    [
        {"in_doubt": "guess"},
        {"batch_size": 0},
        {"settled": {"first": None}},
        {"settled": "[1]"},
        {"max_rejected": "some"},
        {"columns": {"a": "Hours"}},
        {"file_format": "xls"},
    ],
)
def test_what_is_wrong_with_the_arguments_is_said_before_anything_is_written(
    task: Task, destination: str, arguments: dict[str, Any]
) -> None:
    with pytest.raises(VismaRequestError):
        task.run(**arguments)
    assert not Path(destination.removeprefix("file://")).exists()


def test_a_wait_is_kept_only_where_a_row_was_not_found(task: Task, severa: SandboxProcess) -> None:
    severa.inject("severa", ADD, "act_then_reset", after=2)
    assert task.run(settle_time=timedelta(days=1))["accepted"] == 12
