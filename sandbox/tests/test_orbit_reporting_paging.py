"""Orbit's reports over HTTP: versions, options, pages, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from lxml import etree

HOURS, INVOICES, PIPELINE = "RP7K2M9XW4H1TQZ", "RP3FJ8N5C6VD1BY", "RPQ5Z1R8GEAW6SU"
EMPTY = "RPD1A5S8F3G7HKJ"
ATOM = "{http://www.w3.org/2005/Atom}"
COUNT = "{http://schemas.microsoft.com/ado/2007/08/dataservices/metadata}count"
FEED_TYPE = "application/atom+xml;type=feed;charset=utf-8"


@pytest.fixture
def served(orbit):
    """A server that does what options ask."""
    orbit.sandbox.settings(orbit_report_options="served", orbit_report_rows=200)
    return orbit


def numbers(orbit, path: str) -> list[str]:
    """The numbers of the invoices on all pages."""
    return [row["Number"] for row in orbit.rows(path, orbit.counts()[INVOICES]["columns"])]


# -- pages


@pytest.mark.parametrize("loose", [[], ["no_base"], ["deep_base"], ["next_first", "expanded", "entry_base"]])
@pytest.mark.parametrize("links", ["relative", "rooted", "absolute"])
def test_the_pages_together_have_every_row_once(orbit, links: str, loose: list[str]) -> None:
    orbit.sandbox.settings(
        orbit_report_rows=25, orbit_report_page_size=10, orbit_report_links=links, orbit_report_form=loose
    )

    assert orbit.rows(HOURS, orbit.counts()[HOURS]["columns"]) == orbit.told(HOURS)
    options = [entry["note"]["options"] for entry in orbit.sandbox.journal("orbit_reporting", HOURS)]
    assert options == [[], ["$skiptoken"], ["$skiptoken"]]


@pytest.mark.parametrize(
    ("rows", "size", "empty_last", "expected"),
    [
        (20, 0, False, [20]),
        (20, 0, True, [20]),
        (20, 10, False, [10, 10]),
        (20, 10, True, [10, 10, 0]),
        (25, 10, True, [10, 10, 5, 0]),
        (9, 10, False, [9]),
    ],
)
def test_the_last_page_is_short_or_empty(orbit, rows, size, empty_last, expected) -> None:
    orbit.sandbox.settings(
        orbit_report_rows=rows, orbit_report_page_size=size, orbit_report_empty_last_page=empty_last
    )

    assert [len(feed.findall(f"{ATOM}entry")) for feed in orbit.pages(HOURS)] == expected
    assert [len(feed.findall(f"{ATOM}entry")) for feed in orbit.pages(EMPTY)] == [0]


def test_a_token_is_opaque_and_a_wrong_one_refused(orbit) -> None:
    assert orbit.get(f"{HOURS}?$skiptoken=x").status_code == 400
    past_the_end = etree.fromstring(orbit.get(f"{HOURS}?$skiptoken=99999").content)
    assert past_the_end.findall(f"{ATOM}entry") == []


# -- options


@pytest.mark.parametrize(
    "option", ["$top=1", "$skip=5", "$filter=Nowhere eq 1", "$inlinecount=allpages", "$x=1"]
)
def test_options_are_ignored_unless_the_server_is_told_otherwise(orbit, option: str) -> None:
    orbit.sandbox.settings(orbit_report_rows=9)
    feed = etree.fromstring(orbit.get(f"{INVOICES}?{option}").content)

    assert len(feed.findall(f"{ATOM}entry")) == 9
    assert feed.find(COUNT) is None

    orbit.sandbox.settings(orbit_report_options="refused")
    answer = orbit.get(f"{INVOICES}?{option}")
    assert answer.status_code == 400
    assert "is not supported" in answer.text
    assert orbit.get(f"{INVOICES}?api=1").status_code == 200


@pytest.mark.parametrize("size", [0, 7])
@pytest.mark.parametrize(
    ("options", "chosen"),
    [
        ("$top=3", slice(3)),
        ("$top=0", slice(0)),
        ("$skip=190", slice(190, None)),
        ("$top=20&$skip=5", slice(5, 25)),
        ("$format=atom", slice(None)),
        ("$select=Number", slice(None)),
    ],
)
def test_rows_are_skipped_and_taken_when_served_on_any_number_of_pages(served, options, chosen, size) -> None:
    everything = numbers(served, INVOICES)
    served.sandbox.settings(orbit_report_page_size=size)

    assert numbers(served, f"{INVOICES}?{options}") == everything[chosen]


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("Number eq 20240007", lambda row: row["Number"] == "20240007"),
        ("Number lt 20240010L", lambda row: int(row["Number"]) < 20240010),
        ("Vat ge 100.00M and Vat le 4000M", lambda row: 100 <= float(row["Vat"]) <= 4000),
        ("Status eq 'Betaald'", lambda row: row["Status"] == "Betaald"),
        ("Status ne 'Betaald'", lambda row: row["Status"] != "Betaald"),
        ("CompanyName eq null", lambda row: row["CompanyName"] is None),
        ("CompanyName ne null", lambda row: row["CompanyName"] is not None),
        (
            "CompanyName eq 'Voorbeeld & Zonen B.V.'",
            lambda row: row["CompanyName"] == "Voorbeeld & Zonen B.V.",
        ),
        ("IsCredit eq true", lambda row: row["IsCredit"] == "true"),
        (
            "InvoiceDate gt datetime'2025-06-01T00:00:00' and IsCredit eq false",
            lambda row: row["InvoiceDate"] > "2025-06-01T00:00:00" and row["IsCredit"] == "false",
        ),
    ],
)
def test_a_filter_chooses_the_rows_on_every_page(served, text: str, holds: Any) -> None:
    expected = [row["Number"] for row in served.told(INVOICES) if holds(row)]
    assert 0 < len(expected) < 200
    served.sandbox.settings(orbit_report_page_size=6)
    path = requests.Request("GET", f"{served.url}{INVOICES}", params={"$filter": text}).prepare().url

    assert numbers(served, path) == expected


def test_the_count_respects_the_filter_and_not_the_page_and_is_of_version_2(served) -> None:
    wishes = {"$inlinecount": "allpages", "$top": "2", "$filter": "Status eq 'Betaald'"}
    answer = served.get(INVOICES, params=wishes)
    feed = etree.fromstring(answer.content)

    paid = sum(row["Status"] == "Betaald" for row in served.told(INVOICES))
    assert (feed.findtext(COUNT), len(feed.findall(f"{ATOM}entry"))) == (str(paid), 2)
    assert answer.headers["DataServiceVersion"] == "2.0;"


@pytest.mark.parametrize(
    ("option", "status"),
    [
        ("$top=-1", 400),
        ("$top=x", 400),
        ("$orderby=Number", 400),
        ("$filter=Number", 400),
        ("$filter=", 400),
        ("$filter=Number eq 'x'", 400),
        ("$filter=Nowhere eq 1", 400),
        ("$filter=startswith(Status,'B')", 400),
        ("$inlinecount=some", 400),
        ("$select=Nowhere", 400),
        ("$format=json", 406),
    ],
)
def test_what_is_not_served_is_refused(served, option: str, status: int) -> None:
    assert served.get(f"{INVOICES}?{option}").status_code == status


# -- versions and headers


@pytest.mark.parametrize(("report", "version"), [(HOURS, "1.0;"), (INVOICES, "1.0;"), (PIPELINE, "3.0;")])
def test_an_answer_is_of_the_lowest_version_that_can_say_it(orbit, report, version) -> None:
    headers = orbit.get(report).headers

    assert (headers["DataServiceVersion"], headers["Content-Type"]) == (version, FEED_TYPE)


@pytest.mark.parametrize(
    ("report", "most", "status"),
    [
        (HOURS, "1.0", 200),
        (HOURS, "2.0;NetFx", 200),
        (PIPELINE, "3.0", 200),
        (PIPELINE, "3.0;", 200),
        (PIPELINE, "2.0", 400),
        (HOURS, "latest", 400),
    ],
)
def test_a_client_that_can_read_less_is_refused(orbit, report, most, status) -> None:
    assert orbit.get(report, headers={"MaxDataServiceVersion": most}).status_code == status


@pytest.mark.parametrize(("said", "header"), [("3.0", "3.0"), ("4.0", "4.0"), ("", None)])
def test_a_server_may_say_another_version_or_none(orbit, said, header) -> None:
    orbit.sandbox.settings(orbit_report_version=said)

    assert orbit.get(HOURS).headers.get("DataServiceVersion") == header


def test_a_strict_server_refuses_who_wants_json_and_another_one_does_not_care(orbit) -> None:
    wants_json = {"Accept": "application/json"}
    assert orbit.get(HOURS, headers=wants_json).headers["Content-Type"] == FEED_TYPE

    orbit.sandbox.settings(orbit_report_accept_strict=True, orbit_report_content_type="application/xml")
    assert orbit.get(HOURS, headers=wants_json).status_code == 406
    for accepted in ("application/atom+xml;q=0.9, application/json", "*/*", "application/xml"):
        assert orbit.get(HOURS, headers={"Accept": accepted}).headers["Content-Type"] == "application/xml"


def test_the_body_is_packed_for_who_accepts_it(orbit) -> None:
    plain = orbit.get(HOURS, headers={"Accept-Encoding": "identity"})
    orbit.sandbox.settings(orbit_report_gzip=True)
    packed = orbit.get(HOURS, headers={"Accept-Encoding": "gzip"})

    assert packed.headers["Content-Encoding"] == "gzip"
    assert etree.fromstring(packed.content).xpath("count(*)") == etree.fromstring(plain.content).xpath(
        "count(*)"
    )
    assert "Content-Encoding" not in orbit.get(HOURS, headers={"Accept-Encoding": "identity"}).headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD"])
def test_reports_are_only_read(orbit, method: str) -> None:
    assert requests.request(method, f"{orbit.url}{HOURS}", auth=orbit.account, timeout=10).status_code == 405


@pytest.mark.parametrize(
    ("form", "content_type", "begin"),
    [
        ("html", "text/html; charset=utf-8", "<!DOCTYPE html>"),
        ("m_error", "application/xml; charset=utf-8", '<?xml version="1.0" encoding="utf-8"?><m:error '),
        ("error", "application/xml; charset=utf-8", '<?xml version="1.0" encoding="utf-8"?><error '),
    ],
)
def test_an_error_is_a_page_or_odatas_own(orbit, form, content_type, begin) -> None:
    orbit.sandbox.settings(orbit_report_errors=form)
    answer = orbit.get("RP1111111111111")

    assert (answer.status_code, answer.headers["Content-Type"]) == (404, content_type)
    assert answer.text.startswith(begin)
