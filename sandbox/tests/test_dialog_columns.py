"""What is found by columns is what a look at every row finds, also after rows were written."""

from __future__ import annotations

from typing import Any

import pytest
from scim2_models import Path, ScimFilter

from visma_sandbox.dialog_columns import Columns
from visma_sandbox.dialog_payload import Payload, compile_filter
from visma_sandbox.dialog_schemas import DIALOG_USER, DIALOG_USER_MODEL

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
FILTERS = [
    f'{DIALOG_USER}:state eq "imported"',
    f'{DIALOG_USER}:state ne "imported"',
    f'{DIALOG_USER}:departmentCode eq "1" and userName co "PERSON"',
    'userName co "son1" or emails.value co "home"',
    'emails[type eq "home" and value co "home"]',
    "externalId pr",
    "not (externalId pr)",
    'externalId eq "3"',
    'externalId ne "3"',
    'id eq "id-2"',
    'userName sw "person" and not (userName ew ".org")',
    "externalId eq null",
    'userName gt "person3"',
]


def user(number: int, **more: Any) -> Payload:
    emails = [{"value": f"person{number}@example.com", "type": "work"}]
    if number % 3 == 0:
        emails.append({"value": "home@example.org", "type": "home"})
    return {
        "schemas": [USER, DIALOG_USER],
        "id": f"id-{number}",
        "userName": f"Person{number}@example.com",
        "externalId": str(number),
        "emails": emails,
        DIALOG_USER: {"state": "invited" if number % 2 else "imported", "departmentCode": str(number % 3)},
        **more,
    }


def found(columns: Columns, text: str) -> set[str]:
    return set(columns.matching(parsed(text)))


def looked_up(rows: dict[str, Payload], text: str) -> set[str]:
    matches = compile_filter(DIALOG_USER_MODEL, parsed(text))
    return {each for each, row in rows.items() if matches(row)}


def parsed(text: str) -> Any:
    return ScimFilter.__class_getitem__(DIALOG_USER_MODEL)(text).ast


@pytest.mark.parametrize("text", FILTERS)
def test_columns_find_what_a_look_at_every_row_finds(text: str) -> None:
    rows = {row["id"]: row for row in map(user, range(9))}
    unique = {row["externalId"]: each for each, row in rows.items()}
    columns = Columns(DIALOG_USER_MODEL, rows, {"externalId": unique})
    assert found(columns, text) == looked_up(rows, text)

    bare = {"id": "id-4", "schemas": [USER], "userName": "nobody"}
    added = user(12)
    rows |= {"id-4": bare, "id-12": added}
    del rows["id-3"]
    unique |= {"12": "id-12"}
    for gone in ("3", "4"):
        del unique[gone]
    for each in ("id-3", "id-4", "id-12"):
        columns.changed(each)

    assert found(columns, text) == looked_up(rows, text)


def test_an_order_follows_what_is_written() -> None:
    rows = {row["id"]: row for row in map(user, range(3))}
    columns = Columns(DIALOG_USER_MODEL, rows, {})
    path = Path.__class_getitem__(DIALOG_USER_MODEL)("userName")
    assert columns.ordered(path, descending=False) == ["id-0", "id-1", "id-2"]

    rows["id-0"] = user(0, userName="zzz")
    columns.changed("id-0")

    assert columns.ordered(path, descending=False) == ["id-1", "id-2", "id-0"]
    assert columns.ordered(path, descending=True) == ["id-0", "id-2", "id-1"]
