"""A Severa that answers what a test wants to hear, and keeps every request."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from lxml import etree

from airflow_provider_visma.hooks.severa import SeveraHook
from tests.unit.protocols.file_host import Answer, FileHost, Request
from visma_sandbox.severa.wsdl import wsdl

ENDPOINT = "/webservice/S3/API.svc"
KEY = "kanarie-sleutel-7731"
NOON = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)

_ENTITIES = "http://schemas.datacontract.org/2004/07/Severa.Entities.API"
_FAULTS = "http://schemas.datacontract.org/2004/07/Severa.API"
_NAMESPACES = f'xmlns:a="{_ENTITIES}" xmlns:i="http://www.w3.org/2001/XMLSchema-instance"'
_ENVELOPE = (
    '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Header>{header}</s:Header>'
    "<s:Body>{body}</s:Body></s:Envelope>"
)


def result(operation: str, inner: str | None = "", *, quota: tuple[int, int] | None = (100, 2)) -> Answer:
    """A success; *inner* None leaves the result out."""
    returned = "" if inner is None else f"<{operation}Result {_NAMESPACES}>{inner}</{operation}Result>"
    body = f'<{operation}Response xmlns="http://soap.severa.com/">{returned}</{operation}Response>'
    return Answer(body=_envelope(body, quota))


def null(operation: str) -> Answer:
    """A result that is nil."""
    body = (
        f'<{operation}Response xmlns="http://soap.severa.com/">'
        f'<{operation}Result {_NAMESPACES} i:nil="true"/></{operation}Response>'
    )
    return Answer(body=_envelope(body, (100, 2)))


def fault(
    kind: str | None, *, text: str = "", code: str = "s:Client", quota: tuple[int, int] | None = None
) -> Answer:
    """A fault with a detail of type *kind*."""
    described = (
        f'<detail><{kind} xmlns="{_FAULTS}"><Description>{text}</Description></{kind}></detail>'
        if kind
        else ""
    )
    body = f"<s:Fault><faultcode>{code}</faultcode><faultstring>{text}</faultstring>{described}</s:Fault>"
    return Answer(500, _envelope(body, quota))


def rows(operation: str, entity: str, count: int, *, first: int = 0) -> Answer:
    """A list of entities with a GUID and a name each."""
    items = (
        f"<a:{entity}><a:GUID>guid-{number}</a:GUID><a:Name>name-{number}</a:Name></a:{entity}>"
        for number in range(first, first + count)
    )
    return result(operation, "".join(items))


def _envelope(body: str, quota: tuple[int, int] | None) -> bytes:
    header = ""
    if quota:
        header = "".join(
            f'<{name} xmlns="http://soap.severa.com/">{value}</{name}>'
            for name, value in zip(("Quota", "UsedQuota"), quota, strict=True)
        )
    return _ENVELOPE.format(header=header, body=body).encode()


class SeveraService:
    """On loopback: answers in the order of ``answers``, and with an empty response when none is left."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.wsdl_answers: dict[str, Answer] = {}
        self.host = FileHost(self._answer)
        self.address = f"http://127.0.0.1:{self.host.port}"
        document = Answer(body=wsdl(f"{self.address}{ENDPOINT}"))
        self.wsdl_answers = {f"{ENDPOINT}?wsdl": document, f"{ENDPOINT}/WSDL": document}

    def _answer(self, request: Request) -> Answer:
        if not request.body:
            answer = self.wsdl_answers[request.target]
        else:
            answer = self.answers.pop(0) if self.answers else result(operation_of(request), None)
        # The host closes every connection: a client that is not told so may reuse one.
        return replace(answer, headers={"Connection": "close"} | answer.headers)

    def forget(self) -> None:
        """Forget what was asked and what was to be answered."""
        self.answers.clear()
        self.host.requests.clear()

    @property
    def calls(self) -> list[Request]:
        """The requests for an operation."""
        return [request for request in self.host.requests if request.body]

    @property
    def envelope(self) -> etree._Element:
        """What was sent last."""
        return etree.fromstring(self.calls[-1].body)

    def connection(self, **changes: Any) -> str:
        """The Airflow connection, as JSON for the environment."""
        return json.dumps({"conn_type": "severa", "host": self.address, "password": KEY} | changes)

    def hook(self, **options: Any) -> SeveraHook:
        """A hook on Airflow's default connection that neither sleeps nor knows the real time."""
        return SeveraHook(**{"sleep": lambda seconds: None, "clock": lambda: NOON} | options)


def operation_of(request: Request) -> str:
    """The operation that a request calls, by its body."""
    body = etree.fromstring(request.body).find("{*}Body")
    assert body is not None
    return etree.QName(body[0]).localname
