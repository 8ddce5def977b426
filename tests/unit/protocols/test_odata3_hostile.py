"""Documents that must not be used: cut off, broken off by the server, hostile, or of another kind."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from lxml import etree

from airflow_provider_visma.exceptions import VismaContentError, VismaIncompleteAnswerError
from airflow_provider_visma.protocols import odata3_parser
from airflow_provider_visma.protocols.odata3 import (
    FeedReader,
    InStreamError,
    ODataError,
    read_error,
    read_service_document,
)
from tests.unit.protocols.odata3_documents import (
    BASE,
    DATA,
    DECLARATION,
    OPENING,
    entry,
    feed,
    hours,
    link,
    pieces,
    prop,
    read,
)

THREE = feed(hours(1), hours(2), hours(3), end=link("RP1?p=2"))
MANY = " ".join(f'a{number}="1"' for number in range(101))
SECRET = "Testpersoon 999900000"
ERROR = (
    f"<m:error><m:code>Report.Broken</m:code><m:message xml:lang='nl'>{SECRET}</m:message>"
    f"<m:innererror><m:message>{SECRET}</m:message></m:innererror></m:error>"
)


def test_no_truncation_of_three_entries_is_accepted_at_any_byte() -> None:
    assert len(read(THREE)) == 3
    accepted = []
    for length in range(len(THREE)):
        try:
            read(THREE[:length])
        except VismaIncompleteAnswerError:
            continue
        accepted.append(length)
    assert accepted == []


@pytest.mark.parametrize("codec", ["utf-16", "iso-8859-1"])
def test_no_truncation_of_another_encoding_is_accepted(codec: str) -> None:
    body = feed(hours(1)).decode().replace('"utf-8"', f'"{codec}"').encode(codec)
    assert len(read(body)) == 1
    for length in range(0, len(body), 3):
        with pytest.raises(VismaIncompleteAnswerError):
            read(body[:length])


def test_no_truncation_of_a_long_feed_is_accepted_around_its_pieces() -> None:
    body = feed(*(hours(number) for number in range(1500)))
    edges = [edge + offset for edge in range(65536, len(body), 65536) for offset in range(-2, 3)]
    for length in [*edges, *range(len(body) - 60, len(body))]:
        with pytest.raises(VismaIncompleteAnswerError):
            read(body[:length])


def test_no_truncation_of_a_service_document_is_accepted() -> None:
    body = (
        b'<service xmlns="http://www.w3.org/2007/app"><workspace><collection href="a"/></workspace></service>'
    )
    assert len(read_service_document(body, base=BASE)) == 1
    for length in range(len(body)):
        with pytest.raises(VismaIncompleteAnswerError):
            read_service_document(body[:length], base=BASE)


@pytest.mark.parametrize("rows_before", [0, 1, 3, 700])
@pytest.mark.parametrize(
    "rest",
    [
        ERROR,  # and the document ends unclosed, as WCF Data Services leave it
        f"{ERROR}</feed>",
        f"<entry><id>x</id>{ERROR}",
        f"<entry><content type='application/xml'><m:properties><d:Id>1</d:Id>{ERROR}",
        f"<entry><content><m:properties>{ERROR}</m:properties></content></entry></feed>",
        f"<entry><link rel='x'><m:inline><feed>{ERROR}</feed></m:inline></link></entry></feed>",
        f"<entry><link rel='x'><m:inline><feed>{ERROR}</feed></m:inline></link></entry>{hours(1)}</feed>",
    ],
)
@pytest.mark.parametrize("size", [100, 64 * 1024])
def test_an_error_in_mid_stream_is_never_a_short_feed(rows_before: int, rest: str, size: int) -> None:
    entries = "".join(hours(number) for number in range(rows_before))
    body = f"{DECLARATION}{OPENING}{entries}{rest}".encode()
    with pytest.raises(InStreamError) as caught:
        read(body, size=size)
    assert caught.value.code == "Report.Broken"
    assert caught.value.reason == SECRET
    assert SECRET not in str(caught.value)


def test_an_error_that_is_cut_off_is_no_short_feed_either() -> None:
    body = f"{DECLARATION}{OPENING}{hours(1)}{ERROR}".encode()
    for length in range(len(OPENING), len(body)):
        with pytest.raises((VismaIncompleteAnswerError, InStreamError)):
            read(body[:length])


@pytest.mark.parametrize(
    "document",
    [
        f'<m:error xmlns:m="{DATA}/metadata"><m:code>A.1</m:code><m:message>{SECRET}</m:message></m:error>',
        f'<error xmlns="{DATA}/metadata"><code>A.1</code><message>{SECRET}</message></error>',
        f'<error xmlns="{DATA}"><code>A.1</code><message>{SECRET}</message></error>',
        f"<error><code>A.1</code><message>{SECRET}</message></error>",
    ],
)
def test_an_error_at_the_root_is_told_by_its_code(document: str) -> None:
    body = f"{DECLARATION}{document}".encode()
    with pytest.raises(ODataError) as caught:
        read(body)
    found = read_error(body)
    for error in (caught.value, found):
        assert error is not None
        assert (error.code, error.reason) == ("A.1", SECRET)
        assert SECRET not in str(error)
    with pytest.raises(ODataError):
        read_service_document(body, base=BASE)


def test_a_code_that_may_be_words_is_not_told() -> None:
    body = f'<error xmlns="{DATA}/metadata"><code>{SECRET} is unknown</code><message /></error>'.encode()
    found = read_error(body)
    assert found is not None
    assert (found.code, found.reason) == (None, None)


@pytest.mark.parametrize("body", [b"", b"Not found", b"<html><body/></html>", b"{}", b"<a", feed(hours())])
def test_a_failure_without_an_error_of_the_service_has_none(body: bytes) -> None:
    assert read_error(body) is None


def with_doctype(subset: str, text: str = "Testpersoon") -> bytes:
    return feed(entry(prop("Name", text)), declaration=f"{DECLARATION}<!DOCTYPE feed {subset}>")


@pytest.mark.parametrize(
    "body",
    [
        with_doctype(""),
        with_doctype('[<!ENTITY e "EXPANDED">]', "&e;"),
        with_doctype('[<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]', "&b;"),
        with_doctype('[<!ENTITY e SYSTEM "file:///etc/hostname">]', "&e;"),
        with_doctype('SYSTEM "http://127.0.0.1:9/x.dtd"'),
        with_doctype('[<!ENTITY % p SYSTEM "http://127.0.0.1:9/x.dtd"> %p;]'),
        with_doctype("").decode().replace('"utf-8"', '"utf-16"').encode("utf-16"),
        feed(hours(), declaration=f"{DECLARATION}<!-- {'x' * 70_000} --><!DOCTYPE x>"),
        feed(hours(), declaration=f"{DECLARATION}{' ' * 200_000}<!DOCTYPE x [<!ENTITY e 'E'>]>"),
    ],
)
def test_a_document_type_is_refused_before_any_row(body: bytes) -> None:
    reader = FeedReader()
    with pytest.raises(VismaContentError, match="DOCTYPE"):
        read(body, reader)
    assert reader.read == 0


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (feed(entry(prop("A", "&unheard;"))), "entity"),
        (feed(hours(), end="<?php echo 1 ?>"), "processing instruction"),
        (feed(hours(), declaration=f"{DECLARATION}<?xml-stylesheet href='x'?>"), "processing instruction"),
        (feed(hours(), declaration='<?xml version="1.0" encoding="utf-7"?>'), "encoding"),
        (feed(hours()).decode().encode("utf-32"), "encoding"),
        (feed(entry(prop("A", "x" * 11_000_000))), "limit"),
        (feed(entry("<d:A>" * 62 + "</d:A>" * 62)), "deeper than 64"),
        (feed("<x>" * 300 + "</x>" * 300), "limit"),
        (feed(entry(f"<d:A {MANY} />")), "100 attributes"),
        (feed(hours()).replace(b"<feed ", f"<feed {MANY} ".encode()), "100 attributes"),
        (b'{"d":{"results":[]}}', "JSON came"),
        (b'\xef\xbb\xbf [{"a":1}]', "JSON came"),
        (json.dumps({"@odata.context": "$metadata", "value": []}).encode(), "V4, in JSON"),
        (
            b'<edmx:Edmx Version="1.0" xmlns:edmx="http://schemas.microsoft.com/ado/2007/06/edmx" />',
            "metadata",
        ),
        (b'<edmx:Edmx xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx" />', "V4"),
        (b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" />', "SOAP"),
        (b"<rss><channel /></rss>", "neither a feed nor"),
        (
            feed(hours()).replace(DATA.encode(), b"http://docs.oasis-open.org/odata/ns/data"),
            "OData V4",
        ),
        (
            b'<feed xmlns="http://www.w3.org/2005/Atom"><entry><content><properties'
            b' xmlns="http://docs.oasis-open.org/odata/ns/metadata" /></content></entry></feed>',
            "OData V4",
        ),
    ],
)
def test_what_must_not_be_used_is_refused_by_its_name(body: bytes, message: str) -> None:
    with pytest.raises(VismaContentError, match=message):
        read(body)


def test_depth_and_attributes_up_to_the_limits_are_read() -> None:
    depth = 64 - 4  # feed, entry, content, properties
    attributes = " ".join(f'a{n}="1"' for n in range(100))
    rows = read(feed(entry("<d:A>" * depth + "</d:A>" * depth, f"<d:B {attributes}>x</d:B>")))
    assert rows[0]["B"] == "x"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"Service unavailable",
        b"<html><body>Sign in</body></html>",
        b"<!DOCTYPE html><html><body/></html>",
        f'{DECLARATION}<!-- x --><html xmlns="http://www.w3.org/1999/xhtml" />'.encode(),
        THREE + b"<html></html>",
        THREE + b"x",
        THREE.replace(b"</entry>", b"</entri>", 1),
        THREE.replace(b"Testpersoon", b"Test\0persoon", 1),
        THREE.replace(b"Testpersoon", b"Test\xffpersoon", 1),
        THREE.replace(b"Testpersoon", b"Test&#1;persoon", 1),
        THREE + THREE,
    ],
)
def test_a_damaged_answer_is_not_a_feed(body: bytes) -> None:
    with pytest.raises(VismaIncompleteAnswerError) as caught:
        read(body)
    assert "persoon" not in str(caught.value)


def test_one_entry_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_visma.protocols.odata3.MAX_ITEM_BYTES", 200_000)

    def endless() -> Iterator[bytes]:
        yield f"{DECLARATION}{OPENING}<entry>".encode()
        while True:
            yield b"<id>x</id>" * 1000

    with pytest.raises(VismaContentError, match="larger than 200000 bytes"):
        list(FeedReader().rows(endless(), base=BASE))


def test_columns_without_end_are_refused() -> None:
    entries = (entry(prop(f"C{number}", "x")) for number in range(6000))
    with pytest.raises(VismaContentError, match="columns"):
        read(feed(*entries))


def test_an_error_of_the_source_is_not_swallowed() -> None:
    def broken() -> Iterator[bytes]:
        yield from pieces(THREE[:-20])
        raise VismaIncompleteAnswerError("the answer broke off")

    with pytest.raises(VismaIncompleteAnswerError, match="broke off"):
        list(FeedReader().rows(broken(), base=BASE))


def test_the_tree_stays_small(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = []
    check = odata3_parser.ODataParser.check

    def watched(parser: odata3_parser.ODataParser, element: etree._Element, **options: bool) -> None:
        assert parser.root is not None
        kept.append(len(parser.root))
        check(parser, element, **options)

    monkeypatch.setattr(odata3_parser.ODataParser, "check", watched)
    body = feed(hours(0), "<!-- not plain -->", *(hours(number) for number in range(1, 3000)))
    assert len(read(body)) == 3000
    assert len(kept) > 10
    assert max(kept[1:]) <= 2  # the box, and the entry that is being written
