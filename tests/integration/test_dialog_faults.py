"""The import into Dialog when things go wrong: nobody is doubled, nobody is lost, and nothing is said."""

from __future__ import annotations

import dataclasses
import json
import logging
import subprocess
import sys
import traceback
from typing import Any

import pytest

from airflow_provider_visma.dialog_import.plan import Kind
from airflow_provider_visma.dialog_import.writer import Outcome
from airflow_provider_visma.exceptions import (
    VismaAuthenticationError,
    VismaError,
    VismaPermissionError,
    VismaUnavailableError,
)
from sandbox.tests.waiting import wait_until
from tests.integration.dialog_world import (
    PEOPLE,
    Import,
    names,
    person,
    planned,
    raw,
    service,
    write,
)
from visma_sandbox.client import SandboxProcess

CANARY = "kanarie@geheim.example.com"
CANARIES = [
    person(1, email_work=CANARY, last_name="Kanarie"),
    person(2, email_work=f"tweede.{CANARY}", last_name="Kanarie"),
]


def test_a_run_that_breaks_off_half_way_is_completed_by_its_retry(
    dialog: SandboxProcess, run_import: Import
) -> None:
    dialog.settings(dialog_bulk=False)
    dialog.inject("dialog", "Users.create", "reset", count=None, after=15)

    with pytest.raises(VismaUnavailableError):
        run_import(PEOPLE)
    assert len(names(dialog)) == 15
    assert {line["outcome"] for line in run_import.lines("not_delivered.jsonl")} == {"failed", "not_sent"}

    dialog.clear_faults()
    assert run_import(PEOPLE)["created"] == 25
    assert sorted(map(int, names(dialog))) == list(range(1, 41))


def test_a_run_that_is_killed_with_answers_under_way_is_completed_by_its_retry(
    dialog: SandboxProcess, run_import: Import
) -> None:
    dialog.settings(dialog_bulk=False)
    snapshot = run_import(PEOPLE, dry_run=True)["snapshot"]
    dialog.inject("dialog", "Users.create", "act_then_hang", count=None, after=15)
    program = (
        "import sys; from airflow_provider_visma.operators.dialog import DialogImportOperator;"
        " DialogImportOperator(task_id='import', snapshot=sys.argv[1], destination=sys.argv[2]).execute({})"
    )
    destination = (run_import.folder / "killed").as_uri()

    with subprocess.Popen([sys.executable, "-c", program, snapshot, destination]) as worker:
        try:
            wait_until(lambda: len(names(dialog)) >= 23 or worker.poll() is not None)
            assert worker.poll() is None
        finally:
            worker.kill()
    assert len(names(dialog)) == 23  # 15 that were answered, and one for each of the 8 requests at once

    dialog.clear_faults()
    assert run_import(PEOPLE)["created"] == 17
    assert sorted(map(int, names(dialog))) == list(range(1, 41))


def test_a_service_that_is_down_is_not_asked_for_everybody(
    dialog: SandboxProcess, run_import: Import
) -> None:
    dialog.settings(dialog_bulk=False)
    dialog.inject("dialog", "Users.create", "status", count=None, status=503)

    with pytest.raises(VismaUnavailableError):
        run_import(PEOPLE)

    assert len(dialog.journal("dialog", "Users.create")) < 60


@pytest.mark.parametrize("kind", ["act_then_reset", "truncated", "reset_body"])
def test_an_answer_that_is_lost_after_the_deed_doubles_nobody(
    dialog: SandboxProcess, run_import: Import, bulk: bool, kind: str
) -> None:
    dialog.inject("dialog", "Bulk" if bulk else "Users.create", kind, count=3)

    outcome = run_import(PEOPLE)

    assert outcome["created"] == 40
    assert sorted(map(int, names(dialog))) == list(range(1, 41))
    assert (dialog.counts()["dialog"]["departments"], dialog.counts()["dialog"]["functions"]) == (1, 1)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_passing_fault_is_waited_out(
    dialog: SandboxProcess, run_import: Import, bulk: bool, status: int
) -> None:
    dialog.inject("dialog", "*", "status", count=2, after=5, status=status, retry_after=1)

    assert run_import(PEOPLE)["created"] == 40
    assert len(names(dialog)) == 40


def test_a_lost_answer_to_a_change_is_no_change_of_somebody_else(
    dialog: SandboxProcess, run_import: Import, bulk: bool
) -> None:
    run_import(PEOPLE)
    dialog.inject("dialog", "Bulk" if bulk else "Users.patch", "act_then_reset", count=1)

    outcome = run_import([person(1, last_name="Anders"), *PEOPLE[1:]])

    assert outcome["updated"] == 1
    assert names(dialog)["1"] == "Anders"


def test_a_user_who_is_invited_while_the_import_runs_is_left_alone(
    dialog: SandboxProcess, bulk: bool
) -> None:
    of = service(dialog)
    write(of, planned(of, PEOPLE))
    plan = planned(of, [dataclasses.replace(each, last_name="Anders") for each in PEOPLE])
    dialog.move_user(7, "invited")

    report = write(of, plan)

    assert report.counts[Outcome.FROZEN, Kind.USER] == 1
    assert report.counts[Outcome.UPDATED, Kind.USER] == 39
    assert names(dialog)["7"] == "Nummer7"


