"""Dialog over HTTP: what a client of RFC 7644 may count on, and what the switches and faults do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientConnectionError, ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from visma_sandbox.app import Sandbox, build_app
from visma_sandbox.credentials import DIALOG_TOKEN
from visma_sandbox.dialog_schemas import DIALOG_USER
from visma_sandbox.faults import Fault

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
FUNCTION = "urn:airflow-provider-visma:params:scim:schemas:dialog:2.0:Function"
BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
BEARER = {"Authorization": f"Bearer {DIALOG_TOKEN}"}


class Dialog:
    """A running Dialog, its sandbox, and a client with the right token."""

    def __init__(self, sandbox: Sandbox, client: TestClient[Any, Any]) -> None:
        self.sandbox = sandbox
        self.client = client

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> ClientResponse:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.request(method, f"/scim/v2{path}", json=body, headers={**BEARER, **sent})

    async def json(self, method: str, path: str, body: Any = None, *, status: int, **headers: str) -> Any:
        response = await self.ask(method, path, body, **headers)
        assert response.status == status, await response.text()
        return await response.json(content_type="application/scim+json")

    async def create(self, number: int, **more: Any) -> dict[str, Any]:
        created: dict[str, Any] = await self.json("POST", "/Users", person(number, **more), status=201)
        return created

    async def invite(self, number: int, state: str = "invited") -> int:
        path = f"/_control/dialog/users/{number}/state"
        return (await self.client.post(path, json={"state": state})).status

    async def bulk(self, *operations: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
        request = {"schemas": [BULK], "Operations": list(operations), **more}
        answer: dict[str, Any] = await self.json("POST", "/Bulk", request, status=200)
        outcomes: list[dict[str, Any]] = answer["Operations"]
        return outcomes


@pytest.fixture
async def dialog(tmp_path: Path) -> AsyncIterator[Dialog]:
    sandbox = Sandbox(employees=1, folder=tmp_path)
    async with TestClient(TestServer(build_app(sandbox))) as client:
        yield Dialog(sandbox, client)


def person(number: int, **more: Any) -> dict[str, Any]:
    address = f"person{number}@example.com"
    return {
        "schemas": [USER],
        "userName": address,
        "externalId": str(number),
        "name": {"givenName": "Testpersoon", "familyName": f"Nummer {number}"},
        "emails": [{"value": address, "type": "work", "primary": True}],
        "active": True,
        **more,
    }


def creation(number: int, **more: Any) -> dict[str, Any]:
    return {"method": "POST", "path": "/Users", "bulkId": f"u{number}", "data": person(number), **more}


def renaming(name: str) -> dict[str, Any]:
    operation = {"op": "replace", "path": "name.familyName", "value": name}
    return {"schemas": [PATCH], "Operations": [operation]}


# Users


async def test_a_created_user_is_imported_located_and_versioned(dialog: Dialog) -> None:
    response = await dialog.ask("POST", "/Users", person(1))
    created = await response.json(content_type="application/scim+json")

    assert response.status == 201
    assert created[DIALOG_USER] == {"state": "imported"}
    assert response.headers["Location"] == created["meta"]["location"]
    assert response.headers["ETag"] == created["meta"]["version"]
    assert await dialog.json("GET", f"/Users/{created['id']}", status=200) == created


@pytest.mark.parametrize(
    "twin",
    [{"userName": "PERSON1@EXAMPLE.COM"}, {"externalId": "1"}],
    ids=["userName in other case", "externalId"],
)
async def test_what_is_unique_is_refused_a_second_time(dialog: Dialog, twin: dict[str, str]) -> None:
    await dialog.create(1)
    second = await dialog.create(2)

    on_create = await dialog.json("POST", "/Users", person(3, **twin), status=409)
    on_replace = await dialog.json("PUT", f"/Users/{second['id']}", person(2, **twin), status=409)

    assert (on_create["scimType"], on_replace["scimType"]) == ("uniqueness", "uniqueness")
    assert await dialog.json("GET", f"/Users/{second['id']}", status=200) == second


async def test_a_deleted_users_name_is_free_again(dialog: Dialog) -> None:
    user = await dialog.create(1)
    assert (await dialog.ask("DELETE", f"/Users/{user['id']}")).status == 204
    assert (await dialog.ask("GET", f"/Users/{user['id']}")).status == 404
    await dialog.create(1)


async def test_externalids_of_different_kinds_do_not_clash(dialog: Dialog) -> None:
    await dialog.create(7)
    for path in ("/Departments", "/Functions"):
        schema = FUNCTION.replace("Function", path[1:-1])
        body = {"schemas": [schema], "externalId": "7", "displayName": "Zeven"}
        await dialog.json("POST", path, body, status=201)
        await dialog.json("POST", path, body, status=409)


@pytest.mark.parametrize(
    ("body", "status", "scim_type"),
    [
        ({"schemas": [USER], "externalId": "1"}, 400, "invalidValue"),
        ({"schemas": [USER], "userName": "a", DIALOG_USER: {"state": "asleep"}}, 400, "invalidValue"),
        (b"{", 400, "invalidSyntax"),
    ],
    ids=["no userName", "unknown state", "no JSON"],
)
async def test_an_unreadable_user_is_refused(dialog: Dialog, body: Any, status: int, scim_type: str) -> None:
    sent: dict[str, Any] = {"data": body} if isinstance(body, bytes) else {"json": body}
    response = await dialog.client.post(
        "/scim/v2/Users", headers={**BEARER, "Content-Type": "application/scim+json"}, **sent
    )
    refusal = await response.json(content_type="application/scim+json")
    assert (response.status, refusal["scimType"]) == (status, scim_type)


@pytest.mark.parametrize("authorization", [None, "Bearer wrong", f"Basic {DIALOG_TOKEN}"])
async def test_only_the_token_opens_dialog(dialog: Dialog, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    for method, path in (("GET", "/Users"), ("GET", "/Schemas"), ("POST", "/Bulk")):
        response = await dialog.client.request(method, f"/scim/v2{path}", headers=headers)
        assert response.status == 401
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert [entry.authorized for entry in dialog.sandbox.journal.entries("dialog")] == [False] * 3


# Versions


async def test_a_change_needs_the_version_it_was_based_on(dialog: Dialog) -> None:
    user = await dialog.create(1)
    path, version = f"/Users/{user['id']}", user["meta"]["version"]

    assert (await dialog.ask("PATCH", path, renaming("Eerste"), If_Match=version)).status in (200, 204)
    await dialog.json("PATCH", path, renaming("Tweede"), status=412, If_Match=version)
    await dialog.json("PUT", path, person(1), status=412, If_Match=version)
    await dialog.json("DELETE", path, status=412, If_Match=version)

    now = await dialog.json("GET", path, status=200)
    assert now["name"]["familyName"] == "Eerste"
    assert now["meta"]["version"] != version


async def test_an_unchanged_user_is_not_sent_again(dialog: Dialog) -> None:
    user = await dialog.create(1)
    path, version = f"/Users/{user['id']}", user["meta"]["version"]

    await dialog.ask("PATCH", path, renaming("Nummer 1"))  # changes nothing, so the version stays
    response = await dialog.ask("GET", path, If_None_Match=version)

    assert (response.status, response.headers["ETag"], await response.read()) == (304, version, b"")


async def test_someone_else_can_get_in_between(dialog: Dialog) -> None:
    user = await dialog.create(1)
    path, version = f"/Users/{user['id']}", user["meta"]["version"]
    dialog.sandbox.faults.add(Fault("dialog", "changed_meanwhile", "Users.patch"))

    await dialog.json("PATCH", path, renaming("Anders"), status=412, If_Match=version)

    fresh = (await dialog.json("GET", path, status=200))["meta"]["version"]
    assert (await dialog.ask("PATCH", path, renaming("Anders"), If_Match=fresh)).status in (200, 204)


async def test_a_dialog_without_versions_says_so_and_sends_none(dialog: Dialog) -> None:
    dialog.sandbox.settings.change({"dialog_etag": False})
    response = await dialog.ask("POST", "/Users", person(1))
    listed = await dialog.json("GET", "/Users", status=200)

    assert "ETag" not in response.headers
    assert "version" not in listed["Resources"][0]["meta"]
    assert (await dialog.json("GET", "/ServiceProviderConfig", status=200))["etag"] == {"supported": False}


# States


@pytest.mark.parametrize("state", ["invited", "linked"])
async def test_a_frozen_dialog_refuses_changes_of_settled_users(dialog: Dialog, state: str) -> None:
    user = await dialog.create(1)
    path = f"/Users/{user['id']}"
    assert await dialog.invite(1, state) == 204
    dialog.sandbox.settings.change({"dialog_freeze": True})

    patched = await dialog.json("PATCH", path, renaming("Anders"), status=400)
    replaced = await dialog.json("PUT", path, person(1, title="Anders"), status=400)

    assert (patched["scimType"], replaced["scimType"]) == ("mutability", "mutability")
    now = await dialog.json("GET", path, status=200)
    assert (now["name"], now[DIALOG_USER]) == (user["name"], {"state": state})


async def test_an_open_dialog_takes_the_change_and_notes_it(dialog: Dialog) -> None:
    user = await dialog.create(1)
    await dialog.invite(1)

    replaced = await dialog.json("PUT", f"/Users/{user['id']}", person(1, title="Anders"), status=200)

    assert replaced["title"] == "Anders"
    assert replaced[DIALOG_USER] == {"state": "invited"}  # Dialog's own: a PUT without it does not reset it
    (entry,) = dialog.sandbox.journal.entries("dialog", "Users.replace")
    assert entry.note == {"changed_while": "invited"}


async def test_the_counts_tell_states_apart_and_reset_forgets_all(dialog: Dialog) -> None:
    for number in (1, 2, 3):
        await dialog.create(number)
    assert [await dialog.invite(1), await dialog.invite(2, "linked")] == [204, 204]
    assert [await dialog.invite(99), await dialog.invite(3, "asleep")] == [404, 400]

    counts = await (await dialog.client.get("/_control/counts")).json()

    states = {"imported": 1, "invited": 1, "linked": 1}
    assert counts["dialog"] == {"users": 3, "users_by_state": states, "departments": 0, "functions": 0}
    dialog.sandbox.reset()
    assert (await dialog.json("GET", "/Users", status=200))["totalResults"] == 0


# Lists


async def test_pages_hold_everyone_once(dialog: Dialog) -> None:
    dialog.sandbox.settings.change({"dialog_max_results": 3})
    for number in range(8):
        await dialog.create(number)

    seen, start = [], 1
    while True:
        page = await dialog.json("GET", f"/Users?startIndex={start}&count=100", status=200)
        assert (page["totalResults"], page["startIndex"]) == (8, start)
        if not page["Resources"]:
            break
        assert page["itemsPerPage"] == len(page["Resources"]) <= 3
        seen += [user["externalId"] for user in page["Resources"]]
        start += page["itemsPerPage"]

    assert seen == [str(number) for number in range(8)]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ('filter=externalId eq "2"', ["2"]),
        ('filter=userName eq "PERSON1@example.com"', ["1"]),
        ('filter=externalId eq "2" or externalId eq "0"&sortBy=externalId', ["0", "2"]),
        ('filter=name.familyName co "nummer"&sortBy=externalId&sortOrder=descending&count=2', ["2", "1"]),
        (f'filter={DIALOG_USER}:state eq "invited"', []),
        ('filter=externalId eq "2" and active eq false', []),
    ],
)
async def test_a_list_is_filtered_and_sorted(dialog: Dialog, query: str, found: list[str]) -> None:
    for number in range(3):
        await dialog.create(number)
    page = await dialog.json("GET", f"/Users?{query}", status=200)
    assert [user["externalId"] for user in page["Resources"]] == found


async def test_a_list_can_be_reduced_to_some_attributes(dialog: Dialog) -> None:
    user = await dialog.create(1)
    page = await dialog.json("GET", f"/Users?attributes=externalId,{DIALOG_USER}", status=200)
    assert page["Resources"] == [
        {
            "schemas": [USER, DIALOG_USER],
            "id": user["id"],
            "externalId": "1",
            DIALOG_USER: {"state": "imported"},
        }
    ]


@pytest.mark.parametrize("scim_filter", ["externalId eq", 'nosuch eq "1"', 'active gt "1"'])
async def test_a_filter_that_means_nothing_is_refused(dialog: Dialog, scim_filter: str) -> None:
    refusal = await dialog.json("GET", f"/Users?filter={scim_filter}", status=400)
    assert refusal["scimType"] == "invalidFilter"


# Bulk


async def test_a_bulk_request_creates_changes_and_deletes(dialog: Dialog) -> None:
    old, gone = await dialog.create(1), await dialog.create(2)
    function = {"schemas": [FUNCTION], "externalId": "F1", "displayName": "Kok"}
    outcomes = await dialog.bulk(
        creation(3, data=person(3, **{DIALOG_USER: {"functionId": "bulkId:f"}})),
        {"method": "POST", "path": "/Functions", "bulkId": "f", "data": function},
        {"method": "PATCH", "path": f"/Users/{old['id']}", "data": renaming("Anders")},
        {"method": "DELETE", "path": f"/Users/{gone['id']}", "version": gone["meta"]["version"]},
    )

    assert [outcome["status"] for outcome in outcomes] == ["201", "201", "200", "204"]
    made = await dialog.json("GET", outcomes[0]["location"].partition("/scim/v2")[2], status=200)
    assert outcomes[1]["location"].endswith(made[DIALOG_USER]["functionId"])
    assert outcomes[0]["version"] == made["meta"]["version"]


async def test_what_fails_in_a_bulk_request_fails_alone(dialog: Dialog) -> None:
    user = await dialog.create(1)
    stale = {"method": "PATCH", "path": f"/Users/{user['id']}", "data": renaming("X"), "version": 'W/"0"'}
    outcomes = await dialog.bulk(creation(1), stale, creation(2))

    assert [outcome["status"] for outcome in outcomes] == ["409", "412", "201"]
    assert outcomes[0]["response"]["scimType"] == "uniqueness"


async def test_a_bulk_request_stops_after_the_errors_it_allows(dialog: Dialog) -> None:
    await dialog.create(1)
    outcomes = await dialog.bulk(creation(1), creation(2), failOnErrors=1)
    assert [outcome["status"] for outcome in outcomes] == ["409"]
    assert (await dialog.json("GET", "/Users", status=200))["totalResults"] == 1


async def test_a_fault_can_hit_one_operation_of_many(dialog: Dialog) -> None:
    dialog.sandbox.faults.add(Fault("dialog_bulk", "status", "Users.create", after=1, args={"status": 429}))
    outcomes = await dialog.bulk(creation(1), creation(2), creation(3))
    assert [outcome["status"] for outcome in outcomes] == ["201", "429", "201"]

    dialog.sandbox.faults.add(Fault("dialog_bulk", "changed_meanwhile", "Users.delete"))
    path = outcomes[0]["location"].partition("/scim/v2")[2]
    deletion = {"method": "DELETE", "path": path, "version": outcomes[0]["version"]}
    assert [each["status"] for each in await dialog.bulk(deletion)] == ["412"]


@pytest.mark.parametrize(
    ("switch", "limit"), [("dialog_bulk_max_operations", 2), ("dialog_bulk_max_payload_size", 600)]
)
async def test_a_bulk_request_beyond_a_limit_does_nothing(dialog: Dialog, switch: str, limit: int) -> None:
    dialog.sandbox.settings.change({switch: limit})
    operations = [creation(number) for number in range(3)]
    await dialog.json("POST", "/Bulk", {"schemas": [BULK], "Operations": operations}, status=413)

    config = await dialog.json("GET", "/ServiceProviderConfig", status=200)
    assert limit in config["bulk"].values()
    assert (await dialog.json("GET", "/Users", status=200))["totalResults"] == 0


@pytest.mark.parametrize(
    ("switch", "method", "path"),
    [
        ("bulk", "POST", "/Bulk"),
        ("patch", "PATCH", "/Users/nobody"),
        ("filter", "GET", "/Users?filter=externalId pr"),
    ],
)
async def test_what_is_switched_off_is_not_announced_nor_done(
    dialog: Dialog, switch: str, method: str, path: str
) -> None:
    dialog.sandbox.settings.change({f"dialog_{switch}": False})
    config = await dialog.json("GET", "/ServiceProviderConfig", status=200)
    assert config[switch]["supported"] is False
    await dialog.json(method, path, {}, status=501)


# Faults


async def test_a_refused_creation_has_not_happened_and_a_lost_answer_has(dialog: Dialog) -> None:
    faults = dialog.sandbox.faults
    faults.add(Fault("dialog", "status", "Users.create", args={"status": 429, "retry_after": 1}))
    refused = await dialog.ask("POST", "/Users", person(1))
    assert (refused.status, refused.headers["Retry-After"]) == (429, "1")
    assert (await dialog.json("GET", "/Users", status=200))["totalResults"] == 0

    faults.add(Fault("dialog", "act_then_reset", "Users.create"))
    with pytest.raises(ClientConnectionError):
        await dialog.ask("POST", "/Users", person(1))
    assert (await dialog.json("GET", "/Users", status=200))["totalResults"] == 1
