"""Dialog's file: a restarted sandbox is the Dialog that it was."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from visma_sandbox.app import Sandbox, build_app
from visma_sandbox.credentials import DIALOG_TOKEN
from visma_sandbox.dialog_file import DialogFile
from visma_sandbox.dialog_schemas import DIALOG_USER, DIALOG_USER_MODEL, RESOURCE_TYPES, UserState
from visma_sandbox.dialog_store import DialogStore

USER_TYPE = RESOURCE_TYPES[0]


def store_of(*external_ids: str) -> DialogStore:
    store = DialogStore(time.time)
    for external_id in external_ids:
        user = DIALOG_USER_MODEL(user_name=f"{external_id}@example.com", external_id=external_id)
        store.create(USER_TYPE, user)
    return store


async def run_with(file: DialogFile) -> None:
    """Start and stop an application that keeps the file."""
    running = file.kept(None)  # type: ignore[arg-type]  # an application is of no use to it
    await anext(running)
    await anext(running, None)


async def test_a_restarted_dialog_holds_what_it_held(tmp_path: Path) -> None:
    path = tmp_path / "new" / "dialog.json"
    before, after = store_of("1", "2"), store_of()
    before.move("1", UserState.INVITED)

    await run_with(DialogFile(path, before))
    unsaved = DialogFile(path, after, interval=60)
    await run_with(unsaved)

    assert after.snapshot() == before.snapshot()
    assert after.counts()["users_by_state"] == {"invited": 1, "imported": 1}
    assert [file.name for file in path.parent.iterdir()] == ["dialog.json"]


@pytest.mark.parametrize("content", ["", '{"User": [', "[]", "{}"])
async def test_a_damaged_file_is_named_and_left_as_it_is(tmp_path: Path, content: str) -> None:
    path = tmp_path / "dialog.json"
    path.write_text(content)

    with pytest.raises(ValueError, match=f"{path} is damaged; remove it"):
        await run_with(DialogFile(path, store_of()))

    assert path.read_text() == content


async def test_what_was_unique_before_the_restart_still_is(tmp_path: Path) -> None:
    path = tmp_path / "dialog.json"
    headers = {"Authorization": f"Bearer {DIALOG_TOKEN}"}
    statuses, versions = [], []
    for external_id in ("1", "1", "2"):
        body = {"userName": f"{external_id}@example.com", "externalId": external_id}
        sandbox = Sandbox(employees=1, folder=tmp_path, dialog_file=path)
        async with TestClient(TestServer(build_app(sandbox))) as client:
            response = await client.post("/scim/v2/Users", json=body, headers=headers)
            statuses.append(response.status)
            versions.append(response.headers.get("ETag"))

    assert statuses == [201, 409, 201]
    assert versions[0] != versions[2]


async def test_a_write_reaches_the_file_while_dialog_runs(tmp_path: Path) -> None:
    path, store = tmp_path / "dialog.json", store_of()
    running = DialogFile(path, store, interval=0.001).kept(None)  # type: ignore[arg-type]
    await anext(running)
    store.create(USER_TYPE, DIALOG_USER_MODEL(user_name="1@example.com"))

    async with asyncio.timeout(60):
        while not path.exists():  # noqa: ASYNC110 - a thread writes it
            await asyncio.sleep(0)
    kept: dict[str, Any] = json.loads(path.read_bytes())

    assert [user[DIALOG_USER] for user in kept["User"]] == [{"state": "imported"}]
    await anext(running, None)


async def test_a_write_that_fails_leaves_the_last_file_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "dialog.json"
    await run_with(DialogFile(path, store_of("1")))
    whole = path.read_bytes()
    broken = store_of()
    running = DialogFile(path, broken).kept(None)  # type: ignore[arg-type]
    await anext(running)
    monkeypatch.setattr(broken, "snapshot", lambda: {"revision": 9, "User": [object()]})
    broken.clear()

    with pytest.raises(TypeError):
        await anext(running, None)

    assert path.read_bytes() == whole
