"""What a Severa export asks for, what it compares, and when too few rows came."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_visma.exceptions import VismaRequestError
from airflow_provider_visma.severa_export.asking import (
    Read,
    Times,
    Wishes,
    changes_since,
    checked_name,
    moment_of,
    month_of,
    times_of,
    window_of,
)
from airflow_provider_visma.severa_export.state import ExportState, PastRead, Window

NOW = datetime(2026, 11, 21, 2, 0, 5, tzinfo=UTC)
INITIAL = datetime(1998, 4, 30, tzinfo=UTC)
NOVEMBER = Window(datetime(2026, 11, 1), datetime(2026, 11, 30, 23, 59))
CHANGES = Times("startDate")
BOUNDS = Times("startDate", "endDate")


def wishes(**changes: Any) -> Wishes:
    return Wishes(**{"initial_start": INITIAL, "overlap": timedelta(minutes=2), **changes})


def state(**changes: Any) -> ExportState:
    known: dict[str, Any] = {
        "scope": "s",
        "read_at": "2026-11-20T02:00:59+00:00",
        "folder": "file:///1",
        "rows": 5,
        "schema_version": "1",
        "full_read_at": "2026-11-14T02:00:30+00:00",
    }
    return ExportState(**{**known, **changes})


def past(start: str | None, end: str | None, **changes: Any) -> PastRead:
    known: dict[str, Any] = {"read_at": "2026-11-20T02:00:00+00:00", "rows": 10, "folder": "file:///1"}
    return PastRead(start=start, end=end, **{**known, **changes})


@pytest.mark.parametrize(
    ("operation", "parameters", "times"),
    [
        ("GetHourEntriesChangedSince", ["startDate"], Times("startDate")),
        ("GetCasesChangedSince", ["businessUnitGUID", "startDateTime", "options"], Times("startDateTime")),
        ("GetInvoicesByDate", ["businessUnitGUID", "startDate", "endDate", "options"], BOUNDS),
        ("GetHourEntriesByDate", ["businessUnitGUID", "startdate", "enddate"], Times("startdate", "enddate")),
        (
            "GetItemsByInsertDate",
            ["insertStartDate", "insertEndDate"],
            Times("insertStartDate", "insertEndDate"),
        ),
        (
            "GetFinvoicesByStatusAndDate",
            ["finvoiceVersion", "invoiceStatus", "invoiceDateStart", "invoiceDateEnd", "options"],
            Times("invoiceDateStart", "invoiceDateEnd"),
        ),
        ("GetActivityInstances", ["startsAfter", "startsBefore", "endsAfter", "endsBefore"], Times()),
        ("GetTimeEntriesByDate", ["eventDate"], Times()),
        ("GetAllCases", ["businessUnitGUID"], Times()),
    ],
)
def test_the_parameters_of_time_are_found_by_their_names(
    operation: str, parameters: list[str], times: Times
) -> None:
    assert times_of(operation, parameters) == times


@pytest.mark.parametrize(
    ("read_at", "overlap", "since"),
    [
        ("2026-11-20T02:00:59+00:00", 2, "2026-11-20T01:58:00+00:00"),
        ("2026-11-20T02:00:00+00:00", 2, "2026-11-20T01:58:00+00:00"),
        ("2026-11-20T02:00:30+01:00", 0, "2026-11-20T01:00:00+00:00"),
    ],
)
def test_changes_are_asked_for_from_a_whole_minute_before_the_last_read(
    read_at: str, overlap: int, since: str
) -> None:
    found = changes_since(datetime.fromisoformat(read_at), overlap=timedelta(minutes=overlap))
    assert found.isoformat() == since


def test_the_first_read_of_changes_is_of_everything_and_the_next_is_not() -> None:
    first = wishes().plan(CHANGES, None, now=NOW)
    assert (first.read, first.arguments) == (Read.EVERYTHING, {"startDate": INITIAL})
    second = wishes().plan(CHANGES, state(), now=NOW)
    assert (second.read, second.drop_repeats) == (Read.CHANGES, True)
    assert second.arguments == {"startDate": datetime(2026, 11, 20, 1, 58, tzinfo=UTC)}
    assert second.window is None


def test_nothing_is_left_out_after_rows_were_published_out_of_turn() -> None:
    assert not wishes().plan(CHANGES, state(exact=False), now=NOW).drop_repeats


def test_changes_since_a_moment_of_the_authors_own_leave_the_watermark_alone() -> None:
    plan = wishes(changed_since=INITIAL, full_refresh=True).plan(CHANGES, state(), now=NOW)
    assert (plan.read, plan.moves_watermark, plan.arguments) == (Read.CHANGES, False, {"startDate": INITIAL})


@pytest.mark.parametrize(
    ("full_read_at", "every", "due"),
    [
        ("2026-11-14T02:00:30+00:00", timedelta(days=7), True),  # 25 seconds short of a week
        ("2026-11-15T02:00:00+00:00", timedelta(days=7), False),
        ("2026-11-21T01:00:00+00:00", timedelta(hours=1), True),
        ("2026-11-21T01:30:00+00:00", timedelta(hours=1), False),
        ("2026-11-01T02:00:00+00:00", None, False),
        (None, timedelta(days=7), True),
    ],
)
def test_everything_is_read_again_when_its_time_has_come(
    full_read_at: str | None, every: timedelta | None, due: bool
) -> None:
    known = state(full_read_at=full_read_at)
    assert (wishes(full_refresh_every=every).plan(CHANGES, known, now=NOW).read is Read.EVERYTHING) is due
    of_window = wishes(full_refresh_every=every, window=NOVEMBER).plan(BOUNDS, known, now=NOW)
    assert (of_window.read is Read.EVERYTHING) is due
    assert of_window.arguments["endDate"] == NOVEMBER.end
    assert of_window.arguments["startDate"] == (datetime(1998, 4, 30) if due else NOVEMBER.start)


def test_a_list_without_dates_is_asked_for_as_it_is() -> None:
    plan = wishes(full_refresh=True).plan(Times(), None, now=NOW)
    assert (plan.read, plan.arguments, plan.window) == (Read.LIST, {}, Window())


@pytest.mark.parametrize(
    ("moment", "start", "end"),
    [
        ("2026-11-21T02:00:00+00:00", "2026-11-01T00:00:00", "2026-11-30T23:59:00"),
        ("2026-12-01T00:30:00+01:00", "2026-11-01T00:00:00", "2026-11-30T23:59:00"),
        ("2026-12-31T23:59:59+00:00", "2026-12-01T00:00:00", "2026-12-31T23:59:00"),
        ("2028-02-01T00:00:00+00:00", "2028-02-01T00:00:00", "2028-02-29T23:59:00"),
    ],
)
def test_a_month_ends_with_its_last_minute(moment: str, start: str, end: str) -> None:
    month = month_of(datetime.fromisoformat(moment))
    assert month == Window(datetime.fromisoformat(start), datetime.fromisoformat(end))


@pytest.mark.parametrize(
    "wish",
    [
        "2026-11-01/2026-11-30",
        ("2026-11-01", "2026-11-30"),
        [date(2026, 11, 1), date(2026, 11, 30)],
        ("2026-11-01T00:00:00Z", "2026-11-30T23:59:00Z"),
        (datetime(2026, 11, 1), "2026-12-01T00:59:00+01:00"),
        "month",
    ],
)
def test_a_window_may_be_written_in_many_ways(wish: Any) -> None:
    assert window_of(wish, moment=NOW) == NOVEMBER


@pytest.mark.parametrize("wish", [None, "", "None"])
def test_a_template_may_leave_the_window_out(wish: Any) -> None:
    assert window_of(wish, moment=NOW) is None


@pytest.mark.parametrize(
    "wish", ["week", "2026-11-01", ("2026-11-30", "2026-11-01"), ("a", "b"), (1, 2), ("2026-11-01",) * 3, 5]
)
def test_what_is_no_window_is_refused(wish: Any) -> None:
    with pytest.raises(VismaRequestError, match="not a window"):
        window_of(wish, moment=NOW)


def test_a_run_without_a_date_has_no_month() -> None:
    with pytest.raises(VismaRequestError, match="no month"):
        window_of("month", moment=None)


def test_a_moment_without_a_zone_is_in_utc() -> None:
    assert (
        moment_of("1998-04-30", parameter="p") == moment_of(datetime(1998, 4, 30), parameter="p") == INITIAL
    )
    with pytest.raises(VismaRequestError, match="p is"):
        moment_of("yesterday", parameter="p")


@pytest.mark.parametrize(
    ("window", "start", "end", "comparable", "covered"),
    [
        (NOVEMBER, "2026-11-01T00:00:00", "2026-11-30T23:59:00", True, True),
        (NOVEMBER, "2026-10-01T00:00:00", "2026-10-31T23:59:00", False, False),
        (NOVEMBER, "2026-11-01T00:00:00", "2026-11-20T23:59:00", True, True),  # the month so far
        (NOVEMBER, "2026-10-31T00:00:00", "2026-11-29T23:59:00", True, False),  # a window that rolls on
        (NOVEMBER, "2026-10-20T00:00:00", "2026-11-20T23:59:00", False, False),
        (NOVEMBER, "1998-04-30T00:00:00", None, False, False),
        (Window(datetime(1998, 4, 30)), "1998-04-30T00:00:00", None, True, True),
        (Window(), None, None, True, True),
        (Window(), "2026-11-01T00:00:00", "2026-11-30T23:59:00", True, True),
    ],
)
def test_only_windows_that_should_bring_the_same_are_compared(
    window: Window, start: str | None, end: str | None, comparable: bool, covered: bool
) -> None:
    known = state(reads=(past(start, end),))
    assert (known.comparable(window) is not None) is comparable
    assert bool(known.covered_by(window)) is covered
    assert bool(known.about(window).reads) is comparable


def test_the_longest_and_then_the_latest_read_is_the_one_to_compare_with() -> None:
    small = past("2026-11-01T00:00:00", "2026-11-30T23:59:00", read_at="2026-11-20T00:00:00+00:00")
    older = past("1998-04-30T00:00:00", "2026-10-31T23:59:00", read_at="2026-11-01T00:00:00+00:00")
    known = state(reads=(small, older))
    assert known.comparable(Window(datetime(1998, 4, 30), NOVEMBER.end)) == older


def test_a_longer_read_that_was_accepted_with_fewer_rows_is_not_compared_with_for_ever() -> None:
    longer = past("2026-10-31T00:00:00", "2026-11-30T23:59:00")
    accepted = past("2026-11-01T00:00:00", "2026-11-30T23:59:00", read_at="2026-11-21T00:00:00+00:00")
    assert state().after(state(reads=(longer,)), accepted).comparable(NOVEMBER) == accepted


def test_a_read_takes_the_place_of_those_that_it_covers() -> None:
    october = past("2026-10-01T00:00:00", "2026-10-31T23:59:00")
    so_far = past("2026-11-01T00:00:00", "2026-11-20T23:59:00")
    now = past("2026-11-01T00:00:00", "2026-11-30T23:59:00")
    assert state().after(state(reads=(so_far, october)), now).reads == (now, october)


def test_many_windows_do_not_push_out_the_last_read_of_everything() -> None:
    now = past("2026-11-01T00:00:00", "2026-11-30T23:59:00")
    many = [past(f"20{year}-01-01T00:00:00", f"20{year}-12-31T00:00:00") for year in range(10, 60)]
    assert len(state().after(state(reads=tuple(many)), now).reads) == 24
    everything = past("1998-04-30T00:00:00", "2026-10-31T23:59:00", everything=True)
    reads = state().after(state(reads=(*many, everything, replace(everything, rows=1))), now).reads
    assert (len(reads), reads[-1]) == (25, everything)


def test_a_read_of_everything_that_begins_later_takes_the_place_of_the_one_before() -> None:
    earlier = past("1998-04-30T00:00:00", None, everything=True)
    later = past("2026-01-01T00:00:00", None, everything=True)
    assert state().after(state(reads=(earlier,)), later).reads == (later,)
    bounded = past("1998-04-30T00:00:00", "2026-11-30T23:59:00", everything=True)
    backfilled = replace(bounded, end="2026-10-31T23:59:00")
    assert state().after(state(reads=(bounded,)), backfilled).reads == (backfilled, bounded)


def test_of_two_reads_of_a_window_at_once_the_one_that_began_later_counts() -> None:
    early = past("2026-11-01T00:00:00", None)
    late = past("2026-11-01T00:00:00", None, read_at="2026-11-20T02:05:00+00:00")
    assert state().after(state(reads=(late,)), early).reads == (late,)
    assert state().after(state(reads=(early,)), late).reads == (late,)


def test_a_clock_that_was_ahead_does_not_keep_the_watermark_in_the_future() -> None:
    ahead = state(read_at="2027-11-20T02:00:00+00:00", full_read_at="2027-11-20T02:00:00+00:00")
    plan = wishes().plan(CHANGES, ahead, now=NOW)
    assert plan.arguments == {"startDate": datetime(2026, 11, 21, 1, 58, tzinfo=UTC)}
    assert state().after(ahead, None).read_at == state().read_at
    assert wishes(full_refresh_every=timedelta(days=7)).plan(CHANGES, ahead, now=NOW).read is Read.EVERYTHING


def test_only_a_read_of_everything_counts_as_one() -> None:
    window, everything = past(None, None), past(None, None, everything=True)
    assert state().after(state(), window).full_read_at == state().full_read_at
    assert state().after(state(), everything).full_read_at == everything.read_at


def test_a_state_is_stored_and_read_again_and_one_of_another_scope_is_not() -> None:
    known = state(reads=(past("2026-11-01T00:00:00", None),))
    stored = json.loads(json.dumps(known.to_json()))
    assert stored == known.to_json()
    assert ExportState.of(stored, scope="s") == known
    assert ExportState.of(stored, scope="another") is None


@pytest.mark.parametrize(
    "stored", [None, "2026-11-20T02:00:00Z", {}, {"reads": [{}]}, {"reads": [], "a": 1}, 5]
)
def test_what_another_version_stored_is_no_state(stored: Any) -> None:
    assert ExportState.of(stored, scope="s") is None


def test_a_run_that_was_overtaken_makes_the_index_inexact_and_a_repeated_one_does_not() -> None:
    other = state(folder="file:///2")
    assert not state().overtaken_by(other).exact
    assert state().overtaken_by(state(rows=7)) == state()


@pytest.mark.parametrize("name", ["IHourEntry.GetHourEntriesByDate", "hours", "severa/hours-2.nl"])
def test_a_plain_path_names_an_export(name: str) -> None:
    assert checked_name(name) == name


@pytest.mark.parametrize("name", ["../x", "/x", "x/", "x//y", ".x", "x/../y", "", "x y"])
def test_a_name_cannot_lead_out_of_the_destination(name: str) -> None:
    with pytest.raises(VismaRequestError, match="name of an export"):
        checked_name(name)
