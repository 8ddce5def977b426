"""Full refreshes of Orbit's lists: when they come, and the rows that are gone since."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_visma.exceptions import VismaGuardError, VismaRequestError, VismaStorageError
from airflow_provider_visma.hooks.orbit import OrbitHook
from tests.integration.orbit_exports import Task, ids_of
from tests.integration.orbit_world import Orbit

WEEK = timedelta(days=7)


@pytest.fixture
def task(orbit: Orbit, destination: str) -> Task:
    task = Task(orbit, destination, full_refresh_every=WEEK)
    task.now = datetime.now(UTC)
    return task


def after(task: Task, passed: timedelta) -> None:
    assert task.now is not None
    task.now += passed


def delete(orbit: Orbit, *row_ids: str) -> None:
    for row_id in row_ids:
        orbit.sandbox.change_orbit("projects", row_id, delete=True)


def add(orbit: Orbit) -> str:
    return str(orbit.sandbox.change_orbit("projects", changes={"name": "Nieuw"})["id"])


def told(*row_ids: str) -> dict[str, Any]:
    return {"rows": len(row_ids), "first": [{"id": row_id} for row_id in sorted(row_ids)]}


def listed(manifest: dict[str, Any], name: str = "gone.jsonl") -> list[str]:
    path = ObjectStoragePath(manifest["uri"]) / name
    return [json.loads(line)["id"] for line in path.read_text().splitlines()]


def index_of(manifest: dict[str, Any]) -> Path:
    return Path(manifest["uri"].removeprefix("file://")) / "index.tsv"


def killed_before_the_state_is_stored(task: Task, run_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*arguments: Any, **more: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("airflow_provider_visma.export_assets.Watermark.advance", killed)
        with pytest.raises(KeyboardInterrupt):
            task.run(run_id)


def before_page_two(monkeypatch: pytest.MonkeyPatch, deed: Callable[[], None]) -> None:
    """Let something happen once, after the first page was read and before the second is."""
    plain = OrbitHook._once
    deeds = [deed]

    def once(hook: OrbitHook, call: Any) -> Any:
        if deeds and json.loads(call.content).get("page", {}).get("number") == 2:
            deeds.pop()()
        return plain(hook, call)

    monkeypatch.setattr(OrbitHook, "_once", once)


def test_a_full_refresh_comes_in_its_time_and_lists_what_is_gone(task: Task, orbit: Orbit) -> None:
    first = task.run()
    assert (first["read"], first["gone"]) == ("everything", None)
    added, kept = add(orbit), add(orbit)
    after(task, timedelta(days=1))
    second = task.run("run-2")
    assert (second["read"], second["gone"], sorted(ids_of(second))) == (
        "changes",
        None,
        sorted([added, kept]),
    )
    victims = [orbit.ids()[3], added]
    delete(orbit, *victims)
    after(task, timedelta(days=1))
    third = task.run("run-3")
    assert (third["read"], third["gone"]) == ("changes", None)

    after(task, timedelta(days=5, minutes=-1))  # the nightly run that begins a little earlier
    full = task.run("run-4")

    assert (full["read"], sorted(ids_of(full))) == ("everything", orbit.ids())
    assert full["gone"] == told(*victims)
    assert listed(full) == sorted(victims)
    after(task, timedelta(days=1))
    assert task.run("run-5")["read"] == "changes"
    after(task, timedelta(days=6))
    last = task.run("run-6")
    assert (last["read"], last["gone"]) == ("everything", told())
    assert [each["uri"].rsplit("/", 1)[-1] for each in last["files"]] == [
        "index.tsv",
        "recent.jsonl",
        "rows.jsonl",
    ]


def test_nothing_is_asked_twice_where_nothing_is_missing(task: Task, orbit: Orbit) -> None:
    task.run()
    once = len(orbit.asked("projects.list"))
    task.run("run-2", full_refresh=True)
    assert len(orbit.asked("projects.list")) == once
    delete(orbit, orbit.ids()[0])
    task.run("run-3", full_refresh=True)
    assert len(orbit.asked("projects.list")) > once


def test_a_row_hidden_by_a_deletion_while_everything_is_read_is_not_called_gone(
    task: Task, orbit: Orbit, monkeypatch: pytest.MonkeyPatch
) -> None:
    orbit.sandbox.settings(orbit_rows=120)
    task.run()
    deleted, hidden = orbit.ids()[0], orbit.ids()[50]
    away = orbit.ids()[7]
    delete(orbit, away)
    hidden = orbit.ids()[50]
    before_page_two(monkeypatch, lambda: delete(orbit, deleted))

    second = task.run("run-2", full_refresh=True)

    assert hidden in ids_of(second)
    assert sorted(ids_of(second)) == sorted([deleted, *orbit.ids()])
    assert second["gone"] == told(away)
    assert task.run("run-3", full_refresh=True)["gone"] == told(deleted)


def test_while_many_rows_are_deleted_none_is_called_gone_until_a_reading_shows_which(
    task: Task, orbit: Orbit, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = OrbitHook.rows
    task.run()
    ids = orbit.ids()
    away = ids[0]
    hidden = [set(ids[:4]), set(ids[:3]), set(ids[:2])]

    def rows(hook: OrbitHook, *arguments: Any, **more: Any) -> Iterator[dict[str, Any]]:
        unseen = hidden.pop(0) if hidden else {away}
        return (row for row in plain(hook, *arguments, **more) if row["id"] not in unseen)

    monkeypatch.setattr(OrbitHook, "rows", rows)
    second = task.run("run-2", full_refresh=True)
    assert (second["rows"], second["gone"], hidden) == (len(ids) - 2, None, [])
    third = task.run("run-3", full_refresh=True)
    assert (third["rows"], third["gone"]) == (len(ids) - 1, told(away))


def test_a_row_that_a_first_run_did_not_see_comes_with_the_next_full_refresh(
    task: Task, orbit: Orbit, monkeypatch: pytest.MonkeyPatch
) -> None:
    orbit.sandbox.settings(orbit_rows=120)
    deleted, hidden = orbit.ids()[0], orbit.ids()[50]
    before_page_two(monkeypatch, lambda: delete(orbit, deleted))
    assert hidden not in ids_of(task.run())
    after(task, timedelta(days=1))
    task.run("run-2")
    after(task, timedelta(days=6))
    third = task.run("run-3")
    assert hidden in ids_of(third)
    assert third["gone"] == told(deleted)


def test_a_killed_full_refresh_lists_the_same_again(
    task: Task, orbit: Orbit, monkeypatch: pytest.MonkeyPatch
) -> None:
    task.run()
    state = task.state
    gone_before, gone_since = orbit.ids()[0], add(orbit)
    delete(orbit, gone_before)
    after(task, WEEK)
    killed_before_the_state_is_stored(task, "run-2", monkeypatch)
    assert task.state == state
    # What only the killed try published may be gone before the retry.
    delete(orbit, gone_since)
    after(task, timedelta(minutes=5))
    second = task.run("run-2")
    assert second["gone"] == told(gone_before, gone_since)
    after(task, WEEK)
    assert task.run("run-3")["gone"] == told()


def test_a_killed_run_that_is_never_repeated_hides_nothing_from_the_next(
    task: Task, orbit: Orbit, monkeypatch: pytest.MonkeyPatch
) -> None:
    task.run()
    victim = orbit.ids()[0]
    delete(orbit, victim)
    after(task, WEEK)
    killed_before_the_state_is_stored(task, "run-2", monkeypatch)
    after(task, timedelta(days=1))
    assert task.run("run-3")["gone"] == told(victim)


def test_rows_of_a_run_that_was_repeated_are_listed_when_they_go(task: Task, orbit: Orbit) -> None:
    task.run()
    added = add(orbit)
    after(task, timedelta(days=1))
    assert ids_of(task.run("run-2")) == [added]
    delete(orbit, added)
    assert ids_of(task.run("run-2")) == []  # cleared, after it had succeeded
    after(task, WEEK)
    assert task.run("run-3")["gone"] == told(added)


def test_an_index_that_a_killed_repetition_left_is_not_believed(
    task: Task, orbit: Orbit, monkeypatch: pytest.MonkeyPatch
) -> None:
    task.run()
    delete(orbit, orbit.ids()[0])
    after(task, timedelta(minutes=1))
    killed_before_the_state_is_stored(task, "run-1", monkeypatch)
    after(task, WEEK)
    assert task.run("run-2")["gone"] is None


@pytest.mark.parametrize(
    "changed", [{"filter": {"billing_mode": "FIXED"}}, {"paged": False}, {"resource": "deals"}], ids=str
)
def test_what_another_question_does_not_bring_is_not_gone(
    task: Task, orbit: Orbit, changed: dict[str, Any]
) -> None:
    arguments = {"export_name": "projects", "full_refresh": True}
    task.run(**arguments)
    second = task.run("run-2", **arguments, **changed)
    assert (second["gone"], second["previous"]) == (None, None)
    assert task.run("run-3", **arguments, **changed)["gone"] == told()
    assert task.run("run-4", **arguments)["gone"] is None


@pytest.mark.parametrize(
    "changed", [{"page_size": 7}, {"order": [{"field": "name", "order": "desc"}]}], ids=str
)
def test_how_it_is_asked_changes_nothing(task: Task, orbit: Orbit, changed: dict[str, Any]) -> None:
    task.run()
    victim = orbit.ids()[0]
    delete(orbit, victim)
    assert task.run("run-2", full_refresh=True, **changed)["gone"] == told(victim)


def test_what_another_user_does_not_see_is_not_gone(task: Task, orbit: Orbit) -> None:
    orbit.sandbox.settings(orbit_rows=40)
    task.run()
    orbit.sandbox.settings(orbit_me=1, orbit_rows=35)
    second = task.run("run-2")
    # Everything, for this one may also see more, which did not change since.
    assert (second["read"], second["rows"], second["gone"]) == ("everything", 35, None)
    assert task.run("run-3", full_refresh=True)["gone"] == told()


@pytest.mark.parametrize("status", [403, 404, 500])
def test_where_orbit_does_not_say_who_is_signed_in_the_export_goes_on(
    task: Task, orbit: Orbit, status: int
) -> None:
    first = task.run()
    victim = orbit.ids()[0]
    delete(orbit, victim)
    orbit.sandbox.inject("orbit", "users.me", kind="status", status=status, count=None)
    second = task.run("run-2", full_refresh=True)
    assert (second["gone"], second["user"]) == (told(victim), first["user"])
    assert task.state["user"] == first["user"]


def test_who_is_signed_in_is_not_written_down(task: Task, orbit: Orbit) -> None:
    me = orbit.sandbox.orbit_rows("users", top=1)[0]["id"]
    manifest = task.run()
    assert manifest["user"]
    assert me not in json.dumps([manifest, task.state])


def test_exports_that_begin_at_once_take_nobody_for_another_user(
    task: Task, orbit: Orbit, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = secrets.token_hex
    others = ["deals"]

    def at_once(size: int) -> str:
        # This one has found no key yet, and neither does the other.
        if others:
            task.run(resource=others.pop(), map_index=1)
        return plain(size)

    with monkeypatch.context() as patched:
        patched.setattr(secrets, "token_hex", at_once)
        task.run(map_index=0)
    assert task.run("run-2", map_index=0)["read"] == "changes"
    assert task.run("run-2", resource="deals", map_index=1)["read"] == "changes"


def test_far_fewer_rows_publish_nothing_until_somebody_says_so(task: Task, orbit: Orbit) -> None:
    orbit.sandbox.settings(orbit_rows=40)
    first = task.run()
    state = task.state
    after(task, WEEK)
    orbit.sandbox.settings(orbit_rows=19)
    with pytest.raises(VismaGuardError, match=r"19 rows came where .* brought 40.*Nothing was published"):
        task.run("run-2")
    assert task.state == state
    assert not (ObjectStoragePath(first["uri"]).parent / "run_id=run-2" / "_manifest.json").exists()
    second = task.run("run-2", on_drop="warn")
    assert (second["rows"], second["gone"]["rows"]) == (19, 21)
    assert task.run("run-3", full_refresh=True)["gone"] == told()


def test_a_first_run_that_is_repeated_is_guarded_by_what_it_published_before(
    task: Task, orbit: Orbit
) -> None:
    orbit.sandbox.settings(orbit_rows=40)
    first = task.run()
    orbit.sandbox.settings(orbit_rows=19)
    with pytest.raises(VismaGuardError, match=r"19 rows came where .* brought 40"):
        task.run()
    assert task.state["folder"] == first["uri"]
    assert task.run(on_drop="warn")["gone"]["rows"] == 21


def test_changes_are_not_compared_with_everything(task: Task, orbit: Orbit) -> None:
    task.run(max_drop=0.0)
    assert task.run("run-2", max_drop=0.0)["rows"] == 0


@pytest.mark.parametrize("wrong", [{"on_drop": "ignore"}, {"max_drop": 1.5}])
def test_a_wrong_guard_is_refused_before_anything_is_asked(
    task: Task, orbit: Orbit, wrong: dict[str, Any]
) -> None:
    with pytest.raises(VismaRequestError, match=r"(on|max)_drop is"):
        task.run(**wrong)
    assert orbit.asked() == []


def test_a_row_without_an_id_may_be_any_of_those_before(
    task: Task, orbit: Orbit, monkeypatch: pytest.MonkeyPatch
) -> None:
    task.run()
    victim = orbit.ids()[0]
    delete(orbit, victim)
    plain = OrbitHook.rows

    def rows(hook: OrbitHook, *arguments: Any, **more: Any) -> Iterator[dict[str, Any]]:
        yield {"name": "without an id"}
        yield from plain(hook, *arguments, **more)

    with monkeypatch.context() as patched:
        patched.setattr(OrbitHook, "rows", rows)
        assert task.run("run-2", full_refresh=True)["gone"] is None
    # It is still known when the next one can tell.
    assert task.run("run-3", full_refresh=True)["gone"] == told(victim)


def test_without_full_refreshes_planned_only_two_in_a_row_can_be_compared(
    orbit: Orbit, destination: str
) -> None:
    task = Task(orbit, destination)
    task.run()
    victim = orbit.ids()[0]
    delete(orbit, victim)
    assert task.run("run-2", full_refresh=True)["gone"] == told(victim)
    add(orbit)
    task.run("run-3")
    assert task.run("run-4", full_refresh=True)["gone"] is None


def test_changes_since_a_given_moment_leave_no_index_and_spoil_none(task: Task, orbit: Orbit) -> None:
    task.run()
    victim = orbit.ids()[0]
    delete(orbit, victim)
    given = task.run("run-2", changed_since="2020-01-01T00:00:00")
    assert (given["gone"], index_of(given).exists()) == (None, False)
    assert task.run("run-3", full_refresh=True)["gone"] == told(victim)


@pytest.mark.parametrize(
    "damage",
    [
        Path.unlink,
        lambda index: index.write_bytes(b"\xff\tno index\n"),
        lambda index: index.write_bytes(index.read_bytes()[:-30]),
    ],
)
def test_an_index_that_was_removed_or_damaged_costs_the_list_and_no_row(
    task: Task, orbit: Orbit, damage: Callable[[Path], Any]
) -> None:
    damage(index_of(task.run()))
    added = add(orbit)
    after(task, timedelta(days=1))
    assert ids_of(task.run("run-2")) == [added]
    after(task, WEEK)
    third = task.run("run-3")
    assert (third["gone"], sorted(ids_of(third))) == (None, orbit.ids())
    delete(orbit, added)
    after(task, WEEK)
    assert task.run("run-4")["gone"] == told(added)


def test_an_index_that_cannot_be_read_now_is_not_one_that_is_not_there(task: Task, orbit: Orbit) -> None:
    index = index_of(task.run())
    index.unlink()
    index.mkdir()
    with pytest.raises(VismaStorageError, match="index of an earlier run"):
        task.run("run-2")
    assert orbit.asked("projects.list") == []


def test_the_index_holds_ids_and_keyed_digests_alone(task: Task, orbit: Orbit) -> None:
    lines = [line.split("\t") for line in index_of(task.run()).read_text().splitlines()]
    assert [json.loads(key) for key, _ in lines] == [[row_id] for row_id in orbit.ids()]
    assert {len(digest) for _, digest in lines} == {32}
