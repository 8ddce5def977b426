"""What the streaming reader makes of honest answers: by element name, with nothing silently missing."""

from __future__ import annotations

import re
import resource
from datetime import datetime
from decimal import Decimal
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_visma.exceptions import VismaContentError, VismaRequestError
from airflow_provider_visma.protocols.soap_reader import ReadReport, SoapReader, UnreadableRow
from tests.unit.protocols.soap_documents import (
    FIELDS,
    answer,
    contract,
    envelope,
    person,
    pieces,
    read,
    record,
)

ROW = {"LastName": "Testpersoon", "StartYear": 2020, "Start": datetime(2020, 1, 1)}


def row(person_id: int = 1, *records: dict[str, Any]) -> dict[str, Any]:
    return {"PersonId": person_id, "Records": {"Record": list(records or (ROW,))}}


def test_rows_come_in_order_with_typed_values() -> None:
    assert read(answer(person(1), person(2))) == [row(1), row(2)]


def test_every_field_of_the_wsdl_is_read_when_none_is_chosen() -> None:
    more = "<Active>true</Active><Share>0.80</Share>"
    [found] = read(answer(person(1, record(more=more))), fields=None)
    expected = {**ROW, "Secret": "999900000", "Active": True, "Share": Decimal("0.80")}
    assert found == row(1, expected)


def test_an_element_that_nobody_asked_for_never_becomes_a_value() -> None:
    found = read(answer(person()), fields=("PersonId", "Records/Record/LastName"))
    assert found == [{"PersonId": 1, "Records": {"Record": [{"LastName": "Testpersoon"}]}}]


@pytest.mark.parametrize("size", [64 * 1024, 70_001, 200_000])
def test_where_the_pieces_are_cut_makes_no_difference(size: int) -> None:
    body = answer(*(person(number) for number in range(3000)))
    assert read(body, size=size) == [row(number) for number in range(3000)]


@pytest.mark.parametrize(
    "body",
    [
        answer(),
        envelope('<People_GetAllResponse xmlns="urn:people"><People_GetAllResult/></People_GetAllResponse>'),
        envelope('<People_GetAllResponse xmlns="urn:people"/>'),
    ],
)
def test_an_empty_list_is_no_rows_in_each_of_its_forms(body: bytes) -> None:
    assert read(body) == []


def test_another_prefix_is_the_same_element() -> None:
    body = answer(person()).decode().replace('xmlns="urn:people"', 'xmlns:p="urn:people"')
    body = re.sub(r"<(/?)(?=[A-Z])", r"<\1p:", body)
    assert read(body.encode()) == [row()]


def test_nil_is_none_and_absent_is_no_key() -> None:
    nil = record(last_name="", start='<Start xsi:nil="true"/>')
    assert read(answer(person(1, nil))) == [row(1, {"StartYear": 2020, "Start": None})]


def test_an_empty_text_is_neither_nil_nor_absent() -> None:
    [found] = read(answer(person(1, record(last_name="<LastName></LastName>"))))
    assert found["Records"]["Record"][0]["LastName"] == ""


def test_nil_items_are_skipped_and_counted() -> None:
    report = ReadReport()
    rows = read(
        answer('<PersonItem xsi:nil="true"/>', person(1, '<Record xsi:nil="1"/>', record())), report=report
    )
    assert rows == [row()]
    assert (report.nil_items, report.rows, report.unreadable_rows) == (2, 1, 0)


def test_an_employee_without_records_is_a_row() -> None:
    assert read(answer("<PersonItem><PersonId>7</PersonId></PersonItem>")) == [{"PersonId": 7}]


@pytest.mark.parametrize(
    ("item", "unknown"),
    [
        (person(1, record(last_name="<New>x</New><LastName>Testpersoon</LastName>")), {"New": 1}),
        (person(1, record(more="<New/><New>1</New>")), {"New": 2}),
        (person(1, record(more="<New><LastName>Iemand anders</LastName></New>")), {"New": 1}),
        (person() + "<Extra><PersonId>9</PersonId></Extra>", {"Extra": 1}),
        ("<Extra/>" + person(), {"Extra": 1}),
        (person(1, record(more='<LastName xmlns="urn:other">Iemand anders</LastName>')), {"LastName": 1}),
    ],
)
@pytest.mark.parametrize("fields", [FIELDS, None])
def test_a_new_element_is_ignored_and_reported(item: str, unknown: dict[str, int], fields: Any) -> None:
    report = ReadReport()
    [found] = read(answer(item), fields=fields, report=report)
    assert found["Records"]["Record"][0]["LastName"] == "Testpersoon"
    assert found["Records"]["Record"][0]["StartYear"] == 2020
    assert report.unknown == unknown


def test_a_new_element_in_one_of_thousands_is_reported() -> None:
    report = ReadReport()
    strange = person(1500, record(more="<New/>"))
    body = answer(*(person(number) if number != 1500 else strange for number in range(3000)))
    assert len(read(body, report=report)) == 3000
    assert report.unknown == {"New": 1}


def test_reordered_elements_are_read_by_name() -> None:
    swapped = record(last_name="<StartYear>2020</StartYear>", start_year="<LastName>Testpersoon</LastName>")
    assert read(answer(person(1, swapped))) == [row()]


