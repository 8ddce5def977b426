"""Columns of Orbit's reports that come, go and change."""

from __future__ import annotations

import re

import pytest
from lxml import etree

from sandbox.tests.test_orbit_reporting import HOURS, all_of


@pytest.mark.parametrize(
    ("changes", "gone", "new"),
    [
        ({"Hours": None}, {"Hours"}, {}),
        ({"Hours": {"type": "Edm.Double"}}, set(), {"Hours": "Edm.Double"}),
        ({"Hours": {"type": "Edm.String"}}, set(), {"Hours": "Edm.String"}),
        ({"Billable": {"type": "Edm.Int32"}}, set(), {"Billable": "Edm.Int32"}),
        ({"WeekStart": {"type": "Edm.DateTimeOffset"}}, set(), {"WeekStart": "Edm.DateTimeOffset"}),
        ({"UserName": {"rename": "Naam"}}, {"UserName"}, {"Naam": "Edm.String"}),
        ({"New": {}}, set(), {"New": "Edm.String"}),
        ({"New": {"type": "Edm.Int32", "value": "5"}}, set(), {"New": "Edm.Int32"}),
        (
            {"Spot": {"type": "Edm.GeographyPoint", "value": "51.9 4.5"}},
            set(),
            {"Spot": "Edm.GeographyPoint"},
        ),
        (
            {"Tags": {"type": "Collection(Edm.String)", "value": ["a", "b"]}},
            set(),
            {"Tags": "Collection(Edm.String)"},
        ),
    ],
)
def test_a_column_goes_comes_or_changes_its_type(orbit, changes, gone, new) -> None:
    before = orbit.counts()[HOURS]["columns"]
    orbit.sandbox.settings(orbit_report_columns={HOURS: changes}, orbit_report_rows=40)

    columns = orbit.counts()[HOURS]["columns"]
    assert columns == {name: kind for name, kind in before.items() if name not in gone} | new
    first = etree.fromstring(orbit.get(HOURS).content).find(f"{orbit.atom}entry")
    said = {
        etree.QName(each).localname: each.get(f"{orbit.meta}type", "Edm.String")
        for each in orbit.properties(first)
    }
    assert said == columns
    if "Spot" not in new:
        assert all_of(orbit, HOURS) == orbit.told(HOURS)


@pytest.mark.parametrize(
    ("column", "kind", "become"),
    [
        ("Billable", "Edm.Int32", {"true": "1", "false": "0"}),
        ("Hours", "Edm.Int32", {"7.5": "7", "-2.5": "-2", "40.00": "40"}),
        ("Hours", "Edm.Double", {"7.5": "7.5", "40.00": "40.00"}),
        ("Week", "Edm.String", {"28": "28"}),
        ("Week", "Collection(Edm.Byte)", {"28": ["28"]}),
        ("WeekStart", "Edm.DateTimeOffset", {"2024-07-08T00:00:00": "2024-07-08T00:00:00Z"}),
        ("Rate", "Edm.Int16", {None: None}),
    ],
)
def test_values_are_written_as_their_new_type_writes_them(orbit, column, kind, become) -> None:
    before = [row[column] for row in orbit.told(HOURS)]
    orbit.sandbox.settings(orbit_report_columns={HOURS: {column: {"type": kind}}})
    after = [row[column] for row in all_of(orbit, HOURS)]

    found = {old: new for old, new in zip(before, after, strict=True) if old in become}
    assert found == become


def test_a_change_can_begin_at_a_row_in_the_middle_of_a_feed(orbit) -> None:
    orbit.sandbox.settings(
        orbit_report_rows=10,
        orbit_report_page_size=4,
        orbit_report_columns={
            HOURS: {
                "Hours": {"type": "Edm.Int32", "from_row": 6},
                "New": {"value": "x", "from_row": 3},
            }
        },
    )
    entries = [each for feed in orbit.pages(HOURS) for each in feed.findall(f"{orbit.atom}entry")]
    found = [{etree.QName(each).localname: each for each in orbit.properties(entry)} for entry in entries]

    assert ["New" in each for each in found] == [False] * 3 + [True] * 7
    kinds = [each["Hours"].get(f"{orbit.meta}type") for each in found]
    assert kinds == ["Edm.Decimal"] * 6 + ["Edm.Int32"] * 4
    assert all(re.fullmatch(r"-?\d+", each["Hours"].text) for each in found[6:])
