"""The import into Dialog against the sandbox: what arrives, and what is left alone."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from airflow_provider_visma.dialog_import.plan import Kind
from airflow_provider_visma.dialog_import.resources import RESOURCES
from airflow_provider_visma.exceptions import (
    VismaError,
    VismaGuardError,
    VismaIncompleteAnswerError,
)
from airflow_provider_visma.hooks.dialog import DialogHook
from airflow_provider_visma.operators.dialog import DialogImportOperator
from airflow_provider_visma.operators.nmbrs import NmbrsSnapshotOperator
from tests.integration.dialog_world import (
    PEOPLE,
    Import,
    change_user,
    names,
    person,
    planned,
    service,
    user_of,
    write,
)
from visma_sandbox.client import SandboxProcess


def test_a_first_import_creates_everybody_and_a_second_changes_nobody(
    dialog: SandboxProcess, run_import: Import, bulk: bool
) -> None:
    first = run_import(PEOPLE)
    second = run_import(PEOPLE)

    assert (first["created"], first["departments"], first["functions"]) == (40, 1, 1)
    assert (second["created"], second["updated"], second["unchanged"]) == (0, 0, 40)
    assert dialog.counts()["dialog"] == {
        "users": 40,
        "users_by_state": {"imported": 40},
        "departments": 1,
        "functions": 1,
    }
    assert ("Bulk" in {entry["operation"] for entry in dialog.journal("dialog")}) is bulk


def test_everybody_of_a_whole_organisation_arrives_as_it_counts_them_itself(
    dialog: SandboxProcess, tmp_path: Path
) -> None:
    snapshot = NmbrsSnapshotOperator(
        task_id="snapshot", destination=(tmp_path / "snapshot").as_uri()
    ).execute({})
    imported = DialogImportOperator(
        task_id="import", snapshot=snapshot, destination=(tmp_path / "import").as_uri()
    ).execute({})

    expected = dialog.counts()["nmbrs_to_dialog"]
    assert imported["employees"] == expected["employees"]
    assert imported["created"] == expected["importable"]
    assert imported["set_aside"] == expected["set_aside"]
    assert imported["unknown_functions"] == expected["users_with_global_function"] > 0
    assert (imported["departments"], imported["functions"]) == (
        expected["departments"],
        expected["functions"],
    )
    assert imported["conflicts"] == imported["refused"] == 0
    missing = json.loads((tmp_path / "import" / "missing.json").read_text())
    assert sum(missing["function"].values()) == imported["unknown_functions"]
    assert sum(missing["department"].values()) == imported["unknown_departments"]


def test_an_overnight_change_reaches_imported_users_and_no_others(
    dialog: SandboxProcess, run_import: Import, bulk: bool
) -> None:
    run_import(PEOPLE)
    dialog.move_user(1, "invited")
    dialog.move_user(2, "linked")

    changed = [
        dataclasses.replace(each, last_name="Anders", email_work=f"anders{each.employee_id}@example.com")
        for each in PEOPLE[:3]
    ]
    outcome = run_import([*changed, *PEOPLE[3:]])

    assert (outcome["updated"], outcome["frozen"], outcome["frozen_different"]) == (1, 2, 2)
    held = names(dialog)
    assert [held[number] for number in ("1", "2", "3")] == ["Nummer1", "Nummer2", "Anders"]


def test_somebody_who_left_stays_and_somebody_who_cannot_be_imported_is_reported(
    dialog: SandboxProcess, run_import: Import
) -> None:
    run_import(PEOPLE)

    outcome = run_import(
        [*PEOPLE[1:], person(50, email_work=None), person(51, email_work="persoon1@example.com")]
    )

    assert outcome["gone"] == 1
    assert outcome["set_aside"] == {
        "no_name": 0,
        "no_work_email": 1,
        "duplicate_email": 0,
        "email_in_use": 1,
    }
    assert run_import.lines("set_aside.jsonl") == [
        {"external_id": "50", "reason": "no_work_email"},
        {"external_id": "51", "reason": "email_in_use"},
    ]
    assert "1" in names(dialog)


def test_an_address_that_the_service_refuses_costs_one_user_and_not_the_import(
    dialog: SandboxProcess, run_import: Import, bulk: bool
) -> None:
    odd = [person(50, email_work="persoon50@intranet"), person(51, email_work="a..b@example.com")]

    outcome = run_import([*PEOPLE, *odd])

    assert (outcome["created"], outcome["refused"]) == (40, 2)
    assert {line["external_id"] for line in run_import.lines("not_delivered.jsonl")} == {"50", "51"}


def test_another_work_address_leaves_a_users_other_addresses_alone(
    dialog: SandboxProcess, run_import: Import, bulk: bool
) -> None:
    run_import(PEOPLE)
    at_home = {"type": "home", "value": "thuis@example.com"}
    bare, with_home = (user_of(dialog, number) for number in (1, 2))
    change_user(dialog, bare["id"], {"op": "remove", "path": "emails"})
    change_user(dialog, with_home["id"], {"op": "add", "path": "emails", "value": [at_home]})

    run_import([*PEOPLE[:1], person(2, email_work="nieuw@example.com"), *PEOPLE[2:]])

    work = {"type": "work", "primary": True}
    assert user_of(dialog, 1)["emails"] == [{**work, "value": "persoon1@example.com"}]
    assert user_of(dialog, 2)["emails"] == [{**work, "value": "nieuw@example.com"}, at_home]
    assert user_of(dialog, 2)["userName"] == "nieuw@example.com"


def test_a_dry_run_publishes_the_plan_and_sends_nothing(dialog: SandboxProcess, run_import: Import) -> None:
    outcome = run_import(PEOPLE, dry_run=True)

    assert outcome["created"] == 40
    assert (run_import.destination / "plan.txt").read_text().count("\n+ user ") == 40
    assert {entry["method"] for entry in dialog.journal("dialog")} == {"GET"}


def test_the_guard_stops_before_anything_is_written_and_leaves_the_plan(
    dialog: SandboxProcess, run_import: Import
) -> None:
    run_import(PEOPLE)
    dialog.clear_journal()

    with pytest.raises(VismaGuardError, match="40 of the 40 users"):
        run_import([dataclasses.replace(each, nickname="Anders") for each in PEOPLE])

    assert {entry["method"] for entry in dialog.journal("dialog")} == {"GET"}
    assert "~ user 1 given_name: Testpersoon -> Anders" in (run_import.destination / "plan.txt").read_text()
    with pytest.raises(VismaGuardError, match="no employee at all"):
        run_import([])


def test_the_guard_can_be_switched_off(dialog: SandboxProcess, run_import: Import) -> None:
    run_import(PEOPLE)

    outcome = run_import([dataclasses.replace(each, nickname="Anders") for each in PEOPLE], guard="off")

    assert outcome["updated"] == 40


def test_an_approval_lets_its_own_plan_through_and_not_another_one(
    dialog: SandboxProcess, run_import: Import
) -> None:
    run_import(PEOPLE)
    changed = [dataclasses.replace(each, nickname="Anders") for each in PEOPLE]
    plan = run_import(changed, dry_run=True)
    (file,) = (file for file in plan["files"] if file["uri"].endswith("plan.jsonl"))
    approved = {"asked": True, "approved_plan": {"uri": file["uri"], "sha256": file["sha256"]}}

    with pytest.raises(VismaGuardError):
        run_import([dataclasses.replace(each, last_name="Anders") for each in PEOPLE], approved=approved)
    assert run_import(changed, approved=approved)["updated"] == 40


def test_a_plan_file_changed_after_its_approval_is_refused(
    dialog: SandboxProcess, run_import: Import
) -> None:
    plan = run_import(PEOPLE, dry_run=True)
    (file,) = (file for file in plan["files"] if file["uri"].endswith("plan.jsonl"))

    with pytest.raises(VismaError, match="gone or not the one that was approved"):
        run_import(PEOPLE, approved={"approved_plan": {"uri": file["uri"], "sha256": "0" * 64}})


@pytest.mark.parametrize(("operations", "payload"), [(7, 4_000_000), (1000, 4_000), (1, 4_000_000)])
def test_bulk_requests_keep_to_the_limits_of_the_service(
    dialog: SandboxProcess, run_import: Import, operations: int, payload: int
) -> None:
    dialog.settings(dialog_bulk_max_operations=operations, dialog_bulk_max_payload_size=payload)

    assert run_import(PEOPLE)["created"] == 40

    sent = dialog.journal("dialog", "Bulk")
    assert len(sent) > 5
    assert max(entry["body_size"] for entry in sent) <= payload
    assert {entry["status"] for entry in sent} == {200}
    assert not dialog.journal("dialog", "Users.create")


@pytest.mark.parametrize("page_size", [1, 7, 40, 500])
def test_a_list_is_read_whole_whatever_size_its_pages_have(
    dialog: SandboxProcess, run_import: Import, page_size: int
) -> None:
    run_import(PEOPLE)
    dialog.settings(dialog_max_results=10)
    scim = service(dialog).scim

    found = list(scim.read_all(RESOURCES[Kind.USER], ["externalId"], page_size=page_size))

    assert sorted(int(user.external_id or 0) for user in found) == list(range(1, 41))


def test_a_list_that_changes_while_it_is_read_is_refused(dialog: SandboxProcess, run_import: Import) -> None:
    run_import(PEOPLE)
    reading = service(dialog).scim.read_all(RESOURCES[Kind.USER], ["externalId"], page_size=10)
    next(reading)
    of = service(dialog)
    write(of, planned(of, [*PEOPLE, person(99)]))

    with pytest.raises(VismaIncompleteAnswerError, match="total changed"):
        list(reading)


def test_the_connection_test_says_what_it_checked(dialog: SandboxProcess) -> None:
    assert DialogHook().test_connection() == (
        True,
        "SCIM service answers; users may be listed (there are none); all schemas present; bulk: yes,"
        " etags: yes, states and dates: yes, department names: yes, departments: yes, functions: yes",
    )


def test_the_connection_test_says_who_must_act_and_nothing_secret(dialog: SandboxProcess) -> None:
    dialog.inject("dialog", "*", "status", count=None, status=401, body="token visma-sandbox-dialog-token")

    good, said = DialogHook().test_connection()

    assert not good
    assert "HTTP 401" in said
    assert "visma-sandbox-dialog-token" not in said
