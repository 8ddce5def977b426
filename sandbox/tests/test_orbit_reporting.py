"""Orbit's reports: what there is, what a feed says, and that every form of it says the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from visma_sandbox.app import Sandbox
from visma_sandbox.orbit_reporting.catalogue import Catalogue
from visma_sandbox.orbit_reporting.edm import PRIMITIVES
from visma_sandbox.orbit_reporting.every_type import EDGES
from visma_sandbox.orbit_reporting.feed_form import LOOSE

HOURS, INVOICES, PIPELINE = "RP7K2M9XW4H1TQZ", "RP3FJ8N5C6VD1BY", "RPQ5Z1R8GEAW6SU"
STAFF, EMPTY, EVERY_TYPE = "RPB4T9Y2PDN8KC3", "RPD1A5S8F3G7HKJ", "RPX6E2V7H9JU4RM"
REPORTS = (HOURS, INVOICES, PIPELINE, STAFF, EMPTY, EVERY_TYPE)
APP = "{http://www.w3.org/2007/app}"
EDM = "{http://schemas.microsoft.com/ado/2009/11/edm}"


@pytest.fixture
def small(orbit):
    """Few rows, and all reports."""
    orbit.sandbox.settings(orbit_report_rows=45, orbit_report_every_type=True)
    return orbit


def all_of(orbit, report: str) -> list[dict[str, Any]]:
    return orbit.rows(report, orbit.counts()[report]["columns"])


# -- what there is


def test_the_service_document_lists_the_reports_by_id_with_their_titles(orbit) -> None:
    answer = orbit.get()
    found = {
        each.get("href"): each.findtext(f"{orbit.atom}title")
        for each in etree.fromstring(answer.content).iter(f"{APP}collection")
    }

    assert found == {name: each["title"] for name, each in orbit.counts().items()}
    assert answer.headers["Content-Type"] == "application/atomsvc+xml;charset=utf-8"
    assert all(re.fullmatch("RP[123456789ABCDEFGHJKMNPQRSTUVWXYZ]{13}", name) for name in found)
    assert orbit.get("/odata.svc").content == answer.content


@pytest.mark.parametrize(
    ("links", "loose", "begin"),
    [
        ("relative", [], ""),
        ("relative", ["deep_base"], "../"),
        ("rooted", ["deep_base"], "/odata.svc/"),
        ("absolute", [], None),
    ],
)
def test_its_addresses_are_relative_rooted_or_absolute(orbit, links, loose, begin) -> None:
    orbit.sandbox.settings(orbit_report_links=links, orbit_report_form=loose)
    first = etree.fromstring(orbit.get().content).find(f".//{APP}collection")

    assert first.get("href") == f"{orbit.url if begin is None else begin}{HOURS}"


def test_the_metadata_has_the_types_of_every_report(small) -> None:
    root = etree.fromstring(small.get("$metadata").content)
    found = {
        entity.get("Name"): {each.get("Name"): each.get("Type") for each in entity.iter(f"{EDM}Property")}
        for entity in root.iter(f"{EDM}EntityType")
    }

    assert found == {name: each["columns"] for name, each in small.counts().items()}
    assert {each.get("Name") for each in root.iter(f"{EDM}EntitySet")} == set(found)


@pytest.mark.parametrize(
    ("switch", "path"), [("orbit_report_service_document", ""), ("orbit_report_metadata", "$metadata")]
)
def test_a_server_without_that_document_says_404_with_a_page_and_still_has_feeds(orbit, switch, path) -> None:
    orbit.sandbox.settings(**{switch: False})
    answer = orbit.get(path)

    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
    assert "<title>404 Not Found</title>" in answer.text
    assert orbit.get(HOURS).status_code == 200


def test_reports_are_removed_or_denied(orbit) -> None:
    orbit.sandbox.settings(orbit_report_removed=["RP7*"], orbit_report_denied=[INVOICES])

    assert [orbit.get(each).status_code for each in (HOURS, INVOICES, PIPELINE, "RP", "nowhere")] == [
        404, 403, 200, 404, 404,
    ]  # fmt: skip
    listed = orbit.get().text
    assert (HOURS in listed, INVOICES in listed, PIPELINE in listed) == (False, False, True)
    assert set(orbit.counts()) == {PIPELINE, STAFF, EMPTY}
    assert [each["operation"] for each in orbit.sandbox.journal("orbit_reporting")][-2:] == [
        "unknown",
        "service_document",
    ]


@pytest.mark.parametrize(
    "path", ["$batch", f"{HOURS}/$count", f"{HOURS}(1L)", f"{HOURS}(1L)/$value", "%00", "a/b/c"]
)
def test_there_is_nothing_beyond_the_feeds(orbit, path: str) -> None:
    answer = orbit.get(orbit.url + path)

    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
    assert orbit.get(orbit.url + path, auth=None).status_code == 401


# -- what a feed says


@pytest.mark.parametrize("report", REPORTS)
def test_a_feed_says_what_the_control_endpoint_says(small, report: str) -> None:
    rows = all_of(small, report)

    assert rows == small.told(report)
    assert len(rows) == small.counts()[report]["rows"]


def test_the_switch_sets_the_rows_of_all_long_reports_or_of_each(orbit) -> None:
    def rows() -> dict[str, int]:
        return {name: each["rows"] for name, each in orbit.counts().items()}

    assert rows() == {HOURS: 2000, INVOICES: 600, PIPELINE: 300, STAFF: 100, EMPTY: 0}
    orbit.sandbox.settings(orbit_report_rows=7)
    assert rows() == {HOURS: 7, INVOICES: 7, PIPELINE: 7, STAFF: 100, EMPTY: 0}
    orbit.sandbox.settings(orbit_report_rows={INVOICES: 3})
    assert rows() == {HOURS: 2000, INVOICES: 3, PIPELINE: 300, STAFF: 100, EMPTY: 0}


def test_the_same_people_give_the_same_rows_and_others_give_others(tmp_path: Path) -> None:
    def rows(employees: int, seed: int) -> dict[str, list[Any]]:
        catalogue = Catalogue(Sandbox(employees=employees, seed=seed, folder=tmp_path))
        return {each.id: list(catalogue.rows(each, skip=0, top=50)) for each in catalogue.visible()}

    assert rows(60, 1) == rows(60, 1)
    first, other = rows(60, 1), rows(60, 2)
    assert [name for name in first if first[name] == other[name]] == [EMPTY]
    assert [len(each) for each in rows(0, 1).values()] == [0, 0, 0, 0, 0]


@pytest.mark.parametrize("report", [HOURS, INVOICES, PIPELINE, STAFF])
def test_keys_are_unique_and_beyond_what_a_float_can_tell_apart(orbit, report: str) -> None:
    rows = orbit.told(report)
    key, identifier = list(rows[0])[:2]
    keys = {row[key] for row in rows}

    assert len(keys) == len(rows) > len({float(each) for each in keys})
    if report != HOURS:
        assert len({row[identifier] for row in rows}) == len(rows)


def test_the_hours_have_fifteen_columns_with_null_and_empty_in_them(orbit) -> None:
    rows = orbit.told(HOURS)

    assert {len(row) for row in rows} == {15}
    assert {"", None} < {row["CompanyName"] for row in rows}
    assert [row["WeekStart"] for row in rows] == sorted(row["WeekStart"] for row in rows)
    assert (rows[0]["WeekStart"], rows[-1]["WeekStart"]) == ("2024-07-08T00:00:00", "2026-06-29T00:00:00")
    assert all(re.fullmatch(r".{19}\.\d{7}", row["UpdatedAt"]) for row in rows)


def test_a_person_who_changes_does_so_in_the_reports(orbit) -> None:
    orbit.sandbox.change_person(500003, nickname="Nieuw", last_name="Naam", email_work=None)
    rows = all_of(orbit, STAFF)

    assert (rows[0]["Nickname"], rows[0]["LastName"], rows[0]["EmailWork"]) == ("Nieuw", "Naam", None)
    names = {row["UserID"]: row["UserName"] for row in orbit.told(HOURS)}
    assert names[rows[0]["UserID"]] == rows[0]["DisplayName"]


def test_every_type_of_odata_is_there_with_all_its_edges(small) -> None:
    kinds = small.counts()[EVERY_TYPE]["columns"]
    rows = all_of(small, EVERY_TYPE)

    assert set(kinds.values()) >= PRIMITIVES - {"Edm.GeographyPoint"}
    for kind, edges in EDGES.items():
        said = [row[f"An{kind.removeprefix('Edm.')}"] for row in rows]
        assert [each for each in edges if each not in said] == [], kind


def test_null_is_told_from_empty_and_types_are_named_but_string(small) -> None:
    entry = etree.fromstring(small.get(EVERY_TYPE).content).findall(f"{small.atom}entry")
    columns = small.counts()[EVERY_TYPE]["columns"]
    null = f"{small.meta}null"
    for found in (small.properties(each) for each in entry):
        for element in found:
            kind = columns[etree.QName(element).localname]
            assert element.get(f"{small.meta}type") == (None if kind == "Edm.String" else kind)
            assert element.get(null) in (None, "true")
            if element.get(null):
                assert (len(element), element.text) == (0, None)


def test_blanks_at_the_ends_of_a_text_are_marked_to_be_kept(small) -> None:
    kept = re.findall(r'<d:AnString xml:space="preserve">([^<]*)<', small.get(EVERY_TYPE).content.decode())

    assert set(kept) == {" in between ", "\ttab and\nline", "\u00a0"}


# -- the forms of a feed


@pytest.mark.parametrize("form", [*([each] for each in sorted(LOOSE)), sorted(LOOSE - {"no_base"})])
@pytest.mark.parametrize("report", [PIPELINE, EVERY_TYPE])
def test_every_form_says_the_same(small, report: str, form: list[str]) -> None:
    told = small.told(report)
    small.sandbox.settings(orbit_report_form=form, orbit_report_page_size=20)
    rows = all_of(small, report)

    if "null_absent" in form:
        told = [{name: value for name, value in row.items() if value is not None} for row in told]
        assert all(None not in row.values() for row in rows)
    assert rows == told


@pytest.mark.parametrize(
    ("form", "has", "lacks"),
    [
        ("untyped", "<d:RowID>", "m:type"),
        ("prefix_per_entry", "<m:properties xmlns:d=", '<feed xml:base="http" xmlns:d'),
        ("other_prefixes", "<atom:entry>", "<d:"),
        ("no_base", "<feed xmlns=", "xml:base"),
        ("deep_base", 'odata.svc/feeds/"', None),
        ("entry_base", '<entry xml:base="', "<entry>"),
        ("bare", "<entry><content", "<author>"),
        ("media", 'src="RP7K2M9XW4H1TQZ(9007199254740993L)/$value" /><m:properties>', "</content>"),
        ("expanded", "<m:inline></m:inline>", None),
        ("extended", '<m:action metadata="$metadata#Reports.Close"', "<entry>"),
        ("indented", "<!-- <entry> -->", "><d:"),
        ("instructions", "<?page <entry>?>", "<!--"),
        ("no_declaration", "<feed", "<?xml"),
        ("bom", "\ufeff<?xml", None),
        ("null_absent", "<d:RowID", "m:null"),
        ("cdata", "<![CDATA[", "&amp;"),
        ("next_first", '?$skiptoken=20" /><entry>', None),
    ],
)
def test_each_form_is_what_its_name_says(small, form: str, has: str, lacks: str | None) -> None:
    small.sandbox.settings(orbit_report_form=[form], orbit_report_page_size=20)
    text = small.get(HOURS).content.decode()

    assert has in text
    assert lacks is None or lacks not in text


def test_expanded_entries_are_inline_empty_deferred_or_a_feed_with_a_next_link_of_its_own(small) -> None:
    small.sandbox.settings(orbit_report_form=["expanded"])
    feed = etree.fromstring(small.get(HOURS).content)
    entries = feed.findall(f"{small.atom}entry")
    forms = [
        [
            "deferred" if inline is None else "".join(etree.QName(child).localname for child in inline)
            for link in entry.findall(f"{small.atom}link[@title='Owner']")
            + entry.findall(f"{small.atom}link[@title='Lines']")
            for inline in [link.find(f"{small.meta}inline")]
        ]
        for entry in entries[:4]
    ]

    assert forms == [["entry", "deferred"], ["", "deferred"], ["deferred", "feed"], ["deferred", "feed"]]
    assert len(entries) == 45 < len(list(feed.iter(f"{small.atom}entry")))
    assert feed.find(f"{small.atom}link[@rel='next']") is None
    assert feed.find(f".//{small.atom}link[@rel='next']") is not None


@pytest.mark.parametrize(
    ("form", "ends"),
    [
        ("plain", {"T00:00:00"}),
        ("offset", {"T00:00:00+02:00"}),
        ("utc", {"T00:00:00Z"}),
        ("ticks", {"T00:00:00.0000000"}),
        ("minutes", {"T00:00"}),
        ("mixed", {"T00:00:00", "T00:00:00+02:00", "T00:00:00Z", "T00:00:00.0000000", "T00:00"}),
    ],
)
def test_a_datetime_has_the_form_that_is_asked_for(orbit, form: str, ends: set[str]) -> None:
    orbit.sandbox.settings(orbit_report_datetime=form)

    assert {row["WeekStart"][10:] for row in all_of(orbit, HOURS)} == ends


@pytest.mark.parametrize(
    "switch",
    [
        {"orbit_report_form": ["typed"]},
        {"orbit_report_datetime": "local"},
        {"orbit_report_encoding": "utf-7"},
        {"orbit_report_links": "broken", "orbit_report_page_size": 1},
        {"orbit_report_options": "guessed"},
        {"orbit_report_columns": {HOURS: {"Nowhere": None}}},
        {"orbit_report_columns": {HOURS: {"Hours": {"typo": 1}}}},
        {"orbit_report_columns": {HOURS: {"Hours": {"type": "Edm.Int23"}}}},
        {"orbit_report_columns": {HOURS: {"WeekStart": {"type": "Edm.Int32"}}}},
        {"orbit_report_columns": {HOURS: {"Hours": {"value": 7}}}},
    ],
)
def test_a_switch_that_means_nothing_is_said(orbit, switch: dict[str, Any]) -> None:
    orbit.sandbox.settings(**switch)
    answer = orbit.get(HOURS)

    assert answer.status_code == 500
    assert answer.text.startswith("told to the sandbox: ")


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("encoding", "begin"), [("utf-16", b"\xff\xfe<\x00"), ("iso-8859-1", b"<?xml")])
def test_every_encoding_says_the_same(small, encoding: str, begin: bytes, packed: bool) -> None:
    small.sandbox.settings(orbit_report_encoding=encoding, orbit_report_gzip=packed)
    answer = small.get(EVERY_TYPE)

    assert answer.content.startswith(begin)
    assert answer.headers["Content-Type"].endswith(f"charset={encoding}")
    assert ("Content-Encoding" in answer.headers) == packed
    assert all_of(small, EVERY_TYPE) == small.told(EVERY_TYPE)
