"""Rows from a file to Orbit, against the sandbox: killed, stopped, cut off; none is made twice."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_visma.exceptions import (
    VismaContentError,
    VismaUnknownOutcomeError,
)
from sandbox.tests.waiting import wait_until
from tests.integration.orbit_set.uploads import (
    NAMES,
    SET,
    Companies,
    Row,
    Task,
    read_csv,
)
from visma_sandbox.client import SandboxProcess

UNIQUE = {"look_up_by": "vatcode"}


# Killed


@pytest.mark.parametrize(
    ("fault", "sent"),
    [("act_then_hang", 1), ("act_then_hang", 5), ("act_then_hang", 6), ("act_then_hang", 12), ("hang", 6)],
)
def test_a_killed_upload_goes_on_and_makes_nothing_twice(
    orbit: SandboxProcess, companies: Companies, task: Task, fault: str, sent: int
) -> None:
    orbit.inject("orbit", SET, fault, after=sent - 1)
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
    orbit.inject("orbit", SET, fault, after=6)
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
    orbit.inject("orbit", SET, "act_then_hang", after=6)
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
        ("act_then_hang", 0, {}),
        ("act_then_hang", 7, {}),
        ("act_then_reset", 4, {}),
        ("truncated", 4, {}),
        ("wrong_status", 4, {"status": 502}),
        ("hang", 0, {}),
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
    orbit.inject("orbit", SET, "act_then_hang")
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
