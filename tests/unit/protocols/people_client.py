"""A SOAP client of a service of people, and the loopback server that answers it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import requests
from lxml import etree

from airflow_provider_visma.exceptions import VismaError, VismaPermissionError, VismaUnavailableError
from airflow_provider_visma.protocols.soap import SoapClient, SoapFault
from tests.unit.protocols.file_host import Answer, FileHost, scripted
from tests.unit.protocols.soap_documents import answer, contract, envelope, person

CANARY = "kanarie@geheim.example.com"
THREE = answer(person(1), person(2), person(3))
UPLOADED = envelope('<Document_UploadResponse xmlns="urn:people"/>')
FAULT_11 = envelope(
    "<soap:Fault><faultcode>soap:Server</faultcode>"
    f"<faultstring>kapot ---> 1002: {CANARY}</faultstring><detail /></soap:Fault>"
)
FAULT_12 = (
    '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><s:Fault>'
    "<s:Code><s:Value>s:Receiver</s:Value></s:Code>"
    f'<s:Reason><s:Text xml:lang="en">kapot ---> 1002: {CANARY}</s:Text></s:Reason>'
    '<s:Detail><NoPermission xmlns="urn:x"/></s:Detail></s:Fault></s:Body></s:Envelope>'
).encode()


def headers(operation: str, namespace: str) -> list[etree._Element]:
    header = etree.Element(f"{{{namespace}}}Key")
    header.text = "geheime-sleutel"
    return [header]


def refused(fault: SoapFault) -> VismaError:
    kind = VismaUnavailableError if "9999" in fault.text else VismaPermissionError
    return kind("refused", code=f"{fault.code} {fault.detail}")


@contextmanager
def serving(*answers: Answer, **options: Any) -> Iterator[tuple[SoapClient, FileHost]]:
    last = {"Connection": "close"}  # the host closes after each answer
    closing = [replace(each, headers={**last, **each.headers}) for each in answers]
    with FileHost(scripted(*closing)) as host:
        yield client(f"http://127.0.0.1:{host.port}/people.asmx", **options), host


def client(endpoint: str, **options: Any) -> SoapClient:
    session = requests.Session()
    session.trust_env = False
    return SoapClient(
        contract(),
        endpoint=endpoint,
        session=session,
        headers=headers,
        fault_error=refused,
        system="People",
        label="PeopleService",
        conn_id="people_default",
        **options,
    )


def rows(people: SoapClient, **options: Any) -> list[dict[str, Any]]:
    return list(people.rows("People_GetAll", {"CompanyID": 1}, **options))
