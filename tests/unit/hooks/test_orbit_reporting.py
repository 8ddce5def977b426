"""The hook of Orbit's reports against a server that answers what a test wants."""

from __future__ import annotations

import base64
import json
import logging
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from airflow.sdk import Connection

from airflow_provider_visma.exceptions import (
    VismaAuthenticationError,
    VismaConnectionConfigError,
    VismaContentError,
    VismaError,
    VismaIncompleteAnswerError,
    VismaNotFoundError,
    VismaPermissionError,
    VismaRequestError,
    VismaThrottledError,
    VismaUnavailableError,
)
from airflow_provider_visma.hooks import _orbit_answers
from airflow_provider_visma.hooks._connection import ConnectionSettings
from airflow_provider_visma.hooks._orbit_address import ReportService, is_report_id
from airflow_provider_visma.hooks.orbit_reporting import OrbitReportingHook
from airflow_provider_visma.protocols.odata3 import FeedReader
from tests.unit.protocols.file_host import HANG, RESET, Answer, FileHost, Request

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


@pytest.fixture
def orbit(monkeypatch: pytest.MonkeyPatch) -> Iterator[Orbit]:
    variable = "AIRFLOW_CONN_TEAMLEADER_ORBIT_REPORTING_DEFAULT"
    found = Orbit(lambda connection: monkeypatch.setenv(variable, connection))
    with found.host:
        yield found


# The connection


def service_of(host: str, **fields: Any) -> ReportService:
    extra = fields.pop("extra", {})
    connection = Connection(
        conn_id="c",
        conn_type="teamleader_orbit_reporting",
        host=host,
        login="x",
        password="x",
        extra=json.dumps(extra),
        **fields,
    )
    return ReportService.of(ConnectionSettings.read(connection, system="Teamleader Orbit"))


@pytest.mark.parametrize(
    ("host", "tenant"),
    [
        ("acme.orbit.teamleader.eu", "acme"),
        (" https://acme.orbit.teamleader.eu/ ", "acme"),
        ("https://acme-2.orbit.teamleader.eu:443", "acme-2"),
        ("ACME.orbit.teamleader.eu", "acme"),
        (f"https://acme.orbit.teamleader.eu/odata.svc/{REPORT}", "acme"),
        ("https://acme.orbit.teamleader.eu/odata.svc/", "acme"),
    ],
)
def test_a_tenants_server_is_accepted(host: str, tenant: str) -> None:
    assert service_of(host) == ReportService(tenant, f"https://{tenant}.orbit.teamleader.eu/odata.svc")


@pytest.mark.parametrize(
    "host",
    [
        "acme",
        "orbit.teamleader.eu",
        "api.orbit.teamleader.eu",
        "a.b.orbit.teamleader.eu",
        "-.orbit.teamleader.eu",
        "acme.orbit.teamleader.eu.example.com",
        "acmeorbit.teamleader.eu",
        "example.com/acme.orbit.teamleader.eu",
        "example.com?acme.orbit.teamleader.eu",
        "http://acme.orbit.teamleader.eu",
        "https://acme.orbit.teamleader.eu:8443",
        "https://acme.orbit.teamleader.eu/elsewhere",
        "https://me@acme.orbit.teamleader.eu",
        "acme.yadera.com",
        "http://127.0.0.1:8765",
    ],
)
def test_no_other_server_gets_the_password(host: str) -> None:
    with pytest.raises(VismaConnectionConfigError) as caught:
        service_of(host)
    assert caught.value.conn_id == "c"


def test_a_test_server_may_be_anywhere() -> None:
    on: dict[str, Any] = {"test_server": True}
    found = service_of("http://127.0.0.1:8765/orbit/odata.svc/x", extra=on)
    assert found == ReportService("127.0.0.1", "http://127.0.0.1:8765/orbit/odata.svc")
    assert service_of("localhost", schema="http", port=99, extra=on | {"tenant": "acme"}) == ReportService(
        "acme", "http://localhost:99/odata.svc"
    )
    with pytest.raises(VismaConnectionConfigError):
        service_of("http://127.0.0.1:8765", extra={"test_server": "false"})


@pytest.mark.parametrize(
    "changes",
    [{"login": None}, {"password": None}, {"login": "a:b"}, {"host": None}, {"extra": {"timeout": -1}}],
)
def test_a_connection_that_cannot_be_used_is_refused_before_anything_is_sent(
    orbit: Orbit, changes: dict[str, Any]
) -> None:
    orbit.connect(**changes)
    with pytest.raises(VismaConnectionConfigError):
        orbit.rows()
    assert orbit.asked == []


