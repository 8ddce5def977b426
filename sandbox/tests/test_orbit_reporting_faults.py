"""What goes wrong with Orbit's reports, and how large they may be."""

from __future__ import annotations

import json
import time

import pytest
import requests
from lxml import etree

HOURS, EMPTY = "RP7K2M9XW4H1TQZ", "RPD1A5S8F3G7HKJ"
ATOM = "{http://www.w3.org/2005/Atom}"
META = "{http://schemas.microsoft.com/ado/2007/08/dataservices/metadata}"
SYSTEM = "orbit_reporting"


@pytest.mark.parametrize("path", ["", "$metadata", HOURS])
@pytest.mark.parametrize(("form", "root"), [("m_error", f"{META}error"), ("error", f"{META}error")])
def test_an_odata_error_answers_in_its_own_words(orbit, path, form, root) -> None:
    orbit.sandbox.inject(SYSTEM, "*", "m_error", status=503, code="42", message="Busy & <tired>", form=form)
    answer = orbit.get(path)
    error = etree.fromstring(answer.content)

    assert (answer.status_code, error.tag) == (503, root)
    assert (error.findtext(f"{META}code"), error.findtext(f"{META}message")) == ("42", "Busy & <tired>")
    assert orbit.get(path).status_code == 200


@pytest.mark.parametrize("loose", [[], ["prefix_per_entry"], ["other_prefixes", "indented"]])
@pytest.mark.parametrize(("report", "after", "entries"), [(HOURS, 5, 5), (HOURS, 0, 0), (EMPTY, 3, 0)])
def test_an_error_in_mid_stream_ends_a_good_answer_unclosed(orbit, loose, report, after, entries) -> None:
    orbit.sandbox.settings(orbit_report_form=loose)
    orbit.sandbox.inject(SYSTEM, report, "m_error_in_stream", after_entries=after, message="Out of memory")
    answer = orbit.get(report)

    assert answer.status_code == 200
    with pytest.raises(etree.XMLSyntaxError):
        etree.fromstring(answer.content)
    whole = etree.fromstring(
        answer.content + f"</{'atom:' if 'other_prefixes' in loose else ''}feed>".encode()
    )
    assert len(whole.findall(f"{ATOM}entry")) == entries
    assert whole[-1].tag == f"{META}error"
    assert whole[-1].findtext(f"{META}message") == "Out of memory"


def test_the_error_may_come_within_an_entry(orbit) -> None:
    orbit.sandbox.inject(SYSTEM, HOURS, "m_error_in_stream", after_entries=2, inside=True)
    text = orbit.get(HOURS).text

    begun = text[text.rindex("<entry>") :]
    assert (text.count("<entry>"), text.count("</entry>")) == (3, 2)
    assert "</m:properties>" not in begun
    assert begun.endswith("</m:error>")
    etree.fromstring(
        text.removeprefix('<?xml version="1.0" encoding="utf-8"?>')
        + "</m:properties></content></entry></feed>"
    )


def test_the_rest_may_be_said_to_be_at_another_host(orbit) -> None:
    orbit.sandbox.inject(SYSTEM, HOURS, "foreign_next_link")
    orbit.sandbox.inject(SYSTEM, HOURS, "foreign_next_link", url="http://169.254.169.254/latest?a=1&b=2")

    links = [etree.fromstring(orbit.get(HOURS).content).find(f"{ATOM}link[@rel='next']") for _ in range(3)]
    assert [None if link is None else link.get("href") for link in links] == [
        f"https://odata.example.com/odata.svc/{HOURS}?$skiptoken=1",
        "http://169.254.169.254/latest?a=1&b=2",
        None,
    ]


def test_pages_may_go_in_a_circle(orbit) -> None:
    orbit.sandbox.settings(orbit_report_rows=30, orbit_report_page_size=10)
    orbit.sandbox.inject(SYSTEM, HOURS, "circular_next_link", count=2)
    orbit.sandbox.inject(SYSTEM, HOURS, "circular_next_link", to="first")

    def following(path: str) -> str:
        return etree.fromstring(orbit.get(path).content).find(f"{ATOM}link[@rel='next']").get("href")

    assert following(HOURS) == f"/odata.svc/{HOURS}"
    assert following(f"{HOURS}?$skiptoken=10") == f"/odata.svc/{HOURS}?$skiptoken=10"
    assert following(f"{HOURS}?$skiptoken=20") == HOURS


