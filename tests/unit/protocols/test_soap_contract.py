"""Requests are checked against the WSDL; what it does not know is named with the nearest right name."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from lxml import etree
from zeep.transports import Transport
from zeep.wsdl import Document

from airflow_provider_visma.exceptions import VismaRequestError
from airflow_provider_visma.protocols.soap_contract import SoapContract
from tests.unit.protocols.soap_documents import WSDL, contract


def sent(**arguments: Any) -> dict[str, str | None]:
    envelope = contract().envelope("People_GetAll", {"CompanyID": 1, **arguments}, headers=[])
    [request] = envelope[-1]
    return {etree.QName(child).localname: child.text for child in request}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"companyID": 1}, "has no argument companyID; did you mean CompanyID"),
        ({"CompanyID": 1, "Naam": "x"}, "has no argument Naam; did you mean Name"),
        ({"CompanyID": 1, "Zzz": 1}, "has no argument Zzz; it has Active, CompanyID, Day"),
        ({}, "Missing element CompanyID"),
        ({"CompanyID": None}, "Missing element CompanyID"),
        ({"CompanyID": "abc"}, "takes a whole number, not str"),
        ({"CompanyID": 1.0}, "takes a whole number, not float"),
        ({"CompanyID": True}, "takes a whole number, not bool"),
        ({"CompanyID": 2**31}, "takes a whole number, not int"),
        ({"CompanyID": "99999999999"}, "takes a whole number, not str"),
        ({"CompanyID": [1]}, "takes a whole number, not list"),
        ({"CompanyID": 1, "Name": 5}, "takes text, not int"),
        ({"CompanyID": 1, "Since": "gisteren"}, "takes a date and time, not str"),
        ({"CompanyID": 1, "Since": 5}, "takes a date and time, not int"),
        ({"CompanyID": 1, "Day": datetime(2026, 1, 1)}, "takes a date, not datetime"),
        ({"CompanyID": 1, "Share": "half"}, "takes a number, not str"),
        ({"CompanyID": 1, "Share": True}, "takes a number, not bool"),
        ({"CompanyID": 1, "Active": "ja"}, "takes true or false, not str"),
        ({"CompanyID": 1, "Options": 5}, "takes named values, not int"),
        ({"CompanyID": 1, "Options": {"Pagesize": 5}}, "has no argument Pagesize; did you mean PageSize"),
        (
            {"CompanyID": 1, "Options": {"PageSize": "x"}},
            "PageSize of Options of .* whole number",
        ),
        ({"CompanyID": 1, "Options": {}}, "Missing element PageSize"),
        ({"CompanyID": 1, "Ids": [1, "x"]}, "Ids of .* takes a whole number, not str"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(VismaRequestError, match=message):
        contract().envelope("People_GetAll", arguments, headers=[])


def test_a_refused_value_is_not_quoted() -> None:
    with pytest.raises(VismaRequestError) as error:
        sent(Share="kanarie@geheim.example.com")
    assert "kanarie" not in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"CompanyID": "12"}, {"CompanyID": "12"}),
        ({"Name": "<Ä & \u20ac>"}, {"Name": "<Ä & \u20ac>"}),
        ({"Since": datetime(2026, 1, 2, 3, 4, 5)}, {"Since": "2026-01-02T03:04:05"}),
        ({"Since": datetime(2026, 1, 2, tzinfo=UTC)}, {"Since": "2026-01-02T00:00:00Z"}),
        ({"Since": "2026-01-02"}, {"Since": "2026-01-02"}),
        ({"Day": date(2026, 1, 2)}, {"Day": "2026-01-02"}),
        ({"Share": Decimal("0.80")}, {"Share": "0.80"}),
        ({"Active": False}, {"Active": "false"}),
        ({"Name": None}, {}),
    ],
)
def test_arguments_that_fit_are_written_as_the_schema_has_it(
    arguments: dict[str, Any], expected: dict[str, str]
) -> None:
    assert sent(**arguments) == {"CompanyID": "1", **expected}


def test_members_are_sent_in_the_order_of_the_wsdl() -> None:
    assert list(sent(Ids=[1, 2], Active=True, Name="x")) == ["CompanyID", "Name", "Active", "Ids"]


def test_an_unknown_operation_names_the_nearest() -> None:
    with pytest.raises(VismaRequestError, match="no operation People_getall; did you mean People_GetAll"):
        contract().action("People_getall")


def test_an_unknown_port_names_the_nearest() -> None:
    with pytest.raises(VismaRequestError, match="port Peoplesoap; did you mean PeopleSoap"):
        SoapContract(Document(str(WSDL), Transport()), port="Peoplesoap")


def test_a_type_that_holds_itself_is_described_once() -> None:
    nested = {"PageSize": 1, "Nested": {"PageSize": 2, "Nested": {"PageSize": 3}}}
    assert "Options" in sent(Options=nested)
    assert contract().operations == ("People_GetAll", "Version_Get", "Document_Upload")
