"""Answers of a small people service, whole and spoilt, and what the reader makes of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from zeep.transports import Transport
from zeep.wsdl import Document

from airflow_provider_visma.protocols.soap_contract import SoapContract
from airflow_provider_visma.protocols.soap_reader import ReadReport, SoapReader
from airflow_provider_visma.protocols.soap_shape import select

WSDL = Path(__file__).with_name("people.wsdl")
DECLARATION = '<?xml version="1.0" encoding="utf-8"?>'
ENVELOPE = (
    '<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"'
    ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema">'
)
FIELDS = ("PersonId", "Records/Record/LastName", "Records/Record/StartYear", "Records/Record/Start")


@cache
def contract() -> SoapContract:
    return SoapContract(Document(str(WSDL), Transport()))


def record(
    *,
    last_name: str = "<LastName>Testpersoon</LastName>",
    start_year: str = "<StartYear>2020</StartYear>",
    start: str = "<Start>2020-01-01T00:00:00</Start>",
    more: str = "",
) -> str:
    return f"<Record><Secret>999900000</Secret>{last_name}{start_year}{start}{more}</Record>"


def person(person_id: int | str = 1, *records: str) -> str:
    inner = "".join(records or (record(),))
    return f"<PersonItem><PersonId>{person_id}</PersonId><Records>{inner}</Records></PersonItem>"


def answer(*items: str, declaration: str = DECLARATION) -> bytes:
    result = f"<People_GetAllResult>{''.join(items)}</People_GetAllResult>"
    response = f'<People_GetAllResponse xmlns="urn:people">{result}</People_GetAllResponse>'
    return envelope(response, declaration)


def envelope(body: str, declaration: str = DECLARATION) -> bytes:
    return f"{declaration}{ENVELOPE}<soap:Body>{body}</soap:Body></soap:Envelope>".encode()


def pieces(body: bytes, size: int = 64 * 1024) -> Iterator[bytes]:
    """Cut as the client does: no piece but the last is smaller than 64 KiB."""
    return (body[start : start + size] for start in range(0, len(body), size))


def read(
    body: bytes,
    *,
    fields: Collection[str] | None = FIELDS,
    report: ReadReport | None = None,
    size: int = 64 * 1024,
) -> list[dict[str, Any]]:
    shape_of_answer = contract().answer("People_GetAll")
    assert shape_of_answer.result is not None
    shape = shape_of_answer.result
    if fields is not None:
        shape = select(shape, [f"PersonItem/{path}" for path in fields])
    return list(SoapReader(shape_of_answer, shape, report or ReadReport()).rows(pieces(body, size)))