def test_a_value_may_be_none_of_its_type(orbit) -> None:
    orbit.sandbox.inject(SYSTEM, HOURS, "bad_value", column="Year", row=7, value="MMXXVI")
    entries = etree.fromstring(orbit.get(HOURS).content).findall(f"{ATOM}entry")
    years = [orbit.properties(each).find("{*}Year").text for each in entries]

    assert years[7] == "MMXXVI"
    assert all(year.isdigit() for year in years[:7] + years[8:])
    orbit.sandbox.inject(SYSTEM, HOURS, "bad_value", column="Jahr")
    assert orbit.get(HOURS).status_code == 500


@pytest.mark.parametrize(
    ("document", "begin", "content_type"),
    [
        ("v4_atom", 'm="http://docs.oasis-open.org/odata/ns/metadata"', "application/atom+xml"),
        ("v4_json", '{"@odata.context":', "application/json"),
        ("json", '{"d":', "application/json"),
        ("entry", "<entry ", "application/atom+xml"),
        ("property", "<d:RowID ", "application/xml"),
        ("service_document", "<service ", "application/atomsvc+xml"),
        ("metadata", "<edmx:Edmx ", "application/xml"),
        ("rss", "<rss ", "application/rss+xml"),
    ],
)
def test_another_document_may_come_instead(orbit, document, begin, content_type) -> None:
    orbit.sandbox.inject(SYSTEM, HOURS, "other_document", document=document)
    answer = orbit.get(HOURS)

    assert answer.status_code == 200
    assert begin in answer.text
    assert answer.headers["Content-Type"].startswith(content_type)
    assert answer.headers.get("OData-Version") == ("4.0" if document.startswith("v4") else None)
    if "json" in content_type:
        json.loads(answer.text)
    else:
        etree.fromstring(answer.content)


def test_a_document_that_nobody_knows_is_said(orbit) -> None:
    orbit.sandbox.inject(SYSTEM, HOURS, "other_document", document="v5")

    assert orbit.get(HOURS).status_code == 500


@pytest.mark.parametrize(
    ("kind", "sign"),
    [
        ("doctype", b"<!DOCTYPE"),
        ("internal_entity", b"<!ENTITY e "),
        ("billion_laughs", b"<!ENTITY l9 "),
        ("external_entity", b"file:///etc/hostname"),
        ("nul_byte", b"\x00"),
        ("malformed", b"</x"),
        ("trailing_garbage", b"garbage"),
    ],
)
def test_hostile_documents_are_made_of_a_feed(orbit, kind: str, sign: bytes) -> None:
    orbit.sandbox.inject(SYSTEM, HOURS, kind)
    body = orbit.get(HOURS).content

    assert sign in body
    assert b"<feed" in body


@pytest.mark.parametrize("chunked", [False, True])
def test_a_feed_is_cut_off_anywhere(orbit, chunked: bool) -> None:
    orbit.sandbox.inject(SYSTEM, HOURS, "truncated", keep=0.9, chunked=chunked)

    with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.exceptions.ConnectionError)):
        orbit.get(HOURS)


def test_a_feed_may_come_slowly(orbit) -> None:
    orbit.sandbox.settings(orbit_report_rows=1)
    orbit.sandbox.inject(SYSTEM, HOURS, "slow_body", bytes=200, interval=0.01)
    before = time.monotonic()

    etree.fromstring(orbit.get(HOURS).content)
    assert time.monotonic() - before > 0.05


def test_faults_of_the_web_server_come_before_the_password(orbit) -> None:
    orbit.sandbox.inject(SYSTEM, HOURS, "status", status=429, retry_after=7)
    orbit.sandbox.inject(SYSTEM, HOURS, "html_error_page")

    throttled, page = orbit.get(HOURS, auth=None), orbit.get(HOURS)
    assert (throttled.status_code, throttled.headers["Retry-After"]) == (429, "7")
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")


def test_a_hundred_thousand_entries_cost_the_memory_of_ten_thousand(large_orbit) -> None:
    def entries(rows: int) -> int:
        large_orbit.sandbox.settings(orbit_report_rows=rows)
        found, rest = 0, b""
        with large_orbit.get(HOURS, stream=True) as answer:
            for piece in answer.iter_content(1 << 20):
                found += (rest + piece).count(b"<entry>") - rest.count(b"<entry>")
                rest = piece[-6:]
        assert rest == b"/feed>"
        return found

    assert entries(10_000) == 10_000
    before = large_orbit.peak_memory()
    assert entries(100_000) == 100_000
    assert large_orbit.peak_memory() - before < 8 << 20
