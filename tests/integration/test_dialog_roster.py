"""Looking at the users in Dialog, inviting and linking them, against the sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_visma.dialog_import.moves import DialogMoves, MoveOutcome, UserRef
from airflow_provider_visma.dialog_import.roster import DialogRoster, ListedUser, UserQuery
from airflow_provider_visma.exceptions import VismaUnavailableError
from airflow_provider_visma.hooks.dialog import DialogHook
from tests.integration.dialog_world import PEOPLE, Import, change_user, person, raw, user_of
from visma_sandbox.client import SandboxProcess


@pytest.fixture
def hook(dialog: SandboxProcess, run_import: Import) -> Iterator[DialogHook]:
    run_import([*PEOPLE, person(77, nickname="Zoë", last_name='de "Wit"', email_work="zoe@example.com")])
    dialog.clear_journal()
    with DialogHook(waited_for=True) as found:
        yield found


@pytest.fixture
def roster(hook: DialogHook) -> DialogRoster:
    return hook.roster()


@pytest.fixture
def moves(hook: DialogHook) -> DialogMoves:
    return hook.moves()


def numbers(roster: DialogRoster, **query: Any) -> list[str | None]:
    return [user.employee_id for user in roster.page(UserQuery(**query)).users]


def listed(roster: DialogRoster, employee_id: int) -> ListedUser:
    found = roster.page(UserQuery(search=str(employee_id))).users
    return next(user for user in found if user.employee_id == str(employee_id))


def ref(user: ListedUser) -> UserRef:
    return UserRef(user.id, user.version)


def states(dialog: SandboxProcess) -> dict[str, int]:
    found: dict[str, int] = dialog.counts()["dialog"]["users_by_state"]
    return found


def test_a_page_says_how_many_there_are_and_holds_what_the_screen_shows(roster: DialogRoster) -> None:
    page = roster.page(UserQuery(start_index=31, count=10))
    last = roster.page(UserQuery(start_index=41, count=10))

    assert (page.total, page.start_index, len(page.users), page.narrowed) == (41, 31, 10, True)
    assert len(last.users) == 1
    user = listed(roster, 77)
    assert (user.name, user.state, user.linked_user_id, user.takes_effect_at) == (
        'Zoë de "Wit"',
        "imported",
        None,
        None,
    )
    assert (user.fields.email, user.fields.department, user.fields.department_code) == (
        "zoe@example.com",
        "Zorg",
        "10",
    )
    assert (user.fields.function_id, user.fields.start_date) == ("501", "2020-01-01")


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("ZOË", ["77"]),
        ('wit" zo', ["77"]),
        ("zoe@EXAMPLE", ["77"]),
        ("nummer40", ["40"]),
        ("nummer40 zoë", []),
        ("77", ["77"]),
        (r'\"" or externalId pr or userName eq "', []),
    ],
)
def test_words_are_looked_for_in_names_and_addresses(
    roster: DialogRoster, search: str, found: list[str]
) -> None:
    assert numbers(roster, search=search) == found


def test_what_is_searched_for_is_in_no_address(dialog: SandboxProcess, roster: DialogRoster) -> None:
    numbers(roster, search="zoë", department_code="10", state="imported")
    roster.suggestions(listed(roster, 77))

    assert {entry["operation"] for entry in dialog.journal("dialog") if entry["method"] == "POST"} == {
        "Users.search"
    }
    assert not [entry for entry in dialog.journal("dialog") if "zo" in str(entry["query"]).lower()]


def test_users_are_filtered_by_state_and_department(dialog: SandboxProcess, roster: DialogRoster) -> None:
    dialog.move_user(3, "invited")

    assert numbers(roster, state="invited") == ["3"]
    assert numbers(roster, state="invited", department_code="10", search="nummer3") == ["3"]
    assert numbers(roster, state="invited", department_code="11") == []


def test_users_of_dialogs_own_are_not_in_the_list(dialog: SandboxProcess, roster: DialogRoster) -> None:
    dialog.add_dialog_users(5)
    assert roster.page(UserQuery()).total == 41


def test_everybody_chosen_is_invited_and_one_changed_meanwhile_is_not(
    dialog: SandboxProcess, roster: DialogRoster, moves: DialogMoves, bulk: bool
) -> None:
    chosen = [listed(roster, number) for number in (1, 2, 3)]
    change_user(dialog, chosen[1].id, {"op": "replace", "path": "name.familyName", "value": "Anders"})

    outcomes = [moved.outcome for moved in moves.invite([ref(user) for user in chosen])]

    assert outcomes == [MoveOutcome.DONE, MoveOutcome.CHANGED_MEANWHILE, MoveOutcome.DONE]
    assert states(dialog) == {"imported": 39, "invited": 2}
    assert user_of(dialog, 2)["name"]["familyName"] == "Anders"
    assert listed(roster, 1).takes_effect_at is not None


def test_an_invitation_whose_answer_is_lost_is_looked_up(
    dialog: SandboxProcess, roster: DialogRoster, moves: DialogMoves, bulk: bool
) -> None:
    chosen = [ref(listed(roster, number)) for number in (1, 2)]
    dialog.inject("dialog", "Bulk" if bulk else "Users.patch", "act_then_reset")

    assert [moved.outcome for moved in moves.invite(chosen)] == [MoveOutcome.DONE] * 2
    assert states(dialog) == {"imported": 39, "invited": 2}


def test_where_dialog_does_not_answer_the_outcome_is_unknown(
    dialog: SandboxProcess, roster: DialogRoster, moves: DialogMoves
) -> None:
    chosen = [ref(listed(roster, number)) for number in (1, 2)]
    dialog.inject("dialog", "*", "status", count=None, status=503)

    assert [moved.outcome for moved in moves.invite(chosen)] == [MoveOutcome.UNKNOWN] * 2
    with pytest.raises(VismaUnavailableError):
        roster.page(UserQuery())


def test_without_versions_a_user_is_looked_at_before_being_invited(
    dialog: SandboxProcess, roster: DialogRoster, moves: DialogMoves
) -> None:
    dialog.settings(dialog_etag=False)
    first, second = (listed(roster, number) for number in (1, 2))
    dialog.move_user(2, "invited")
    dialog.add_dialog_users(1)

    outcomes = [moved.outcome for moved in moves.invite([ref(first), ref(second)])]

    assert first.version is None
    assert outcomes == [MoveOutcome.DONE, MoveOutcome.DONE]
    assert moves.link(ref(first), "whoever").outcome is MoveOutcome.NOT_ALLOWED
    assert states(dialog) == {"imported": 39, "invited": 2, "none": 1}


def test_an_undone_invitation_makes_a_user_imported_until_it_takes_effect(
    dialog: SandboxProcess, roster: DialogRoster, moves: DialogMoves
) -> None:
    moves.invite([ref(listed(roster, 1))])
    undone = moves.undo(ref(listed(roster, 1)))
    moves.invite([ref(listed(roster, 1))])
    dialog.settings(clock_offset=1000.0)
    refused = moves.undo(ref(listed(roster, 1)))

    assert (undone.outcome, refused.outcome) == (MoveOutcome.DONE, MoveOutcome.NOT_ALLOWED)
    assert refused.code == "HTTP 400"
    assert states(dialog) == {"imported": 40, "invited": 1}


def test_whoever_has_the_users_address_is_suggested_first_and_linked_once(
    dialog: SandboxProcess, roster: DialogRoster, moves: DialogMoves
) -> None:
    ids = dialog.add_dialog_users(3)
    existing = [roster.suggestions(listed(roster, 77), search=f"dialog{number}")[0] for number in (1, 2, 3)]
    for number, address in ((1, existing[1].addresses[0]), (2, f"persoon2{existing[0].addresses[0][-20:]}")):
        identifier = user_of(dialog, number)["id"]
        work = 'emails[type eq "work"].value'
        change_user(dialog, identifier, {"op": "replace", "path": work, "value": address})

    (suggested, *_) = roster.suggestions(listed(roster, 1))
    linked = moves.link(ref(listed(roster, 1)), suggested.id)
    again = moves.link(ref(listed(roster, 2)), suggested.id)

    assert suggested.id == existing[1].id == ids[1]
    assert (linked.outcome, again.outcome) == (MoveOutcome.DONE, MoveOutcome.TAKEN)
    assert listed(roster, 1).linked_user_id == suggested.id
    assert suggested.id not in {each.id for each in roster.suggestions(listed(roster, 1))}
    assert moves.undo(ref(listed(roster, 1))).outcome is MoveOutcome.DONE
    assert listed(roster, 1).linked_user_id is None


def test_an_employee_who_signs_in_to_dialog_already_is_imported_suggested_linked_and_left_alone(
    dialog: SandboxProcess, roster: DialogRoster, moves: DialogMoves, run_import: Import
) -> None:
    own = dialog.add_dialog_users(5)[4]
    with raw(dialog) as client:
        address = client.get(f"/Users/{own}").json()["userName"]
    people = [*PEOPLE, person(78, email_work=address.upper())]

    assert run_import(people)["created"] == 1
    (suggested, *_) = roster.suggestions(listed(roster, 78))
    assert suggested.id == own
    assert listed(roster, 78).fields.user_name == "78"
    assert run_import(people)["updated"] == 0
    assert moves.link(ref(listed(roster, 78)), own).outcome is MoveOutcome.DONE
    again = run_import([*PEOPLE, person(78, email_work=address, last_name="Anders")])
    assert (again["updated"], again["frozen_different"]) == (0, 1)


def test_a_colleague_of_the_same_name_at_another_host_is_suggested(
    dialog: SandboxProcess, roster: DialogRoster
) -> None:
    dialog.add_dialog_users(1)
    ((existing,),) = (roster.suggestions(listed(roster, 1), search="dialog1"),)
    local = existing.addresses[0].partition("@")[0]
    work = 'emails[type eq "work"].value'
    change_user(
        dialog,
        user_of(dialog, 1)["id"],
        {"op": "replace", "path": work, "value": f"{local}@voorbeeld.example"},
    )

    assert [each.id for each in roster.suggestions(listed(roster, 1))] == [existing.id]


def test_somebody_who_was_removed_is_gone_and_a_user_of_dialogs_own_is_not_invited(
    dialog: SandboxProcess, moves: DialogMoves
) -> None:
    (own,) = dialog.add_dialog_users(1)
    outcomes = [moved.outcome for moved in moves.invite([UserRef("nobody"), UserRef(own)])]
    assert outcomes == [MoveOutcome.GONE, MoveOutcome.NOT_ALLOWED]


def test_an_import_leaves_whoever_was_invited_or_linked_here_alone(
    dialog: SandboxProcess, roster: DialogRoster, moves: DialogMoves, run_import: Import
) -> None:
    (own,) = dialog.add_dialog_users(1)
    moves.invite([ref(listed(roster, 1))])
    moves.link(ref(listed(roster, 2)), own)

    outcome = run_import([person(number, last_name="Anders") for number in (1, 2, 3)], guard="off")

    assert (outcome["updated"], outcome["frozen"], outcome["frozen_different"]) == (1, 2, 2)
    assert listed(roster, 2).fields.family_name == "Nummer2"
    assert user_of(dialog, 3)["name"]["familyName"] == "Anders"


def test_a_service_without_filters_gives_all_users_and_says_so(
    dialog: SandboxProcess, roster: DialogRoster
) -> None:
    dialog.settings(dialog_filter=False)
    dialog.add_dialog_users(1)

    page = roster.page(UserQuery(search="zoë", state="invited", count=20))

    assert (page.narrowed, page.total, len(page.users)) == (False, 42, 20)
    assert roster.suggestions(page.users[0]) == ()
