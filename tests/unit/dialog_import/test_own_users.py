"""Employees whose address one of Dialog's own users has, whom a person may link them with."""

from __future__ import annotations

import dataclasses

from airflow_provider_visma.dialog_import.plan import Create, SetAside, Update
from airflow_provider_visma.dialog_import.planning import ALL_FIELDS, make_plan
from airflow_provider_visma.dialog_import.rules import SetAsideReason, UserFields
from tests.unit.dialog_import.people import DAY, HELD, LISTS, employee, plan, user


def test_somebody_who_is_a_dialog_user_already_is_imported_by_number_to_be_linked() -> None:
    """2.3: a person links the two; nobody is taken over."""
    other = dataclasses.replace(user(7), external_id=None)
    namesake = employee(8, email_work="PERSOON7@example.com")

    (line,) = plan(namesake, users=(other,)).lines

    assert isinstance(line, Create)
    assert isinstance(line.wanted, UserFields)
    assert (line.wanted.user_name, line.wanted.email) == ("8", "PERSOON7@example.com")


def test_who_is_known_by_number_stays_so_until_the_address_is_free() -> None:
    other = dataclasses.replace(user(7), external_id=None)
    namesake = employee(8, email_work="persoon7@example.com")
    (created,) = plan(namesake, users=(other,)).lines
    assert isinstance(created, Create)
    held = dataclasses.replace(user(8), fields=created.wanted)

    assert plan(namesake, users=(other, held)).lines == ()
    (freed,) = plan(namesake, users=(held,)).lines
    assert isinstance(freed, Update)
    assert [(change.field, change.new) for change in freed.changes] == [("user_name", "persoon7@example.com")]


def test_where_nobody_can_be_linked_an_address_in_use_sets_aside() -> None:
    other = dataclasses.replace(user(7), external_id=None)

    held = dataclasses.replace(HELD, users=(other,), user_fields=ALL_FIELDS - {"start_date", "end_date"})

    lines = make_plan(
        [employee(8, email_work="persoon7@example.com")], lists=LISTS, content=held, day=DAY
    ).lines

    assert SetAside("8", SetAsideReason.EMAIL_IN_USE) in lines
