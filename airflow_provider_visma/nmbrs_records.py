"""What Nmbrs returns, reduced to the fields that are needed, and the snapshot made of it.

Plain values: neither Airflow nor a wire protocol is known here. Dates are Dutch local dates, as Nmbrs
sends them without an offset; they are never converted between time zones.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Debtor:
    """A customer of the payroll office."""

    id: int
    number: str | None
    name: str | None


@dataclass(frozen=True, slots=True)
class Company:
    """A company of a debtor."""

    id: int
    number: int
    name: str | None


@dataclass(frozen=True, slots=True)
class DebtorDepartment:
    """A department as the debtor defines it; Dialog knows it by ``code``."""

    debtor_id: int
    id: int
    code: int
    description: str | None


@dataclass(frozen=True, slots=True)
class DebtorFunction:
    """A function as the debtor defines it; Dialog knows it by ``id``."""

    debtor_id: int
    id: int
    code: int
    description: str | None


@dataclass(frozen=True, slots=True)
class Employee:
    """One line of a company's employee list. ``id`` is unique, ``number`` is not."""

    id: int
    number: int
    display_name: str | None


@dataclass(frozen=True, slots=True)
class PersonalInfo:
    """The four fields of PersonalInfo that an import needs (seed: manual, 2.1)."""

    employee_id: int
    nickname: str | None
    last_name: str | None
    email_work: str | None


@dataclass(frozen=True, slots=True)
class Employment:
    """A period of employment; a rehired employee has several."""

    employee_id: int
    employment_id: int
    creation_date: datetime | None
    start_date: date | None
    end_date: date | None


@dataclass(frozen=True, slots=True)
class EmployeeDepartment:
    """An employee's department from a period on."""

    employee_id: int
    code: int
    creation_date: datetime | None
    start_year: int
    start_period: int


@dataclass(frozen=True, slots=True)
class EmployeeFunction:
    """An employee's function from a period on; ``function_id`` is None where Nmbrs names no function."""

    employee_id: int
    function_id: int | None
    creation_date: datetime | None
    start_year: int
    start_period: int


@dataclass(frozen=True, slots=True)
class SnapshotEmployee:
    """All that one run read of one employee."""

    employee_id: int
    debtor_id: int
    company_id: int
    nickname: str | None
    last_name: str | None
    email_work: str | None
    employments: tuple[Employment, ...]
    departments: tuple[EmployeeDepartment, ...]
    functions: tuple[EmployeeFunction, ...]

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object; dates as ISO 8601 text, the employee's id once."""
        return {
            "employee_id": self.employee_id,
            "debtor_id": self.debtor_id,
            "company_id": self.company_id,
            "nickname": self.nickname,
            "last_name": self.last_name,
            "email_work": self.email_work,
            "employments": [
                {
                    "employment_id": item.employment_id,
                    "creation_date": _iso(item.creation_date),
                    "start_date": _iso(item.start_date),
                    "end_date": _iso(item.end_date),
                }
                for item in self.employments
            ],
            "departments": [
                {
                    "code": item.code,
                    "creation_date": _iso(item.creation_date),
                    "start_year": item.start_year,
                    "start_period": item.start_period,
                }
                for item in self.departments
            ],
            "functions": [
                {
                    "function_id": item.function_id,
                    "creation_date": _iso(item.creation_date),
                    "start_year": item.start_year,
                    "start_period": item.start_period,
                }
                for item in self.functions
            ],
        }

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> SnapshotEmployee:
        """Read what :meth:`to_json` wrote.

        :raises KeyError: a field is missing; a snapshot is never guessed at.
        """
        employee_id = record["employee_id"]
        return cls(
            employee_id=employee_id,
            debtor_id=record["debtor_id"],
            company_id=record["company_id"],
            nickname=record["nickname"],
            last_name=record["last_name"],
            email_work=record["email_work"],
            employments=tuple(
                Employment(
                    employee_id=employee_id,
                    employment_id=item["employment_id"],
                    creation_date=_moment(item["creation_date"]),
                    start_date=_day(item["start_date"]),
                    end_date=_day(item["end_date"]),
                )
                for item in record["employments"]
            ),
            departments=tuple(
                EmployeeDepartment(
                    employee_id=employee_id,
                    code=item["code"],
                    creation_date=_moment(item["creation_date"]),
                    start_year=item["start_year"],
                    start_period=item["start_period"],
                )
                for item in record["departments"]
            ),
            functions=tuple(
                EmployeeFunction(
                    employee_id=employee_id,
                    function_id=item["function_id"],
                    creation_date=_moment(item["creation_date"]),
                    start_year=item["start_year"],
                    start_period=item["start_period"],
                )
                for item in record["functions"]
            ),
        )


def _iso(value: date | None) -> str | None:
    return value.isoformat() if value is not None else None


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
