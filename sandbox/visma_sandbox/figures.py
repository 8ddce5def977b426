"""The sandbox's own account of what an import by seed 003 should arrive at.

Written from the contract alone, so that it can contradict an importer. The rules:

- The snapshot is everybody ``List_GetByCompany`` returns for employee type 2.
- Set aside, the first that applies: ``no_name`` (nickname or last name missing), ``no_work_email``,
  ``duplicate_email`` (used by two or more of the snapshot, compared trimmed and without case; all of them).
- Department and function: of the record with the newest CreationDate; equal ones by the later (StartYear,
  StartPeriod); a record without CreationDate counts as the oldest. A function that is null or has code 0 is
  none.
- Employment: in force on the day; else the next to start; else the last one ended. None is no reason to set
  aside.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from visma_sandbox.careers import ACTIVE_PAYROLL, DepartmentRecord, Employment, FunctionRecord
from visma_sandbox.people import Person

if TYPE_CHECKING:
    from visma_sandbox.organisation import Organisation

REASONS = ("no_name", "no_work_email", "duplicate_email")
_Record = TypeVar("_Record", DepartmentRecord, FunctionRecord)


@dataclass(frozen=True, slots=True)
class ExpectedUser:
    """One person of the snapshot, with the fields an import should give them.

    :param set_aside: why the person cannot be imported, or None.
    :param function_id: the current function, also when it is a global one that no debtor lists.
    """

    employee_id: int
    nickname: str | None
    last_name: str | None
    email_work: str | None
    set_aside: str | None
    start: date | None
    end: date | None
    department_code: int | None
    function_id: int | None
    function_is_global: bool


def snapshot(organisation: Organisation) -> Iterator[Person]:
    """The people on the active payroll, company by company."""
    return (p for p in organisation.people() if organisation.employee_type(p.position) == ACTIVE_PAYROLL)


def expected_users(organisation: Organisation, day: date) -> Iterator[ExpectedUser]:
    """Everybody of the snapshot, as an import on `day` should see them."""
    shared = _shared_emails(organisation)
    known = {function.id for function in organisation.functions}
    for person in snapshot(organisation):
        employment = employment_for(organisation.employments(person), day)
        department = newest(organisation.department_records(person) or ())
        record = newest(organisation.function_records(person) or ())
        function = record.function if record and record.function and record.function.code else None
        yield ExpectedUser(
            employee_id=person.employee_id,
            nickname=person.nickname,
            last_name=person.last_name,
            email_work=(person.email_work or "").strip() or None,
            set_aside=_reason(person, shared),
            start=employment.start if employment else None,
            end=employment.end if employment else None,
            department_code=department.department.code if department else None,
            function_id=function.id if function else None,
            function_is_global=function is not None and function.id not in known,
        )


def expected_counts(organisation: Organisation) -> dict[str, Any]:
    """Count :func:`expected_users` by what becomes of them.

    :return: ``employees`` (the snapshot), ``importable``, ``set_aside`` by reason, ``departments``,
        ``functions``, ``debtors``, ``companies``, and of the importable: ``users_with_global_function``,
        ``users_without_function``, ``users_without_department``.
    """
    reasons: Counter[str] = Counter(dict.fromkeys(REASONS, 0))
    totals: Counter[str] = Counter()
    for user in expected_users(organisation, date.max):
        totals["employees"] += 1
        if user.set_aside:
            reasons[user.set_aside] += 1
            continue
        totals["importable"] += 1
        totals["users_with_global_function"] += user.function_is_global
        totals["users_without_function"] += user.function_id is None
        totals["users_without_department"] += user.department_code is None
    names = ("users_with_global_function", "users_without_function", "users_without_department")
    return {
        "employees": totals["employees"],
        "importable": totals["importable"],
        "set_aside": dict(reasons),
        "departments": len({department.code for department in organisation.departments}),
        "functions": len({function.id for function in organisation.functions}),
        "debtors": len(organisation.debtors),
        "companies": len(organisation.companies),
        **{name: totals[name] for name in names},
    }


def employment_for(employments: Sequence[Employment], day: date) -> Employment | None:
    """The employment in force on `day`; else the next to start; else the last one ended."""
    dated = [(each.start or date.min, each.end or date.max, each) for each in employments]
    in_force = [each for start, end, each in dated if start <= day <= end]
    if in_force:
        return max(in_force, key=lambda each: each.start or date.min)
    coming = [each for start, _, each in dated if start > day]
    if coming:
        return min(coming, key=lambda each: each.start or date.min)
    return max(employments, key=lambda each: each.end or date.max, default=None)


def newest(records: Sequence[_Record]) -> _Record | None:
    """The record with the newest CreationDate; equal ones by the later start; null is oldest."""
    return max(
        records,
        key=lambda each: (each.created or datetime.min, each.start_year, each.start_period),
        default=None,
    )


def _shared_emails(organisation: Organisation) -> set[int]:
    """Hashes of the e-mails used more than once: a large organisation is counted in little memory."""
    once: set[int] = set()
    more: set[int] = set()
    for person in snapshot(organisation):
        if email := _normal(person):
            key = hash(email)
            (more if key in once else once).add(key)
    return more


def _reason(person: Person, shared: set[int]) -> str | None:
    if not (person.nickname or "").strip() or not (person.last_name or "").strip():
        return "no_name"
    email = _normal(person)
    if not email:
        return "no_work_email"
    return "duplicate_email" if hash(email) in shared else None


def _normal(person: Person) -> str:
    return (person.email_work or "").strip().casefold()