@pytest.mark.parametrize("name", ["RP0N2K8W3QHT7JV", "RPIN2K8W3QHT7JV", "RP5N2K8W3QHT7J", "rp5N2K8W3QHT7JV"])
def test_a_name_with_another_letter_is_no_id(name: str) -> None:
    assert is_report_id(REPORT)
    assert not is_report_id(name)
    assert not is_report_id(f"{REPORT}\n")


# Rows


def test_one_plain_request_is_all_it_takes(orbit: Orbit) -> None:
    orbit.says(feed(1, 2))
    assert orbit.rows() == [{"Number": 1, "Name": "regel 1"}, {"Number": 2, "Name": "regel 2"}]
    (request,) = orbit.host.requests
    assert request.target == f"/odata.svc/{REPORT}"
    assert request.headers["maxdataserviceversion"] == "3.0"
    assert request.headers["accept-encoding"] == "identity"
    # What they hold was lowered by the host of the test.
    sent = base64.b64encode(f"{LOGIN}:{PASSWORD}".encode()).decode()
    assert request.headers["authorization"] == f"Basic {sent}".lower()


def test_pages_are_followed_as_they_are_linked(orbit: Orbit) -> None:
    orbit.says(feed(1, 2, then=f"{REPORT}?$skiptoken=2&amp;x='a%20b'"))
    orbit.says(feed(3, then=f"{orbit.url}/elsewhere?p=3"), at=f"/odata.svc/{REPORT}?$skiptoken=2&x='a%20b'")
    orbit.says(feed(), at="/elsewhere?p=3")
    assert [row["Number"] for row in orbit.rows()] == [1, 2, 3]
    assert all("authorization" in request.headers for request in orbit.host.requests)


@pytest.mark.parametrize(
    "link",
    ["http://localhost:{port}/p", "//example.com/p", "http://u:p@127.0.0.1:{port}/p", "http://127.0.0.1:1/p"],
)
def test_the_password_goes_to_no_other_host(orbit: Orbit, link: str) -> None:
    orbit.says(feed(1, then=link.format(port=orbit.host.port)))
    with pytest.raises(VismaContentError, match=f"report {REPORT}.*another host"):
        orbit.rows()
    assert len(orbit.asked) == 1


def test_pages_in_a_circle_are_an_error(orbit: Orbit) -> None:
    orbit.says(feed(1, then="?p=2"))
    orbit.says(feed(2, then="?p=3"), at=f"/odata.svc/{REPORT}?p=2")
    orbit.says(feed(3, then="?p=2"), at=f"/odata.svc/{REPORT}?p=3")
    with pytest.raises(VismaContentError, match="already read"):
        orbit.rows()
    assert len(orbit.asked) == 3


def test_options_are_sent_as_they_are_meant(orbit: Orbit) -> None:
    target = f"/odata.svc/{REPORT}?$filter=Name%20eq%20%27O%27%27Brien%20%26%20co%27&$top=5"
    orbit.says(feed(1), at=target)
    assert orbit.rows(query={"$filter": "Name eq 'O''Brien & co'", "$top": 5})
    assert orbit.asked == [target]


def test_the_columns_come_from_the_feed(orbit: Orbit) -> None:
    orbit.says(feed(1, 2))
    assert orbit.hook.columns(REPORT) == {"Number": "integer", "Name": "text"}
    reader = FeedReader()
    orbit.rows(reader=reader)
    assert reader.columns == {"Number": "integer", "Name": "text"}


def test_a_sample_of_the_columns_does_not_wait_for_the_whole_feed(orbit: Orbit) -> None:
    body = feed(*range(2000)).body[: -len(b"</feed>")]
    orbit.says(Answer(body=body, headers=ATOM | {"Content-Length": str(10**9)}, then=HANG))
    assert orbit.hook.columns(REPORT, sample=10) == {"Number": "integer", "Name": "text"}


def test_rows_come_before_the_feed_has_ended(orbit: Orbit) -> None:
    body = feed(*range(2000)).body[: -len(b"</feed>")]
    orbit.says(Answer(body=body, headers=ATOM | {"Content-Length": str(10**9)}, then=HANG))
    rows = orbit.hook.rows(REPORT)
    assert next(rows)["Number"] == 0
    rows.close()


# What goes wrong


