"""What each read operation answers: its items, one at a time, from the organisation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from itertools import chain
from typing import TYPE_CHECKING, Any

from visma_sandbox import credentials, nmbrs_xml
from visma_sandbox.nmbrs_access import Access
from visma_sandbox.nmbrs_xml import ItemWriter
from visma_sandbox.people import Person
from visma_sandbox.structure import DEPARTMENTS_OF, FUNCTIONS_OF, Company

if TYPE_CHECKING:
    from visma_sandbox.app import Sandbox


Read = Callable[[Mapping[str, Any]], Iterator[str]]
"""From an operation's arguments to the content of its ``…Result``: a list's items, or one text."""


class Reads:
    """The read operations, by full name.

    Arguments are checked against the user's tags when an operation is called; items are made while they are
    sent.
    """

    def __init__(self, sandbox: Sandbox, access: Access) -> None:
        self._sandbox = sandbox
        self._access = access
        self.operations: Mapping[str, Read] = {
            "DebtorService.List_GetAll": self._debtors,
            "DebtorService.List_GetByNumber": self._debtors_by_number,
            "DebtorService.Department_GetList": self._departments,
            "DebtorService.Function_GetList": self._functions,
            "DebtorService.Environment_Get": self._environment,
            "CompanyService.List_GetAll": self._companies,
            "CompanyService.List_GetByDebtor": self._companies_of_debtor,
            "CompanyService.Company_GetCurrentPeriod": self._current_period,
            "EmployeeService.EmployeeType_GetList": self._employee_types,
            "EmployeeService.List_GetByCompany": self._employees,
            "EmployeeService.PersonalInfo_GetAll_AllEmployeesByCompany": self._personal_info,
            "EmployeeService.PersonalInfoWithoutBSN_Get_GetAllEmployeesByCompany": self._without_bsn,
            "EmployeeService.Employment_GetAll_AllEmployeesByCompany": self._employments,
            "EmployeeService.Department_GetAll_AllEmployeesByCompany": self._department_records,
            "EmployeeService.Function_GetAll_AllEmployeesByCompany_V2": self._function_records,
        }

    def _debtors(self, _: Mapping[str, Any]) -> Iterator[str]:
        items = map(nmbrs_xml.debtor, self._access.debtors())
        return chain(items, self._one_nil("Debtor"))

    def _debtors_by_number(self, arguments: Mapping[str, Any]) -> Iterator[str]:
        found = (each for each in self._access.debtors() if each.number == arguments["Number"])
        return map(nmbrs_xml.debtor, found)

    def _departments(self, arguments: Mapping[str, Any]) -> Iterator[str]:
        debtor = self._access.debtor(arguments["DebtorId"])
        items = map(nmbrs_xml.department, DEPARTMENTS_OF[debtor.id])
        return chain(items, self._one_nil("Department"))

    def _functions(self, arguments: Mapping[str, Any]) -> Iterator[str]:
        debtor = self._access.debtor(arguments["DebtorId"])
        items = map(nmbrs_xml.function, FUNCTIONS_OF[debtor.id])
        return chain(items, self._one_nil("Function"))

    def _environment(self, _: Mapping[str, Any]) -> Iterator[str]:
        domain = credentials.NMBRS_DOMAIN
        text = nmbrs_xml.string("Domain", "nmbrs.nl") + nmbrs_xml.string("SubDomain", domain)
        return iter((text,))

    def _companies(self, _: Mapping[str, Any]) -> Iterator[str]:
        items = map(nmbrs_xml.company, self._access.companies())
        return chain(items, self._one_nil("Company"))

    def _companies_of_debtor(self, arguments: Mapping[str, Any]) -> Iterator[str]:
        debtor = self._access.debtor(arguments["DebtorId"])
        found = (each for each in self._access.companies() if each.debtor_id == debtor.id)
        return map(nmbrs_xml.company, found)

    def _current_period(self, arguments: Mapping[str, Any]) -> Iterator[str]:
        company = self._access.company(arguments["CompanyId"])
        today = datetime.fromtimestamp(self._sandbox.clock(), UTC).date()
        return iter((period_text(company, today),))

    def _employee_types(self, _: Mapping[str, Any]) -> Iterator[str]:
        table: Mapping[str, str] = self._sandbox.settings["nmbrs_employee_types"]
        return (nmbrs_xml.employee_type(int(key), text) for key, text in table.items())

    def _employees(self, arguments: Mapping[str, Any]) -> Iterator[str]:
        wanted = arguments["EmployeeType"]
        type_of = self._sandbox.organisation.employee_type
        return self._per_person(
            "Employee",
            arguments["CompanyId"],
            lambda write, person: write.employee(person) if type_of(person.position) == wanted else None,
        )

    def _personal_info(self, arguments: Mapping[str, Any]) -> Iterator[str]:
        return self._per_person(
            "PersonalInfoItem",
            arguments["CompanyID"],
            lambda write, person: write.personal_info(person, with_bsn=True),
        )

    def _without_bsn(self, arguments: Mapping[str, Any]) -> Iterator[str]:
        return self._per_person(
            "PersonalInfoItem",
            arguments["CompanyID"],
            lambda write, person: write.personal_info(person, with_bsn=False),
        )

    def _employments(self, arguments: Mapping[str, Any]) -> Iterator[str]:
        known = self._sandbox.organisation.employments
        return self._per_person(
            "EmployeeEmploymentItem",
            arguments["CompanyID"],
            lambda write, person: write.employments(person, known(person)),
        )

    def _department_records(self, arguments: Mapping[str, Any]) -> Iterator[str]:
        known = self._sandbox.organisation.department_records

        def item(write: ItemWriter, person: Person) -> str | None:
            records = known(person)
            return None if records is None else write.departments(person, records)

        return self._per_person("EmployeeDepartmentItem", arguments["CompanyID"], item)

    def _function_records(self, arguments: Mapping[str, Any]) -> Iterator[str]:
        known = self._sandbox.organisation.function_records

        def item(write: ItemWriter, person: Person) -> str | None:
            records = known(person)
            return None if records is None else write.functions(person, records)

        return self._per_person("EmployeeFunctionItem_V2", arguments["CompanyID"], item)

    def _per_person(
        self, tag: str, company_id: int, item: Callable[[ItemWriter, Person], str | None]
    ) -> Iterator[str]:
        """A list of a company's people; `item` writes one, or None for somebody it leaves out."""
        company = self._access.company(company_id)
        settings = self._sandbox.settings
        write = ItemWriter(
            fraction_digits=settings["nmbrs_fraction_digits"], nil_items=settings["nmbrs_nil_items"]
        )
        organisation = self._sandbox.organisation
        nil_items: bool = settings["nmbrs_nil_items"]

        def items() -> Iterator[str]:
            for index in organisation.indexes(company.id):
                text = item(write, organisation.person(index, company))
                if text is not None:
                    yield text
                    if nil_items and index % 100 == 55:
                        yield nmbrs_xml.nil(tag)

        return items()

    def _one_nil(self, tag: str) -> Iterator[str]:
        return iter((nmbrs_xml.nil(tag),) if self._sandbox.settings["nmbrs_nil_items"] else ())


def period_text(company: Company, today: date) -> str:
    """The current period as Nmbrs writes it: ``2010-5-M``, or ``2010-4-4W``."""
    if company.tax_period == "Week4":
        year, week, _ = today.isocalendar()
        return f"{year}-{min(13, (week + 3) // 4)}-4W"
    return f"{today.year}-{today.month}-M"
