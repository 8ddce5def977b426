"""Items in their plain form: read past the XML parser, and never otherwise than by it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_visma.exceptions import VismaError
from airflow_provider_visma.protocols.soap_reader import ReadReport, SoapReader
from tests.unit.protocols.soap_documents import DECLARATION, FIELDS, answer, person, read, record

# So long that every later piece may be cut anywhere.
PADDED = DECLARATION + " " * 64 * 1024

TEXTS = (
    "Testpersoon",
    "",
    " ",
    "Zoë 😀",
    "a &amp; b &lt;c&gt; &quot;&apos;",
    "&#13;&#x9;",
    "&#128;&#x80;",
    "&#1;",
    "&nbsp;",
    "&amp",
    "a & b",
    "a > b",
    "]]>",
    "a]]",
    "<![CDATA[</PersonItem>]]>",
    "<!-- </PersonItem> -->",
    "<?x </PersonItem>?>",
    "twee\nregels\tmet tab",
    "twee\r\nregels",
    "\x00",
    "\x0b",
    "\x7f\x85",
    "\ufffd",
    "\uffff",
    "<PersonItem>",
    "</PersonItem>",
    "<LastName>x</LastName>",
)
LAST_NAMES = (
    *(f"<LastName>{text}</LastName>" for text in TEXTS),
    "",
    "<LastName/>",
    "<LastName />",
    '<LastName xsi:nil="true"/>',
    '<LastName xsi:nil="1" />',
    '<LastName xsi:nil="false"/>',
    '<LastName xsi:nil="true"></LastName>',
    "<LastName xsi:nil='true'/>",
    '<LastName xml:lang="nl">Testpersoon</LastName>',
    "<LastName >Testpersoon</LastName>",
    "<LastName>Testpersoon</LastName >",
    "<LastName>een</LastName><LastName>twee</LastName>",
    "<LastName>mis</FirstName>",
    "<LastName>open",
    "<x:LastName>onbekend</x:LastName>",
    '<LastName xmlns="urn:other">ander</LastName>',
    "<New>1</New><LastName>Testpersoon</LastName>",
    '<PersonItem a="1"/>',
)
STARTS = (
    "<Start>2020-01-01T00:00:00</Start>",
    '<Start xsi:nil="true"/>',
    "<Start/>",
    "<Start>gisteren</Start>",
    "",
)
YEARS = (
    "<StartYear>2020</StartYear>",
    "<StartYear> 2020 </StartYear>",
    '<StartYear xsi:nil="true"/>',
    "<StartYear>&#50;020</StartYear>",
    "<StartYear/>",
)

RECORDS = st.builds(
    record,
    last_name=st.sampled_from(LAST_NAMES),
    start_year=st.sampled_from(YEARS) | st.just(YEARS[0]),
    start=st.sampled_from(STARTS) | st.just(STARTS[0]),
    more=st.sampled_from(
        ("", "<Active>true</Active>", "<New/>", "<Share>1.50</Share>", "<Active>x</Active>")
    ),
)
PEOPLE = st.builds(
    lambda number, records: person(number, *records), st.integers(0, 99), st.lists(RECORDS, max_size=2)
)
ITEMS = st.lists(
    PEOPLE
    | st.just(person(7))
    | st.sampled_from(
        (
            '<PersonItem xsi:nil="true"/>',
            "<PersonItem/>",
            "<PersonItem></PersonItem>",
            "<PersonItem><PersonId>1</PersonId></PersonItem>",
            "<PersonItem><PersonId>1</PersonId><Records/></PersonItem>",
            '<PersonItem><PersonId>1</PersonId><Records xsi:nil="true"/></PersonItem>',
            '<PersonItem><PersonId>1</PersonId><Records><Record xsi:nil="1"/></Records></PersonItem>',
            "<PersonItem ><PersonId>1</PersonId></PersonItem >",
            "<Extra/>",
            "tekst",
            "\n  ",
            "\x0b",
            "\x1c",
            "\x85",
        )
    ),
    max_size=6,
)


def outcome(body: bytes, *, size: int, fields: Any) -> tuple[Any, ...]:
    """Return what reading ends in: the rows with what was noticed, or nothing where it is refused.

    Of several faults in one answer either reader may meet another one first.
    """
    report = ReadReport()
    try:
        rows = read(body, fields=fields, report=report, size=size)
    except VismaError:
        return ()
    return rows, report


def by_the_parser(body: bytes) -> bytes:
    """Return the answer with a comment in its head, after which nothing is taken for plain."""
    return body.replace(b"<soap:Body>", b"<!-- --><soap:Body>", 1)


@settings(max_examples=1500, deadline=None, derandomize=True)
@given(
    items=ITEMS,
    padded=st.booleans(),
    cut=st.integers(0, 300),
    step=st.integers(1, 400),
    fields=st.sampled_from((FIELDS, None, ("PersonId",))),
)
@example(items=[person(1)], padded=True, cut=0, step=1, fields=FIELDS)
def test_what_is_read_is_what_the_parser_reads(
    items: list[str], padded: bool, cut: int, step: int, fields: Any
) -> None:
    body = answer(*items, declaration=PADDED if padded else DECLARATION)
    body = body[: len(body) - cut] if cut < 100 else body
    expected = outcome(by_the_parser(body), size=1 << 20, fields=fields)
    first = 64 * 1024
    assert outcome_in_steps(body, first=first, step=step, fields=fields) == expected


RESULT = "<People_GetAllResult>"


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        pytest.param(
            "</PersonItem>", "</PersonItem>\x1c", id="a control character that Python takes for space"
        ),
        pytest.param(RESULT, '<People_GetAllResult xmlns:b="a b">', id="a namespace that is no address"),
        pytest.param(RESULT, f"<People_GetAllResult/>{RESULT}", id="an empty result, and one more"),
        pytest.param(
            RESULT, f"<x>{RESULT}{person(8)}</People_GetAllResult></x>{RESULT}", id="before the result"
        ),
    ],
)
def test_around_the_items_too_the_parser_decides(written: str, instead: str) -> None:
    body = answer(person(1), person(2)).replace(written.encode(), instead.encode(), 1)
    assert outcome(body, size=1 << 20, fields=FIELDS) == outcome(
        by_the_parser(body), size=1 << 20, fields=FIELDS
    )


def test_a_tag_of_the_results_name_inside_an_item_does_not_begin_the_list() -> None:
    body = answer(person(9), person(1)).decode()
    body = body.replace(RESULT, '<é:People_GetAllResult xmlns:é="urn:people">')
    body = body.replace("</People_GetAllResult>", "</é:People_GetAllResult>")
    inside = f"<New>{RESULT}{person(5)}</People_GetAllResult></New>"
    body = body.replace("<Records>", f"{inside}<Records>", 1)
    assert [row["PersonId"] for row in read(body.encode())] == [9, 1]


def outcome_in_steps(body: bytes, *, first: int, step: int, fields: Any) -> tuple[Any, ...]:
    from tests.unit.protocols import soap_documents

    steps = [body[:first], *(body[at : at + step] for at in range(first, len(body), step))]
    original = soap_documents.pieces
    soap_documents.pieces = lambda body, size: iter(steps)
    try:
        return outcome(body, size=1 << 20, fields=fields)
    finally:
        soap_documents.pieces = original


@pytest.mark.parametrize("fields", [FIELDS, None])
@pytest.mark.parametrize("text", ["Testpersoon", "Zoë &amp; co", "twee\nregels", ""])
def test_a_plain_item_never_reaches_the_parser(
    text: str, fields: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any) -> Any:
        raise AssertionError("an item was parsed")

    monkeypatch.setattr(SoapReader, "_value", refuse)
    people = [person(number, record(last_name=f"<LastName>{text}</LastName>")) for number in range(2000)]
    assert len(read(answer(*people), fields=fields)) == 2000


def test_rows_stay_in_order_where_plain_items_and_others_alternate() -> None:
    people = [person(number, record(), *([record()] if number % 3 == 0 else ())) for number in range(3000)]
    report = ReadReport()
    assert [row["PersonId"] for row in read(answer(*people), report=report)] == list(range(3000))
    assert report.rows == 3000


def test_an_unreadable_row_is_told_with_its_place_among_plain_ones() -> None:
    wrong = person(2, record(start_year="<StartYear>twintig</StartYear>"))
    report = ReadReport()
    read(answer(person(1), wrong, person(3)), report=report)
    assert [(row.position, row.key, row.field) for row in report.unreadable] == [(2, 2, "StartYear")]
