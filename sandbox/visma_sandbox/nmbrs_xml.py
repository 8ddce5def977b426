"""Items of Nmbrs' lists as XML text, one at a time.

Plain f-strings, because a list of 10,000 people has to cost less than reading it does. What holds for all of
them: a string that is null is left out, a date that is null is ``xsi:nil``, a dateTime has no offset.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from functools import lru_cache
from xml.sax.saxutils import escape

from visma_sandbox.careers import DepartmentRecord, Employment, FunctionRecord
from visma_sandbox.people import Person
from visma_sandbox.structure import Company, Debtor, Department, Function

_PARTNER = "<PartnerPrefix>van</PartnerPrefix><PartnerLastName>Partnervoorbeeld</PartnerLastName>"


def string(tag: str, value: str | None) -> str:
    """A string element; nothing at all for None."""
    if value is None:
        return ""
    return f"<{tag}>{escape(value)}</{tag}>" if value else f"<{tag} />"


def day(tag: str, value: date | None) -> str:
    """A date as the midnight dateTime that Nmbrs makes of it."""
    return f'<{tag} xsi:nil="true" />' if value is None else f"<{tag}>{value.isoformat()}T00:00:00</{tag}>"


def nil(tag: str) -> str:
    """A list item that is null."""
    return f'<{tag} xsi:nil="true" />'


class ItemWriter:
    """Writes items as the switches have them.

    :param fraction_digits: digits after the second of a CreationDate, 0 to 7; how many Nmbrs writes is not
        known. As .NET does, zeros at the end are left out.
    :param nil_items: whether inner lists hold a null item here and there.
    """

    def __init__(self, *, fraction_digits: int = 3, nil_items: bool = True) -> None:
        self._digits = fraction_digits
        self._nil_items = nil_items

    def moment(self, tag: str, value: datetime | None) -> str:
        """A dateTime without offset, with its fraction."""
        if value is None:
            return f'<{tag} xsi:nil="true" />'
        text = value.isoformat()
        if value.microsecond:
            text, _, fraction = text.partition(".")
            fraction = f"{fraction}7"[: self._digits].rstrip("0")
            text = f"{text}.{fraction}" if fraction else text
        return f"<{tag}>{text}</{tag}>"

    def _list(self, tag: str, item_tag: str, items: Iterable[str], person: Person) -> str:
        content = "".join(items)
        if self._nil_items and person.position % 100 == 77:
            content += nil(item_tag)
        return f"<{tag}>{content}</{tag}>" if content else f"<{tag} />"

    def employee(self, person: Person) -> str:
        """An item of ``List_GetByCompany``."""
        return (
            f"<Employee><Id>{person.employee_id}</Id><Number>{person.number}</Number>"
            f"{string('DisplayName', person.display_name)}</Employee>"
        )

    def personal_info(self, person: Person, *, with_bsn: bool) -> str:
        """An item of the two PersonalInfo operations: the 36 fields in the schema's order."""
        p, bits = person, person.mix
        married = bits >> 56 & 3
        display_name, names = _names(p.nickname, p.first_name, p.prefix, p.last_name)
        record = (
            f"<PersonalInfo_V2><Id>{p.employee_id}</Id>{display_name}"
            f"<EmployeeNumber>{p.number}</EmployeeNumber>{f'<BSN>{p.bsn}</BSN>' if with_bsn else ''}"
            f"{'<Title>drs.</Title>' if married == 3 else ''}{names}"
            f"<Gender>{p.gender}</Gender><NationalityCode>1</NationalityCode>"
            f"{string('PlaceOfBirth', p.birthplace)}<CountryOfBirthISOCode>NL</CountryOfBirthISOCode>"
            f"<IdentificationNumber>TEST{p.position}</IdentificationNumber>"
            f"<IdentificationType>{bits & 3}</IdentificationType>{_PARTNER if married else ''}"
            "<TelephonePrivate>+31200000000</TelephonePrivate><TelephoneWork>+31200000001</TelephoneWork>"
            f"<TelephoneMobilePrivate>{p.phone_mobile}</TelephoneMobilePrivate>"
            "<TelephoneMobileWork>+31600000000</TelephoneMobileWork><TelephoneOther />"
            f"<EmailPrivate>{p.email_private}</EmailPrivate>{string('EmailWork', p.email_work)}"
            f"<BurgerlijkeStaat>{married}</BurgerlijkeStaat><Naamstelling>{bits >> 58 & 3}</Naamstelling>"
            f"<Birthday>{p.birthday}T00:00:00</Birthday>{self.moment('CreationDate', p.created)}"
            f"<StartPeriod>{p.start_period}</StartPeriod><StartYear>{p.start_year}</StartYear>"
            '<DeceasedDate xsi:nil="true" />'
            "<InCaseOfEmergency>Noodcontact van deze synthetische testpersoon</InCaseOfEmergency>"
            "<InCaseOfEmergencyPhone>+31200000112</InCaseOfEmergencyPhone>"
            "<InCaseOfEmergencyRelation>Voorbeeld van een partner</InCaseOfEmergencyRelation>"
            f"{'<TitleAfter>MSc</TitleAfter>' if married == 2 else ''}</PersonalInfo_V2>"
        )
        null = nil("PersonalInfo_V2") if self._nil_items and p.position % 100 == 77 else ""
        return (
            f"<PersonalInfoItem><EmployeeId>{p.employee_id}</EmployeeId>"
            f"<EmployeePersonalInfos>{record}{null}</EmployeePersonalInfos></PersonalInfoItem>"
        )

    def employments(self, person: Person, employments: Iterable[Employment]) -> str:
        """An item of ``Employment_GetAll_AllEmployeesByCompany``."""
        items = (
            f"<Employment><EmploymentId>{each.id}</EmploymentId>{self.moment('CreationDate', each.created)}"
            f"{day('StartDate', each.start)}{day('EndDate', each.end)}"
            f"{day('InitialStartDate', each.initial_start)}</Employment>"
            for each in employments
        )
        return (
            f"<EmployeeEmploymentItem><EmployeeId>{person.employee_id}</EmployeeId>"
            f"{self._list('EmployeeEmployments', 'Employment', items, person)}</EmployeeEmploymentItem>"
        )

    def departments(self, person: Person, records: Iterable[DepartmentRecord]) -> str:
        """An item of ``Department_GetAll_AllEmployeesByCompany``."""
        items = (
            f"<Department_V2>{_coded(each.department)}{self.moment('CreationDate', each.created)}"
            f"{_start(each)}</Department_V2>"
            for each in records
        )
        return (
            f"<EmployeeDepartmentItem><EmployeeId>{person.employee_id}</EmployeeId>"
            f"{self._list('EmployeeDepartments', 'Department_V2', items, person)}</EmployeeDepartmentItem>"
        )

    def functions(self, person: Person, records: Iterable[FunctionRecord]) -> str:
        """An item of ``Function_GetAll_AllEmployeesByCompany_V2``; a record may have no Function."""
        items = (
            f"<EmployeeFunction><RecordId>{each.id}</RecordId>"
            f"{f'<Function>{_coded(each.function)}</Function>' if each.function else ''}"
            f"{self.moment('CreationDate', each.created)}{_start(each)}</EmployeeFunction>"
            for each in records
        )
        return (
            f"<EmployeeFunctionItem_V2><EmployeeId>{person.employee_id}</EmployeeId>"
            f"{self._list('EmployeeFunctions', 'EmployeeFunction', items, person)}</EmployeeFunctionItem_V2>"
        )


