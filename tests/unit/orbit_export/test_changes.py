"""What changed by Orbit's own moments: which rows are passed on, and from where the next read asks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_visma.orbit_export import changes as module
from airflow_provider_visma.orbit_export.changes import (
    Changes,
    OrbitState,
    before,
    latest_believable,
    moment_of,
    with_since,
)

DAY = timedelta(days=1)


def sifting(
    since: str | None = None, *, published: dict[str, str] | None = None, secret: bytes = b"k"
) -> Changes:
    return Changes(
        since=since, latest="2026-12-01T00:00:00", overlap=DAY, published=published or {}, secret=secret
    )


def row(row_id: Any, moment: Any, **more: Any) -> dict[str, Any]:
    return {"id": row_id, "updated_at": moment, **more}


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-08-28T09:37:45", True),
        ("2026-08-28T09:37:45.123", True),
        ("2026-08-28 09:37:45", False),
        ("2026-08-28T09:37:45Z", False),
        ("2026-08-28T09:37:45+02:00", False),
        ("2026-08-28", False),
        ("0000-00-00T00:00:00", False),
        ("2026-02-30T00:00:00", False),
        ("2026-02-20T24:00:01", False),
        ("２０２６-08-28T09:37:45", False),
        ("", False),
        (None, False),
        (20260828093745, False),
    ],
)
def test_only_orbits_own_form_is_a_moment(text: Any, moment: bool) -> None:
    assert moment_of(text) == (text if moment else None)


@pytest.mark.parametrize(
    ("moment", "overlap", "earlier"),
    [
        ("2026-08-28T09:37:45", DAY, "2026-08-27T09:37:45"),
        ("2026-08-28T09:37:45.5", timedelta(0), "2026-08-28T09:37:45"),
        ("2026-03-01T00:00:00", timedelta(seconds=1), "2026-02-28T23:59:59"),
        ("1000-01-01T00:00:00", DAY, "1000-01-01T00:00:00"),
        ("2026-08-28T09:37:45", timedelta(days=999_999), "1000-01-01T00:00:00"),
    ],
)
def test_the_next_read_asks_from_a_little_before(moment: str, overlap: timedelta, earlier: str) -> None:
    assert before(moment, overlap) == earlier


def test_no_zone_on_earth_is_ahead_of_what_is_believed() -> None:
    assert latest_believable(datetime(2026, 8, 28, 9, 0, tzinfo=UTC)) == "2026-08-29T00:00:00"


def test_the_moment_is_put_wherever_a_filter_names_it() -> None:
    wanted = {"a": [{"gte": "{since}", "n": 1}, "x{since}y"], "b": None, "c": {"d": "{other}"}}
    assert with_since(wanted, "T") == {"a": [{"gte": "T", "n": 1}, "xTy"], "b": None, "c": {"d": "{other}"}}


def test_rows_that_changed_earlier_are_left_out() -> None:
    changes = sifting("2026-08-10T00:00:00")
    rows = [row("a", "2026-08-09T23:59:59"), row("b", "2026-08-10T00:00:00"), row("c", None), row("d", "?")]
    assert [each["id"] for each in changes.of(rows)] == ["b", "c", "d"]
    assert (changes.received, changes.older, changes.undated) == (4, 1, 2)
    assert changes.watermark == "2026-08-10T00:00:00"


def test_what_was_published_and_is_still_the_same_is_left_out() -> None:
    first = sifting()
    rows = [row("a", "2026-08-10T10:00:00", name="x"), row("b", "2026-08-10T11:00:00", name="y")]
    assert list(first.of(rows)) == rows
    published = {line["id"]: line["digest"] for line in first.recent()}
    assert set(published) == {"a", "b"}

    second = sifting("2026-08-09T11:00:00", published=published)
    again = [row("b", "2026-08-10T11:00:00", name="z"), {"name": "x", **row("a", "2026-08-10T10:00:00")}]
    assert [each["id"] for each in second.of(again)] == ["b"]
    assert second.repeated == 1


def test_digests_tell_nothing_without_the_key() -> None:
    told = []
    for secret in (b"one", b"two"):
        changes = sifting(secret=secret)
        list(changes.of([row("a", "2026-08-10T10:00:00", name="Jansen")]))
        told.append(next(changes.recent())["digest"])
    assert told[0] != told[1]


@pytest.mark.parametrize("latest_first", [True, False])
def test_only_what_the_next_read_asks_for_is_remembered(latest_first: bool) -> None:
    rows = [row(f"r{day:02}", f"2026-08-{day:02}T12:00:00") for day in range(1, 29)]
    changes = sifting()
    list(changes.of(reversed(rows) if latest_first else rows))
    assert [line["id"] for line in changes.recent()] == ["r27", "r28"]


def test_what_is_remembered_does_not_grow_with_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PRUNED_FROM", 10)
    changes = sifting()
    most = 0
    moments = (datetime(2020, 1, 1) + DAY * number for number in range(2000))
    for _ in changes.of(row(f"r{moment:%Y%m%d}", moment.isoformat()) for moment in moments):
        most = max(most, len(changes._recent))
    assert most <= 10


def test_a_repeated_row_is_remembered_further_though_the_watermark_moved_beyond_it() -> None:
    first = sifting()
    list(first.of([row("a", "2026-08-10T10:00:00")]))
    published = {line["id"]: line["digest"] for line in first.recent()}
    second = sifting("2026-08-09T10:00:00", published=published)
    rows = [row("b", "2026-08-20T10:00:00"), row("a", "2026-08-10T10:00:00")]
    assert [each["id"] for each in second.of(rows)] == ["b"]
    assert [line["id"] for line in second.recent()] == ["b"]


def test_a_moment_that_cannot_be_moves_no_watermark() -> None:
    changes = sifting()
    rows = [row("a", "2026-08-10T10:00:00"), row("b", "2026-12-01T00:00:01"), row("c", "9999-12-31T00:00:00")]
    assert list(changes.of(rows)) == rows
    assert (changes.watermark, changes.in_future) == ("2026-08-10T10:00:00", 2)


@pytest.mark.parametrize("row_id", [None, 5, ["a"]])
def test_a_row_without_an_id_comes_each_time(row_id: Any) -> None:
    rows = [row(row_id, "2026-08-10T10:00:00")]
    changes = sifting()
    assert list(changes.of(rows)) == rows
    assert list(changes.recent()) == []


@pytest.mark.parametrize("stored", [None, "x", 5, {}, {"scope": "s"}, {"scope": "s", "without_value": 5}])
def test_a_state_of_another_form_is_none(stored: Any) -> None:
    assert OrbitState.of(stored, scope="s") is None


def test_a_state_is_read_as_it_was_stored_and_only_for_its_own_scope() -> None:
    state = OrbitState(
        scope="s",
        started_at="2026-11-22T05:00:00+00:00",
        folder="file:///x",
        watermark=None,
        all_dated=True,
        columns={"id": "text"},
        without_value=("id",),
    )
    assert OrbitState.of(state.to_json(), scope="s") == state
    assert OrbitState.of(state.to_json(), scope="t") is None


@pytest.mark.parametrize(
    ("stored", "now", "same"),
    [("a", "a", True), ("a", "b", False), ("a", None, True), (None, "b", True), (None, None, True)],
)
def test_a_state_is_of_one_user_as_far_as_that_is_told(
    stored: str | None, now: str | None, same: bool
) -> None:
    state = OrbitState(scope="s", started_at="", folder="", watermark=None, all_dated=True, user=stored)
    assert (OrbitState.of(state.to_json(), scope="s", user=now) is not None) is same
