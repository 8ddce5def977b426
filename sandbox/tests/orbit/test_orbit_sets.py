"""Orbit's ``set``: with an id it changes, without one it makes, and a null empties."""

from __future__ import annotations

import pytest
import requests

from visma_sandbox.orbit.resources import RESOURCES

SETTABLE = sorted(name for name, each in RESOURCES.items() if "set" in each.verbs)


def a_row(orbit, name: str) -> dict[str, object]:
    """The least that makes a row."""
    entity = orbit.sandbox.orbit_rows("entities", top=1)[0]["id"]
    return {field: entity if field == "entityid" else "Nieuw" for field in RESOURCES[name].needed}


@pytest.mark.parametrize("name", SETTABLE)
def test_without_an_id_a_row_is_made_each_time(signed_in, name) -> None:
    before = signed_in.sandbox.counts()["orbit"][name]

    first, second = (signed_in.call(f"{name}.set", a_row(signed_in, name)) for _ in range(2))

    assert first["id"] != second["id"]
    assert signed_in.call(f"{name}.get", {"id": first["id"]}) == first
    assert signed_in.all_of(name)[-1]["id"] == second["id"]
    assert signed_in.sandbox.counts()["orbit"][name] == before + 2


@pytest.mark.parametrize("name", SETTABLE)
def test_with_an_id_the_fields_that_are_sent_change(signed_in, name) -> None:
    item = signed_in.sandbox.orbit_rows(name, top=1)[0]
    field = RESOURCES[name].needed[0]

    changed = signed_in.call(f"{name}.set", {"id": item["id"], field: "Anders"})

    assert changed == {**signed_in.call(f"{name}.get", {"id": item["id"]}), field: "Anders"}
    after = signed_in.sandbox.orbit_rows(name, top=1)[0]
    assert {**after, "updated_at": item["updated_at"]} == {**item, field: "Anders"}
    assert after["updated_at"] > item["updated_at"]


def test_a_null_empties_the_field_and_what_is_left_out_stays(signed_in) -> None:
    made = signed_in.call(
        "companies.set", {"name": "Nieuw", "city": "Testdam", "phone": "1", "custfields": [{"a": 1}]}
    )

    changed = signed_in.call("companies.set", {"id": made["id"], "city": None, "custfields": None})

    assert (changed["city"], changed["custfields"], changed["phone"]) == (None, [], "1")
    note = signed_in.notes("companies.set")[-1]
    assert (note["nulls"], note["fields"]) == (["city", "custfields"], ["city", "custfields", "id"])
    assert (note["id"], note["row_id"], note["created"]) == (made["id"], made["id"], False)


def test_the_addresses_of_a_company_follow_its_email(signed_in) -> None:
    made = signed_in.call("companies.set", {"name": "Nieuw", "email": "nieuw@example.com"})

    assert [each["email"] for each in made["emails"]] == ["nieuw@example.com"]


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("companies.set", {}),
        ("companies.set", {"name": None}),
        ("companies.set", {"name": ""}),
        ("companies.set", {"name": 7}),
        ("companies.set", {"name": "N", "type": "client"}),
        ("companies.set", {"name": "N", "email": "nobody"}),
        ("companies.set", {"name": "N", "custfields": {}}),
        ("contacts.set", {"lastname": "N", "companyid": "CPZZZZZZZZZZZZZ"}),
        ("deals.set", {"name": "N", "value": "7"}),
        ("deals.set", {"name": "N", "value": True}),
        ("entities.set", {"name": "N", "enabled": 1.5}),
        ("entities.set", {"name": "N", "porequired": 1}),
        ("offers.set", {"name": "N"}),
    ],
)
def test_a_value_that_a_field_cannot_have_is_refused_and_nothing_changes(signed_in, operation, body) -> None:
    name = operation.partition(".")[0]
    before = signed_in.sandbox.counts()["orbit"][name]

    answer = signed_in.post(operation, body)

    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "validation_failed")
    assert signed_in.sandbox.counts()["orbit"][name] == before


@pytest.mark.parametrize(
    ("due", "status"), [("2026-08-28", 200), ("2026-08-28T09:37:45", 200), ("28-8-2026", 400)]
)
def test_a_date_may_be_a_day_alone(signed_in, due, status) -> None:
    body = {**a_row(signed_in, "offers"), "due_dt": due}

    assert signed_in.post("offers.set", body).status_code == status


def test_an_id_that_is_not_there_is_not_found(signed_in) -> None:
    assert signed_in.post("companies.set", {"id": "CPZZZZZZZZZZZZZ", "name": "N"}).status_code == 404


def test_a_field_that_is_not_known_is_dropped_or_refused(signed_in) -> None:
    signed_in.call("companies.set", {"name": "Nieuw", "shoe_size": 43})
    assert signed_in.notes("companies.set")[0]["dropped"] == ["shoe_size"]

    signed_in.sandbox.settings(orbit_unknown_fields="refused")
    assert signed_in.post("companies.set", {"name": "Nieuw", "shoe_size": 43}).status_code == 400


def test_the_answer_may_be_the_id_or_nothing(signed_in) -> None:
    signed_in.sandbox.settings(orbit_set_answer="id")
    assert set(signed_in.call("companies.set", {"name": "Nieuw"})) == {"id"}
    signed_in.sandbox.settings(orbit_set_answer="empty")
    assert signed_in.call("companies.set", {"name": "Nieuw"}) == {}


def test_a_row_is_made_although_the_answer_never_comes(signed_in) -> None:
    before = signed_in.sandbox.counts()["orbit"]["companies"]
    signed_in.sandbox.inject("orbit", "companies.set", "act_then_reset")

    with pytest.raises(requests.ConnectionError):
        signed_in.post("companies.set", {"name": "Nieuw"})

    assert signed_in.sandbox.counts()["orbit"]["companies"] == before + 1


def test_a_reset_forgets_what_was_set(signed_in) -> None:
    before = signed_in.sandbox.counts()["orbit"]
    signed_in.call("companies.set", {"name": "Nieuw"})
    signed_in.sandbox.reset()

    assert signed_in.sandbox.counts()["orbit"] == before
