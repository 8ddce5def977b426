"""What keeps a plan from being carried out, and what an approval lets through."""

from __future__ import annotations

import pytest

from airflow_provider_visma.dialog_import.plan import Approval, Frozen, Plan, Update, guard
from airflow_provider_visma.dialog_import.planning import ALL_FIELDS, updated
from tests.unit.dialog_import.people import employee, function, plan, user


def changed(number: int, of: int) -> Plan:
    people = [employee(i, nickname="Anders" if i <= number else "Testpersoon") for i in range(1, of + 1)]
    return plan(*people, users=tuple(user(i) for i in range(1, of + 1)))


@pytest.mark.parametrize(
    ("changing", "of", "stops"),
    [(5, 25, False), (6, 25, True), (24, 24, False), (20, 100, False), (21, 100, True), (0, 100, False)],
)
def test_the_guard_stops_when_more_than_a_share_of_the_held_users_would_change(
    changing: int, of: int, stops: bool
) -> None:
    assert bool(guard(changed(changing, of), max_share=0.2, minimum=25)) is stops


@pytest.mark.parametrize(("emptied", "stops"), [(5, False), (6, True)])
def test_the_guard_stops_when_a_field_would_be_lost_to_more_than_a_twentieth_of_the_held_users(
    emptied: int, stops: bool
) -> None:
    people = [employee(i, functions=() if i <= emptied else (function(501),)) for i in range(1, 101)]
    lost = plan(*people, users=tuple(user(i) for i in range(1, 101)))

    told = guard(lost, max_share=0.2, minimum=25)

    expected = ("6 of the 100 users in Dialog would lose their function_id (6%); the limit is 5%",)
    assert told == (expected if stops else ())
    assert guard(lost, max_share=0.2, minimum=25, approval=Approval.of(lost.records())) == ()
    assert guard(lost, max_share=0.2, minimum=101) == ()


@pytest.mark.parametrize(
    ("new", "gone", "stops"), [(100, 20, False), (20, 100, False), (21, 21, True), (100, 100, True)]
)
def test_the_guard_stops_when_the_source_holds_other_people(new: int, gone: int, stops: bool) -> None:
    people = [employee(i) for i in range(gone + 1, 101 + new)]
    other = plan(*people, users=tuple(user(i) for i in range(1, 101)))

    told = guard(other, max_share=0.2, minimum=25)

    expected = f"{min(new, gone)} of the 100 users in Dialog would be gone and as many others new"
    assert [reason.startswith(expected) for reason in told] == ([True] if stops else [])
    assert guard(other, max_share=0.2, minimum=25, approval=Approval.of(other.records())) == ()


def test_the_guard_does_not_mind_fields_of_users_who_are_left_alone() -> None:
    people = [employee(i, functions=()) for i in range(1, 101)]
    held = tuple(user(i, state="linked") for i in range(1, 101))

    assert guard(plan(*people, users=held), max_share=0.2, minimum=25) == ()


def test_the_guard_stops_an_empty_source_wherever_users_were_before() -> None:
    (reason,) = guard(plan(users=(user(1),)), max_share=0.2, minimum=25)

    assert reason == "Nmbrs lists no employee at all, while Dialog holds 1 users of it"
    assert guard(plan(), max_share=0.2, minimum=25) == ()


def test_the_guard_lets_the_first_import_and_the_rest_of_a_killed_one_through() -> None:
    people = [employee(number) for number in range(1, 101)]
    assert guard(plan(*people), max_share=0.2, minimum=25) == ()
    assert guard(plan(*people, users=tuple(user(i) for i in range(1, 31))), max_share=0.2, minimum=25) == ()


def test_the_guard_says_its_reason_in_numbers_alone() -> None:
    (reason,) = guard(changed(30, 50), max_share=0.2, minimum=25)

    assert reason == "30 of the 50 users in Dialog would change (60%); the limit is 20%"


def test_an_approval_lets_its_own_plan_through_and_what_is_left_of_it() -> None:
    approved = Approval.of(changed(30, 50).records())

    assert guard(changed(30, 50), max_share=0.2, minimum=25, approval=approved) == ()
    assert guard(changed(12, 50), max_share=0.2, minimum=25, approval=approved) == ()


def test_an_approval_does_not_let_a_much_different_plan_through() -> None:
    approved = Approval.of(changed(30, 50).records())
    people = [employee(i, last_name="Heel anders") for i in range(1, 51)]
    other = plan(*people, users=tuple(user(i) for i in range(1, 51)))

    assert guard(other, max_share=0.2, minimum=25, approval=approved) != ()
    assert guard(plan(users=(user(1),)), max_share=0.2, minimum=25, approval=approved) != ()


def test_an_approval_of_an_empty_source_lets_only_that_through() -> None:
    empty = plan(users=(user(1),))

    assert guard(empty, max_share=0.2, minimum=25, approval=Approval.of(empty.records())) == ()


def test_a_user_who_was_invited_since_the_plan_was_made_is_left_alone() -> None:
    wanted = user(1, given_name="Nieuw").fields

    assert isinstance(updated(user(1), wanted, ALL_FIELDS), Update)
    assert isinstance(updated(user(1, state="invited"), wanted, ALL_FIELDS), Frozen)
