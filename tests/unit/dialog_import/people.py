"""Synthetic people as Nmbrs and as Dialog have them, and the plan that comes of them."""

from __future__ import annotations

import dataclasses
from datetime import date, datetime

from airflow_provider_visma.dialog_import.plan import Held, Kind, Plan
from airflow_provider_visma.dialog_import.planning import Content, make_plan
from airflow_provider_visma.dialog_import.rules import DebtorLists, EntryFields, UserFields
from airflow_provider_visma.nmbrs_records import (
    DebtorDepartment,
    DebtorFunction,
    EmployeeDepartment,
    EmployeeFunction,
    Employment,
    SnapshotEmployee,
)

DAY = date(2026, 11, 21)
LISTS = DebtorLists(
    departments=[DebtorDepartment(1, 901, 10, "Zorg"), DebtorDepartment(1, 902, 20, "Facilitair")],
    functions=[DebtorFunction(1, 501, 7, "Verpleegkundige"), DebtorFunction(1, 502, 8, "Kok")],
)


def employment(start: date | None, end: date | None = None, number: int = 1) -> Employment:
    return Employment(1, number, None, start, end)


def department(
    code: int, created: datetime | None = None, year: int = 2020, period: int = 1
) -> EmployeeDepartment:
    return EmployeeDepartment(1, code, created, year, period)


def function(
    number: int | None, created: datetime | None = None, year: int = 2020, period: int = 1
) -> EmployeeFunction:
    return EmployeeFunction(1, number, created, year, period)


def employee(number: int = 503293, **changes: object) -> SnapshotEmployee:
    person = SnapshotEmployee(
        employee_id=number,
        debtor_id=1,
        company_id=11,
        nickname="Testpersoon",
        last_name=f"Nummer{number}",
        email_work=f"persoon{number}@example.com",
        employments=(employment(date(2020, 1, 1)),),
        departments=(department(10),),
        functions=(function(501),),
    )
    return dataclasses.replace(person, **changes)  # type: ignore[arg-type]


def user(number: int = 503293, *, state: str | None = "imported", **changes: str | None) -> Held:
    """Return what Dialog holds after :func:`employee` was imported."""
    fields = UserFields(
        user_name=f"persoon{number}@example.com",
        given_name="Testpersoon",
        family_name=f"Nummer{number}",
        email=f"persoon{number}@example.com",
        start_date="2020-01-01",
        end_date=None,
        department="Zorg",
        department_code="10",
        function_id="501",
    )
    return Held(Kind.USER, f"d{number}", str(number), 'W/"1"', state, dataclasses.replace(fields, **changes))


def entry(kind: Kind, number: int, name: str) -> Held:
    return Held(kind, f"{kind}{number}", str(number), None, None, EntryFields(name))


HELD = Content(
    departments=(entry(Kind.DEPARTMENT, 10, "Zorg"), entry(Kind.DEPARTMENT, 20, "Facilitair")),
    functions=(entry(Kind.FUNCTION, 501, "Verpleegkundige"), entry(Kind.FUNCTION, 502, "Kok")),
)


def plan(*employees: SnapshotEmployee, users: tuple[Held, ...] = (), lists: DebtorLists = LISTS) -> Plan:
    return make_plan(employees, lists=lists, content=dataclasses.replace(HELD, users=users), day=DAY)
