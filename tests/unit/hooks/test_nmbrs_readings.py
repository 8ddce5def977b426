"""Rows of Nmbrs to records: which record counts, what "none" looks like, and which day a date is."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pytest

from airflow_provider_visma.hooks import _nmbrs_readings as readings
from airflow_provider_visma.nmbrs_records import EmployeeFunction, Employment, PersonalInfo

CREATED = datetime(2024, 6, 4, 9, 47, 53, 790000)


def personal(**values: Any) -> dict[str, Any]:
    return {"CreationDate": CREATED, "Nickname": "Test", "LastName": "Persoon", **values}


def info(*records: dict[str, Any]) -> list[PersonalInfo]:
    row = {"EmployeeId": 7, "EmployeePersonalInfos": {"PersonalInfo_V2": list(records)}}
    return list(readings.PERSONAL_INFO.records(row))


def test_what_is_absent_or_nil_is_none() -> None:
    assert info(personal(EmailWork=None)) == [PersonalInfo(7, "Test", "Persoon", None)]
    assert info({"CreationDate": None}) == [PersonalInfo(7, None, None, None)]


def test_of_several_records_the_newest_counts() -> None:
    old = personal(LastName="Oud", CreationDate=datetime(2020, 1, 1))
    unknown = personal(LastName="Onbekend", CreationDate=None)
    assert info(old, personal(), unknown) == [PersonalInfo(7, "Test", "Persoon", None)]
    assert info(unknown) == [PersonalInfo(7, "Test", "Onbekend", None)]


def test_a_moment_with_an_offset_is_compared_as_the_wall_clock_says() -> None:
    offset = datetime.fromisoformat("2025-01-01T09:00:00+01:00")
    assert info(personal(), personal(LastName="Nieuw", CreationDate=offset)) == [
        PersonalInfo(7, "Test", "Nieuw", None)
    ]
    record = {"Code": 10, "CreationDate": offset, "StartYear": 2025, "StartPeriod": 1}
    (department,) = readings.DEPARTMENTS.records(
        {"EmployeeId": 7, "EmployeeDepartments": {"Department_V2": [record]}}
    )
    assert department.creation_date == datetime(2025, 1, 1, 9)


@pytest.mark.parametrize("row", [{"EmployeeId": 7}, {"EmployeeId": 7, "EmployeePersonalInfos": None}])
def test_nobody_is_made_up_where_nothing_is_told(row: dict[str, Any]) -> None:
    assert list(readings.PERSONAL_INFO.records(row)) == []


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (None, None),
        (datetime.min, None),
        (datetime(2026, 3, 29), date(2026, 3, 29)),
        (datetime(2026, 12, 31, 23, 59, 59), date(2026, 12, 31)),
    ],
)
def test_a_date_is_the_day_as_written(end: datetime | None, expected: date | None) -> None:
    record = {"EmploymentId": 1, "CreationDate": CREATED, "StartDate": datetime(2020, 1, 1), "EndDate": end}
    row = {"EmployeeId": 7, "EmployeeEmployments": {"Employment": [record]}}
    assert list(readings.EMPLOYMENTS.records(row)) == [Employment(7, 1, CREATED, date(2020, 1, 1), expected)]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ({"Function": {"Id": 910002, "Code": 102}}, 910002),
        ({"Function": {"Id": 910002, "Code": 0}}, None),
        ({"Function": None}, None),
        ({}, None),
    ],
)
def test_no_function_has_three_forms(function: dict[str, Any], expected: int | None) -> None:
    record = {"CreationDate": None, "StartYear": 2024, "StartPeriod": 6, **function}
    row = {"EmployeeId": 7, "EmployeeFunctions": {"EmployeeFunction": [record]}}
    assert list(readings.FUNCTIONS.records(row)) == [EmployeeFunction(7, expected, None, 2024, 6)]


def test_the_bsn_is_in_no_list_of_fields() -> None:
    named = [
        path
        for reading in vars(readings).values()
        if isinstance(reading, readings.Reading)
        for path in reading.fields
    ]
    assert len(named) > 20
    assert not [path for path in named if "BSN" in path or "Private" in path or "Birthday" in path]
