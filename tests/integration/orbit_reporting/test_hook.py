"""The hook against the sandbox: what it lists and reads, of strict servers and loose ones."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_visma.hooks.orbit_reporting import OrbitReportingHook
from tests.integration.orbit_reporting.exporting import INVOICES, REPORTS, said
from visma_sandbox.client import SandboxProcess


def test_the_service_document_lists_what_the_sandbox_counts(
    service: SandboxProcess, hook: OrbitReportingHook
) -> None:
    counted = service.counts()["orbit_reporting"]
    assert {each.name: each.title for each in hook.reports() or []} == {
        report: each["title"] for report, each in counted.items()
    }
    for links in ("rooted", "absolute"):
        service.settings(orbit_report_links=links)
        assert {each.name for each in hook.reports() or []} == set(counted)
    service.settings(orbit_report_service_document=False)
    assert hook.reports() is None


@pytest.mark.parametrize("report", REPORTS)
@pytest.mark.parametrize("page_size", [0, 7])
def test_the_rows_are_those_of_the_report(
    service: SandboxProcess, hook: OrbitReportingHook, report: str, page_size: int
) -> None:
    service.settings(
        orbit_report_every_type=True,
        orbit_report_page_size=page_size,
        orbit_report_empty_last_page=True,
        orbit_report_rows=50,
    )
    found = list(hook.rows(report))
    expected = said(service, report)
    assert len(found) == len(expected) == service.counts()["orbit_reporting"][report]["rows"]
    for row, wire in zip(found, expected, strict=True):
        assert set(row) == set(wire)
        for name, value in row.items():
            assert (value is None) == (wire[name] is None), name
            if type(value) in (int, Decimal) and "P" not in wire[name]:  # a duration, told in seconds
                assert value == Decimal(wire[name]), name
            if isinstance(value, str):
                assert value == wire[name], name


STRICT = {
    "orbit_report_accept_strict": True,
    "orbit_report_options": "refused",
    "orbit_report_errors": "m_error",
}
LOOSE = {
    "orbit_report_service_document": False,
    "orbit_report_metadata": False,
    "orbit_report_version": "",
    "orbit_report_content_type": "text/plain",
}


@pytest.mark.parametrize("settings", [STRICT, LOOSE], ids=["strict", "loose"])
@pytest.mark.parametrize("links", ["relative", "rooted", "absolute"])
def test_strict_and_loose_servers_are_read_alike(
    service: SandboxProcess, hook: OrbitReportingHook, settings: dict[str, Any], links: str
) -> None:
    expected = list(hook.rows(INVOICES))
    service.settings(**settings, orbit_report_links=links, orbit_report_page_size=100, orbit_report_gzip=True)
    assert list(hook.rows(INVOICES)) == expected


def test_a_query_reaches_a_server_that_knows_it(service: SandboxProcess, hook: OrbitReportingHook) -> None:
    service.settings(orbit_report_options="served")
    found = list(hook.rows(INVOICES, query={"$filter": "Status eq 'Betaald'", "$top": 5}))
    assert [row["Status"] for row in found] == ["Betaald"] * 5


def test_a_wrong_password_is_told(
    service: SandboxProcess, hook: OrbitReportingHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert hook.test_connection()[0]
    connection = service.connections()["teamleader_orbit_reporting_default"] | {"password": "kanarie-7731"}
    monkeypatch.setenv("AIRFLOW_CONN_TEAMLEADER_ORBIT_REPORTING_DEFAULT", json.dumps(connection))
    success, message = OrbitReportingHook().test_connection()
    assert not success
    assert "not accepted" in message
    assert "kanarie" not in message
