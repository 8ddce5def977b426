from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_visma.triggers.dialog import DialogReviewsTrigger
from visma_sandbox.client import SandboxProcess

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)


class Kept:
    """What lasts when a trigger ends: the state of its asset."""

    def __init__(self, assets: int = 1) -> None:
        self.values: dict[str, Any] = {}
        self._assets = assets

    async def aget(self, key: str, default: Any = None) -> Any:
        if self._assets != 1:
            raise ValueError("Task has 2 concrete inlets and outlets")
        return self.values.get(key, default)

    async def aset(self, key: str, value: Any) -> None:
        self.values[key] = json.loads(json.dumps(value))


class Polling(DialogReviewsTrigger):
    """Polls so often, noting its waits instead of waiting, and is then cancelled."""

    def __init__(self, *, polls: int = 1, kept: Kept | None = None, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.waits: list[float] = []
        self.asset_state_store = kept  # type: ignore[assignment]
        self._polls = polls

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        if len(self.waits) >= self._polls:
            raise asyncio.CancelledError

    async def events(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        with suppress(asyncio.CancelledError):
            async for event in self.run():
                found.append(event.payload)
        return found


def finish(sandbox: SandboxProcess, minutes: float, **wishes: Any) -> str:
    moment = (BEGIN + timedelta(minutes=minutes)).isoformat()
    return str(sandbox.finish_review(title="Testpersoon Zeldzaam", finished_at=moment, **wishes)["id"])


def test_what_is_serialized_makes_the_same_trigger_and_is_plain_json() -> None:
    trigger = DialogReviewsTrigger(conn_id="c", poll_interval=7.0, max_poll_interval=8.0)
    path, arguments = trigger.serialize()
    assert path == "airflow_provider_visma.triggers.dialog.DialogReviewsTrigger"
    assert json.loads(json.dumps(arguments)) == arguments
    assert DialogReviewsTrigger(**arguments).serialize() == (path, arguments)
    assert {name: getattr(trigger, name) for name in arguments} == arguments
    assert isinstance(DialogReviewsTrigger.hash(path, arguments), int)


def test_importing_it_loads_nothing_heavy() -> None:
    code = (
        "import sys, airflow.triggers.base; before = set(sys.modules)\n"
        "import airflow_provider_visma.triggers.dialog\n"
        "heavy = {'zeep', 'lxml', 'pyarrow', 'pandas', 'requests', 'aiohttp', 'httpx', 'scim2_models'}\n"
        "print(sorted(heavy & (set(sys.modules) - before)))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.splitlines()[-1] == "[]"


async def test_an_event_tells_ids_and_counts_and_nothing_of_people(sandbox: SandboxProcess) -> None:
    made = [finish(sandbox, minute) for minute in (0, 1)]
    (event,) = await Polling(kept=Kept()).events()
    assert event == {
        "conn_id": "dialog_default",
        "reviews": 2,
        "review_ids": made,
        "finished_until": "2026-11-01T00:01:00.000000+00:00",
    }


async def test_of_many_reviews_an_event_names_a_hundred(sandbox: SandboxProcess) -> None:
    sandbox.settings(dialog_max_results=50)
    for minute in range(120):
        finish(sandbox, minute, size=1)
    (event,) = await Polling(kept=Kept()).events()
    assert (event["reviews"], len(event["review_ids"])) == (120, 100)


async def test_a_review_is_told_once_also_by_the_next_triggerer(sandbox: SandboxProcess) -> None:
    kept = Kept()
    finish(sandbox, 0)
    assert len(await Polling(polls=3, kept=kept).events()) == 1
    assert await Polling(polls=2, kept=kept).events() == []
    later = finish(sandbox, 5)
    (event,) = await Polling(polls=2, kept=kept).events()
    assert event["review_ids"] == [later]
    assert kept.values == {
        "reviews:dialog_default": {
            "finished_at": "2026-11-01T00:05:00.000000+00:00",
            "told": {later: "2026-11-01T00:05:00.000000+00:00"},
        }
    }


async def test_a_review_finished_at_the_very_moment_of_the_last_one_is_told_too(
    sandbox: SandboxProcess,
) -> None:
    kept = Kept()
    finish(sandbox, 0)
    await Polling(kept=kept).events()
    twins = [finish(sandbox, 0) for _ in range(2)]
    (event,) = await Polling(kept=kept).events()
    assert sorted(event["review_ids"]) == sorted(twins)
    assert await Polling(kept=kept).events() == []


@pytest.mark.parametrize(
    "stored",
    [
        "x",
        1,
        [],
        {},
        {"finished_at": "gisteren"},
        {"finished_at": "2026-11-01"},
        {"finished_at": "2026-11-01", "told": 1},
    ],
)
async def test_a_mark_that_is_none_of_ours_is_the_beginning(sandbox: SandboxProcess, stored: Any) -> None:
    kept = Kept()
    kept.values["reviews:dialog_default"] = stored
    finish(sandbox, 0)
    assert len(await Polling(kept=kept).events()) == 1


@pytest.mark.parametrize("kept", [None, Kept(assets=2)])
async def test_without_a_place_for_its_mark_it_remembers_while_it_lives(
    sandbox: SandboxProcess, kept: Kept | None
) -> None:
    finish(sandbox, 0)
    assert len(await Polling(polls=3, kept=kept).events()) == 1


async def test_a_mark_without_a_zone_is_in_utc(sandbox: SandboxProcess) -> None:
    kept = Kept()
    kept.values["reviews:dialog_default"] = {"finished_at": "2026-11-01T00:01:00", "told": {}}
    finish(sandbox, 0)
    later = finish(sandbox, 1)
    (event,) = await Polling(kept=kept).events()
    assert event["review_ids"] == [later]


async def test_a_review_from_the_future_is_told_once_and_hides_no_other(sandbox: SandboxProcess) -> None:
    kept = Kept()
    finish(sandbox, 60 * 24 * 365 * 70)
    assert len(await Polling(polls=2, kept=kept).events()) == 1
    now = datetime.now(UTC)
    later = sandbox.finish_review(finished_at=(now + timedelta(minutes=2)).isoformat())["id"]
    (event,) = await Polling(polls=2, kept=kept).events()
    assert event["review_ids"] == [later]
    assert datetime.fromisoformat(event["finished_until"]) < now + timedelta(minutes=1)
    assert await Polling(polls=2, kept=kept).events() == []


async def test_a_review_that_cannot_be_read_hides_no_other(
    sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_visma.hooks import _dialog_reviews

    broken, good = finish(sandbox, 0), finish(sandbox, 1)
    read = _dialog_reviews.read_review
    monkeypatch.setattr(
        _dialog_reviews,
        "read_review",
        lambda row: read({**row, "user": None} if row["id"] == broken else row),
    )
    (event,) = await Polling(kept=Kept()).events()
    assert event["review_ids"] == [good]


class Unkept(Kept):
    """A state that cannot be written at first, or not even be read."""

    def __init__(self, *, reads: int = 0, writes: int = 0) -> None:
        super().__init__()
        self._reads, self._writes = reads, writes

    async def aget(self, key: str, default: Any = None) -> Any:
        self._reads -= 1
        if self._reads >= 0:
            raise RuntimeError("API server")
        return await super().aget(key, default)

    async def aset(self, key: str, value: Any) -> None:
        self._writes -= 1
        if self._writes >= 0:
            raise RuntimeError("API server")
        await super().aset(key, value)


@pytest.mark.parametrize("kept", [Unkept(reads=2), Unkept(writes=2)])
async def test_a_state_that_airflow_does_not_keep_at_once_is_not_its_end(
    sandbox: SandboxProcess, kept: Unkept
) -> None:
    finish(sandbox, 0)
    assert len(await Polling(polls=5, kept=kept).events()) == 1
    assert kept.values["reviews:dialog_default"]["finished_at"].startswith("2026-11-01")


async def test_it_asks_less_and_less_often_while_dialog_fails_and_goes_on_after(
    sandbox: SandboxProcess,
) -> None:
    finish(sandbox, 0)
    sandbox.inject("dialog", "Reviews.list", "status", count=6)
    trigger = Polling(polls=8, kept=Kept(), poll_interval=60.0, max_poll_interval=900.0)
    assert len(await trigger.events()) == 1
    assert trigger.waits == [120.0, 240.0, 480.0, 900.0, 900.0, 900.0, 60.0, 60.0]


async def test_a_wait_that_dialog_asks_for_is_kept(sandbox: SandboxProcess) -> None:
    sandbox.inject("dialog", "Reviews.list", "status", status=429, retry_after=1234)
    trigger = Polling(kept=Kept(), poll_interval=60.0)
    assert await trigger.events() == []
    assert trigger.waits == [1234.0]


@pytest.mark.parametrize("fault", ["html_error_page", "truncated", "reset", "gzip_bomb", "empty_body"])
async def test_a_bad_answer_is_a_failure_and_not_its_end(sandbox: SandboxProcess, fault: str) -> None:
    finish(sandbox, 0)
    sandbox.inject("dialog", "Reviews.list", fault)
    assert len(await Polling(polls=2, kept=Kept()).events()) == 1


async def test_a_refused_token_and_a_connection_that_is_not_there_do_not_end_it(
    sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = sandbox.connections()["dialog_default"]
    monkeypatch.setenv("AIRFLOW_CONN_DIALOG_DEFAULT", json.dumps({**connection, "password": "wrong"}))
    assert await Polling(polls=2, kept=Kept()).events() == []
    monkeypatch.setenv("AIRFLOW_CONN_DIALOG_DEFAULT", json.dumps({**connection, "password": ""}))
    assert await Polling(polls=2, kept=Kept()).events() == []
    monkeypatch.delenv("AIRFLOW_CONN_DIALOG_DEFAULT")
    assert await Polling(polls=2, kept=Kept()).events() == []


async def test_it_never_polls_more_often_than_every_five_seconds(sandbox: SandboxProcess) -> None:
    trigger = Polling(polls=2, kept=Kept(), poll_interval=0.0)
    await trigger.events()
    assert trigger.waits == [5.0, 5.0]


async def test_cancelled_in_the_middle_of_a_poll_it_leaves_no_connection(sandbox: SandboxProcess) -> None:
    sandbox.inject("dialog", "Reviews.list", "hang", seconds=30)
    trigger = DialogReviewsTrigger()
    task = asyncio.ensure_future(anext(trigger.run()))
    while not sandbox.journal("dialog", "Reviews.list"):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)
    others = asyncio.all_tasks() - {asyncio.current_task()}
    assert others == set()
