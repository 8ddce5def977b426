"""Reading a snapshot of Nmbrs: everybody of the chosen companies, joined by employee.

An employee of whom anything could not be read is left out whole and reported; half an employee would
look like one whose data was taken away.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, product
from typing import Any, Protocol, TypeVar

from airflow_provider_visma.exceptions import VismaContentError, VismaNotFoundError, VismaPermissionError
from airflow_provider_visma.hooks.nmbrs import NmbrsHook
from airflow_provider_visma.nmbrs_records import DebtorDepartment, DebtorFunction, SnapshotEmployee
from airflow_provider_visma.protocols.soap import ReadReport

_MAY_NOT_CALL = "1002"

T = TypeVar("T")


class _OfEmployee(Protocol):
    @property
    def employee_id(self) -> int: ...


@dataclass(slots=True)
class Snapshot:
    """What was read.

    :param employees: in order of their ids.
    :param unreadable: what was left out: operation, employee's id, field.
    :param unknown: elements that the WSDL does not know, with how often they came.
    """

    debtor_ids: list[int]
    company_ids: list[int]
    departments: list[DebtorDepartment]
    functions: list[DebtorFunction]
    employees: list[SnapshotEmployee] = field(default_factory=list)
    unreadable: list[dict[str, Any]] = field(default_factory=list)
    unknown: Counter[str] = field(default_factory=Counter)

    def note(self, operation: str, report: ReadReport) -> None:
        """Take over what a reader noticed.

        :raises VismaContentError: nobody knows whose the unreadable rows are: one has no id, or there are
            more than it lists.
        """
        if report.unreadable_rows > len(report.unreadable) or any(
            row.key is None for row in report.unreadable
        ):
            raise VismaContentError(
                f"{report.unreadable_rows} rows cannot be read, and not of all it is known whose they are",
                system="Nmbrs",
                operation=operation,
            )
        self.unknown.update(report.unknown)
        self.unreadable += [
            {"operation": operation, "employee_id": row.key, "field": row.field, "reason": row.reason}
            for row in report.unreadable
        ]


class SnapshotReader:
    """Reads one snapshot through *hook*, several calls at a time.

    :param debtor_ids: debtors to read; None for all that the API user may see.
    :param company_ids: companies to read; None for all of those debtors.
    :param employee_types: whom to read; None for everybody, former employees too.
    """

    def __init__(
        self,
        hook: NmbrsHook,
        *,
        debtor_ids: Iterable[int] | None = None,
        company_ids: Iterable[int] | None = None,
        employee_types: Iterable[int] | None = None,
    ) -> None:
        self._hook = hook
        self._debtor_ids = debtor_ids
        self._company_ids = company_ids
        self._employee_types = None if employee_types is None else tuple(employee_types)

    def read(self) -> Snapshot:
        """Read everything.

        :raises VismaNotFoundError: a debtor or company asked for is not there, or not for this API user.
        :raises VismaPermissionError: nothing tells which debtor a company belongs to.
        """
        hook = self._hook
        visible = [debtor.id for debtor in hook.debtors()]
        debtor_ids = _chosen("debtor", self._debtor_ids, visible)
        # All debtors' functions, even of those not asked for: they may have to tell companies apart.
        functions = self._of_each(hook.debtor_functions, visible)
        debtor_of = self._debtor_of_companies(visible, functions)
        companies = [company for company, debtor in debtor_of.items() if debtor in debtor_ids]
        snapshot = Snapshot(
            debtor_ids=debtor_ids,
            company_ids=_chosen("company", self._company_ids, companies),
            departments=self._of_each(hook.debtor_departments, debtor_ids),
            functions=[function for function in functions if function.debtor_id in debtor_ids],
        )
        employees = {employee.employee_id: employee for employee in self._employees(snapshot, debtor_of)}
        for problem in snapshot.unreadable:
            employees.pop(problem["employee_id"], None)
        snapshot.employees = [employees[employee_id] for employee_id in sorted(employees)]
        return snapshot

    def _of_each(self, reader: Callable[[int], Iterator[T]], ids: Iterable[int]) -> list[T]:
        tasks = [partial(self._hook.whole, partial(_listed, reader, one)) for one in ids]
        return list(chain.from_iterable(self._hook.concurrently(tasks)))

    def _debtor_of_companies(self, debtor_ids: list[int], functions: list[DebtorFunction]) -> dict[int, int]:
        """Return the debtor of each company, by the company's id."""
        hook = self._hook
        if len(debtor_ids) == 1:
            return {company.id: debtor_ids[0] for company in hook.companies()}
        try:
            return {company.id: debtor for debtor in debtor_ids for company in hook.companies(debtor)}
        except VismaPermissionError as error:
            if error.code != _MAY_NOT_CALL:
                raise
        found = {company.id: self._debtor_by_functions(company.id, functions) for company in hook.companies()}
        return {company_id: debtor for company_id, debtor in found.items() if debtor is not None}

    def _debtor_by_functions(self, company_id: int, functions: list[DebtorFunction]) -> int | None:
        """Return the debtor whose functions the company's employees have, None where there is nobody.

        The manual does not have List_GetByDebtor opened, and List_GetAll does not name the debtor. The id
        of a function is unique, so employees who have one give their debtor away.
        """
        used = {function.function_id for function in self._hook.functions(company_id)}
        owners = {function.debtor_id for function in functions if function.id in used}
        if not owners and next(self._hook.personal_info(company_id), None) is None:
            return None
        if len(owners) != 1:
            raise VismaPermissionError(
                f"nothing tells which debtor company {company_id} belongs to",
                system="Nmbrs",
                conn_id=self._hook.nmbrs_conn_id,
                operation="CompanyService.List_GetByDebtor",
                code=_MAY_NOT_CALL,
                advice="Open this call in the API user's template in Nmbrs, or let it see one debtor only.",
            )
        return owners.pop()

    def _employees(self, snapshot: Snapshot, debtor_of: Mapping[int, int]) -> Iterator[SnapshotEmployee]:
        hook, companies = self._hook, snapshot.company_ids
        listed = self._listed_ids(snapshot)
        readers: tuple[Callable[..., Iterator[Any]], ...] = (
            hook.personal_info,
            hook.employments,
            hook.departments,
            hook.functions,
        )
        found = hook.concurrently(
            [
                partial(hook.whole, partial(_by_employee, reader, company, listed.get(company)))
                for company, reader in product(companies, readers)
            ]
        )
        for (_, reader), (_, report) in zip(product(companies, readers), found, strict=True):
            snapshot.note(reader.__name__, report)
        for index, company in enumerate(companies):
            people, employments, departments, functions = (
                records for records, _ in found[4 * index : 4 * index + 4]
            )
            for employee_id in listed.get(company, people):
                person = people[employee_id][0] if employee_id in people else None
                yield SnapshotEmployee(
                    employee_id=employee_id,
                    debtor_id=debtor_of[company],
                    company_id=company,
                    nickname=person.nickname if person else None,
                    last_name=person.last_name if person else None,
                    email_work=person.email_work if person else None,
                    employments=tuple(employments.get(employee_id, ())),
                    departments=tuple(departments.get(employee_id, ())),
                    functions=tuple(functions.get(employee_id, ())),
                )

    def _listed_ids(self, snapshot: Snapshot) -> dict[int, set[int]]:
        """Return the ids of the employees wanted, by company; nothing where everybody is."""
        if self._employee_types is None:
            return {}
        pairs = list(product(snapshot.company_ids, self._employee_types))
        found = self._hook.concurrently(
            [partial(self._hook.whole, partial(_ids, self._hook, *pair)) for pair in pairs]
        )
        listed: dict[int, set[int]] = {company: set() for company in snapshot.company_ids}
        for (company, _), (ids, report) in zip(pairs, found, strict=True):
            listed[company] |= ids
            snapshot.note("employees", report)
        return listed


def _chosen(kind: str, wanted: Iterable[int] | None, present: list[int]) -> list[int]:
    if wanted is None:
        return present
    missing = sorted(set(wanted) - set(present))
    if missing:
        raise VismaNotFoundError(
            f"no {kind} {', '.join(map(str, missing))}, or not for this API user", system="Nmbrs"
        )
    return sorted(set(wanted))


def _listed(reader: Callable[[int], Iterator[T]], one: int) -> list[T]:
    return list(reader(one))


def _ids(hook: NmbrsHook, company_id: int, employee_type: int) -> tuple[set[int], ReadReport]:
    report = ReadReport()
    return {employee.id for employee in hook.employees(company_id, employee_type, report=report)}, report


def _by_employee(
    reader: Callable[..., Iterator[_OfEmployee]], company_id: int, ids: set[int] | None
) -> tuple[dict[int, list[Any]], ReadReport]:
    """Read a list of a company and keep what belongs to *ids*, or all."""
    report = ReadReport()
    records: dict[int, list[Any]] = defaultdict(list)
    for record in reader(company_id, report=report):
        if ids is None or record.employee_id in ids:
            records[record.employee_id].append(record)
    return dict(records), report
