"""The read operations of the manual, each with the fields it may read and the records it becomes.

The fields are an allow-list: what is not named here never becomes a Python value, the BSN first of all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Generic, TypeVar

from airflow_provider_visma.nmbrs_records import (
    Company,
    Debtor,
    DebtorDepartment,
    DebtorFunction,
    Employee,
    EmployeeDepartment,
    EmployeeFunction,
    Employment,
    PersonalInfo,
)

R = TypeVar("R")
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reading(Generic[R]):
    """How one operation is read.

    :param records: one row of the list to records.
    """

    service: str
    operation: str
    fields: tuple[str, ...]
    records: Callable[[Row], Iterable[R]]


def _debtor(row: Row) -> Iterator[Debtor]:
    yield Debtor(id=row["Id"], number=row.get("Number"), name=row.get("Name"))


def _company(row: Row) -> Iterator[Company]:
    yield Company(id=row["ID"], number=row["Number"], name=row.get("Name"))


def _employee(row: Row) -> Iterator[Employee]:
    yield Employee(id=row["Id"], number=row["Number"], display_name=row.get("DisplayName"))


def _personal_info(row: Row) -> tuple[PersonalInfo, ...]:
    records = _inner(row, "EmployeePersonalInfos", "PersonalInfo_V2")
    if not records:
        return ()
    # Where there is a history, the newest record counts, as it does for departments and functions.
    newest = records[0] if len(records) == 1 else max(records, key=_created)
    return (
        PersonalInfo(
            employee_id=row["EmployeeId"],
            nickname=newest.get("Nickname"),
            last_name=newest.get("LastName"),
            email_work=newest.get("EmailWork"),
        ),
    )


def _employments(row: Row) -> Iterator[Employment]:
    for record in _inner(row, "EmployeeEmployments", "Employment"):
        yield Employment(
            employee_id=row["EmployeeId"],
            employment_id=record["EmploymentId"],
            creation_date=_known(record["CreationDate"]),
            start_date=_day(record["StartDate"]),
            end_date=_day(record["EndDate"]),
        )


def _departments(row: Row) -> Iterator[EmployeeDepartment]:
    for record in _inner(row, "EmployeeDepartments", "Department_V2"):
        yield EmployeeDepartment(
            employee_id=row["EmployeeId"],
            code=record["Code"],
            creation_date=_known(record["CreationDate"]),
            start_year=record["StartYear"],
            start_period=record["StartPeriod"],
        )


def _functions(row: Row) -> Iterator[EmployeeFunction]:
    for record in _inner(row, "EmployeeFunctions", "EmployeeFunction"):
        function = record.get("Function") or {"Id": None, "Code": 0}
        yield EmployeeFunction(
            employee_id=row["EmployeeId"],
            # Nmbrs says "none" by leaving the function out, by nil, or by a code of 0.
            function_id=function["Id"] if function["Code"] else None,
            creation_date=_known(record["CreationDate"]),
            start_year=record["StartYear"],
            start_period=record["StartPeriod"],
        )


def _inner(row: Row, holder: str, name: str) -> list[Row]:
    found: list[Row] = (row.get(holder) or {}).get(name, [])
    return found


def _created(record: Row) -> datetime:
    return _known(record["CreationDate"]) or datetime.min


def _known(moment: datetime | None) -> datetime | None:
    # .NET writes an unset date as 0001-01-01. Nmbrs writes no offset; should one come all the same, it is
    # that of the wall clock, and moments with and without one could not be compared.
    return None if moment is None or moment.year == 1 else moment.replace(tzinfo=None)


def _day(moment: datetime | None) -> date | None:
    # A Dutch local date at midnight without an offset: its day is the day, in no time zone.
    return None if moment is None or moment.year == 1 else moment.date()


def _in(holder: str, *names: str) -> tuple[str, ...]:
    return ("EmployeeId", *(f"{holder}/{name}" for name in names))


DEBTORS = Reading("DebtorService", "List_GetAll", ("Id", "Number", "Name"), _debtor)
COMPANIES = Reading("CompanyService", "List_GetAll", ("ID", "Number", "Name"), _company)
COMPANIES_OF_DEBTOR = Reading("CompanyService", "List_GetByDebtor", ("ID", "Number", "Name"), _company)
EMPLOYEES = Reading("EmployeeService", "List_GetByCompany", ("Id", "Number", "DisplayName"), _employee)
_PERSONAL = _in("EmployeePersonalInfos/PersonalInfo_V2", "Nickname", "LastName", "EmailWork", "CreationDate")
PERSONAL_INFO = Reading(
    "EmployeeService", "PersonalInfo_GetAll_AllEmployeesByCompany", _PERSONAL, _personal_info
)
PERSONAL_INFO_WITHOUT_BSN = Reading(
    "EmployeeService", "PersonalInfoWithoutBSN_Get_GetAllEmployeesByCompany", _PERSONAL, _personal_info
)
EMPLOYMENTS = Reading(
    "EmployeeService",
    "Employment_GetAll_AllEmployeesByCompany",
    _in("EmployeeEmployments/Employment", "EmploymentId", "CreationDate", "StartDate", "EndDate"),
    _employments,
)
DEPARTMENTS = Reading(
    "EmployeeService",
    "Department_GetAll_AllEmployeesByCompany",
    _in("EmployeeDepartments/Department_V2", "Code", "CreationDate", "StartYear", "StartPeriod"),
    _departments,
)
FUNCTIONS = Reading(
    "EmployeeService",
    "Function_GetAll_AllEmployeesByCompany_V2",
    _in(
        "EmployeeFunctions/EmployeeFunction",
        "Function/Id",
        "Function/Code",
        "CreationDate",
        "StartYear",
        "StartPeriod",
    ),
    _functions,
)


def debtor_departments(debtor_id: int) -> Reading[DebtorDepartment]:
    """Return the reading of a debtor's departments."""

    def department(row: Row) -> Iterator[DebtorDepartment]:
        yield DebtorDepartment(debtor_id, row["Id"], row["Code"], row.get("Description"))

    return Reading("DebtorService", "Department_GetList", ("Id", "Code", "Description"), department)


def debtor_functions(debtor_id: int) -> Reading[DebtorFunction]:
    """Return the reading of a debtor's functions."""

    def function(row: Row) -> Iterator[DebtorFunction]:
        yield DebtorFunction(debtor_id, row["Id"], row["Code"], row.get("Description"))

    return Reading("DebtorService", "Function_GetList", ("Id", "Code", "Description"), function)
