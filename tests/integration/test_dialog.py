"""The import into Dialog against the sandbox: what arrives, what is left alone, and what a fault leaves."""

from __future__ import annotations

import dataclasses
import json
import logging
import subprocess
import sys
import time
import traceback
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_visma.dialog_import import make_plan
from airflow_provider_visma.dialog_models import EXTENSIONS, RESOURCES, DialogUser
from airflow_provider_visma.dialog_plan import Kind, Plan
from airflow_provider_visma.dialog_rules import DebtorLists
from airflow_provider_visma.dialog_service import DialogService
from airflow_provider_visma.dialog_writer import DialogWriter, Outcome, WriteReport
from airflow_provider_visma.exceptions import (
    VismaAuthenticationError,
    VismaError,
    VismaGuardError,
    VismaIncompleteAnswerError,
    VismaPermissionError,
    VismaUnavailableError,
)
from airflow_provider_visma.hooks.dialog import DialogHook
from airflow_provider_visma.nmbrs_records import (
    DebtorDepartment,
    DebtorFunction,
    EmployeeDepartment,
    EmployeeFunction,
    Employment,
    SnapshotEmployee,
)
from airflow_provider_visma.operators.dialog import DialogImportOperator
from airflow_provider_visma.operators.nmbrs import NmbrsSnapshotOperator
from airflow_provider_visma.protocols.http import HttpLimits, build_client, httpx
from airflow_provider_visma.protocols.scim import ScimService
from airflow_provider_visma.storage import Publication, stage_jsonl
from visma_sandbox.client import SandboxProcess

DEPARTMENTS = [DebtorDepartment(1, 901, 10, "Zorg")]
FUNCTIONS = [DebtorFunction(1, 501, 7, "Kok")]
CANARY = "kanarie@geheim.example.com"


def person(number: int, **changes: Any) -> SnapshotEmployee:
    made = SnapshotEmployee(
        employee_id=number,
        debtor_id=1,
        company_id=1,
        nickname="Testpersoon",
        last_name=f"Nummer{number}",
        email_work=f"persoon{number}@example.com",
        employments=(Employment(number, 1, None, date(2020, 1, 1), None),),
        departments=(EmployeeDepartment(number, 10, None, 2020, 1),),
        functions=(EmployeeFunction(number, 501, None, 2020, 1),),
    )
    return dataclasses.replace(made, **changes)


CANARIES = [
    person(1, email_work=CANARY, last_name="Kanarie"),
    person(2, email_work=f"tweede.{CANARY}", last_name="Kanarie"),
]
PEOPLE = [person(number) for number in range(1, 41)]


@pytest.fixture
def dialog(sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> SandboxProcess:
    """Return the sandbox with an empty Dialog and no waiting between two tries."""
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    return sandbox


class Import:
    """Runs the operator on a snapshot of the people given."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs = 0

    def __call__(self, people: list[SnapshotEmployee], **options: Any) -> dict[str, Any]:
        self.runs += 1
        snapshot = (self.folder / f"snapshot{self.runs}").as_uri()
        with Publication(ObjectStoragePath(snapshot)) as publication:
            stage_jsonl(publication, "employees.jsonl", (each.to_json() for each in people))
            stage_jsonl(publication, "departments.jsonl", map(dataclasses.asdict, DEPARTMENTS))
            stage_jsonl(publication, "functions.jsonl", map(dataclasses.asdict, FUNCTIONS))
            publication.publish(
                {"kind": "nmbrs-snapshot", "read_at": "2026-11-21T01:00:00+00:00", "employees": len(people)}
            )
        self.destination = self.folder / f"import{self.runs}"
        operator = DialogImportOperator(
            task_id="import", snapshot=snapshot, destination=self.destination.as_uri(), **options
        )
        return operator.execute({})

    def lines(self, name: str) -> list[Any]:
        return [json.loads(line) for line in (self.destination / name).read_text().splitlines()]


@pytest.fixture
def run_import(tmp_path: Path) -> Import:
    return Import(tmp_path)


def raw(dialog: SandboxProcess) -> httpx.Client:
    """Return a client of Dialog's own staff, so to speak."""
    connection = dialog.connections()["dialog_default"]
    return httpx.Client(
        base_url=connection["host"], headers={"Authorization": f"Bearer {connection['password']}"}
    )


def set_state(dialog: SandboxProcess, employee_id: int, state: str) -> None:
    with raw(dialog) as client:
        found = client.get("/Users", params={"filter": f'externalId eq "{employee_id}"'}).json()["Resources"]
        operation = {"op": "replace", "path": f"{DialogUser.__schema__}:state", "value": state}
        body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [operation]}
        client.patch(f"/Users/{found[0]['id']}", json=body).raise_for_status()


