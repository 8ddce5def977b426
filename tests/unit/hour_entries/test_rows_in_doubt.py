"""Rows that were sent and got no answer: looked up, or left to a person."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_visma.exceptions import VismaUnknownOutcomeError
from tests.unit.hour_entries.severa import EACH_ROW_ONCE, ROWS, World


@pytest.mark.parametrize("acted", [True, False])
def test_a_row_without_an_answer_is_looked_up_in_the_same_try(world: World, acted: bool) -> None:
    world.severa.answer = lambda call: ("stored" if acted else "lost") if call == 2 else None
    assert world.run().accepted == 7
    assert world.held == EACH_ROW_ONCE
    assert world.slept == ([] if acted else [60.0])


def test_a_request_that_goes_on_working_is_given_time_before_its_row_counts_as_absent(world: World) -> None:
    late: list[dict[str, Any]] = []

    def sleep(seconds: float) -> None:
        world.severa.entries += late

    world.severa.answer = lambda call: "lost" if call == 2 else None
    late.append({**ROWS[2], "GUID": "LATE"})
    world.run(sleep=sleep)
    assert world.held == EACH_ROW_ONCE


def test_an_identical_entry_that_was_there_before_is_not_taken_for_ours(world: World) -> None:
    world.severa.entries.append({**ROWS[6], "GUID": "THERE"})
    world.severa.answer = lambda call: "lost" if call == 6 else None
    world.run()
    assert world.held == EACH_ROW_ONCE + Counter([str(ROWS[6])])


def test_a_new_entry_that_is_merely_similar_stops_the_upload_until_a_person_looked(world: World) -> None:
    def answer(call: int) -> str | None:
        if call != 2:
            return None
        world.severa.entries.append({**ROWS[2], "Quantity": Decimal("7"), "GUID": "BY-HAND"})
        return "lost"

    world.severa.answer = answer
    for _ in range(2):
        with pytest.raises(VismaUnknownOutcomeError, match=r"row 2 may or may not.*settled=\{row: GUID"):
            world.run()
    assert world.severa.calls == 2
    assert world.ledger().in_doubt == {2: 1}
    world.run(settled={2: None})
    assert sum(world.held[line] for line in EACH_ROW_ONCE) == 7


def test_a_person_can_name_the_entry_of_a_row(world: World) -> None:
    world.severa.answer = lambda call: "stored" if call == 2 else None
    with pytest.raises(VismaUnknownOutcomeError):
        world.run(ask=False)
    assert world.run(ask=False, settled={2: "GUID-1", 5: None}).accepted == 7
    assert world.held == EACH_ROW_ONCE


@pytest.mark.parametrize("number", [1, 2, 4])
def test_absent_is_not_said_of_users_whose_hours_the_api_user_does_not_see(world: World, number: int) -> None:
    world.severa.hidden = {ROWS[number]["UserGUID"]}
    world.severa.answer = lambda call: "stored" if call == number else None
    for _ in range(2):
        with pytest.raises(VismaUnknownOutcomeError, match=f"row {number} may or may not"):
            world.run()
    assert world.severa.calls == number


def test_a_users_first_hours_in_doubt_are_looked_up_by_a_person(world: World) -> None:
    world.severa.entries.clear()
    world.severa.answer = lambda call: "lost" if call == 1 else None
    with pytest.raises(VismaUnknownOutcomeError, match="row 1 may or may not"):
        world.run()
    assert world.run(settled={1: None}).accepted == len(ROWS)
    assert world.held == EACH_ROW_ONCE
