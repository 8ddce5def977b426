"""Rows from a file to Orbit, against the sandbox: killed, cut off, refused; none is made twice."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from airflow_provider_visma.exceptions import (
    VismaAuthenticationError,
    VismaContentError,
    VismaNotFoundError,
    VismaRequestError,
    VismaUnknownOutcomeError,
)
from airflow_provider_visma.hooks import _orbit_settings
from tests.integration.orbit_sets import (
    SET,
    Companies,
    Row,
    Task,
    new_rows,
    read_csv,
    wait_until,
    write_csv,
    write_jsonl,
)
from tests.integration.orbit_world import Orbit, change_connection
from visma_sandbox.client import SandboxProcess

ROWS = new_rows(12)
NAMES = sorted(row["name"] for row in ROWS)
UNIQUE = {"look_up_by": "vatcode"}


@pytest.fixture
def orbit(sandbox: SandboxProcess, variables: None, monkeypatch: pytest.MonkeyPatch) -> SandboxProcess:
    """An Orbit that somebody has signed in to; a request without an answer is given up after a second."""
    world = Orbit(sandbox)
    world.sign_in()
    patient = sandbox.connections()["teamleader_orbit_default"]
    monkeypatch.setenv("AIRFLOW_CONN_ORBIT_PATIENT", json.dumps(patient))
    change_connection(monkeypatch, world, timeout=1)
    return sandbox


@pytest.fixture
def companies(orbit: SandboxProcess) -> Companies:
    return Companies(orbit)


@pytest.fixture
def task(orbit: SandboxProcess, destination: str, tmp_path: Path) -> Task:
    return Task(destination, write_csv(tmp_path / "companies.csv", ROWS))


@pytest.fixture
def changes(companies: Companies) -> list[Row]:
    """Rows that change twelve companies."""
    return [
        {"id": row_id, "city": f"Stad {number}"} for number, row_id in enumerate(list(companies.before)[:12])
    ]


@pytest.fixture
def change(changes: list[Row], destination: str, tmp_path: Path) -> Task:
    return Task(destination, write_csv(tmp_path / "changes.csv", changes))


def test_every_row_without_an_id_is_made(companies: Companies, task: Task) -> None:
    result = task.run()

    assert companies.names == NAMES
    assert {**result, "ledger": ""} == {
        "rows": 12,
        "accepted": 12,
        "rejected": 0,
        "sent": 12,
        "ledger": "",
        "rejected_file": None,
    }


def test_a_row_with_an_id_changes_what_it_says_and_empties_nothing(
    companies: Companies, destination: str, tmp_path: Path
) -> None:
    row_id, before = next(
        (key, row) for key, row in companies.before.items() if row["phone"] and row["email"]
    )
    rows = [{"id": row_id, "city": "Elders", "phone": "", "email": None}]

    Task(destination, write_jsonl(tmp_path / "changes.jsonl", rows)).run()

    after = companies.now(row_id)
    assert after == {**before, "city": "Elders", "updated_at": after["updated_at"]}
    assert companies.notes[0]["fields"] == ["city", "id"]
    assert companies.names == []


def test_values_arrive_with_the_types_that_orbit_wants(
    orbit: SandboxProcess, destination: str, tmp_path: Path
) -> None:
    rows = [
        {
            "name": "Vestiging",
            "enabled": "1",
            "porequired": "true",
            "custfields": '[{"name": "a", "value": 0.1}]',
        }
    ]
    Task(destination, write_csv(tmp_path / "entities.csv", rows), resource="entities").run()

    made = orbit.orbit_rows("entities")[-1]
    assert (made["enabled"], made["porequired"], made["custfields"]) == (
        1,
        True,
        [{"name": "a", "value": 0.1}],
    )


def test_rows_come_from_parquet_too(companies: Companies, destination: str, tmp_path: Path) -> None:
    path = tmp_path / "companies.parquet"
    rows = [{**row, "housenumber": number, "custfields": [{"name": "a"}]} for number, row in enumerate(ROWS)]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)

    assert Task(destination, path).run()["accepted"] == 12
    assert {row["housenumber"] for row in companies.made} == {str(number) for number in range(12)}


def test_the_same_file_again_sends_nothing(companies: Companies, task: Task) -> None:
    task.run()
    for run_id in ("run-1", "run-2"):
        assert task.run(run_id)["sent"] == 0
    assert (companies.sent, companies.names) == (12, NAMES)


def test_neither_log_nor_xcom_says_anything_of_the_rows(
    orbit: SandboxProcess, destination: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    wrong = [*ROWS[:4], {**ROWS[4], "vatcode": "NL-kanarie", "city": ""}, *ROWS[5:]]
    orbit.inject("orbit", SET, "status", status=400, after=3, body='{"errors": [{"title": "kanarie"}]}')
    task = Task(destination, write_csv(tmp_path / "companies.csv", wrong))

    told = json.dumps(task.run(max_rejected=1)) + "".join(capfd.readouterr())

    assert "Sent a batch" in told
    for value in ("kanarie", "Testdam", *NAMES):
        assert value not in told


# Killed


@pytest.mark.parametrize(
    ("fault", "sent"),
    [("act_then_hang", 1), ("act_then_hang", 5), ("act_then_hang", 6), ("act_then_hang", 12), ("hang", 6)],
)
def test_a_killed_upload_goes_on_and_makes_nothing_twice(
    orbit: SandboxProcess, companies: Companies, task: Task, fault: str, sent: int
) -> None:
    orbit.inject("orbit", SET, fault, after=sent - 1, seconds=60)
    process = task.start(orbit_conn_id="orbit_patient", **UNIQUE)
    try:
        wait_until(lambda: companies.sent == sent and companies.stored == sent - (fault == "hang"))
    finally:
        process.kill()
    assert process.wait() == -signal.SIGKILL
    orbit.clear_faults()

    assert task.run(**UNIQUE)["accepted"] == 12
    assert companies.names == NAMES
    assert companies.sent == 12 + (fault == "hang")


@pytest.mark.parametrize("fault", ["hang", "act_then_hang"])
def test_a_killed_upload_of_changes_sends_the_one_in_doubt_again(
    orbit: SandboxProcess, companies: Companies, change: Task, changes: list[Row], fault: str
) -> None:
    orbit.inject("orbit", SET, fault, after=6, seconds=60)
    process = change.start(orbit_conn_id="orbit_patient")
    try:
        wait_until(lambda: companies.sent == 7)
    finally:
        process.kill()
    assert process.wait() == -signal.SIGKILL
    orbit.clear_faults()

    assert change.run()["accepted"] == 12
    assert [companies.now(row["id"])["city"] for row in changes] == [row["city"] for row in changes]
    # Killed, it could say nothing of its second batch: of those five all are in doubt.
    assert companies.sent == 7 + 7
    assert companies.names == []


def test_a_stopped_upload_notes_what_it_knows_before_it_ends(
    orbit: SandboxProcess, companies: Companies, task: Task, destination: str
) -> None:
    orbit.inject("orbit", SET, "act_then_hang", after=6, seconds=60)
    process = task.start(orbit_conn_id="orbit_patient", **UNIQUE)
    wait_until(lambda: companies.stored == 7)
    process.terminate()
    assert process.wait() == 128 + signal.SIGTERM
    assert not list(Path(destination.removeprefix("file://")).glob(".visma-staging-*"))
    orbit.clear_faults()
    orbit.clear_journal()

    assert task.run(**UNIQUE)["accepted"] == 12
    assert companies.sent == 5, "of the batch only the row without an answer was in doubt"
    assert companies.names == NAMES


# Cut off


@pytest.mark.parametrize(
    ("fault", "after", "arguments"),
    [
        ("act_then_hang", 0, {"seconds": 60}),
        ("act_then_hang", 7, {"seconds": 60}),
        ("act_then_reset", 4, {}),
        ("truncated", 4, {}),
        ("wrong_status", 4, {"status": 502}),
        ("hang", 0, {"seconds": 60}),
        ("reset", 4, {}),
        ("status", 4, {"status": 503}),
    ],
)
def test_a_row_without_an_answer_is_looked_up_and_not_sent_blindly(
    orbit: SandboxProcess, companies: Companies, task: Task, fault: str, after: int, arguments: dict[str, Any]
) -> None:
    orbit.inject("orbit", SET, fault, after=after, **arguments)

    assert task.run(**UNIQUE)["accepted"] == 12
    assert companies.names == NAMES
    assert companies.sent == (12 if fault not in {"hang", "reset", "status"} else 13)


@pytest.mark.parametrize("fault", ["act_then_reset", "reset"])
def test_a_change_without_an_answer_is_sent_again(
    orbit: SandboxProcess, companies: Companies, change: Task, changes: list[Row], fault: str
) -> None:
    orbit.inject("orbit", SET, fault, after=3)

    assert change.run()["accepted"] == 12
    assert [companies.now(row["id"])["city"] for row in changes] == [row["city"] for row in changes]
    assert companies.sent == 13
    assert not orbit.journal("orbit", "*.list")


def test_without_a_field_to_look_by_a_row_in_doubt_waits_for_a_person(
    orbit: SandboxProcess, companies: Companies, task: Task
) -> None:
    orbit.inject("orbit", SET, "act_then_reset", after=3)
    for _ in range(2):
        with pytest.raises(VismaUnknownOutcomeError, match="row 4 may or may not have been carried out"):
            task.run()
    assert companies.sent == 4

    assert task.run(settled=json.dumps({"4": companies.made[-1]["id"]}))["accepted"] == 12
    assert companies.names == NAMES


def test_a_person_who_found_nothing_has_the_row_sent_again(
    orbit: SandboxProcess, companies: Companies, task: Task
) -> None:
    orbit.inject("orbit", SET, "reset", after=3)
    with pytest.raises(VismaUnknownOutcomeError):
        task.run()

    assert task.run(settled={4: None})["accepted"] == 12
    assert companies.names == NAMES


def test_two_rows_that_could_be_the_one_in_doubt_are_left_to_a_person(
    orbit: SandboxProcess, companies: Companies, task: Task
) -> None:
    orbit.inject("orbit", SET, "act_then_hang", seconds=60)
    process = task.start(orbit_conn_id="orbit_patient", **UNIQUE)
    try:
        wait_until(lambda: companies.stored == 1)
    finally:
        process.kill()
    process.wait()
    orbit.clear_faults()
    orbit.change_orbit("companies", changes={"name": "Nieuw 1", "vatcode": "NL1"})

    with pytest.raises(VismaUnknownOutcomeError, match="row 1 may"):
        task.run(**UNIQUE)
    assert companies.sent == 1


def test_a_row_that_is_there_already_is_rejected_and_not_made_again(
    orbit: SandboxProcess, companies: Companies, task: Task
) -> None:
    orbit.change_orbit("companies", changes={"name": "Van een ander", "vatcode": "NL3"})

    result = task.run(**UNIQUE, max_rejected=1)

    assert (result["accepted"], result["rejected"], result["sent"]) == (11, 1, 11)
    (told,) = read_csv(result["rejected_file"])
    assert (told["rejected_row"], told["rejected_code"]) == ("3", "exists")


def test_a_field_that_the_list_does_not_show_cannot_be_looked_up_by(companies: Companies, task: Task) -> None:
    with pytest.raises(VismaContentError, match="no row of the list shows extid"):
        task.run(look_up_by="extid", types={"extid": "text"}, columns={"vatcode": "extid"})
    assert companies.sent == 0


def test_an_answer_without_an_id_is_an_answer(
    orbit: SandboxProcess, companies: Companies, task: Task
) -> None:
    for answer in ("empty", "id"):
        orbit.settings(orbit_set_answer=answer)
        task.run()
    assert companies.names == NAMES


def test_a_server_that_is_down_ends_the_try_after_three_rows(
    orbit: SandboxProcess, companies: Companies, change: Task
) -> None:
    orbit.inject("orbit", SET, "status", status=502, count=6)
    with pytest.raises(Exception, match="3 rows in succession got no answer"):
        change.run()
    assert companies.sent == 6

    assert change.run()["accepted"] == 12


# Refused


@pytest.mark.parametrize("errors", ["json", "html"])
def test_a_rejected_row_is_told_with_its_reason_and_the_rest_goes_on(
    orbit: SandboxProcess, companies: Companies, destination: str, tmp_path: Path, errors: str
) -> None:
    orbit.settings(orbit_errors=errors)
    wrong = [*ROWS[:4], {**ROWS[4], "name": ""}, *ROWS[5:]]
    task = Task(destination, write_csv(tmp_path / "companies.csv", wrong))
    with pytest.raises(VismaRequestError, match="1 of 12 rows were rejected, 11 accepted; 0 may"):
        task.run()
    assert companies.names == sorted({*NAMES} - {"Nieuw 5"})

    result = task.run(max_rejected="1")
    assert (result["accepted"], result["rejected"], result["sent"]) == (11, 1, 1)
    (told,) = read_csv(result["rejected_file"])
    assert (told["rejected_row"], told["rejected_code"]) == ("5", "HTTP 400")
    assert ("name is needed" if errors == "json" else "400 Bad Request") in told["rejected_reason"]
    corrected = write_csv(tmp_path / "corrected.csv", [{**told, "name": "Nieuw 5"}])
    assert Task(destination, corrected).run()["accepted"] == 1
    assert companies.names == NAMES


def test_an_id_that_orbit_does_not_know_is_a_rejected_row(
    companies: Companies, changes: list[Row], destination: str, tmp_path: Path
) -> None:
    rows = [*changes[:2], {"id": "CPZZZZZZZZZZZZZ", "city": "Nergens"}]
    result = Task(destination, write_csv(tmp_path / "changes.csv", rows)).run(max_rejected=1)

    (told,) = read_csv(result["rejected_file"])
    assert (told["id"], told["rejected_code"]) == ("CPZZZZZZZZZZZZZ", "HTTP 404")


def test_a_resource_that_does_not_exist_stops_the_upload_at_its_first_row(
    orbit: SandboxProcess, task: Task
) -> None:
    with pytest.raises(VismaNotFoundError):
        task.run(resource="planets")
    assert len(orbit.journal("orbit", "unknown")) == 1


def test_no_row_is_sent_while_one_is_wrong_and_all_that_is_wrong_is_told(
    companies: Companies, destination: str, tmp_path: Path
) -> None:
    row_id = next(iter(companies.before))
    rows = [
        *({"id": "", **row} for row in ROWS),
        {"id": "Jansen", "name": "A", "city": "", "vatcode": ""},
        {"id": row_id, "name": "", "city": "", "vatcode": ""},
    ]
    with pytest.raises(VismaRequestError) as caught:
        Task(destination, write_csv(tmp_path / "companies.csv", rows)).run()

    message = str(caught.value)
    assert "row 13: id is no id of Orbit" in message
    assert "row 14: id stands alone" in message
    assert "Jansen" not in message
    assert companies.sent == 0
    (report,) = Path(destination.removeprefix("file://")).glob("*/problems/problems.csv")
    assert [line["row"] for line in read_csv(str(report))] == ["13", "14"]


def test_a_wait_that_orbit_asks_for_is_kept_and_the_row_sent_once_more(
    orbit: SandboxProcess, companies: Companies, task: Task
) -> None:
    orbit.inject("orbit", SET, "status", status=429, retry_after=2, after=5, count=2)

    assert task.run()["accepted"] == 12
    assert companies.names == NAMES


def test_an_access_token_that_ends_midway_is_renewed(
    orbit: SandboxProcess, companies: Companies, task: Task
) -> None:
    orbit.inject("orbit", SET, "expired_token", after=5)

    assert task.run()["accepted"] == 12
    assert companies.names == NAMES
    assert len(orbit.journal("orbit", "token")) == 1


def test_a_session_that_ended_stops_the_upload_and_the_next_try_goes_on(
    orbit: SandboxProcess, companies: Companies, task: Task
) -> None:
    orbit.inject("orbit", SET, "expired_token", after=5)
    orbit.inject("orbit", "token", "oauth_error", error="invalid_grant")
    with pytest.raises(VismaAuthenticationError):
        task.run()
    Orbit(orbit).sign_in()
    _orbit_settings._cached_source.cache_clear()  # the next try is another process

    assert task.run()["accepted"] == 12
    assert companies.names == NAMES


def test_the_same_file_is_not_sent_to_another_resource_by_mistake(companies: Companies, task: Task) -> None:
    task.run()
    with pytest.raises(VismaRequestError, match="uploaded before with another resource"):
        task.run(resource="entities")