ERRORS: list[tuple[Answer, type[VismaError], str, int]] = [
    (refusal(400, "QuerySyntax"), VismaRequestError, "HTTP 400, QuerySyntax", 1),
    (refusal(401), VismaAuthenticationError, "user name and password are not accepted", 1),
    (refusal(403), VismaPermissionError, "may not read", 1),
    (refusal(404), VismaNotFoundError, "knows no such report", 1),
    (PAGE, VismaNotFoundError, "knows no such report", 1),
    (refusal(406), VismaRequestError, "does not write Atom", 1),
    (refusal(302, Location="http://127.0.0.1:1/login"), VismaRequestError, "redirects", 1),
    (refusal(204), VismaRequestError, "status 204", 1),
    (refusal(429, **{"Retry-After": "7"}), VismaThrottledError, "HTTP 429", 3),
    (refusal(500), VismaUnavailableError, "HTTP 500", 3),
    (replace(PAGE, status=503), VismaUnavailableError, "HTTP 503", 3),
    (replace(PAGE, status=200), VismaIncompleteAnswerError, "web page", 3),
    (replace(PAGE, status=200, headers=ATOM), VismaIncompleteAnswerError, "web page", 3),
    (Answer(body=b"{}", headers={"Content-Type": "application/json"}), VismaContentError, "JSON", 1),
    (Answer(body=b"{}", headers=ATOM), VismaContentError, "JSON", 1),
    (replace(feed(1), headers=ATOM | {"Content-Encoding": "gzip"}), VismaContentError, "compressed", 1),
    (Answer(headers=ATOM), VismaIncompleteAnswerError, "empty", 3),
    (replace(feed(1, 2), cut=300), VismaIncompleteAnswerError, "broke off|announced", 3),
    (replace(feed(1, 2), cut=300, length=False), VismaIncompleteAnswerError, "cut off|damaged", 3),
    (replace(feed(1, 2), cut=0, then=RESET), VismaIncompleteAnswerError, "broke off", 3),
    (replace(refusal(200)), VismaRequestError, "answered with an error", 1),
]


@pytest.mark.parametrize(("answer", "kind", "words", "requests"), ERRORS)
def test_what_is_no_feed_is_an_error_that_names_the_report(
    orbit: Orbit, answer: Answer, kind: type[VismaError], words: str, requests: int
) -> None:
    orbit.says(answer)
    with pytest.raises(kind, match=words) as caught:
        orbit.rows()
    assert len(orbit.asked) == requests
    error = caught.value
    assert (error.system, error.conn_id) == ("Teamleader Orbit", "teamleader_orbit_reporting_default")
    assert error.operation == f"report {REPORT}"
    text = "".join(traceback.format_exception(error))
    assert not [secret for secret in (LOGIN, PASSWORD, "Jansen") if secret in text]


def test_what_the_service_said_is_kept_for_who_may_read_it(orbit: Orbit) -> None:
    orbit.says(refusal(404, message="Resource not found for the segment 'RP'."))
    with pytest.raises(VismaNotFoundError) as caught:
        orbit.rows()
    assert caught.value.reason == "Resource not found for the segment 'RP'."


def test_a_failure_that_may_pass_is_asked_for_again_while_no_row_was_handed_out(orbit: Orbit) -> None:
    orbit.says(refusal(503, **{"Retry-After": "30"}), replace(feed(1), cut=200), feed(1, 2, then="?p=2"))
    orbit.says(refusal(500), replace(PAGE, status=200), feed(3), at=f"/odata.svc/{REPORT}?p=2")
    reader = FeedReader()
    assert [row["Number"] for row in orbit.rows(reader=reader)] == [1, 2, 3]
    assert len(orbit.asked) == 6
    assert orbit.waits[0] >= 30
    assert reader.read == 3


def test_a_page_that_breaks_off_after_its_first_row_is_an_error_and_is_not_asked_for_again(
    orbit: Orbit,
) -> None:
    whole = feed(*range(2000))
    orbit.says(replace(whole, cut=len(whole.body) - 10))
    rows = orbit.hook.rows(REPORT)
    assert next(rows)["Number"] == 0
    with pytest.raises(VismaIncompleteAnswerError):
        list(rows)
    assert len(orbit.asked) == 1


def test_an_error_in_mid_stream_is_never_a_short_feed(orbit: Orbit) -> None:
    body = feed(1, 2).body[: -len(b"</feed>")]
    body += f"<m:error {NAMES}><m:code/><m:message>Jansen</m:message></m:error>".encode()
    orbit.says(Answer(body=body, headers=ATOM))
    with pytest.raises(VismaUnavailableError) as caught:
        orbit.rows()
    assert "Jansen" not in str(caught.value)


def test_an_answer_larger_than_allowed_is_refused(orbit: Orbit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        _orbit_answers, "REPORT_LIMITS", replace(_orbit_answers.REPORT_LIMITS, max_bytes=100_000)
    )
    orbit.says(feed(*range(2000)))
    with pytest.raises(VismaContentError, match="larger than 100000 bytes"):
        orbit.rows()


