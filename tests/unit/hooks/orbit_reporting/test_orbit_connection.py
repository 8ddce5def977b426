"""The connection of Orbit's reports: whose server it may be, and what that lists."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from airflow.sdk import Connection

from airflow_provider_visma.exceptions import (
    VismaAuthenticationError,
    VismaConnectionConfigError,
    VismaContentError,
    VismaError,
    VismaIncompleteAnswerError,
    VismaPermissionError,
    VismaRequestError,
    VismaUnavailableError,
)
from airflow_provider_visma.hooks._connection import ConnectionSettings
from airflow_provider_visma.hooks._orbit_address import ReportService, is_report_id
from tests.unit.hooks.orbit_reporting.orbit_server import (
    LOGIN,
    PAGE,
    PASSWORD,
    REPORT,
    Orbit,
    feed,
    listing,
    refusal,
)
from tests.unit.protocols.file_host import Answer


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