def test_an_address_taken_while_the_import_runs_is_a_conflict_and_the_rest_goes_on(
    dialog: SandboxProcess, bulk: bool
) -> None:
    of = service(dialog)
    plan = planned(of, PEOPLE)
    with raw(dialog) as client:
        client.post(
            "/Users",
            json={
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
                "userName": "persoon7@example.com",
                "externalId": "ander-systeem",
            },
        ).raise_for_status()

    report = write(of, plan)

    assert report.counts[Outcome.CREATED, Kind.USER] == 39
    (trouble,) = report.trouble
    assert (trouble.external_id, trouble.outcome, trouble.code) == ("7", Outcome.CONFLICT, "HTTP 409")


def test_a_user_created_by_a_lost_try_of_ours_is_not_a_conflict(dialog: SandboxProcess, bulk: bool) -> None:
    of = service(dialog)
    plan = planned(of, PEOPLE)
    write(of, plan)

    again = write(of, plan)

    assert again.counts[Outcome.CREATED, Kind.USER] == 40
    assert again.trouble == []
    assert len(names(dialog)) == 40


@pytest.mark.parametrize(("status", "kind"), [(401, VismaAuthenticationError), (403, VismaPermissionError)])
def test_who_is_not_let_in_or_may_not_write_stops_soon(
    dialog: SandboxProcess, run_import: Import, bulk: bool, status: int, kind: type[VismaError]
) -> None:
    for operation in ("Bulk", "*.create"):
        dialog.inject("dialog", operation, "status", count=None, status=status)

    with pytest.raises(kind):
        run_import(PEOPLE)

    assert len(dialog.journal("dialog", "Users.create")) + len(dialog.journal("dialog", "Bulk")) <= 16


def test_one_user_who_is_out_of_reach_does_not_hold_up_the_others(
    dialog: SandboxProcess, run_import: Import
) -> None:
    run_import(PEOPLE)
    dialog.settings(dialog_bulk=False)
    dialog.inject("dialog", "Users.patch", "status", status=403)

    outcome = run_import([dataclasses.replace(each, nickname="Anders") for each in PEOPLE[:8]] + PEOPLE[8:])

    assert (outcome["updated"], outcome["refused"]) == (7, 1)


@pytest.mark.parametrize(("kind", "status"), [("redirect", 302), ("status", 405), ("status", 501)])
def test_a_service_that_takes_no_change_at_all_fails_the_import_however_little_there_is_to_write(
    dialog: SandboxProcess, run_import: Import, bulk: bool, kind: str, status: int
) -> None:
    run_import(PEOPLE)
    for operation in ("Bulk", "Users.patch"):
        dialog.inject("dialog", operation, kind, count=None, status=status)

    with pytest.raises(VismaError):
        run_import([person(1, nickname="Anders"), *PEOPLE[1:]])


def test_a_token_that_may_read_only_fails_the_import_however_little_there_is_to_write(
    dialog: SandboxProcess, run_import: Import, bulk: bool
) -> None:
    run_import(PEOPLE)
    for operation in ("Bulk", "Users.patch"):
        dialog.inject("dialog", operation, "status", count=None, status=403)

    with pytest.raises(VismaPermissionError):
        run_import([person(1, nickname="Anders"), *PEOPLE[1:]])


FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("status", {"status": 400}),
    ("status", {"status": 401}),
    ("status", {"status": 404}),
    ("status", {"status": 409}),
    ("status", {"status": 412}),
    ("status", {"status": 413}),
    ("status", {"status": 429, "retry_after": 1}),
    ("status", {"status": 500}),
    ("html_error_page", {}),
    ("redirect", {}),
    ("reset", {}),
    ("act_then_reset", {}),
    ("truncated", {}),
    ("nul_byte", {}),
]


@pytest.mark.parametrize("operation", ["Users.list", "Users.create", "Bulk"])
@pytest.mark.parametrize(("kind", "arguments"), FAULTS, ids=lambda value: str(value))
def test_no_fault_brings_an_address_or_the_token_into_logs_results_or_errors(
    dialog: SandboxProcess,
    run_import: Import,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    operation: str,
    kind: str,
    arguments: dict[str, Any],
) -> None:
    dialog.settings(dialog_bulk=operation == "Bulk")
    run_import(CANARIES[:1])
    if kind == "status":
        body = json.dumps({"detail": f"{CANARY} is taken", "scimType": "uniqueness"})
        arguments = {**arguments, "body": body, "content_type": "application/scim+json"}
    dialog.inject("dialog", operation, kind, count=None, **arguments)
    caplog.set_level(logging.DEBUG)

    try:
        said = json.dumps(run_import(CANARIES))
    except VismaError as error:
        said = "".join(traceback.format_exception(error)) + repr(error)

    printed = capfd.readouterr()
    for secret in (CANARY, "Kanarie", "visma-sandbox-dialog-token"):
        assert secret not in said
        assert secret not in caplog.text
        assert secret not in printed.out + printed.err


@pytest.mark.parametrize(
    ("operation", "kind", "arguments"),
    [
        ("Users.patch", "changed_meanwhile", {}),
        ("Users.patch", "status", {"status": 412}),
        ("Users.patch", "status", {"status": 429}),
        ("Users.patch", "status", {"status": 500}),
    ],
)
def test_one_operation_of_a_bulk_request_that_fails_is_settled_by_itself(
    dialog: SandboxProcess, run_import: Import, operation: str, kind: str, arguments: dict[str, Any]
) -> None:
    run_import(PEOPLE)
    dialog.inject("dialog_bulk", operation, kind, count=2, **arguments)
    dialog.clear_journal()

    outcome = run_import([dataclasses.replace(each, last_name="Anders") for each in PEOPLE[:8]] + PEOPLE[8:])

    assert outcome["updated"] == 8
    assert list(names(dialog).values()).count("Anders") == 8
    assert len({entry["path"] for entry in dialog.journal("dialog", "Users.patch")}) == 2