@lru_cache(4_096)
def _names(
    nickname: str | None, first_name: str, prefix: str | None, last_name: str | None
) -> tuple[str, str]:
    """The two runs of name elements in a personal record; people share them, so they are mostly ready."""
    shown = " ".join(part for part in (nickname, prefix, last_name) if part)
    return string("DisplayName", shown or None), (
        f"{string('FirstName', first_name)}{string('Initials', f'{first_name[0]}.')}"
        f"{string('Prefix', prefix)}{string('LastName', last_name)}{string('Nickname', nickname)}"
    )


def debtor(found: Debtor) -> str:
    """An item of DebtorService's ``List_GetAll``."""
    return f"<Debtor><Id>{found.id}</Id>{string('Number', found.number)}{string('Name', found.name)}</Debtor>"


def company(found: Company) -> str:
    """An item of CompanyService's lists: here alone the id is called ``ID``."""
    return (
        f"<Company><ID>{found.id}</ID><Number>{found.number}</Number>{string('Name', found.name)}"
        f"{string('PhoneNumber', found.phone)}<LoonaangifteTijdvak>{found.tax_period}</LoonaangifteTijdvak>"
        f"{string('KvkNr', found.kvk)}</Company>"
    )


def department(found: Department) -> str:
    """An item of ``Department_GetList``."""
    return f"<Department>{_coded(found)}</Department>"


def function(found: Function) -> str:
    """An item of ``Function_GetList``."""
    return f"<Function>{_coded(found)}</Function>"


def employee_type(identifier: int, description: str) -> str:
    """An item of ``EmployeeType_GetList``."""
    return f"<EmployeeType><Id>{identifier}</Id>{string('Description', description)}</EmployeeType>"


def _coded(found: Department | Function) -> str:
    return f"<Id>{found.id}</Id><Code>{found.code}</Code>{string('Description', found.description or None)}"


def _start(record: DepartmentRecord | FunctionRecord) -> str:
    return f"<StartPeriod>{record.start_period}</StartPeriod><StartYear>{record.start_year}</StartYear>"
