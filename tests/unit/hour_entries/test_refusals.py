"""What Severa refuses: one row, or the whole upload."""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import Any

import pytest

from airflow_provider_visma.exceptions import (
    VismaAuthenticationError,
    VismaError,
    VismaPermissionError,
    VismaQuotaError,
    VismaRequestError,
    VismaTransientError,
    VismaUnavailableError,
)
from tests.unit.hour_entries.severa import ANNA, BOB, EACH_ROW_ONCE, ROWS, World

REFUSALS = [
    VismaRequestError("no", code="ValidationException"),
    VismaRequestError("no", code="GeneralFailureException"),
    VismaPermissionError("no", code="NoPermissionException"),
]


@pytest.mark.parametrize("error", REFUSALS, ids=lambda error: error.code)
def test_a_rejected_row_is_noted_with_what_the_service_said_and_the_rest_goes_on(
    world: World, error: VismaError
) -> None:
    error.reason = "what it said"
    world.severa.answer = lambda call: error if call == 2 else None
    ledger = world.run()
    assert ledger.accepted == 6
    ((number, rejection),) = world.ledger().rejected.items()
    assert (number, rejection.error, rejection.code) == (2, type(error).__name__, error.code)
    assert rejection.reason == "what it said"
    world.run()
    assert world.severa.calls == 7, "the same upload does not ask for a refusal twice"


def test_a_general_failure_that_stored_the_row_all_the_same_counts_as_accepted(world: World) -> None:
    def answer(call: int) -> VismaError | None:
        if call != 2:
            return None
        world.severa.entries.append({**ROWS[2], "GUID": "STORED"})
        return VismaRequestError("no", code="GeneralFailureException")

    world.severa.answer = answer
    assert world.run().accepted == 7
    assert world.held == EACH_ROW_ONCE


def test_a_general_failure_is_believed_of_a_user_who_has_no_hours(world: World) -> None:
    world.severa.entries.clear()
    general = VismaRequestError("no", code="GeneralFailureException")
    world.severa.answer = lambda call: general if call == 1 else None
    assert list(world.run().rejected) == [1]


@pytest.mark.parametrize(
    "error",
    [
        VismaQuotaError("none left", retry_after=60),
        VismaAuthenticationError("no", code="AuthenticationFailureException"),
        VismaPermissionError("no", code="TosNotApprovedException"),
        VismaPermissionError("no", code="HTTP 403"),
        VismaRequestError("the contract has no such member"),
        VismaUnavailableError("no connection"),
    ],
    ids=lambda error: f"{type(error).__name__} {error.code}",
)
def test_what_is_not_about_the_row_stops_the_upload_and_leaves_no_doubt(
    world: World, error: VismaError
) -> None:
    world.severa.answer = lambda call: error if call == 5 else None
    with pytest.raises(type(error)):
        world.run()
    ledger = world.ledger()
    assert (ledger.accepted, ledger.in_doubt, ledger.rejected) == (4, {}, {})
    world.severa.answer = lambda call: None
    world.run()
    assert world.held == EACH_ROW_ONCE
    assert world.slept == []


def test_a_row_that_never_gets_an_answer_is_rejected_and_the_rest_goes_on(world: World) -> None:
    world.severa.answer = lambda call: "lost" if call in (2, 3) else None
    ledger = world.run()
    assert (ledger.accepted, list(ledger.rejected)) == (6, [2])
    assert world.held == EACH_ROW_ONCE - Counter([str(ROWS[2])])


def test_a_service_that_answers_no_row_stops_the_upload_and_no_row_is_to_blame(world: World) -> None:
    world.severa.answer = lambda call: "lost"
    with pytest.raises(VismaUnavailableError, match="3 rows in succession got no answer"):
        world.run()
    assert world.ledger().in_doubt == {}
    assert world.severa.calls == 6
    world.severa.answer = lambda call: None
    ledger = world.run()
    assert (ledger.accepted, ledger.rejected) == (7, {})
    assert world.held == EACH_ROW_ONCE


def test_rows_of_two_batches_in_which_the_service_went_away_are_sent_by_the_next_try(world: World) -> None:
    world.severa.answer = lambda call: "lost" if call in range(2, 8) else None
    with pytest.raises(VismaUnavailableError, match="3 rows in succession got no answer"):
        world.run(batch_size=2)
    ledger = world.ledger()
    assert (ledger.accepted, ledger.rejected, ledger.in_doubt) == (1, {}, {})
    assert world.run().accepted == 7
    assert world.held == EACH_ROW_ONCE


def test_a_process_that_waited_too_long_and_was_replaced_sends_no_further_row(world: World) -> None:
    seconds = 0.0

    def answer(call: int) -> None:
        nonlocal seconds
        if call == 2:
            world.claim("run-1")
            seconds += 5

    world.severa.answer = answer
    with pytest.raises(VismaTransientError, match="run-1 is uploading the same file"):
        world.run(clock=lambda: seconds)
    assert world.severa.calls == 2
    world.severa.answer = lambda call: None
    world.run()
    assert world.held == EACH_ROW_ONCE


def test_the_entries_of_a_user_are_asked_for_once_per_batch(world: World) -> None:
    asked: list[str] = []
    of_user = world.severa.of_user

    def asking(user_guid: str, first: date, last: date) -> list[dict[str, Any]]:
        asked.append(user_guid)
        return of_user(user_guid, first, last)

    world.severa.of_user = asking  # type: ignore[method-assign]
    world.run()
    assert asked == [ANNA, BOB, ANNA, BOB]


def test_without_asking_no_call_is_made_but_the_rows_own(world: World) -> None:
    world.severa.of_user = None  # type: ignore[method-assign, assignment]
    assert world.run(ask=False).accepted == 7
