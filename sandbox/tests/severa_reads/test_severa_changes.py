"""Severa's read operations: what changed since a moment."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
import requests
from zeep.exceptions import Fault

from sandbox.tests.severa_reads.asking import ENTRY, NOBODY, READS, SINCE, arguments, ask, guid


@pytest.mark.parametrize(
    ("since", "found"),
    [
        ("2026-11-21T10:00:29", True),
        ("2026-11-21T10:00:31", False),
        ("2026-11-21T10:01:00", False),
        ("2026-11-21T09:59:31", True),
        ("2026-11-20T00:00:00", True),
    ],
)
def test_changed_since_compares_with_the_closest_minute_of_its_start(severa, since: str, found: bool) -> None:
    severa.sandbox.change_severa(
        "hour_entry", ENTRY, changes={"Description": "laat"}, at="2026-11-21T10:00:45"
    )

    changed = ask(severa, "IHourEntry.GetHourEntriesChangedSince", startDate=datetime.fromisoformat(since))

    assert [row["GUID"] for row in changed or ()] == ([ENTRY] if found else [])


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        ("case", 0x20),
        ("user", 1),
        ("account", 2),
        ("contact", 6),
        ("phase", 0x21),
        ("product", 0x17),
        ("work_type", 0x15),
    ],
)
def test_a_change_is_reported_once_it_happened_and_by_the_operation_of_its_kind(
    severa, kind: str, number: int
) -> None:
    contract = f"i{kind.replace('_', '')}."
    name = next(each for each in READS if each.lower().startswith(contract) and "ChangedSince" in each)
    start = {"startDateTime": datetime(2026, 11, 22, 9), "options": 2, "accountGUID": ""}
    wanted = {parameter: start[parameter] for parameter in arguments(name).keys() & start.keys()}
    assert not ask(severa, name, **wanted)

    severa.sandbox.change_severa(kind, guid(number, 1), at="2026-11-22T11:30:00+02:00")

    assert [row["GUID"] for row in ask(severa, name, **wanted)] == [guid(number, 1)]


def test_a_deletion_is_reported_by_no_operation(severa) -> None:
    everything = len(ask(severa, "IHourEntry.GetHourEntriesByDate"))

    severa.sandbox.change_severa("hour_entry", ENTRY, delete=True, at="2026-11-21T10:00:00")

    assert not ask(severa, "IHourEntry.GetHourEntriesChangedSince", startDate=datetime(2026, 11, 21))
    assert len(ask(severa, "IHourEntry.GetHourEntriesByDate")) == everything - 1
    with pytest.raises(Fault, match="ound"):
        ask(severa, "IHourEntry.GetHourEntryByGUID")


def test_a_changed_entry_is_found_on_its_new_day_and_not_on_its_old_one(severa) -> None:
    old = ask(severa, "IHourEntry.GetHourEntryByGUID")["EventDate"]
    new = old + timedelta(days=30)

    severa.sandbox.change_severa("hour_entry", ENTRY, changes={"EventDate": new.isoformat()})

    def is_found(day: datetime) -> bool:
        rows = ask(severa, "IHourEntry.GetHourEntriesByDate", startdate=day, enddate=day)
        return any(row["GUID"] == ENTRY for row in rows or ())

    assert (is_found(old), is_found(new)) == (False, True)


def test_what_was_computed_does_not_age_when_the_clock_moves(severa) -> None:
    before = ask(severa, "IHourEntry.GetHourEntriesChangedSince", startDate=SINCE)

    severa.sandbox.settings(clock_offset=40 * 86_400)

    assert ask(severa, "IHourEntry.GetHourEntriesChangedSince", startDate=SINCE) == before


def test_a_change_without_a_moment_happens_by_the_sandbox_s_clock(severa) -> None:
    severa.sandbox.settings(clock_offset=86_400 * 365)
    changed = severa.sandbox.change_severa("hour_entry")

    start = datetime.fromisoformat(changed["changed_at"]) - timedelta(days=300)
    assert [row["GUID"] for row in ask(severa, "IHourEntry.GetHourEntriesChangedSince", startDate=start)] == [
        changed["guid"]
    ]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("shoe", {}),
        ("hour_entry", {"guid": NOBODY}),
        ("hour_entry", {"changes": {"Shoes": 1}}),
        ("hour_entry", {"changes": {"EventDate": "yesterday"}}),
        ("hour_entry", {"changes": {"Quantity": "many"}}),
        ("hour_entry", {"delete": True}),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(severa, kind: str, body: dict[str, Any]) -> None:
    answer = requests.post(
        f"{severa.sandbox.url}/_control/severa/change", json={"kind": kind, **body}, timeout=30
    )

    assert (answer.status_code, bool(answer.text)) == (400, True)
