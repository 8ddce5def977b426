"""Employees and their contracts: the organisation's own people, and what the control endpoint changed."""

from __future__ import annotations

from typing import Final

from visma_sandbox.orbit_reporting.edm import Column, Row
from visma_sandbox.orbit_reporting.projects import user_id
from visma_sandbox.orbit_reporting.reports import FIRST_KEY, Report

_KINDS: Final = ("Onbepaalde tijd", "Bepaalde tijd", "Oproep", None)
_HOURS: Final = ("40", "36.00", "32.5", "24", "0")


class EmployeesAndContracts(Report):
    """A row a person: as many as there are people, whatever the switch says."""

    id = "RPB4T9Y2PDN8KC3"
    title = "Medewerkers en contracten"
    columns = (
        Column("EmployeeKey", "Edm.Int64", nullable=False),
        Column("UserID", nullable=False),
        Column("EmployeeNumber", "Edm.Int32"),
        Column("DisplayName"),
        Column("Nickname"),
        Column("LastName"),
        Column("EmailWork"),
        Column("Company"),
        Column("InService", "Edm.DateTime"),
        Column("OutOfService", "Edm.DateTime"),
        Column("ContractType"),
        Column("HoursPerWeek", "Edm.Decimal"),
        Column("HourlyRate", "Edm.Decimal"),
        Column("CreatedAt", "Edm.DateTime"),
    )

    def __len__(self) -> int:
        return len(self.organisation)

    def row(self, index: int) -> Row:
        """An entry for a person and their newest contract."""
        company = self.organisation.company_of(index)
        person = self.organisation.person(index, company)
        contracts = self.organisation.employments(person)
        start, end = (contracts[-1].start, contracts[-1].end) if contracts else (None, None)
        bits = person.mix
        return (
            str(FIRST_KEY + index),
            user_id(self.seed, index),
            str(person.number),
            person.display_name,
            person.nickname,
            person.last_name,
            person.email_work,
            company.name,
            None if start is None else f"{start}T00:00:00",
            None if end is None else f"{end}T00:00:00",
            _KINDS[bits >> 40 & 3],
            _HOURS[(bits >> 42) % 5],
            f"{20 + bits % 60}.{bits % 97:02d}",
            person.created.isoformat(),
        )
