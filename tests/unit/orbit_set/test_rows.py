"""A row becomes the body of a ``set``, or a list of what is wrong with it; nothing of its content is told."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_visma.exceptions import VismaRequestError
from airflow_provider_visma.orbit_set.rows import RowChecker

CP1, CP2 = "CPT93UAF7CXG8A1", "CPVQD9K5TMGB99A"


def body(row: dict[str, Any], resource: str = "offers", **arguments: Any) -> dict[str, Any]:
    members, problems = RowChecker(resource, **arguments).check(1, row)
    assert problems == []
    return members


def problems(*rows: dict[str, Any], resource: str = "offers", **arguments: Any) -> list[str]:
    checker = RowChecker(resource, **arguments)
    return [str(problem) for number, row in enumerate(rows, 1) for problem in checker.check(number, row)[1]]


@pytest.mark.parametrize(
    ("field", "raw", "sent"),
    [
        ("name", " Voor beeld ", " Voor beeld "),
        ("code", 12, "12"),
        ("probability", "0.5", 0.5),
        ("probability", Decimal("0.10"), 0.1),
        ("probability", "1", 1),
        ("probability", Decimal("2.000000000000000000"), 2),
        ("probability", 7.1, 7.1),
        ("probability", "-1234567.89", -1234567.89),
        ("due_dt", "2026-08-28", "2026-08-28"),
        ("due_dt", " 2026-08-28T09:37:45 ", "2026-08-28T09:37:45"),
        ("due_dt", date(2026, 8, 28), "2026-08-28"),
        ("due_dt", datetime(2026, 8, 28, 9, 37, 45, 9), "2026-08-28T09:37:45"),
        ("items", '[{"price": 95.50, "name": null}]', [{"price": 95.5}]),
        (
            "items",
            [{"on": date(2026, 8, 28), "lines": [{"price": Decimal("1.25")}]}],
            [{"on": "2026-08-28", "lines": [{"price": 1.25}]}],
        ),
        ("items", "[]", []),
    ],
)
def test_a_value_is_sent_as_orbit_takes_it(field: str, raw: Any, sent: Any) -> None:
    found = body({field: raw})[field]

    assert (found, type(found)) == (sent, type(sent))


@pytest.mark.parametrize(
    ("raw", "sent"), [("true", True), ("0", False), (1, True), (False, False), ("TRUE ", True)]
)
def test_a_switch_is_sent_as_one(raw: Any, sent: bool) -> None:
    assert body({"porequired": raw}, "entities")["porequired"] is sent


@pytest.mark.parametrize("empty", [None, "", "  "])
def test_what_is_empty_is_left_out(empty: str | None) -> None:
    assert body({"id": CP1, "name": "A", "description": empty, "items": empty}) == {"id": CP1, "name": "A"}


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"id": "kanarie"}, "id is no id of Orbit"),
        ({"id": CP1.lower()}, "id is no id of Orbit"),
        ({"id": 7}, "id is no id of Orbit"),
        ({"name": 1.5}, "name is not text"),
        ({"name": True}, "name is not text"),
        ({"probability": "0,5"}, "probability needs a decimal point, not a comma"),
        ({"probability": "kanarie"}, "probability is not a number"),
        ({"probability": "1e5"}, "probability is not a number"),
        ({"probability": float("nan")}, "probability is not a number"),
        ({"probability": Decimal("Infinity")}, "probability is not a number"),
        ({"probability": True}, "probability is not a number"),
        ({"probability": "0.12345678901234567890"}, "probability has more digits"),
        ({"probability": Decimal("1E+999999")}, "probability has more digits"),
        ({"due_dt": "28-8-2026"}, "due_dt is not a date"),
        ({"due_dt": "2026-02-30"}, "due_dt is not a date"),
        ({"due_dt": "2026-08-28T09:37:45Z"}, "due_dt must have no time zone"),
        ({"due_dt": datetime(2026, 8, 28, tzinfo=UTC)}, "due_dt must have no time zone"),
        ({"due_dt": 20260828}, "due_dt is not a date"),
        ({"items": "{}"}, "items is not a list"),
        ({"items": "[" * 100_000}, "items is not a list in JSON"),
        ({"items": [{"a": b"kanarie"}]}, "items is nothing that JSON has a form for"),
        ({"items": [float("inf")]}, "items is not a number"),
        ({"items": ["kanarie \ud83d"]}, "items holds half a character"),
        ({"name": "kanarie \ud83d"}, "name holds half a character"),
        ({"id": CP1}, "id stands alone: there is nothing to change"),
        ({"name": ""}, "row is empty"),
        ({"nmae": "kanarie"}, "nmae is no field that is known; did you mean name?"),
        ({"kanarie": "1"}, "column 1 is no field that is known"),
    ],
)
def test_what_is_wrong_is_told_without_what_the_row_says(row: dict[str, Any], told: str) -> None:
    (found,) = problems(row)

    assert found.startswith(f"row 1: {told}")
    assert "kanarie" not in found


@pytest.mark.parametrize(("raw", "is_fit"), [("1", True), ("1.5", False), ("true", False)])
def test_a_whole_number_has_no_fraction(raw: str, is_fit: bool) -> None:
    assert bool(problems({"name": "A", "enabled": raw}, resource="entities")) is not is_fit


def test_an_unknown_column_is_told_once() -> None:
    rows = [{"name": "A", "nmae": "x"}, {"name": "B", "nmae": "y"}]

    assert len(problems(*rows)) == 1


def test_a_field_that_is_not_known_needs_its_kind() -> None:
    assert body({"name": "A", "reference": "7"}, types={"reference": "number"})["reference"] == 7


def test_of_a_resource_that_is_not_known_every_field_is_taken() -> None:
    row = {"title": "A", "size": Decimal("1.5"), "tags": ["x"], "empty": None}

    assert body(row, "planets") == {"title": "A", "size": 1.5, "tags": ["x"]}
    assert problems({"Jan de Vries": "x"}, resource="planets") == ["row 1: column 1 is no name of a field"]


def test_columns_are_mapped_and_those_of_an_error_file_ignored() -> None:
    row = {"Naam": "A", "Opmerking": "x", "rejected_row": "3", "rejected_code": "HTTP 400"}

    assert body(row, columns={"Naam": "name", "Opmerking": None}) == {"name": "A"}


def test_defaults_fill_rows_that_are_made_and_no_row_that_is_changed() -> None:
    arguments = {"defaults": {"billing_mode": "FIXED", "probability": "0.5"}}

    assert body({"name": "A", "probability": 1}, **arguments) == {
        "name": "A",
        "probability": 1,
        "billing_mode": "FIXED",
    }
    assert body({"id": CP1, "name": "A"}, **arguments) == {"id": CP1, "name": "A"}


def test_what_is_required_a_row_that_is_made_must_have() -> None:
    rows = [{"name": "A", "code": ""}, {"id": CP1, "name": "A"}]

    assert problems(*rows, required=["name", "code"]) == ["row 1: code is empty"]


def test_no_two_rows_that_are_made_may_share_what_they_are_looked_up_by() -> None:
    rows = [
        {"name": "A", "code": "1"},
        {"name": "B", "code": " 1 "},
        {"id": CP1, "name": "C", "code": "1"},
        {"name": "D"},
    ]

    assert problems(*rows, look_up_by="code") == [
        "row 2: code is that of row 1 too, and no two rows may share it",
        "row 4: code is empty",
    ]


def test_an_id_comes_once_in_a_file() -> None:
    rows = [{"id": CP1, "name": "A"}, {"id": CP2, "name": "A"}, {"id": CP1, "name": "B"}]

    assert problems(*rows) == ["row 3: id is that of row 1 too"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"columns": {"Naam": "nmae"}}, "nmae is no field that is known; did you mean name?"),
        ({"columns": {"a": "name", "b": "name"}}, "one field to two columns"),
        ({"defaults": {"probability": "x"}}, "the default of probability is not a number"),
        ({"defaults": {"id": CP1}}, "gives many rows one id"),
        ({"defaults": {"code": "1"}, "look_up_by": "code"}, "one value of look_up_by"),
        ({"types": {"name": "string"}}, "types gives name no kind"),
        ({"required": ["shoe_size"]}, "shoe_size is no field"),
        ({"look_up_by": "shoe_size"}, "shoe_size is no field"),
    ],
)
def test_arguments_that_cannot_be_are_refused(arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(VismaRequestError, match=told.replace("?", r"\?")):
        RowChecker("offers", **arguments)
