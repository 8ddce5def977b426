"""Inviting, linking and undoing over SCIM: what Dialog takes, and what it refuses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from sandbox.tests.test_dialog import PATCH, Dialog, person, renaming
from visma_sandbox.app import Sandbox, build_app
from visma_sandbox.dialog_schemas import DIALOG_USER

INVITED = {"state": "invited"}


@pytest.fixture
async def dialog(tmp_path: Path) -> AsyncIterator[Dialog]:
    sandbox = Sandbox(employees=20, folder=tmp_path)
    async with TestClient(TestServer(build_app(sandbox))) as client:
        yield Dialog(sandbox, client)


def changes(**values: Any) -> dict[str, Any]:
    told = [
        {"op": "replace", "path": f"{DIALOG_USER}:{name}", "value": value}
        if value is not None
        else {"op": "remove", "path": f"{DIALOG_USER}:{name}"}
        for name, value in values.items()
    ]
    return {"schemas": [PATCH], "Operations": told}


async def existing(dialog: Dialog, count: int = 1) -> list[str]:
    answer = await dialog.client.post("/_control/dialog/existing", json={"count": count})
    ids: list[str] = (await answer.json())["ids"]
    return ids


async def standing(dialog: Dialog, user: dict[str, Any]) -> dict[str, Any]:
    now = await dialog.json("GET", f"/Users/{user['id']}", status=200)
    found: dict[str, Any] = now[DIALOG_USER]
    return found


async def test_an_invited_user_can_be_taken_back_until_the_invitation_takes_effect(dialog: Dialog) -> None:
    dialog.sandbox.settings.change({"dialog_undo_seconds": 60})
    user = await dialog.create(1)
    path = f"/Users/{user['id']}"

    await dialog.ask("PATCH", path, changes(**INVITED))
    invited = await standing(dialog, user)
    await dialog.ask("PATCH", path, changes(state="imported"))
    taken_back = await standing(dialog, user)
    await dialog.ask("PATCH", path, changes(**INVITED))
    dialog.sandbox.settings.change({"clock_offset": 61.0})
    refusal = await dialog.json("PATCH", path, changes(state="imported"), status=400)

    assert invited["state"] == "invited"
    assert "takesEffectAt" in invited
    assert taken_back == {"state": "imported"}
    assert refusal["scimType"] == "mutability"
    assert (await standing(dialog, user))["state"] == "invited"


async def test_a_user_is_linked_with_one_existing_user_and_nobody_else_is(dialog: Dialog) -> None:
    (other,) = await existing(dialog)
    first, second = await dialog.create(1), await dialog.create(2)
    link = changes(state="linked", linkedUserId=other)

    await dialog.ask("PATCH", f"/Users/{first['id']}", link)
    taken = await dialog.json("PATCH", f"/Users/{second['id']}", link, status=409)
    linked = await standing(dialog, first)
    await dialog.ask("PATCH", f"/Users/{first['id']}", changes(state="imported", linkedUserId=None))
    await dialog.ask("PATCH", f"/Users/{second['id']}", link)

    assert taken["scimType"] == "uniqueness"
    assert (linked["state"], linked["linkedUserId"]) == ("linked", other)
    assert await standing(dialog, first) == {"state": "imported"}
    assert (await standing(dialog, second))["linkedUserId"] == other


@pytest.mark.parametrize(
    "wanted",
    [
        {"state": "linked"},
        {"state": "linked", "linkedUserId": "nobody"},
        {"state": "linked", "linkedUserId": "an imported user"},
        {"state": "invited", "linkedUserId": "an existing user"},
    ],
    ids=["with nobody", "with somebody unknown", "with another imported user", "invited and linked"],
)
async def test_a_link_needs_an_existing_user(dialog: Dialog, wanted: dict[str, str]) -> None:
    user, imported = await dialog.create(1), await dialog.create(2)
    (other,) = await existing(dialog)
    ids = {"an imported user": imported["id"], "an existing user": other}
    sent = {name: ids.get(value, value) for name, value in wanted.items()}

    refusal = await dialog.json("PATCH", f"/Users/{user['id']}", changes(**sent), status=400)

    assert refusal["scimType"] == "invalidValue"
    assert await standing(dialog, user) == {"state": "imported"}


async def test_only_imported_users_are_invited(dialog: Dialog) -> None:
    user = await dialog.create(1)
    (other,) = await existing(dialog)
    await dialog.ask("PATCH", f"/Users/{user['id']}", changes(**INVITED))

    relinked = changes(state="linked", linkedUserId=other)
    for path, body in ((f"/Users/{user['id']}", relinked), (f"/Users/{other}", changes(**INVITED))):
        assert (await dialog.json("PATCH", path, body, status=400))["scimType"] == "mutability"


async def test_a_client_does_not_say_when_an_invitation_takes_effect(dialog: Dialog) -> None:
    user = await dialog.create(1)
    body = changes(state="invited", takesEffectAt="2999-01-01T00:00:00Z")
    assert (await dialog.json("PATCH", f"/Users/{user['id']}", body, status=400))["scimType"] == "mutability"
    assert await standing(dialog, user) == {"state": "imported"}


async def test_a_frozen_dialog_lets_a_user_be_invited_and_taken_back(dialog: Dialog) -> None:
    dialog.sandbox.settings.change({"dialog_freeze": True})
    user = await dialog.create(1)
    path = f"/Users/{user['id']}"

    await dialog.ask("PATCH", path, changes(**INVITED))
    assert (await dialog.json("PATCH", path, renaming("Anders"), status=400))["scimType"] == "mutability"
    await dialog.ask("PATCH", path, changes(state="imported"))

    assert (await dialog.ask("PATCH", path, renaming("Anders"))).status in (200, 204)
    assert await standing(dialog, user) == {"state": "imported"}


async def test_a_user_who_is_replaced_keeps_the_link(dialog: Dialog) -> None:
    (other,) = await existing(dialog)
    user = await dialog.create(1)
    await dialog.ask("PATCH", f"/Users/{user['id']}", changes(state="linked", linkedUserId=other))
    before = await standing(dialog, user)

    await dialog.json("PUT", f"/Users/{user['id']}", person(1, title="Anders"), status=200)

    assert await standing(dialog, user) == before


async def test_dialogs_own_users_have_an_employees_address_and_no_number(dialog: Dialog) -> None:
    await existing(dialog, 3)
    people = {each.email_work for each in dialog.sandbox.organisation.people()}
    page = await dialog.json("GET", "/Users?filter=not (externalId pr)", status=200)

    assert page["totalResults"] == 3
    for user in page["Resources"]:
        assert user["emails"][0]["value"] in people
        assert user["emails"][0]["type"] == "other"
    assert dialog.sandbox.counts["dialog"]()["users_by_state"] == {"none": 3}
