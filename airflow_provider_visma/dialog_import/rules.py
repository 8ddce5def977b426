"""Who becomes what in Dialog: the rules of Dialog's manual for one employee, and nothing else.

Plain functions of their arguments: no clock, no network, no Airflow. The same snapshot and day always
give the same answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Protocol, TypeVar

from airflow_provider_visma.nmbrs_records import (
    DebtorDepartment,
    DebtorFunction,
    Employment,
    SnapshotEmployee,
)


class SetAsideReason(StrEnum):
    """Why somebody cannot be imported. The first that applies is the one given."""

    LISTED_TWICE = "listed_twice"
    NO_NAME = "no_name"
    NO_WORK_EMAIL = "no_work_email"
    INVALID_EMAIL = "invalid_email"
    DUPLICATE_EMAIL = "duplicate_email"
    HELD_TWICE = "held_twice"
    EMAIL_IN_USE = "email_in_use"


SOURCE_REASONS = (SetAsideReason.NO_NAME, SetAsideReason.NO_WORK_EMAIL, SetAsideReason.DUPLICATE_EMAIL)
"""The reasons that every report has a number for, also where it is 0."""


@dataclass(frozen=True, slots=True)
class UserFields:
    """What Dialog keeps of a user; dates as ``YYYY-MM-DD``."""

    user_name: str | None
    given_name: str | None
    family_name: str | None
    email: str | None
    start_date: str | None
    end_date: str | None
    department: str | None
    department_code: str | None
    function_id: str | None


@dataclass(frozen=True, slots=True)
class EntryFields:
    """What Dialog keeps of a department or function."""

    display_name: str | None


@dataclass(frozen=True, slots=True)
class Candidate:
    """An employee as Dialog should know them.

    :param reason: why they cannot be imported; judged on the employee alone.
    :param unknown_function: function that the debtor's list lacks.
    :param unknown_department: department code that the debtor's list lacks.
    """

    employee_id: int
    fields: UserFields
    reason: SetAsideReason | None
    unknown_function: int | None
    unknown_department: int | None


class DebtorLists:
    """Departments and functions as each debtor defines them."""

    def __init__(
        self, departments: Iterable[DebtorDepartment] = (), functions: Iterable[DebtorFunction] = ()
    ) -> None:
        self._departments = {
            (item.debtor_id, item.code): _name_of(item.description, item.code)
            for item in departments
            if item.code
        }
        self._functions = {
            (item.debtor_id, item.id): _name_of(item.description, item.id) for item in functions if item.id
        }

    def department(self, debtor_id: int, code: int) -> str | None:
        """Return the department's name, or None where the debtor does not define it."""
        return self._departments.get((debtor_id, code))

    def knows_function(self, debtor_id: int, function_id: int) -> bool:
        """Tell whether the debtor defines the function."""
        return (debtor_id, function_id) in self._functions

    def distinct_departments(self) -> tuple[dict[str, EntryFields], tuple[str, ...]]:
        """Return the departments by code, and the codes that debtors describe differently."""
        return _distinct(self._departments)

    def distinct_functions(self) -> tuple[dict[str, EntryFields], tuple[str, ...]]:
        """Return the functions by id, and the ids that debtors describe differently."""
        return _distinct(self._functions)


def candidate(employee: SnapshotEmployee, *, lists: DebtorLists, day: date) -> Candidate:
    """Return *employee* as Dialog should know them on *day*.

    Dialog gets no department or function that it does not know itself: such a user is imported
    without it, and the missing one is named (seed: manual, 2.1).
    """
    given_name = _trimmed(employee.nickname)
    family_name = _trimmed(employee.last_name)
    email = _trimmed(employee.email_work)
    employment = employment_on(day, employee.employments)
    code = _number(newest(employee.departments), "code")
    department = lists.department(employee.debtor_id, code) if code else None
    function_id = _number(newest(employee.functions), "function_id")
    function_known = function_id is not None and lists.knows_function(employee.debtor_id, function_id)
    return Candidate(
        employee_id=employee.employee_id,
        fields=UserFields(
            user_name=email,
            given_name=given_name,
            family_name=family_name,
            email=email,
            start_date=_iso(employment.start_date) if employment else None,
            end_date=_iso(employment.end_date) if employment else None,
            department=department,
            department_code=str(code) if department is not None else None,
            function_id=str(function_id) if function_known else None,
        ),
        reason=_reason(given_name, family_name, email),
        unknown_function=None if function_known else function_id,
        unknown_department=code if department is None else None,
    )


def employment_on(day: date, employments: Sequence[Employment]) -> Employment | None:
    """Return the employment in force on *day*; else the next to start; else the last that ended."""
    in_force = [item for item in employments if _start(item) <= day <= _end(item)]
    if in_force:
        return max(in_force, key=lambda item: (_start(item), item.employment_id))
    coming = [item for item in employments if _start(item) > day]
    if coming:
        return min(coming, key=lambda item: (_start(item), -item.employment_id))
    return max(employments, key=lambda item: (_end(item), _start(item), item.employment_id), default=None)


class _Dated(Protocol):
    @property
    def creation_date(self) -> datetime | None: ...
    @property
    def start_year(self) -> int: ...
    @property
    def start_period(self) -> int: ...


DatedT = TypeVar("DatedT", bound=_Dated)


def newest(records: Sequence[DatedT]) -> DatedT | None:
    """Return the record with the newest CreationDate.

    A record without CreationDate is the oldest. Of equal ones the later (StartYear, StartPeriod) wins,
    then the last in Nmbrs' own order.
    """
    ranked = enumerate(records)
    best = max(
        ranked,
        key=lambda pair: (
            pair[1].creation_date or datetime.min,
            pair[1].start_year,
            pair[1].start_period,
            pair[0],
        ),
        default=None,
    )
    return best[1] if best else None


def email_key(email: str) -> str:
    """Return what two spellings of one address have in common."""
    return email.strip().casefold()


def _reason(given_name: str | None, family_name: str | None, email: str | None) -> SetAsideReason | None:
    if given_name is None or family_name is None:
        return SetAsideReason.NO_NAME
    if email is None:
        return SetAsideReason.NO_WORK_EMAIL
    local, at, domain = email.rpartition("@")
    # Only what no mail system could deliver, two addresses in one field among it: judging more than that
    # is the mail system's business.
    if not (local and at and domain) or any(sign.isspace() or sign in "<>,;" for sign in email):
        return SetAsideReason.INVALID_EMAIL
    return None


def _distinct(named: dict[tuple[int, int], str]) -> tuple[dict[str, EntryFields], tuple[str, ...]]:
    entries: dict[str, EntryFields] = {}
    ambiguous: dict[str, None] = {}
    for _debtor_id, number in sorted(named, key=lambda key: (key[1], key[0])):
        fields = EntryFields(display_name=named[_debtor_id, number])
        # The debtor with the lowest id names it, so that two runs never disagree.
        if entries.setdefault(str(number), fields) != fields:
            ambiguous[str(number)] = None
    return entries, tuple(ambiguous)


def _number(record: object | None, field: str) -> int | None:
    # Nmbrs writes "none" as an absent function as well as the number 0.
    return getattr(record, field, None) or None


def _name_of(description: str | None, number: int) -> str:
    return _trimmed(description) or str(number)


def _trimmed(text: str | None) -> str | None:
    return (text or "").strip() or None


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day else None


def _start(item: Employment) -> date:
    return item.start_date or date.min


def _end(item: Employment) -> date:
    return item.end_date or date.max
