"""Severa's WSDL as a strict reader sees it: zeep, and nothing of ours."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import pytest
import requests
import zeep
from lxml import etree

from visma_sandbox.severa.contract import contracts, operations

WSDL = "{http://schemas.xmlsoap.org/wsdl/}"
FORMS = ("/WSDL", "?wsdl", "?singleWsdl&wsdl", "/WSDL?wsdl", "/wsdl")


@cache
def document(url: str) -> Any:
    return zeep.Client(url, settings=zeep.Settings(strict=True)).wsdl


def test_zeep_loads_the_wsdl_strictly_with_a_port_for_every_contract(severa) -> None:
    (service,) = document(f"{severa.url}/WSDL").services.values()

    assert set(service.ports) == {f"Severa.API.{contract}" for contract in contracts()}
    assert len(service.ports) == 42
    assert {port.binding_options["address"] for port in service.ports.values()} == {severa.url}
    assert sum(len(port.binding._operations) for port in service.ports.values()) == 256


def test_every_operation_has_its_action_parameters_and_faults(severa) -> None:
    (service,) = document(f"{severa.url}/WSDL").services.values()

    for operation in operations().values():
        found = service.ports[f"Severa.API.{operation.contract}"].binding.get(operation.name)
        assert found.soapaction == operation.action
        assert [name for name, _ in found.input.body.type.elements] == list(operation.parameters)
        faults = {name.removesuffix("Fault") for name in found.abstract.fault_messages}
        assert faults == set(operation.faults)


@pytest.mark.parametrize(
    ("name", "signature"),
    [
        (
            "IHourEntry.GetHourEntriesByDate",
            "businessUnitGUID: xsd:string, startdate: xsd:dateTime, enddate: xsd:dateTime",
        ),
        ("IHourEntry.AddNewHourEntry", "hourEntryInfo: HourEntry"),
        ("IUser.GetUsersByGUIDs", "userGUIDs: ArrayOfstring"),
        (
            "IInvoice.GetInvoicePdfByInvoiceGUID",
            "invoiceGuid: xsd:string, getAttachmentOnly: InvoicePdfGetOptions",
        ),
        ("IAPI.GetVersion", ""),
    ],
)
def test_signatures_are_those_of_the_contract(severa, name: str, signature: str) -> None:
    contract, _, local = name.partition(".")
    (service,) = document(f"{severa.url}/WSDL").services.values()

    found = service.ports[f"Severa.API.{contract}"].binding.get(local).input.signature()
    assert re.sub(r"ns\d+:", "", found) == signature


def test_the_members_of_an_invoice_end_with_the_two_that_have_an_order(severa) -> None:
    invoice = document(f"{severa.url}/WSDL").types.get_type(
        "{http://schemas.datacontract.org/2004/07/Severa.Entities.API}Invoice"
    )

    names = [name for name, _ in invoice.elements]
    assert names[-2:] == ["NotesAfterInvoiceRows", "NotesBeforeInvoiceRows"]
    assert names[:-2] == sorted(names[:-2])


def test_a_derived_entity_has_the_members_of_its_base_first(severa) -> None:
    row = document(f"{severa.url}/WSDL").types.get_type(
        "{http://schemas.datacontract.org/2004/07/Severa.Entities.API}TravelReimbursementRow"
    )

    names = [name for name, _ in row.elements]
    assert names[-3:] == ["FileGUIDs", "IsTravelReimbursementRequired", "rowNumber"]
    assert "GUID" in names[:-3]


@pytest.mark.parametrize("form", FORMS)
def test_every_address_that_clients_use_gives_the_wsdl(severa, form: str) -> None:
    answer = requests.get(f"{severa.url}{form}", timeout=20)

    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/xml; charset=utf-8")
    assert etree.fromstring(answer.content).tag == f"{WSDL}definitions"


def test_the_wsdl_declares_neither_addressing_nor_the_quota(severa) -> None:
    text = requests.get(f"{severa.url}/WSDL", timeout=20).text

    assert "addressing" not in text
    assert "Quota" not in text
    assert "TosNotApproved" not in text


def test_a_browser_sees_a_page_that_leads_to_the_wsdl(severa) -> None:
    answer = requests.get(severa.url, timeout=20)

    assert answer.headers["Content-Type"].startswith("text/html")
    assert "?wsdl" in answer.text
