"""A small organisation, its import into the sandbox's Dialog, and what Dialog's own staff see and do."""

from __future__ import annotations

import dataclasses
import json
from datetime import date
from pathlib import Path
from typing import Any

from airflow.sdk import ObjectStoragePath

from airflow_provider_visma.dialog_import.plan import Plan
from airflow_provider_visma.dialog_import.planning import make_plan
from airflow_provider_visma.dialog_import.resources import EXTENSIONS, RESOURCES
from airflow_provider_visma.dialog_import.rules import DebtorLists
from airflow_provider_visma.dialog_import.service import DialogService
from airflow_provider_visma.dialog_import.writer import DialogWriter, WriteReport
from airflow_provider_visma.nmbrs_records import (
    DebtorDepartment,
    DebtorFunction,
    EmployeeDepartment,
    EmployeeFunction,
    Employment,
    SnapshotEmployee,
)
from airflow_provider_visma.operators.dialog import DialogImportOperator
from airflow_provider_visma.protocols.http import build_client, httpx
from airflow_provider_visma.protocols.scim import ScimService
from airflow_provider_visma.storage import Publication, stage_jsonl
from visma_sandbox.client import SandboxProcess

DEPARTMENTS = [DebtorDepartment(1, 901, 10, "Zorg")]
FUNCTIONS = [DebtorFunction(1, 501, 7, "Kok")]


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


PEOPLE = [person(number) for number in range(1, 41)]


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


def raw(dialog: SandboxProcess) -> httpx.Client:
    """Return a client of Dialog's own staff, so to speak."""
    connection = dialog.connections()["dialog_default"]
    return httpx.Client(
        base_url=connection["host"], headers={"Authorization": f"Bearer {connection['password']}"}
    )


def names(dialog: SandboxProcess) -> dict[str, str]:
    with raw(dialog) as client:
        users = client.get("/Users", params={"count": 1000}).json()["Resources"]
    return {user["externalId"]: user["name"]["familyName"] for user in users}


def user_of(dialog: SandboxProcess, number: int) -> dict[str, Any]:
    with raw(dialog) as client:
        (found,) = client.get("/Users", params={"filter": f'externalId eq "{number}"'}).json()["Resources"]
    return dict(found)


def change_user(dialog: SandboxProcess, identifier: str, operation: dict[str, Any]) -> None:
    message = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [operation]}
    with raw(dialog) as client:
        client.patch(f"/Users/{identifier}", json=message).raise_for_status()


def service(dialog: SandboxProcess) -> DialogService:
    connection = dialog.connections()["dialog_default"]
    client = build_client(
        connection["host"] + "/",
        headers={"Authorization": f"Bearer {connection['password']}"},
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