def names(dialog: SandboxProcess) -> dict[str, str]:
    with raw(dialog) as client:
        users = client.get("/Users", params={"count": 1000}).json()["Resources"]
    return {user["externalId"]: user["name"]["familyName"] for user in users}


def service(dialog: SandboxProcess, *, read: float = 10.0) -> DialogService:
    connection = dialog.connections()["dialog_default"]
    client = build_client(
        connection["host"] + "/",
        headers={"Authorization": f"Bearer {connection['password']}"},
        limits=HttpLimits(read=read),
    )
    scim = ScimService(
        client, models=(*RESOURCES.values(), *EXTENSIONS), system="Dialog", sleep=lambda seconds: None
    )
    return DialogService(scim)


def planned(of: DialogService, people: list[SnapshotEmployee]) -> Plan:
    lists = DebtorLists(DEPARTMENTS, FUNCTIONS)
    return make_plan(people, lists=lists, content=of.content(), day=date(2026, 11, 21))


def write(of: DialogService, plan: Plan) -> WriteReport:
    return DialogWriter(of, max_concurrency=4, sleep=lambda seconds: None).write(plan.writes)


@pytest.fixture(params=[True, False], ids=["bulk", "single requests"])
def bulk(request: pytest.FixtureRequest, dialog: SandboxProcess) -> bool:
    dialog.settings(dialog_bulk=request.param)
    return bool(request.param)


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


def test_an_overnight_change_reaches_imported_users_and_no_others(
    dialog: SandboxProcess, run_import: Import, bulk: bool
) -> None:
    run_import(PEOPLE)
    set_state(dialog, 1, "invited")
    set_state(dialog, 2, "linked")

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

    with pytest.raises(VismaError, match="not the one that was approved"):
        run_import(PEOPLE, approved={"approved_plan": {"uri": file["uri"], "sha256": "0" * 64}})


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
        deadline = time.monotonic() + 60
        while len(names(dialog)) < 23 and time.monotonic() < deadline:
            assert worker.poll() is None
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
    dialog.inject("dialog", "Bulk" if bulk else "Users.modify", "act_then_reset", count=1)

    outcome = run_import([person(1, last_name="Anders"), *PEOPLE[1:]])

    assert outcome["updated"] == 1
    assert names(dialog)["1"] == "Anders"


def test_a_user_who_is_invited_while_the_import_runs_is_left_alone(
    dialog: SandboxProcess, bulk: bool
) -> None:
    of = service(dialog)
    write(of, planned(of, PEOPLE))
    plan = planned(of, [dataclasses.replace(each, last_name="Anders") for each in PEOPLE])
    set_state(dialog, 7, "invited")

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


@pytest.mark.parametrize(("status", "kind"), [(401, VismaAuthenticationError), (403, VismaPermissionError)])
def test_who_is_not_let_in_stops_at_once(
    dialog: SandboxProcess, run_import: Import, bulk: bool, status: int, kind: type[VismaError]
) -> None:
    dialog.inject("dialog", "Bulk" if bulk else "*.create", "status", count=None, status=status)

    with pytest.raises(kind):
        run_import(PEOPLE)

    assert len(dialog.journal("dialog", "*.create")) + len(dialog.journal("dialog", "Bulk")) <= 8


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
