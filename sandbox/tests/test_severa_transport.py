"""Severa's wire: what is read of a request, what an answer looks like, and what is refused before either."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from xml.etree.ElementTree import Element, fromstring

import pytest
from lxml import etree

from visma_sandbox.severa.answers import Form, envelope, response
from visma_sandbox.severa.contract import (
    ARRAYS_NAMESPACE,
    ENTITY_NAMESPACE,
    SERVICE_NAMESPACE,
    Operation,
    entity,
    operations,
)
from visma_sandbox.severa.faults import HttpRefusal, Refusal
from visma_sandbox.severa.requests import Arguments, MessageReader, arguments

GUID = "5e7e4a00-0001-4000-8000-000000000001"
NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
ENTITIES = f"{{{ENTITY_NAMESPACE}}}"


def operation(name: str) -> Operation:
    return operations()[f"{SERVICE_NAMESPACE}{name.replace('.', '/')}"]


def read(name: str, fields: str) -> Arguments:
    local = name.partition(".")[2]
    return arguments(
        operation(name),
        fromstring(
            f'<{local} xmlns="{SERVICE_NAMESPACE}" xmlns:e="{ENTITY_NAMESPACE}" xmlns:b="{ARRAYS_NAMESPACE}"'
            f' xmlns:i="http://www.w3.org/2001/XMLSchema-instance">{fields}</{local}>'
        ),
    )


def written(name: str, result: Any, form: Form = Form()) -> etree._Element:  # noqa: B008 - a value
    text = "".join(envelope(response(operation(name), result, form), quota=10, used_quota=2))
    (wrapper,) = etree.fromstring(text).find("{*}Body")
    assert wrapper.tag == f"{{{SERVICE_NAMESPACE}}}{operation(name).name}Response"
    return wrapper


# -- reading


def test_arguments_come_by_name_and_what_is_missing_or_nil_is_null() -> None:
    given = read(
        "IHourEntry.GetHourEntriesByDate", '<businessUnitGUID i:nil="true"/><startdate>2026-01-31</startdate>'
    )

    assert given.values == {
        "businessUnitGUID": None,
        "startdate": datetime(2026, 1, 31),
        "enddate": None,
    }
    assert (given.came, given.dropped) == (["businessUnitGUID", "startdate"], [])


def test_members_out_of_wire_order_are_dropped_silently() -> None:
    given = read(
        "IHourEntry.AddNewHourEntry",
        "<hourEntryInfo><e:Description>x</e:Description><e:Quantity>8</e:Quantity><e:CaseGUID>c</e:CaseGUID>"
        "<e:UserGUID>u</e:UserGUID></hourEntryInfo>",
    )

    assert given.values == {
        "hourEntryInfo": {"Description": "x", "Quantity": Decimal(8), "UserGUID": "u"},
    }
    assert given.dropped == ["hourEntryInfo/CaseGUID"]


@pytest.mark.parametrize(
    ("fields", "dropped"),
    [
        ("<enddate>2026-01-31</enddate><startdate>2026-01-01</startdate>", ["startdate"]),
        ("<startDate>2026-01-01</startDate>", ["startDate"]),
        ("<e:startdate>2026-01-01</e:startdate>", ["startdate"]),
        ("<startdate>2026-01-01</startdate><startdate>2026-01-02</startdate>", ["startdate"]),
    ],
)
def test_a_parameter_out_of_order_unknown_or_repeated_is_dropped(fields: str, dropped: list[str]) -> None:
    assert read("IHourEntry.GetHourEntriesByDate", fields).dropped == dropped


def test_unknown_members_are_ignored_and_the_known_ones_after_them_are_read() -> None:
    given = read(
        "IHourEntry.AddNewHourEntry",
        "<hourEntryInfo><e:CaseName>new</e:CaseName><e:Quantity>1.5</e:Quantity></hourEntryInfo>",
    )

    assert given.values == {"hourEntryInfo": {"Quantity": Decimal("1.5")}}
    assert given.dropped == ["hourEntryInfo/CaseName"]


def test_nil_and_absent_members_are_told_apart() -> None:
    given = read(
        "IHourEntry.AddNewHourEntry",
        '<hourEntryInfo><e:Description i:nil="true"/><e:InvoiceDescription/></hourEntryInfo>',
    )

    assert given.values == {"hourEntryInfo": {"Description": None, "InvoiceDescription": ""}}


def test_lists_of_texts_and_of_entities_are_read() -> None:
    texts = read(
        "IUser.GetUsersByGUIDs", "<userGUIDs><b:string>a</b:string><b:string>b</b:string></userGUIDs>"
    )
    nested = read(
        "IContact.AddNewContact",
        "<contactInfo><e:CommunicationMethods><e:Contact.CommunicationMethod><e:Value>1</e:Value>"
        "</e:Contact.CommunicationMethod></e:CommunicationMethods></contactInfo>",
    )

    assert texts.values == {"userGUIDs": ["a", "b"]}
    assert nested.values == {"contactInfo": {"CommunicationMethods": [{"Value": "1"}]}}


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-31", datetime(2026, 1, 31)),
        ("2026-01-31T08:09:10", datetime(2026, 1, 31, 8, 9, 10)),
        ("2026-01-31T08:09:10.1234567", datetime(2026, 1, 31, 8, 9, 10, 123456)),
        ("2026-01-31T08:09:10Z", datetime(2026, 1, 31, 8, 9, 10)),
        (" 2026-01-31T01:09:10+02:00 ", datetime(2026, 1, 30, 23, 9, 10)),
    ],
)
def test_moments_are_read_plain_or_with_a_zone(text: str, moment: datetime) -> None:
    given = read("IHourEntry.GetHourEntriesChangedSince", f"<startDate>{text}</startDate>")

    assert given.values == {"startDate": moment}


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("IHourEntry.GetHourEntriesChangedSince", "<startDate>31-01-2026</startDate>"),
        ("IHourEntry.GetHourEntriesChangedSince", "<startDate>20260131</startDate>"),
        ("IHourEntry.GetHourEntriesChangedSince", "<startDate/>"),
        ("ICase.GetCaseByNumber", "<caseNumber>9999999999999999999</caseNumber>"),
        ("ICustomer.GetAllCustomers", "<options>1.0</options>"),
        ("IAccount.GetAllAccounts", "<options>Everything</options>"),
        (
            "IHourEntry.AddNewHourEntry",
            "<hourEntryInfo><e:Quantity>1e3</e:Quantity></hourEntryInfo>",
        ),
        (
            "IHourEntry.AddNewHourEntry",
            "<hourEntryInfo><e:IsBillable>yes</e:IsBillable></hourEntryInfo>",
        ),
    ],
)
def test_a_value_not_of_its_type_is_a_fault_of_the_framework(name: str, fields: str) -> None:
    with pytest.raises(Refusal, match="trying to deserialize parameter") as refused:
        read(name, fields)

    assert refused.value.code == "DeserializationFailed"


def test_a_body_of_another_operation_is_a_fault_of_the_framework() -> None:
    with pytest.raises(Refusal, match=r"'GetAllCases' .* Found node type 'Element' with name 'GetVersion'"):
        arguments(operation("ICase.GetAllCases"), Element(f"{{{SERVICE_NAMESPACE}}}GetVersion"))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"GUID",
        b"<a/>",
        b'<?xml version="1.0" encoding="utf-7"?><a/>',
        b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"/>',
        b'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body/></s:Envelope>',
        b'<!DOCTYPE a [<!ENTITY e "x">]><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/">'
        b"<s:Body>&e;</s:Body></s:Envelope>",
        b"<a>" * 100 + b"</a>" * 100,
    ],
    ids=["empty", "no XML", "no SOAP", "encoding", "no body", "SOAP 1.2", "doctype", "deep"],
)
def test_what_is_no_soap_message_is_a_bad_request(body: bytes) -> None:
    def read_message() -> None:
        reader = MessageReader()
        reader.feed(body)
        reader.close()

    with pytest.raises(HttpRefusal) as refused:
        read_message()

    assert refused.value.status == 400


# -- writing


def test_a_list_is_written_with_all_members_in_wire_order_and_nulls_as_nil() -> None:
    row = {"GUID": GUID, "Quantity": Decimal("7.50"), "EventDate": date(2026, 1, 31), "IsBillable": True}
    wrapper = written("IHourEntry.GetHourEntriesByDate", iter([row, row]))

    first, second = wrapper.findall(f"{{*}}GetHourEntriesByDateResult/{ENTITIES}HourEntry")
    assert [etree.QName(each).localname for each in first] == list(entity("HourEntry").members)
    assert etree.tostring(first) == etree.tostring(second)
    assert {name: first.findtext(f"{ENTITIES}{name}") for name in row} == {
        "GUID": GUID,
        "Quantity": "7.50",
        "EventDate": "2026-01-31T00:00:00",
        "IsBillable": "true",
    }
    assert first.find(f"{ENTITIES}CaseGUID").get(NIL) == "true"


def test_what_cannot_be_null_is_written_as_the_default_of_its_type() -> None:
    (entry,) = written("IHourEntry.GetHourEntriesByDate", [{}])[0]

    texts = {name: entry.findtext(f"{ENTITIES}{name}") for name in ("EventDate", "IsBillable", "Quantity")}
    assert texts == {"EventDate": "0001-01-01T00:00:00", "IsBillable": "false", "Quantity": "0"}


def test_nulls_are_left_out_when_told() -> None:
    (entry,) = written("IHourEntry.GetHourEntriesByDate", [{"GUID": GUID}], Form(nil=False))[0]

    assert entry.find(f"{ENTITIES}CaseGUID") is None
    assert len(written("IHourEntry.GetHourEntryByGUID", None, Form(nil=False))) == 0


@pytest.mark.parametrize(
    ("value", "zone", "text"),
    [
        (datetime(2026, 1, 31, 8), "", "2026-01-31T08:00:00"),
        (datetime(2026, 1, 31, 8, 0, 0, 120_000), "", "2026-01-31T08:00:00.12"),
        (date(2026, 1, 31), "", "2026-01-31T00:00:00"),
        ("2026-01-31T00:00:00", "", "2026-01-31T00:00:00"),
        (datetime(2026, 1, 31, 8), "Z", "2026-01-31T08:00:00Z"),
    ],
)
def test_moments_are_written_as_dotnet_does_without_a_zone_unless_told(
    value: Any, zone: str, text: str
) -> None:
    (entry,) = written("IHourEntry.GetHourEntriesByDate", [{"EventDate": value}], Form(zone=zone))[0]

    assert entry.findtext(f"{ENTITIES}EventDate") == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(Decimal("7.50"), "7.50"), (Decimal("1E+3"), "1000"), (Decimal("1E-9"), "0.000000001"), (8, "8")],
)
def test_decimals_are_written_without_an_exponent(value: Any, text: str) -> None:
    (entry,) = written("IHourEntry.GetHourEntriesByDate", [{"Quantity": value}])[0]

    assert entry.findtext(f"{ENTITIES}Quantity") == text


def test_newer_members_stand_where_the_order_puts_them_and_have_values() -> None:
    row = {"UserLastName": "Voorbeeld"}
    (entry,) = written("IHourEntry.GetHourEntriesByDate", [row], Form(newer=True))[0]

    names = [etree.QName(each).localname for each in entry]
    assert names == sorted(names)
    newer = [each for each in entry if etree.QName(each).localname not in entity("HourEntry").members]
    assert len(newer) == 23
    assert all(each.text for each in newer)
    assert entry.findtext(f"{ENTITIES}UserLastName") == "Voorbeeld"


def test_text_that_looks_like_markup_survives() -> None:
    text = "<b>&amp; ]]> R&D\r\n é"
    (entry,) = written("IHourEntry.GetHourEntriesByDate", [{"Description": text}])[0]

    assert entry.findtext(f"{ENTITIES}Description") == text


def test_entities_within_entities_and_lists_of_texts_are_written() -> None:
    row = {
        "GUID": GUID,
        "AccountGroupGUIDs": ["a", "b"],
    }
    result = written("IAccount.GetAccountByGUID", row)[0]
    invoice = written("IInvoice.GetInvoiceByGUID", {"InvoiceRows": [{"GUID": "r"}], "InvoiceDetails": {}})[0]

    assert result.findtext(f"{ENTITIES}GUID") == GUID
    texts = result.findall(f"{ENTITIES}AccountGroupGUIDs/{{{ARRAYS_NAMESPACE}}}string")
    assert [each.text for each in texts] == ["a", "b"]
    assert invoice.findtext(f"{ENTITIES}InvoiceRows/{ENTITIES}InvoiceRow/{ENTITIES}GUID") == "r"
    assert len(invoice.find(f"{ENTITIES}InvoiceDetails")) > 0


def test_an_entity_that_holds_its_own_kind_is_written_to_any_depth() -> None:
    node = {"ChildPhases": [{"ChildPhases": [{"Name": "leaf"}]}]}
    (root,) = written("IPhase.GetHourEntryPhasesByUserGUID", [node])[0]

    path = "/".join(f"{ENTITIES}{name}" for name in ("ChildPhases", "PhaseTreeNode") * 2)
    assert root.findtext(f"{path}/{ENTITIES}Name") == "leaf"


@pytest.mark.parametrize(
    ("name", "result", "expected"),
    [
        ("IHourEntry.GetHourEntriesByDate", [], (None, None)),
        ("IHourEntry.GetHourEntriesByDate", None, ("true", None)),
        ("IHourEntry.GetHourEntryByGUID", None, ("true", None)),
        ("IAPI.GetVersion", "4.0", (None, "4.0")),
        ("IHourEntry.DeleteHourEntry", True, (None, "true")),
        ("IHourEntry.DeleteHourEntry", None, (None, "false")),
        ("IInvoice.GetInvoicePdfByInvoiceGUID", b"%PDF", (None, "JVBERg==")),
    ],
)
def test_an_empty_list_null_and_single_values_have_their_forms(
    name: str, result: Any, expected: tuple[str | None, str | None]
) -> None:
    (element,) = written(name, result)

    assert (element.get(NIL), element.text) == expected
    assert len(element) == 0


def test_an_operation_without_a_result_answers_with_its_empty_wrapper() -> None:
    assert len(written("IInvoice.SetInvoiceStatus", None)) == 0


# -- streaming


def test_an_answer_of_64_mib_is_made_while_it_is_sent(large_severa) -> None:
    before = large_severa.peak_memory()
    action = f"{SERVICE_NAMESPACE}IHourEntry/GetHourEntriesChangedSince"
    body = large_severa.envelope("GetHourEntriesChangedSince", "<v:startDate>2000-01-01</v:startDate>")

    size, rest = 0, b""
    with large_severa.post(body, action, stream=True) as answer:
        for piece in answer.iter_content(1 << 20):
            size, rest = size + len(piece), piece

    assert size > 64 << 20
    assert rest.endswith(b"</s:Envelope>")
    assert large_severa.peak_memory() - before < 8 << 20
