"""Inviting many, where some or all of the answers do not come."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_visma.dialog_import.moves import MoveOutcome, UserRef
from airflow_provider_visma.dialog_import.roster import UserQuery
from airflow_provider_visma.hooks.dialog import DialogHook
from tests.integration.dialog_world import PEOPLE, Import
from visma_sandbox.client import SandboxProcess


@pytest.fixture
def hook(dialog: SandboxProcess, run_import: Import) -> Iterator[DialogHook]:
    run_import(PEOPLE)
    with DialogHook(waited_for=True) as found:
        yield found


def chosen(hook: DialogHook, count: int) -> list[UserRef]:
    page = hook.roster().page(UserQuery(count=count))
    return [UserRef(user.id, user.version) for user in page.users]


def test_a_dialog_that_stopped_answering_is_not_asked_about_each_of_many(
    dialog: SandboxProcess, hook: DialogHook
) -> None:
    users = chosen(hook, 20)
    dialog.clear_journal()
    dialog.inject("dialog", "*", "status", count=None, status=503)

    moved = hook.moves().invite(users)

    assert [each.id for each in moved] == [user.id for user in users]
    assert {each.outcome for each in moved} == {MoveOutcome.UNKNOWN}
    assert len(dialog.journal("dialog")) <= 4


def test_one_answer_that_does_not_come_keeps_nobody_else_from_being_invited(
    dialog: SandboxProcess, hook: DialogHook
) -> None:
    dialog.settings(dialog_bulk=False)
    users = chosen(hook, 5)
    dialog.inject("dialog", "Users.get", "status", count=1, status=503)

    outcomes = [each.outcome for each in hook.moves().invite(users)]

    assert outcomes == [MoveOutcome.UNKNOWN, *[MoveOutcome.DONE] * 4]


@pytest.mark.parametrize("status", [401, 403, 400])
def test_who_was_invited_before_the_others_were_refused_is_told(
    dialog: SandboxProcess, hook: DialogHook, status: int
) -> None:
    dialog.settings(dialog_bulk=False)
    users = chosen(hook, 4)
    dialog.inject("dialog", "Users.get", "status", count=None, after=1, status=status)

    outcomes = [each.outcome for each in hook.moves().invite(users)]

    assert outcomes[0] is MoveOutcome.DONE
    assert MoveOutcome.DONE not in outcomes[1:]
