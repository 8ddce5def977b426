"""A reporting server of Orbit on loopback, which says what it is told to."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from airflow_provider_visma.hooks.orbit_reporting import OrbitReportingHook
from tests.unit.protocols.file_host import Answer, FileHost, Request

REPORT = "RP5N2K8W3QHT7JV"
LOGIN, PASSWORD = "gebruiker-ë", "kanarie-wachtwoord-ß-7731"
ATOM = {"Content-Type": "application/atom+xml;type=feed;charset=utf-8"}
NAMES = (
    'xmlns="http://www.w3.org/2005/Atom" xmlns:d="http://schemas.microsoft.com/ado/2007/08/dataservices"'
    ' xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata"'
)


def feed(*numbers: int, then: str | None = None) -> Answer:
    """A page of rows, and where the next one is."""
    entries = "".join(
        '<entry><content type="application/xml"><m:properties>'
        f'<d:Number m:type="Edm.Int32">{number}</d:Number><d:Name>regel {number}</d:Name>'
        "</m:properties></content></entry>"
        for number in numbers
    )
    link = f'<link rel="next" href="{then}"/>' if then else ""
    return Answer(body=f"<feed {NAMES}>{entries}{link}</feed>".encode(), headers=ATOM)


def refusal(status: int, code: str = "", message: str = "Geheim: J. Jansen", **headers: str) -> Answer:
    body = f"<m:error {NAMES}><m:code>{code}</m:code><m:message>{message}</m:message></m:error>"
    return Answer(status, body.encode(), {"Content-Type": "application/xml"} | headers)


def listing(*hrefs: str) -> Answer:
    collections = "".join(
        f'<collection href="{href}"><atom:title>Titel van {href}</atom:title></collection>' for href in hrefs
    )
    body = (
        '<service xmlns="http://www.w3.org/2007/app" xmlns:atom="http://www.w3.org/2005/Atom">'
        f"<workspace><atom:title>Default</atom:title>{collections}</workspace></service>"
    )
    return Answer(body=body.encode(), headers={"Content-Type": "application/atomsvc+xml"})


PAGE = Answer(404, b"<!DOCTYPE html><html><title>Jansen</title></html>", {"Content-Type": "text/html"})


class Orbit:
    """On loopback: what is scripted for an address, in turn and the last of it for ever; else a page, 404."""

    def __init__(self, connect: Callable[[str], None]) -> None:
        self.answers: dict[str, list[Answer]] = {}
        self.host = FileHost(self._answer)
        self.url = f"http://127.0.0.1:{self.host.port}"
        self.waits: list[float] = []
        self._connect = connect
        self.connect()

    def connect(self, **changes: Any) -> None:
        extra = {"test_server": True} | changes.pop("extra", {})
        fields = {"host": self.url, "login": LOGIN, "password": PASSWORD} | changes
        self._connect(json.dumps({"conn_type": "teamleader_orbit_reporting", "extra": extra, **fields}))

    def _answer(self, request: Request) -> Answer:
        waiting = self.answers.get(request.target, [PAGE])
        answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        return replace(answer, headers={"Connection": "close"} | answer.headers)

    def says(self, *answers: Answer, at: str = f"/odata.svc/{REPORT}") -> None:
        self.answers[at] = list(answers)

    @property
    def asked(self) -> list[str]:
        return [request.target for request in self.host.requests]

    @property
    def hook(self) -> OrbitReportingHook:
        return OrbitReportingHook(sleep=self.waits.append)

    def rows(self, **options: Any) -> list[dict[str, Any]]:
        return list(self.hook.rows(REPORT, **options))
