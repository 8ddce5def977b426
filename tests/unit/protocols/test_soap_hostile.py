"""Answers that must not be used: cut off at any byte, damaged, hostile, or no SOAP at all."""

from __future__ import annotations

import codecs

import pytest

from airflow_provider_visma.exceptions import VismaContentError, VismaError, VismaIncompleteAnswerError
from airflow_provider_visma.protocols.soap_parser import FaultFoundError
from airflow_provider_visma.protocols.soap_reader import ReadReport
from tests.unit.protocols.soap_documents import DECLARATION, answer, envelope, person, read, record

THREE = answer(person(1), person(2), person(3))


def spoilt(old: str, new: str, body: bytes = THREE) -> bytes:
    assert old.encode() in body
    return body.replace(old.encode(), new.encode("latin-1"), 1)


def with_doctype(subset: str, text: str = "Testpersoon") -> bytes:
    return spoilt(DECLARATION, f"{DECLARATION}<!DOCTYPE x {subset}>", spoilt("Testpersoon", text))


def in_name(text: str) -> bytes:
    return answer(person(1, record(last_name=f"<LastName>{text}</LastName>")))


def test_no_truncation_of_three_employees_is_accepted_at_any_byte() -> None:
    assert len(read(THREE)) == 3
    accepted = []
    for length in range(len(THREE)):
        try:
            read(THREE[:length])
        except VismaIncompleteAnswerError:
            continue
        accepted.append(length)
    assert accepted == []


@pytest.mark.parametrize("head", ["", "<!-- -->"], ids=["in an item cut out", "in the whole answer"])
@pytest.mark.parametrize(
    "damaged", [THREE[:-60], spoilt("</LastName>", "</FirstName>")], ids=["cut", "spoilt"]
)
def test_a_damaged_answer_may_come_whole_next_time_whatever_came_before_it(damaged: bytes, head: str) -> None:
    for unusable in (in_name("&kanarie;"), in_name("<x>" * 300)):
        with pytest.raises(VismaContentError):
            read(unusable)
    with pytest.raises(VismaIncompleteAnswerError):
        read(spoilt("<soap:Body>", f"{head}<soap:Body>", damaged))


def test_no_truncation_of_a_long_answer_is_accepted_around_its_pieces() -> None:
    body = answer(*(person(number) for number in range(2000)))
    edges = [edge + offset for edge in range(65536, len(body), 65536) for offset in range(-2, 3)]
    for length in [*edges, *range(len(body) - 60, len(body))]:
        with pytest.raises(VismaIncompleteAnswerError):
            read(body[:length])


@pytest.mark.parametrize(
    "body",
    [
        with_doctype(""),
        with_doctype("[]"),
        with_doctype('[<!ENTITY e "EXPANDED">]', "&e;"),
        with_doctype('[<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]', "&b;"),
        with_doctype('[<!ENTITY e SYSTEM "file:///etc/hostname">]', "&e;"),
        with_doctype('[<!ENTITY e SYSTEM "http://127.0.0.1:9/">]', "&e;"),
        with_doctype('SYSTEM "http://127.0.0.1:9/x.dtd"'),
        with_doctype('[<!ENTITY % p SYSTEM "http://127.0.0.1:9/x.dtd"> %p;]'),
        answer(person(), declaration=f"{DECLARATION}<!-- {'x' * 70_000} --><!DOCTYPE x>"),
        answer(person(), declaration=f"{DECLARATION}{' ' * 200_000}<!DOCTYPE x [<!ENTITY e 'E'>]>"),
        answer(person(), declaration="<!DOCTYPE x>"),
    ],
)
def test_a_document_type_is_refused_before_any_row(body: bytes) -> None:
    report = ReadReport()
    with pytest.raises(VismaContentError, match="DOCTYPE"):
        read(body, report=report)
    assert report.rows == 0


