"""What changes over time for a person: employee type, employments, department and function records.

Cases repeat exactly within every 40 consecutive people (one case = 2.5 %), each list on a track of its own.
Dates are fixed, not relative to today, so that tomorrow's import finds nobody changed: past is before
2026, "future" is 2035.

Employee types (the ids 2 and 4 are known, the rest of the table is not: :data:`EMPLOYEE_TYPES`):
    slots 0-3 out of service (10 %), 4 external, 5 new hire; all others are on the active payroll.
Employments of people on the active payroll:
    slot 0 none at all; 1 ended only; 2 one in future only; 3 ended, then one in future; 4-5 rehired (ended,
    then in force); 6 ended, in force, and one in future; 7-9 in force with an end date in 2035; others in
    force, open.
Department records:
    slot 0 no item; 1 empty list; 2 null CreationDate only; 3 null CreationDate beside a dated one; 4 two with
    equal CreationDate; 5 the newest record starts earlier (a correction); 6-11 two or three records; others
    one.
Function records:
    slot 0 no item; 1 newest is null; 2 newest has code 0; 3-4 newest is a global function; 5 a global
    function, then one of the debtor; 6 two with equal CreationDate; 7 null CreationDate beside a dated one; 8
    the newest starts earlier; 9-12 two records; others one.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

from visma_sandbox.people import Person
from visma_sandbox.structure import DEPARTMENTS_OF, FUNCTIONS_OF, GLOBAL_FUNCTIONS, Department, Function

ACTIVE_PAYROLL: Final = 2
OUT_OF_SERVICE: Final = 4
EXTERNAL: Final = 5
NEW_HIRE: Final = 6
EMPLOYEE_TYPES: Final = {
    1: "Applicant",
    ACTIVE_PAYROLL: "Active payroll",
    3: "Rejected applicant",
    OUT_OF_SERVICE: "Out of service",
    EXTERNAL: "External",
    NEW_HIRE: "New hire",
}
NO_FUNCTION: Final = Function(id=0, debtor_id=None, code=0, description="")
_FUTURE: Final = date(2035, 3, 1)


class Employment(NamedTuple):
    """One employment; ``end`` None is open-ended."""

    id: int
    created: datetime | None
    start: date | None
    end: date | None
    initial_start: date | None


class DepartmentRecord(NamedTuple):
    """A department held from a period on."""

    department: Department
    created: datetime | None
    start_year: int
    start_period: int


class FunctionRecord(NamedTuple):
    """A function held from a period on; ``function`` None is a record without one."""

    id: int
    function: Function | None
    created: datetime | None
    start_year: int
    start_period: int


def track(seed: int, index: int, *, step: int, shift: int) -> int:
    """The person's slot 0..39 on a track; tracks with another `step` and `shift` fall on other people."""
    return (index * step + index // 40 * shift + seed + shift) % 40


def base_type(seed: int, index: int) -> int:
    """The employee type before any change."""
    slot = track(seed, index, step=9, shift=23)
    if slot < 4:
        return OUT_OF_SERVICE
    return {4: EXTERNAL, 5: NEW_HIRE}.get(slot, ACTIVE_PAYROLL)


def base_employments(seed: int, person: Person, employee_type: int) -> tuple[Employment, ...]:
    """The employments before any change, oldest first."""
    first, base, created = person.initial_day, person.employee_id * 10, person.created
    rehired = date(2025, 1 + person.mix % 9, 1)
    ended = Employment(base, created, first, date(2024, 12, 31), first)
    if employee_type == OUT_OF_SERVICE:
        return (ended,)
    current = Employment(base, created, first, None, first)
    again = Employment(base + 1, created + timedelta(days=30), rehired, None, first)
    future = Employment(base + 2, created + timedelta(days=60), _FUTURE, None, first)
    slot = track(seed, person.position, step=7, shift=11)
    if employee_type == NEW_HIRE or slot == 2:
        return (future._replace(initial_start=_FUTURE),)
    match slot:
        case 0:
            return ()
        case 1:
            return (ended,)
        case 3:
            return ended, future
        case 4 | 5:
            return ended, again
        case 6:
            return ended, again._replace(end=date(2034, 12, 31)), future
        case 7 | 8 | 9:
            return (current._replace(end=date(2035, 1, 1 + person.mix % 28)),)
        case _:
            return (current,)


def base_departments(seed: int, person: Person, debtor_id: int) -> tuple[DepartmentRecord, ...] | None:
    """The department records before any change; None when Nmbrs lists no item for this person."""
    choices = DEPARTMENTS_OF[debtor_id]
    first, second = choices[(person.mix >> 36) % 12], choices[(person.mix >> 40) % 12]
    year, period, created = person.start_year, person.start_period, person.created
    later = created + timedelta(days=200)
    one = DepartmentRecord(first, created, year, period)
    two = DepartmentRecord(second, later, year + 1, period)
    match track(seed, person.position, step=3, shift=17):
        case 0:
            return None
        case 1:
            return ()
        case 2:
            return (one._replace(created=None),)
        case 3:
            return two._replace(created=None), one
        case 4:
            return one, two._replace(created=created)
        case 5:
            return one, two._replace(start_year=year - 1)
        case 6 | 7 | 8:
            return two, one
        case 9 | 10 | 11:
            return one, DepartmentRecord(choices[0], created + timedelta(days=90), year, period), two
        case _:
            return (one,)


def base_functions(seed: int, person: Person, debtor_id: int) -> tuple[FunctionRecord, ...] | None:
    """The function records before any change; None when Nmbrs lists no item for this person."""
    choices = FUNCTIONS_OF[debtor_id]
    first, second = choices[(person.mix >> 44) % 15], choices[(person.mix >> 48) % 15]
    shared = GLOBAL_FUNCTIONS[(person.mix >> 52) % 3]
    year, period, created, base = (
        person.start_year,
        person.start_period,
        person.created,
        person.employee_id * 10,
    )
    one = FunctionRecord(base, first, created, year, period)
    two = FunctionRecord(base + 1, second, created + timedelta(days=300), year + 1, period)
    match track(seed, person.position, step=11, shift=29):
        case 0:
            return None
        case 1:
            return one, two._replace(function=None)
        case 2:
            return one, two._replace(function=NO_FUNCTION)
        case 3 | 4:
            return two._replace(function=shared), one
        case 5:
            return one._replace(function=shared), two
        case 6:
            return one, two._replace(created=created)
        case 7:
            return two._replace(created=None), one
        case 8:
            return one, two._replace(start_year=year - 1)
        case 9 | 10 | 11 | 12:
            return one, two
        case _:
            return (one,)
