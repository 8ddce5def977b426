"""Rows in doubt beside what Severa holds: which entry is whose."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_visma.hour_entries.doubt import settle

USER, PHASE, OTHER = (f"5e7e4a00-0000-4000-8000-00000000000{digit}" for digit in "abc")
ROW = {
    "UserGUID": USER,
    "PhaseGUID": PHASE,
    "EventDate": datetime(2026, 11, 2),
    "Quantity": Decimal("7.5"),
    "IsBillable": True,
}


def entry(guid: str, **changes: Any) -> dict[str, Any]:
    held = {**ROW, "GUID": guid, "CaseGUID": OTHER, "Description": None, "UnitPrice": Decimal("80")}
    return {**held, **changes}


def test_an_entry_with_all_that_was_sent_is_the_rows() -> None:
    settlement = settle({4: ROW}, [entry("G1")], known=())
    assert settlement.found == {4: "g1"}
    assert (settlement.absent, settlement.unclear) == ([], [])


@pytest.mark.parametrize(
    "changes",
    [
        {"UserGUID": USER.upper()},
        {"Quantity": Decimal("7.500")},
        {"EventDate": datetime(2026, 11, 2, tzinfo=UTC)},
        {"EventDate": "2026-11-02T00:00:00"},
    ],
)
def test_another_spelling_is_the_same_value(changes: dict[str, Any]) -> None:
    assert settle({4: ROW}, [entry("g1", **changes)], known=()).found == {4: "g1"}


def test_line_ends_are_what_xml_makes_of_them() -> None:
    row = {**ROW, "Description": "een\r\ntwee "}
    assert settle({4: row}, [entry("g1", Description="een\ntwee")], known=()).found == {4: "g1"}


def test_an_entry_that_was_there_before_is_not_ours() -> None:
    assert settle({4: ROW}, [entry("g1")], known={"g1"}).absent == [4]


def test_identical_rows_are_counted() -> None:
    rows = dict.fromkeys((1, 2, 3), ROW)
    settlement = settle(rows, [entry("g1"), entry("g2"), entry("g3")], known={"g2"})
    assert settlement.found == {1: "g1", 2: "g3"}
    assert settlement.absent == [3]


def test_a_row_that_says_less_does_not_take_the_entry_of_one_that_says_more() -> None:
    rows = {1: ROW, 2: {**ROW, "UnitPrice": Decimal("80")}}
    settlement = settle(rows, [entry("g1")], known=())
    assert settlement.found == {2: "g1"}
    assert settlement.absent == [1]


@pytest.mark.parametrize(
    "changes", [{"Quantity": Decimal("7.51")}, {"Description": "x"}, {"IsBillable": False}]
)
def test_a_new_entry_that_is_only_similar_makes_the_row_unclear(changes: dict[str, Any]) -> None:
    assert settle({4: ROW}, [entry("g1", **changes)], known=()).unclear == [4]


@pytest.mark.parametrize(
    "changes", [{"PhaseGUID": OTHER}, {"UserGUID": OTHER}, {"EventDate": datetime(2026, 11, 3)}]
)
def test_an_entry_of_another_user_day_or_phase_is_nobodys(changes: dict[str, Any]) -> None:
    assert settle({4: ROW}, [entry("g1", **changes)], known=()).absent == [4]
