"""A row of a file, checked: what an HourEntry gets, and what is said of a row that does not fit."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from airflow_provider_visma.exceptions import VismaRequestError
from airflow_provider_visma.hour_entries.rows import _NOT_SENT, MEMBERS, RowChecker
from visma_sandbox.severa import contract

GUID = "5e7e4a00-0000-4000-8000-000000000001"
ROW = {
    "UserGUID": GUID,
    "PhaseGUID": GUID,
    "WorkTypeGUID": GUID,
    "EventDate": "2026-11-02",
    "Quantity": "7.5",
    "IsBillable": "true",
}
SECRET = "Jansen 12"


def check(row: dict[str, Any], **arguments: Any) -> tuple[dict[str, Any], list[str]]:
    members, problems = RowChecker(**arguments).check(1, row)
    return members, [str(problem) for problem in problems]


def test_a_whole_row_becomes_the_members_of_an_hour_entry() -> None:
    given = {
        **ROW,
        "CaseGUID": GUID.upper(),
        "Description": " Bouw, fase 2 ",
        "StartTime": "09:00",
        "EndTime": "2026-11-02T16:30:00",
        "UnitPrice": "",
        "IsProductive": "0",
    }
    members, problems = check(given)
    assert problems == []
    assert members == {
        "UserGUID": GUID,
        "PhaseGUID": GUID,
        "CaseGUID": GUID.upper(),
        "WorkTypeGUID": GUID,
        "EventDate": datetime(2026, 11, 2),
        "Quantity": Decimal("7.5"),
        "IsBillable": True,
        "IsProductive": False,
        "Description": " Bouw, fase 2 ",
        "StartTime": datetime(2026, 11, 2, 9),
        "EndTime": datetime(2026, 11, 2, 16, 30),
    }


@pytest.mark.parametrize(
    ("member", "value", "expected"),
    [
        ("Quantity", 7, "7"),
        ("Quantity", 7.1, "7.1"),
        ("Quantity", 1e-07, "0.0000001"),
        ("Quantity", Decimal("1E+2"), "100"),
        ("Quantity", Decimal("7.500000000000000000"), "7.5"),
        ("Quantity", " 0.25 ", "0.25"),
        ("Quantity", "999", "999"),
        ("EventDate", date(2026, 11, 2), "2026-11-02 00:00:00"),
        ("EventDate", datetime(2026, 11, 2), "2026-11-02 00:00:00"),
        ("EventDate", "2026-11-02T00:00:00", "2026-11-02 00:00:00"),
        ("StartTime", time(9, 30), "2026-11-02 09:30:00"),
        ("UserGUID", UUID(GUID), GUID),
        ("IsBillable", False, "False"),
        ("IsBillable", 1, "True"),
        ("IsBillable", "FALSE", "False"),
    ],
)
def test_a_value_comes_in_any_form_that_a_file_gives_it(member: str, value: Any, expected: str) -> None:
    members, problems = check({**ROW, member: value})
    assert problems == []
    value = members[member]
    assert (format(value, "f") if isinstance(value, Decimal) else str(value)) == expected


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"Quantity": "0"}, "row 1: Quantity must be more than 0 and at most 999"),
        ({"Quantity": "-1"}, "row 1: Quantity must be more than 0 and at most 999"),
        ({"Quantity": "999.01"}, "row 1: Quantity must be more than 0 and at most 999"),
        ({"Quantity": "7,5"}, "row 1: Quantity needs a decimal point, not a comma"),
        ({"Quantity": "1e2"}, "row 1: Quantity is not a number"),
        ({"Quantity": "٣"}, "row 1: Quantity is not a number"),
        ({"Quantity": float("nan")}, "row 1: Quantity is not a number"),
        ({"Quantity": float("inf")}, "row 1: Quantity is not a number"),
        ({"Quantity": Decimal("NaN")}, "row 1: Quantity is not a number"),
        ({"Quantity": Decimal("1E-999999999")}, "row 1: Quantity is not a number"),
        ({"Quantity": True}, "row 1: Quantity is not a number"),
        ({"Quantity": ""}, "row 1: Quantity is empty"),
        ({"UserGUID": SECRET}, "row 1: UserGUID is not a GUID (8-4-4-4-12 hexadecimal digits)"),
        ({"UserGUID": None}, "row 1: UserGUID is empty"),
        ({"EventDate": "02-11-2026"}, "row 1: EventDate is not a date (YYYY-MM-DD)"),
        ({"EventDate": "2026-02-30"}, "row 1: EventDate is not a date (YYYY-MM-DD)"),
        ({"EventDate": "2026-11-02T08:00"}, "row 1: EventDate is a date without a time of day"),
        ({"EventDate": "0026-11-02"}, "row 1: EventDate is not between 1990 and 2100"),
        (
            {"EventDate": datetime(2026, 11, 2, tzinfo=UTC)},
            "row 1: EventDate must have no time zone: the service takes local times",
        ),
        ({"IsBillable": "ja"}, "row 1: IsBillable must be true or false"),
        ({"IsBillable": 2}, "row 1: IsBillable must be true or false"),
        ({"Description": 5}, "row 1: Description is not text"),
        ({"Description": "a\x00b"}, "row 1: Description holds a character that XML cannot carry"),
        (
            {"StartTime": "17:00", "EndTime": "09:00"},
            "row 1: EndTime is before the start; give both with their dates",
        ),
        ({"StartTime": "25:00"}, "row 1: StartTime is not a time of day"),
        ({"PhaseGUID": ""}, "row 1: PhaseGUID or CaseGUID is empty"),
        ({"PhaseGuid": GUID}, "row 1: PhaseGuid is not a member of HourEntry; did you mean PhaseGUID?"),
        (
            {"IsApproved": "true"},
            "row 1: IsApproved is set by the service or ignored when adding; leave the column out, or map "
            "it to None",
        ),
        ({SECRET: "x"}, "row 1: column 7 is not a member of HourEntry"),
    ],
)
def test_a_value_that_does_not_fit_is_named_by_row_and_column_and_never_quoted(
    changes: dict[str, Any], problem: str
) -> None:
    _, problems = check({**ROW, **changes})
    assert problems == [problem]
    assert SECRET not in problems[0]


def test_everything_that_is_wrong_with_a_row_is_said_at_once() -> None:
    _, problems = check({"UserGUID": "x", "Quantity": "0", "EventDate": "", "PhaseGUID": GUID})
    assert [problem.split(" ", 3)[2] for problem in problems] == [
        "UserGUID",
        "Quantity",
        "EventDate",
        "IsBillable",
        "WorkTypeGUID",
    ]


def test_a_column_that_is_not_in_the_file_is_said_once_and_not_for_each_row() -> None:
    checker = RowChecker()
    row = {name: value for name, value in ROW.items() if name != "Quantity"}
    problems = [str(problem) for number in (1, 2, 3) for problem in checker.check(number, row)[1]]
    assert problems == ["row 1: Quantity has no column in the file, and no default"]


def test_an_object_without_a_member_is_a_row_of_its_own() -> None:
    checker = RowChecker(same_columns=False)
    row = {name: value for name, value in ROW.items() if name != "Quantity"}
    problems = [str(problem) for number in (1, 2) for problem in checker.check(number, row)[1]]
    assert problems == ["row 1: Quantity is empty", "row 2: Quantity is empty"]


def test_columns_may_have_other_names_and_be_ignored() -> None:
    row = {**ROW, "medewerker": GUID, "naam": SECRET}
    del row["UserGUID"]
    members, problems = check(row, columns={"medewerker": "UserGUID", "naam": None})
    assert problems == []
    assert members["UserGUID"] == GUID


def test_a_problem_names_the_column_of_the_file() -> None:
    _, problems = check({**ROW, "uren": "0", "Quantity": ""}, columns={"uren": "Quantity", "Quantity": None})
    assert problems == ["row 1: uren must be more than 0 and at most 999"]


def test_a_default_fills_what_a_row_leaves_empty() -> None:
    row = {**ROW, "IsBillable": "", "WorkTypeGUID": GUID.upper()}
    members, problems = check(row, defaults={"IsBillable": False, "WorkTypeGUID": GUID})
    assert problems == []
    assert (members["IsBillable"], members["WorkTypeGUID"]) == (False, GUID.upper())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"columns": {"a": "Quantty"}}, "did you mean Quantity"),
        ({"columns": {"a": "Quantity", "b": "Quantity"}}, "to two columns"),
        ({"columns": {"a": "GUID"}}, "set by the service"),
        ({"defaults": {"Quantity": 1000}}, "the default of Quantity must be"),
        ({"defaults": {"Nothing": 1}}, "not a member"),
    ],
)
def test_columns_and_defaults_are_checked_before_any_row(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(VismaRequestError, match=message):
        RowChecker(**arguments)


def test_what_an_error_file_adds_to_a_row_does_not_stop_its_corrected_version() -> None:
    row = {**ROW, "rejected_row": "3", "rejected_reason": "x", "rejected_code": "ValidationException"}
    assert check(row)[1] == []


def test_every_member_of_the_contract_is_either_sent_or_refused() -> None:
    assert set(contract.entity("HourEntry").members) == {*MEMBERS, *_NOT_SENT}