def test_an_enumeration_value_that_the_wsdl_lacks_is_kept() -> None:
    [found] = read(answer(person(1, record(more="<Gender>unknown</Gender>"))), fields=None)
    assert found["Records"]["Record"][0]["Gender"] == "unknown"


def test_year_one_is_a_date_like_any_other_here() -> None:
    [found] = read(answer(person(1, record(start="<Start>0001-01-01T00:00:00</Start>"))))
    assert found["Records"]["Record"][0]["Start"] == datetime.min


@pytest.mark.parametrize("number", ["NaN", "Infinity", "sNaN", "1E+999999999", "1E-999999999"])
def test_a_decimal_is_a_number_that_can_be_written_out(number: str) -> None:
    report = ReadReport()
    assert read(answer(person(1, record(more=f"<Share>{number}</Share>"))), fields=None, report=report) == []
    assert [(row.field, row.reason) for row in report.unreadable] == [("Share", "unreadable")]


@pytest.mark.parametrize(
    ("item", "key", "field", "reason"),
    [
        (person(5, record(start_year="")), 5, "StartYear", "missing"),
        (person(5, record(start_year="<StartYear>twintig</StartYear>")), 5, "StartYear", "unreadable"),
        (person(5, record(start_year="<StartYear></StartYear>")), 5, "StartYear", "unreadable"),
        (person(5, record(start_year="<StartYear>2_020</StartYear>")), 5, "StartYear", "unreadable"),
        (person(5, record(start_year='<StartYear xsi:nil="true"/>')), 5, "StartYear", "nil"),
        (person(5, record(start="")), 5, "Start", "missing"),
        (person(5, record(start="<Start>gisteren</Start>")), 5, "Start", "unreadable"),
        (person(5, record(last_name="<LastName>Jan<b/>sen</LastName>")), 5, "LastName", "not a plain value"),
        (person("vijf"), None, "PersonId", "unreadable"),
        (person(""), None, "PersonId", "unreadable"),
        ("<PersonItem></PersonItem>", None, "PersonId", "missing"),
        (
            "<PersonItem><Records><Record/></Records><PersonId>vijf</PersonId></PersonItem>",
            None,
            "StartYear",
            "missing",
        ),
    ],
)
def test_a_row_with_a_missing_or_unreadable_value_is_left_out_and_listed(
    item: str, key: int | None, field: str, reason: str
) -> None:
    report = ReadReport()
    assert read(answer(person(1), item, person(3)), report=report) == [row(1), row(3)]
    assert report.unreadable == [UnreadableRow(position=2, key=key, field=field, reason=reason)]
    assert report.unreadable_rows == 1


def test_unreadable_rows_beyond_a_thousand_are_only_counted() -> None:
    report = ReadReport()
    assert read(answer(*["<PersonItem/>"] * 1500), report=report) == []
    assert (len(report.unreadable), report.unreadable_rows) == (1000, 1500)


def test_a_comment_changes_nothing() -> None:
    commented = record(last_name="<LastName>Test<!-- x -->persoon</LastName><!-- y -->")
    assert read(answer("<!-- z -->", person(1, commented))) == [row()]


def test_choosing_a_field_that_the_wsdl_lacks_names_the_nearest() -> None:
    with pytest.raises(VismaRequestError, match="no Lastname in Record; did you mean LastName"):
        read(answer(), fields=("PersonId", "Records/Record/Lastname"))


def test_memory_does_not_grow_with_the_list() -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

    found = contract().answer("People_GetAll")
    head, tail = answer("|").split(b"|")
    block = "".join(person(number) for number in range(1000)).encode()
    # 25 MB that are made while they are read; as a tree they would take ten times as much.
    rows = SoapReader(found, found.result, ReadReport()).rows(chain([head], repeat(block, 150), [tail]))
    next(rows)
    before = resident()
    assert sum(1 for _ in rows) == 149_999
    assert resident() - before < 16 * 1024 * 1024


def test_an_item_that_never_ends_is_refused() -> None:
    found = contract().answer("People_GetAll")
    head, _ = answer("|").split(b"|")
    endless = chain(
        [head, b"<PersonItem><PersonId>1</PersonId><Records>"], repeat(record().encode() * 700, 2000)
    )
    reader = SoapReader(found, found.result, ReadReport())
    with pytest.raises(VismaContentError, match="one item"):
        list(reader.rows(endless))


def test_a_plain_value_without_end_is_refused() -> None:
    found = contract().answer("Version_Get")
    head, _ = envelope('<Version_GetResponse xmlns="urn:people">|</Version_GetResponse>').split(b"|")
    endless = chain([head], repeat(b"<New>" + b"x" * 60_000 + b"</New>", 2000))
    with pytest.raises(VismaContentError, match="one value"):
        SoapReader(found, found.result, ReadReport()).value(endless)


def test_a_plain_value_is_read_whole() -> None:
    found = contract().answer("Version_Get")
    result = "<Version_GetResult>3.1</Version_GetResult>"
    body = envelope(f'<Version_GetResponse xmlns="urn:people">{result}</Version_GetResponse>')
    assert SoapReader(found, found.result, ReadReport()).value(pieces(body)) == "3.1"
