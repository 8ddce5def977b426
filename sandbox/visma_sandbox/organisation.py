"""A synthetic organisation of any size: the same people for the same (employees, seed), computed when asked
for.

What must stay true: nothing here holds a person. Only changes made through the control endpoint are kept, as
small overrides by index, and everybody else is computed from seed and index each time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate, chain
from typing import Any

from visma_sandbox import structure
from visma_sandbox.careers import (
    ACTIVE_PAYROLL,
    OUT_OF_SERVICE,
    DepartmentRecord,
    Employment,
    FunctionRecord,
    base_departments,
    base_employments,
    base_functions,
    base_type,
)
from visma_sandbox.people import Person, index_of, make_person
from visma_sandbox.structure import Company

MAX_EMPLOYEES = 100_000
PERSONAL_FIELDS = frozenset({"email_work", "nickname", "last_name"})


class UnknownPersonError(ValueError):
    """No such employee, or a change that this organisation does not know."""


@dataclass(frozen=True, slots=True)
class Change:
    """What the control endpoint changed about one person since the start.

    :param personal: new values of :data:`PERSONAL_FIELDS`; None empties one.
    :param at: moment of the last change (UTC), for exports by change time.
    """

    at: datetime
    personal: Mapping[str, str | None] = field(default_factory=dict)
    employee_type: int | None = None
    left_on: date | None = None
    department_code: int | None = None
    function_id: int | None = None


class Organisation:
    """The people, companies and debtors behind Nmbrs and HRM.

    :param employees: how many people there are, former ones included, 0 to 100,000.
    :param seed: another seed gives other people; the shares of the messy cases stay.
    """

    def __init__(self, employees: int, seed: int = 1) -> None:
        if not 0 <= employees <= MAX_EMPLOYEES:
            raise ValueError(f"employees must be between 0 and {MAX_EMPLOYEES:,}, not {employees}")
        self.employees = employees
        self.seed = seed
        self.debtors = structure.DEBTORS
        self.companies = structure.COMPANIES
        self.departments = structure.DEPARTMENTS
        self.functions = structure.FUNCTIONS
        self.global_functions = structure.GLOBAL_FUNCTIONS
        self.cost_centers = structure.COST_CENTERS
        bounds = [
            employees * share // 100 for share in accumulate(company.share for company in self.companies)
        ]
        self._ranges = {
            company.id: range(start, stop)
            for company, start, stop in zip(self.companies, [0, *bounds], bounds, strict=False)
        }
        self._changes: dict[int, Change] = {}
        self._hires: dict[int, int] = {}

    # Who there is

    def indexes(self, company_id: int | None = None) -> Iterator[int]:
        """Indexes of everybody, or of a company; people hired through the control endpoint come last."""
        if company_id is None:
            return iter(range(self.employees + len(self._hires)))
        hired = [index for index, company in self._hires.items() if company == company_id]
        return chain(self._ranges.get(company_id, ()), hired)

    def __len__(self) -> int:
        return self.employees + len(self._hires)

    def find(self, employee_id: int) -> int | None:
        """The index of an EmployeeId, or None."""
        index = index_of(employee_id)
        return index if index is not None and index < len(self) else None

    def company_of(self, index: int) -> Company:
        """The company of the person at `index`."""
        if index in self._hires:
            return structure.COMPANY_BY_ID[self._hires[index]]
        for company_id, indexes in self._ranges.items():
            if index in indexes:
                return structure.COMPANY_BY_ID[company_id]
        raise UnknownPersonError(f"no person at index {index}")

    # What is known about a person

    def person(self, index: int, company: Company | None = None) -> Person:
        """Compute the person at `index`; `company`, when known, spares looking it up."""
        company = company or self.company_of(index)
        person = make_person(self.seed, index, company.id, self._ranges[company.id].start)
        change = self._changes.get(index)
        if change is None:
            return person
        personal: dict[str, Any] = dict(change.personal)
        return person._replace(**personal)

    def people(self, company_id: int | None = None) -> Iterator[Person]:
        """Everybody, or everybody of a company, one at a time."""
        companies = self.companies if company_id is None else (structure.COMPANY_BY_ID[company_id],)
        return (self.person(index, company) for company in companies for index in self.indexes(company.id))

    def employee_type(self, index: int) -> int:
        """The employee type by which ``List_GetByCompany`` filters."""
        change = self._changes.get(index)
        if change and change.employee_type is not None:
            return change.employee_type
        return self._first_type(index)

    def _first_type(self, index: int) -> int:
        return ACTIVE_PAYROLL if index in self._hires else base_type(self.seed, index)

    def employments(self, person: Person) -> tuple[Employment, ...]:
        """The person's employments, oldest first."""
        found = base_employments(self.seed, person, self._first_type(person.position))
        change = self._changes.get(person.position)
        if change is None or change.left_on is None:
            return found
        kept = [each for each in found if each.start is None or each.start <= change.left_on]
        return *kept[:-1], *(each._replace(end=change.left_on) for each in kept[-1:])

    def department_records(self, person: Person) -> tuple[DepartmentRecord, ...] | None:
        """The person's department history, in no particular order; None when not listed at all."""
        debtor_id = structure.COMPANY_BY_ID[person.company_id].debtor_id
        found = base_departments(self.seed, person, debtor_id)
        change = self._changes.get(person.position)
        if change and change.department_code is not None:
            moved = next(each for each in self.departments if each.code == change.department_code)
            at = _local(change.at)
            return *(found or ()), DepartmentRecord(moved, at, at.year, at.month)
        return found

    def function_records(self, person: Person) -> tuple[FunctionRecord, ...] | None:
        """The person's function history, in no particular order; None when not listed at all."""
        debtor_id = structure.COMPANY_BY_ID[person.company_id].debtor_id
        found = base_functions(self.seed, person, debtor_id)
        change = self._changes.get(person.position)
        if change and change.function_id is not None:
            known = (*self.functions, *self.global_functions)
            new = next(each for each in known if each.id == change.function_id)
            at = _local(change.at)
            return *(found or ()), FunctionRecord(person.employee_id * 10 + 9, new, at, at.year, at.month)
        return found

    def changed_at(self, person: Person) -> datetime:
        """When this person's record last changed (UTC): what an export by change time filters on."""
        change = self._changes.get(person.position)
        return change.at if change else person.created.replace(tzinfo=UTC) + timedelta(days=400)

    # What changes overnight

    def change_person(
        self, employee_id: int | None = None, *, changes: Mapping[str, Any], at: datetime | None = None
    ) -> int:
        """Change one person, or hire one when `employee_id` is None.

        :param changes: any of ``email_work``, ``nickname``, ``last_name`` (None empties), ``leave`` (last
            day, YYYY-MM-DD: the person becomes out of service), ``employee_type``, ``department_code``,
            ``function_id``; for a hire also ``company_id`` (default: the first company).
        :param at: moment of the change; now by default.
        :return: the EmployeeId.
        :raises UnknownPersonError: no such employee, or an unknown key, code or id.
        """
        wanted = dict(changes)
        company_id = int(wanted.pop("company_id", self.companies[0].id))
        index = len(self) if employee_id is None else self.find(employee_id)
        if index is None:
            raise UnknownPersonError(f"no employee has id {employee_id}")
        change = self._merge(self._changes.get(index), wanted, at or datetime.now(UTC))
        if employee_id is None:
            if company_id not in self._ranges:
                raise UnknownPersonError(f"no company has id {company_id}")
            self._hires[index] = company_id
        self._changes[index] = change
        return self.person(index).employee_id

    def _merge(self, earlier: Change | None, wanted: dict[str, Any], at: datetime) -> Change:
        change = replace(earlier, at=at) if earlier else Change(at=at)
        personal = {key: wanted.pop(key) for key in PERSONAL_FIELDS & wanted.keys()}
        change = replace(change, personal={**change.personal, **personal})
        if leave := wanted.pop("leave", None):
            change = replace(change, left_on=date.fromisoformat(leave), employee_type=OUT_OF_SERVICE)
        unknown = wanted.keys() - {"employee_type", "department_code", "function_id"}
        if unknown:
            raise UnknownPersonError(f"cannot change {', '.join(sorted(unknown))}")
        codes = {department.code for department in self.departments}
        ids = {function.id for function in (*self.functions, *self.global_functions)}
        if (
            wanted.get("department_code", min(codes)) not in codes
            or wanted.get("function_id", min(ids)) not in ids
        ):
            raise UnknownPersonError(f"unknown department or function: {wanted}")
        return replace(change, **wanted)

    def reset(self) -> None:
        """Forget every change, as the vendor's own sandbox does at midnight."""
        self._changes.clear()
        self._hires.clear()

    def counts(self) -> dict[str, Any]:
        """What an import by seed 003 should arrive at; see :func:`visma_sandbox.figures.expected_counts`."""
        from visma_sandbox.figures import expected_counts

        return expected_counts(self)


def _local(moment: datetime) -> datetime:
    """A record's CreationDate: wall time without an offset, as Nmbrs writes it."""
    return moment.replace(tzinfo=None, microsecond=moment.microsecond // 1000 * 1000)
