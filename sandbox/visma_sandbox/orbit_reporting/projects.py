"""Hours per project per week: the long report, of fifteen columns."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple

from visma_sandbox.orbit_reporting.edm import Column, Row
from visma_sandbox.orbit_reporting.reports import FIRST_KEY, WEEKS, Report, identifier, weeks_ago
from visma_sandbox.people import mix

# fmt: off
COMPANIES: Final = (
    "Voorbeeld & Zonen B.V.", "Testbedrijf <Noord>", "Beispiel GmbH & Co. KG", "Exemplum N.V.",
    "Näyte Oy", "Przykład sp. z o.o.", "Пример", "テスト株式会社", None, "",
)
_WORKS: Final = (
    "Nieuwbouw", "Verbouwing", "Onderhoud", "Advies", "Inrichting 'fase 2'", "Ontwerp \"kelder\"",
    "Étude", "Überwachung", "Sloop & asbest", "Meting <A>", "Beheer", "  Inspectie",
)
_HOURS: Final = (
    "7.5", "8", "0.25", "3.75", "1.3333", "6.50", "40.00", "36", "8.00", "0", "-2.5", "0.1", "38", "32.00",
    "4", "16",
)
_RATES: Final = (*(f"{rate}.{rate % 7}5" for rate in range(65, 80)), None)
_COSTS: Final = (
    "41.5", "1E+2", "0", "-0.5", "1234.5678901234567", "3.3333333333333335", "5E-324", "99.99",
)
_NOTES: Final = (
    None, "", "Overleg", "Regel één\nregel twee", "a < b && c > d", "Reistijd", None, "€ 12,50",
)
# fmt: on
_EPOCH: Final = datetime(2026, 7, 1, 8, 0)


class _Week(NamedTuple):
    year: str
    week: str
    monday: str


class Project(NamedTuple):
    """A project as the reports show it."""

    id: str
    number: str
    name: str
    company: str | None


@lru_cache(maxsize=1)
def _weeks() -> tuple[_Week, ...]:
    mondays = (weeks_ago(ago) for ago in range(WEEKS - 1, -1, -1))
    return tuple(_week(monday) for monday in mondays)


def _week(monday: date) -> _Week:
    calendar = monday.isocalendar()
    return _Week(str(calendar.year), str(calendar.week), f"{monday}T00:00:00")


@lru_cache(maxsize=4096)
def project(seed: int, index: int) -> Project:
    """The project at `index`; the same in every report."""
    bits = mix(seed + 101, index)
    name = f"{_WORKS[bits % len(_WORKS)]} {index + 1}"
    company = COMPANIES[index % len(COMPANIES)]
    return Project(identifier("PR", seed + 101, index), f"P{2024_0001 + index}", name, company)


class HoursPerProject(Report):
    """The rows are in the order of their weeks, spread evenly."""

    id = "RP7K2M9XW4H1TQZ"
    title = "Uren per project per week"
    per_employee = 20
    columns = (
        Column("RowID", "Edm.Int64", nullable=False),
        Column("ProjectID", nullable=False),
        Column("ProjectNumber", nullable=False),
        Column("ProjectName"),
        Column("CompanyName"),
        Column("UserID", nullable=False),
        Column("UserName"),
        Column("Year", "Edm.Int16"),
        Column("Week", "Edm.Byte"),
        Column("WeekStart", "Edm.DateTime"),
        Column("Hours", "Edm.Decimal"),
        Column("Billable", "Edm.Boolean"),
        Column("Rate", "Edm.Decimal"),
        Column("Cost", "Edm.Double"),
        Column("UpdatedAt", "Edm.DateTime"),
    )

    def row(self, index: int) -> Row:
        """An entry for what somebody did for a project in a week."""
        bits = mix(self.seed, index)
        employees = self.organisation.employees
        week = _weeks()[index * WEEKS // len(self)]
        work = project(self.seed, bits % (employees // 5 + 3))
        user = (bits >> 16) % employees
        return (
            str(FIRST_KEY + index),
            work.id,
            work.number,
            work.name,
            work.company,
            user_id(self.seed, user),
            self.user_name(user),
            week.year,
            week.week,
            week.monday,
            _HOURS[bits >> 32 & 15],
            "true" if bits >> 36 & 3 else "false",
            _RATES[bits >> 38 & 15],
            _COSTS[bits >> 42 & 7],
            _changed(bits >> 45),
        )


@lru_cache(maxsize=16_384)
def user_id(seed: int, index: int) -> str:
    """The id of the user who is the person at `index`."""
    return identifier("US", seed + 102, index)


def _changed(bits: int) -> str:
    """A moment with seven digits of a second, which a clock of .NET has and one of Python has not."""
    at = _EPOCH - timedelta(minutes=bits & 0x7FFF)
    return f"{at.isoformat()}.{bits * 7919 % 10_000_000:07d}"


NOTES: Final = _NOTES
