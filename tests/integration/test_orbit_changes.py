"""Exports of what changed in Orbit, whatever it makes of a filter, and of runs that are repeated."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_visma.exceptions import (
    VismaGuardError,
    VismaRequestError,
)
from airflow_provider_visma.hooks.orbit import OrbitHook
from tests.integration.orbit_exports import KEY, STATE, Task, ids_of, rows_of
from tests.integration.orbit_world import Orbit


@pytest.fixture
def task(orbit: Orbit, destination: str) -> Task:
    return Task(orbit, destination)


def test_the_second_run_exports_what_changed_and_nothing_else(task: Task, orbit: Orbit) -> None:
    first = task.run()
    assert (first["read"], first["filter_honoured"], first["since"]) == ("everything", None, None)
    assert first["header"] == list(orbit.sandbox.orbit_rows("projects")[0])
    changed = orbit.ids()[3]
    orbit.sandbox.change_orbit("projects", changed, {"name": "Anders"})
    added = orbit.sandbox.change_orbit("projects", changes={"name": "Nieuw"})["id"]

    second = task.run("run-2")

    assert sorted(ids_of(second)) == sorted([changed, added])
    assert (second["read"], second["filter_honoured"]) == ("changes", True)
    assert second["received"] == 2 + second["repeated"]
    assert second["previous"] == {"uri": first["uri"]}
    asked = orbit.asked("projects.list")[0]["note"]["asked"]["filter"]
    assert asked == {"updated_at": {"gte": second["since"]}}
    third = task.run("run-3")
    assert (third["rows"], third["header"]) == (0, first["header"])


@pytest.mark.parametrize("habit", ["ignored", "refused"])
def test_a_filter_that_does_not_work_costs_a_reading_and_no_row(task: Task, orbit: Orbit, habit: str) -> None:
    task.run()
    orbit.sandbox.settings(orbit_filter=habit)
    changed = orbit.ids()[:2]
    for each in changed:
        orbit.sandbox.change_orbit("projects", each, {"name": "Anders"})

    second = task.run("run-2")

    assert sorted(ids_of(second)) == changed
    assert second["filter_honoured"] is False
    assert second["older"] + second["repeated"] + 2 == len(orbit.ids())


def test_a_filter_over_which_the_service_fails_costs_a_reading_and_no_row(task: Task, orbit: Orbit) -> None:
    task.run()
    changed = orbit.ids()[0]
    orbit.sandbox.change_orbit("projects", changed, {"name": "Anders"})
    # Three tries with the filter and an order, three with the filter alone.
    orbit.sandbox.inject("orbit", "projects.list", kind="status", status=500, count=6)
    second = task.run("run-2")
    assert (ids_of(second), second["filter_honoured"]) == ([changed], False)


def test_a_filter_that_means_something_else_is_not_believed(task: Task, orbit: Orbit) -> None:
    task.run()
    changed = orbit.ids()[0]
    orbit.sandbox.change_orbit("projects", changed, {"name": "Anders"})
    # Understood as the opposite: what changed is exactly what it leaves out.
    second = task.run("run-2", changed_filter={"updated_at": {"lt": "{since}"}})
    assert ids_of(second) == [changed]
    assert second["filter_honoured"] is False


def test_a_deleted_row_makes_no_filter_work_for_ever(task: Task, orbit: Orbit) -> None:
    task.run()
    changed = orbit.ids()[0]
    orbit.sandbox.change_orbit("projects", changed, {"name": "Anders"})
    task.run("run-2")
    orbit.sandbox.change_orbit("projects", changed, delete=True)
    assert task.run("run-3")["filter_honoured"] is False
    last = task.run("run-4")
    assert (last["filter_honoured"], last["rows"]) == (True, 0)


def test_a_row_without_an_id_is_not_lost_where_a_filter_does_not_work(
    task: Task, orbit: Orbit, monkeypatch: pytest.MonkeyPatch
) -> None:
    task.run()
    orbit.sandbox.settings(orbit_filter="ignored")
    plain = OrbitHook.rows

    def rows(hook: OrbitHook, *arguments: Any, **more: Any) -> Iterator[dict[str, Any]]:
        yield {"name": "without an id", "updated_at": "2026-11-01T00:00:00"}
        if "updated_at" in more["filter"]:
            return
        yield {"name": "another", "updated_at": "2026-11-01T00:00:00"}
        yield from plain(hook, *arguments, **more)

    monkeypatch.setattr(OrbitHook, "rows", rows)
    second = task.run("run-2")
    assert "another" in [row["name"] for row in rows_of(second)]


def test_no_filter_is_sent_where_none_is_wanted(task: Task, orbit: Orbit) -> None:
    task.run(changed_filter=None)
    changed = orbit.ids()[0]
    orbit.sandbox.change_orbit("projects", changed, {"name": "Anders"})
    second = task.run("run-2", changed_filter=None)
    assert (ids_of(second), second["filter_honoured"]) == ([changed], None)
    assert all("filter" not in entry["note"]["asked"] for entry in orbit.asked("projects.list"))


def test_a_row_that_changes_twice_within_a_second_comes_twice(task: Task, orbit: Orbit) -> None:
    task.run()
    changed = orbit.ids()[0]
    moment = orbit.sandbox.change_orbit("projects", changed, {"name": "Eerst"})["updated_at"]
    assert ids_of(task.run("run-2")) == [changed]
    orbit.sandbox.change_orbit("projects", changed, {"name": "Later"}, at=moment)
    third = task.run("run-3")
    assert [row["name"] for row in rows_of(third)] == ["Later"]


def test_a_change_in_the_hour_that_comes_twice_in_autumn_is_not_missed(task: Task, orbit: Orbit) -> None:
    task.run()
    first, second = orbit.ids()[:2]
    orbit.sandbox.change_orbit("projects", first, {"name": "a"}, at="2026-10-25T02:59:00")
    task.run("run-2")
    orbit.sandbox.change_orbit("projects", second, {"name": "b"}, at="2026-10-25T02:01:00")
    assert ids_of(task.run("run-3")) == [second]


def test_a_moment_in_the_future_hides_no_later_change(task: Task, orbit: Orbit) -> None:
    odd, changed = orbit.ids()[:2]
    orbit.sandbox.change_orbit("projects", odd, {"name": "a"}, at="2099-01-01T00:00:00")
    first = task.run()
    assert first["in_future"] == 1
    assert first["watermark"] < "2099"
    orbit.sandbox.change_orbit("projects", changed, {"name": "b"})
    assert ids_of(task.run("run-2")) == [changed]


def test_a_full_refresh_reads_everything_and_moves_the_watermark(task: Task, orbit: Orbit) -> None:
    task.run()
    orbit.sandbox.change_orbit("projects", orbit.ids()[0], delete=True)
    second = task.run("run-2", full_refresh="True")
    assert ids_of(second) == orbit.ids()
    assert second["read"] == "everything"
    assert task.state["folder"] == second["uri"]


def test_changes_since_a_given_moment_leave_the_watermark_alone(task: Task, orbit: Orbit) -> None:
    task.run()
    state = task.state
    moment = "2026-01-01T00:00:00"
    again = task.run("run-2", changed_since=moment)
    wanted = [row["id"] for row in orbit.sandbox.orbit_rows("projects") if row["updated_at"] >= moment]
    assert sorted(ids_of(again)) == sorted(wanted)
    assert task.state == state
    with pytest.raises(VismaRequestError, match="as Orbit writes it"):
        task.run("run-3", changed_since="2026-01-01T00:00:00+01:00")


def recent(folder: str) -> list[dict[str, str]]:
    lines = (Path(folder.removeprefix("file://")) / "recent.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_the_index_for_the_next_run_holds_ids_and_keyed_digests_alone(task: Task) -> None:
    manifest = task.run()
    lines = recent(manifest["uri"])
    assert lines
    assert all(set(line) == {"id", "digest"} and len(line["digest"]) == 32 for line in lines)


def test_without_the_index_everything_is_read_once_and_no_change_is_missed(task: Task, orbit: Orbit) -> None:
    first = task.run()
    (Path(first["uri"].removeprefix("file://")) / "recent.jsonl").unlink()
    changed = orbit.ids()[0]
    orbit.sandbox.change_orbit("projects", changed, {"name": "Anders"})
    second = task.run("run-2")
    assert changed in ids_of(second)
    assert second["filter_honoured"] is None
    assert task.run("run-3")["filter_honoured"] is True


def test_a_retry_begins_where_the_first_try_began(
    task: Task, orbit: Orbit, monkeypatch: pytest.MonkeyPatch
) -> None:
    task.run()
    orbit.sandbox.change_orbit("projects", orbit.ids()[0], {"name": "a"})
    second = task.run("run-2")
    state = task.state
    assert second["rows"] == 1
    orbit.sandbox.change_orbit("projects", orbit.ids()[1], {"name": "b"})

    again = task.run("run-2")  # cleared, after it had succeeded

    assert ids_of(again) == orbit.ids()[:2]
    assert task.state["watermark"] > state["watermark"] or task.state["started_at"] > state["started_at"]
    assert task.run("run-3")["rows"] == 0


def test_a_late_run_does_not_turn_the_watermark_back(task: Task, orbit: Orbit) -> None:
    task.run()
    orbit.sandbox.change_orbit("projects", orbit.ids()[0], {"name": "a"})
    task.run("run-2")
    state = task.state
    task.run("run-1")
    assert task.state == state


def test_a_run_that_is_killed_after_publishing_exports_the_same_again(
    task: Task, orbit: Orbit, monkeypatch: pytest.MonkeyPatch
) -> None:
    task.run()
    changed = orbit.ids()[0]
    orbit.sandbox.change_orbit("projects", changed, {"name": "a"})
    state = task.state
    with monkeypatch.context() as patched:

        def killed(*arguments: Any, **more: Any) -> None:
            raise KeyboardInterrupt

        patched.setattr("airflow_provider_visma.export_assets.Watermark.advance", killed)
        with pytest.raises(KeyboardInterrupt):
            task.run("run-2")
    assert task.state == state
    assert ids_of(task.run("run-2")) == [changed]
    assert task.run("run-3")["rows"] == 0


def test_columns_that_appear_are_told_and_may_stop_the_task(orbit: Orbit, destination: str) -> None:
    task = Task(orbit, destination)
    task.run()
    state = task.state
    columns = {name: kind for name, kind in state["columns"].items() if name != "extid"}
    task.runs.asset_state[STATE].values[KEY] = {**state, "columns": columns}
    with pytest.raises(VismaGuardError, match=r"new: extid.*Nothing was published"):
        task.run("run-2", full_refresh=True, on_column_change="fail")
    second = task.run("run-2", full_refresh=True)
    assert second["column_changes"] == {"appeared": ["extid"], "vanished": [], "changed": {}}