@pytest.mark.parametrize(
    "body",
    [
        THREE.decode().encode("utf-16"),
        THREE.decode().encode("utf-16-le"),
        THREE.decode().encode("utf-16-be"),
        THREE.decode().encode("utf-32"),
        codecs.BOM_UTF16_BE + THREE,
        THREE.decode().encode("cp037"),
        spoilt('encoding="utf-8"', 'encoding="utf-7"'),
        spoilt('encoding="utf-8"', 'encoding="UTF-16"'),
        spoilt('encoding="utf-8"', "encoding = 'iso-8859-1' standalone='yes'"),
    ],
)
def test_another_encoding_than_utf_8_is_refused(body: bytes) -> None:
    with pytest.raises((VismaContentError, VismaIncompleteAnswerError)) as refused:
        read(body)
    assert "Testpersoon" not in str(refused.value)


@pytest.mark.parametrize(
    "body",
    [
        codecs.BOM_UTF8 + THREE,
        spoilt('encoding="utf-8"', 'encoding="UTF-8" standalone="yes"'),
        spoilt(' encoding="utf-8"', ""),
        spoilt(DECLARATION, ""),
    ],
)
def test_utf_8_is_read_however_it_is_declared(body: bytes) -> None:
    assert len(read(body)) == 3


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"<html><body><h1>503</h1></body></html>",
        b"<!DOCTYPE html><html><body>503</body></html>",
        DECLARATION.encode() + b'\n<!doctype HTML PUBLIC "-//W3C//DTD XHTML 1.0//EN" "x.dtd"><html/>',
        b"<!-- only a comment -->",
        b"{}",
        THREE + b"x",
        THREE + THREE,
        THREE + b"<more/>",
        spoilt("Testpersoon", "Test\0persoon"),
        spoilt("Testpersoon", "Test\xffpersoon"),
        spoilt("Testpersoon", "Test&#1;persoon"),
        spoilt("</LastName>", "</Lastname>"),
        spoilt("<Records>", "<Records"),
        b"\n" + THREE,
        envelope(""),
        THREE.replace(b"soap:Body", b"soap:Corpse"),
    ],
)
def test_what_is_damaged_or_no_soap_is_an_incomplete_answer(body: bytes) -> None:
    with pytest.raises(VismaIncompleteAnswerError) as refused:
        read(body)
    assert "Testpersoon" not in str(refused.value)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (in_name("x" * 11_000_000), "limit"),
        (in_name("<a>" * 300 + "</a>" * 300), "limit"),
        (in_name("<a>" * 100_000), "limit"),
        (in_name("<a " + " ".join(f'a{n}="1"' for n in range(1_000_000)) + "/>"), "limit"),
        (in_name("<a " + " ".join(f'a{n}="1"' for n in range(101)) + "/>"), "attributes"),
        (answer(f"<Extra>{'<a>' * 70}{'</a>' * 70}</Extra>"), "deeper than 64"),
        (envelope(f"<Other>{'<a>' * 70}{'</a>' * 70}</Other>"), "deeper than 64"),
        (envelope('<People_GetAllResponse xmlns="urn:other"/>'), "another operation"),
        (spoilt(DECLARATION, f'{DECLARATION}<?xml-stylesheet href="x"?>'), "processing instruction"),
        (in_name("<?x?>"), "processing instruction"),
    ],
)
def test_what_passes_a_limit_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(VismaContentError, match=message):
        read(body)


def test_a_hundred_attributes_and_a_depth_of_sixty_four_are_within_the_limits() -> None:
    attributes = " ".join(f'a{n}="1"' for n in range(100))
    deep = "<a>" * 59 + "</a>" * 59
    assert len(read(answer(person(1, record(more=f"<New {attributes}/>")), f"<Extra>{deep}</Extra>"))) == 1


@pytest.mark.parametrize("text", ["&unknown;", "Jan&unknown;sen"])
def test_an_unknown_entity_never_becomes_a_value(text: str) -> None:
    report = ReadReport()
    try:
        rows = read(in_name(text), report=report)
    except VismaError:
        return
    assert rows == []
    assert report.unreadable_rows == 1


def test_a_fault_is_found_in_place_of_the_result() -> None:
    fault = "<soap:Fault><faultcode>soap:Server</faultcode><faultstring>kapot</faultstring></soap:Fault>"
    with pytest.raises(FaultFoundError):
        read(envelope(fault))