def test_no_answer_names_neither_address_nor_password(orbit: Orbit) -> None:
    orbit.connect(host="http://127.0.0.1:1")
    with pytest.raises(VismaUnavailableError) as caught:
        orbit.rows()
    text = "".join(traceback.format_exception(caught.value))
    assert PASSWORD not in text
    assert "no answer" in text


def test_the_password_is_in_no_log(orbit: Orbit, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    orbit.says(refusal(500), feed(1))
    orbit.rows()
    sent = base64.b64encode(f"{LOGIN}:{PASSWORD}".encode()).decode()
    assert caplog.text
    assert not [secret for secret in (PASSWORD, sent) if secret in caplog.text]


# The service document


def test_the_service_document_lists_the_reports(orbit: Orbit) -> None:
    orbit.says(listing(REPORT, "Uren%20per%20week"), at="/odata.svc/")
    first, second = orbit.hook.reports() or []
    assert (first.name, first.title) == (REPORT, f"Titel van {REPORT}")
    assert (second.name, second.href) == ("Uren per week", f"{orbit.url}/odata.svc/Uren%20per%20week")


def test_it_may_be_at_the_address_without_a_slash(orbit: Orbit) -> None:
    orbit.says(listing(REPORT), at="/odata.svc")
    assert [each.href for each in orbit.hook.reports() or []] == [f"{orbit.url}/odata.svc/{REPORT}"]


@pytest.mark.parametrize("status", [400, 404, 405, 406, 410, 501])
def test_a_server_may_have_none(orbit: Orbit, status: int) -> None:
    for at in ("/odata.svc/", "/odata.svc"):
        orbit.says(refusal(status, "NotThere"), at=at)
    assert orbit.hook.reports() is None


def test_an_empty_one_lists_nothing(orbit: Orbit) -> None:
    orbit.says(listing(), at="/odata.svc/")
    assert orbit.hook.reports() == []


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refusal(401), VismaAuthenticationError),
        (refusal(403), VismaPermissionError),
        (refusal(500), VismaUnavailableError),
        (replace(PAGE, status=200), VismaIncompleteAnswerError),
        (feed(1), VismaContentError),
    ],
)
def test_a_failure_is_not_taken_for_none(orbit: Orbit, answer: Answer, kind: type[VismaError]) -> None:
    orbit.says(answer, at="/odata.svc/")
    with pytest.raises(kind, match="service document"):
        orbit.hook.reports()


def test_another_name_is_read_where_the_service_document_lists_it(orbit: Orbit) -> None:
    orbit.says(listing("Uren%20per%20week", "http://example.com/Elders"), at="/odata.svc/")
    orbit.says(feed(1), at="/odata.svc/Uren%20per%20week")
    assert list(orbit.hook.rows("Uren per week"))
    with pytest.raises(VismaContentError, match=r"report Elders.*another host"):
        list(orbit.hook.rows("Elders"))
    with pytest.raises(VismaRequestError, match=r"report \.\./geheim.*no report's id"):
        list(orbit.hook.rows("../geheim"))
    assert {target for target in orbit.asked if target != "/odata.svc/"} == {"/odata.svc/Uren%20per%20week"}


# The form's button


@pytest.mark.parametrize(
    ("answer", "good", "words"),
    [
        (listing(REPORT), True, "accepts the user name and password, and lists 1 report"),
        (refusal(404), True, "no service document"),
        (refusal(401), False, "not accepted"),
        (refusal(403), False, "may not read"),
        (refusal(500), False, "HTTP 500"),
        (refusal(301, Location="/login"), False, "redirects"),
        (replace(PAGE, status=200), False, "web page"),
    ],
)
def test_the_test_of_a_connection_tells_causes(orbit: Orbit, answer: Answer, good: bool, words: str) -> None:
    orbit.says(answer, at="/odata.svc/")
    orbit.says(answer, at="/odata.svc")
    success, message = orbit.hook.test_connection()
    assert success is good
    assert words in message
    assert len(orbit.asked) <= 2
    assert not [secret for secret in (LOGIN, PASSWORD, "Jansen") if secret in message]


def test_the_test_of_a_connection_tells_a_wrong_host(orbit: Orbit) -> None:
    orbit.connect(host="https://acme.example.com", extra={"test_server": False})
    success, message = orbit.hook.test_connection()
    assert not success
    assert "orbit.teamleader.eu" in message


def test_numbers_and_texts_are_typed_by_the_feed(orbit: Orbit) -> None:
    body = feed(1).body.replace(b'"Edm.Int32">1<', b'"Edm.Decimal">1.10<')
    orbit.says(Answer(body=body, headers=ATOM))
    assert orbit.rows()[0]["Number"] == Decimal("1.10")
