"""The hook's connection: its quota, its WSDL, its key, and the form's button."""

from __future__ import annotations

import json
import logging
import re
import traceback
from typing import Any

import pytest
from lxml import etree

from airflow_provider_visma.exceptions import (
    VismaConnectionConfigError,
    VismaError,
    VismaQuotaError,
    VismaRequestError,
)
from airflow_provider_visma.hooks.severa import SeveraHook
from tests.unit.hooks.severa_service import ENDPOINT, KEY, SeveraService, fault, operation_of, result, rows
from tests.unit.protocols.file_host import Answer


def test_an_answer_tells_the_quota_and_the_reserve_stops_the_next_call(
    service: SeveraService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SEVERA_DEFAULT", service.connection(extra={"quota_reserve": 10}))
    hook = service.hook()
    service.answers.append(result("GetVersion", "1", quota=(100, 89)))
    assert hook.call("IAPI", "GetVersion") == "1"
    assert hook.quota is not None
    assert (hook.quota.limit, hook.quota.used) == (100, 89)

    service.answers.append(fault("ValidationException", quota=(100, 90)))
    with pytest.raises(VismaRequestError):
        hook.call("IHourEntry", "AddNewHourEntry", hourEntryInfo={"Quantity": 1000})
    for stopped in (
        lambda: hook.call("IAPI", "GetVersion"),
        lambda: list(hook.rows("ICase", "GetAllCases")),
        lambda: hook.call("IHourEntry", "AddNewHourEntry", hourEntryInfo={}),
    ):
        with pytest.raises(VismaQuotaError, match="10 are kept in reserve") as error:
            stopped()
        assert error.value.retry_after == 12 * 3600 + 60
    assert len(service.calls) == 2


def test_the_services_own_refusal_for_the_quota_waits_for_midnight_too(
    hook: SeveraHook, service: SeveraService
) -> None:
    for contract, operation in (("ICase", "GetAllCases"), ("ICase", "DeleteCase")):
        service.answers.append(fault("QuotaLimitExceededException", quota=None))
        with pytest.raises(VismaQuotaError, match="2026-03-15 00:00 UTC") as error:
            hook.call(contract, operation)
        assert error.value.retry_after == 12 * 3600 + 60
    assert len(service.calls) == 2, "neither is tried again within the task"


@pytest.mark.parametrize("reserve", [-1, "veel", "1.5"])
def test_a_reserve_that_is_no_number_of_calls_is_told_before_anything_is_sent(
    reserve: Any, service: SeveraService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SEVERA_DEFAULT", service.connection(extra={"quota_reserve": reserve}))
    with pytest.raises(VismaConnectionConfigError, match="quota_reserve"):
        service.hook().call("IAPI", "GetVersion")
    assert service.host.requests == []


@pytest.mark.parametrize("reserve", [0, "0", "", None])
def test_no_reserve_is_a_reserve_of_nothing(
    reserve: Any, service: SeveraService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SEVERA_DEFAULT", service.connection(extra={"quota_reserve": reserve}))
    service.answers.append(result("GetVersion", "1"))
    assert service.hook().call("IAPI", "GetVersion") == "1"


def test_the_wsdl_is_fetched_once_for_all_contracts_of_a_hook(fresh: SeveraService) -> None:
    hook = fresh.hook()
    for contract, operation in (("ICase", "GetAllCases"), ("IUser", "GetAllUsers"), ("IAPI", "GetVersion")):
        hook.call(contract, operation)
    assert [request.target for request in fresh.host.requests if not request.body] == [f"{ENDPOINT}?wsdl"]


def test_a_wsdl_that_asks_for_addressing_headers_gets_none(fresh: SeveraService) -> None:
    document = fresh.wsdl_answers[f"{ENDPOINT}?wsdl"].body.decode()
    document, changes = re.subn(
        "<wsdl:input ",
        '<wsdl:input xmlns:wsaw="http://www.w3.org/2006/05/addressing/wsdl" wsaw:Action="urn:x" ',
        document,
    )
    assert changes
    fresh.wsdl_answers[f"{ENDPOINT}?wsdl"] = Answer(body=document.encode())
    fresh.hook().call("ICase", "GetAllCases")
    assert [etree.QName(each).localname for each in fresh.envelope[0]] == ["WebServicePassword"]


@pytest.mark.parametrize(
    "first",
    [Answer(404), Answer(body=b"<html>a service</html>", headers={"Content-Type": "text/html"})],
    ids=["HTTP 404", "a page"],
)
def test_the_wsdl_is_looked_for_where_older_clients_found_it(first: Answer, fresh: SeveraService) -> None:
    fresh.wsdl_answers[f"{ENDPOINT}?wsdl"] = first
    fresh.answers.append(result("GetVersion", "1"))
    assert fresh.hook().call("IAPI", "GetVersion") == "1"


@pytest.mark.parametrize("pasted", ["", "/", ENDPOINT, f"{ENDPOINT}?wsdl", f"{ENDPOINT}/WSDL"])
def test_the_address_may_be_that_of_the_service(
    pasted: str, service: SeveraService, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"{service.address}{pasted}"
    monkeypatch.setenv("AIRFLOW_CONN_SEVERA_DEFAULT", service.connection(host=address, password=f" {KEY}\n"))
    service.hook().call("IAPI", "GetVersion")
    assert service.calls[0].target == ENDPOINT
    assert service.envelope.findtext(".//{*}WebServicePassword") == KEY


@pytest.mark.parametrize("key", ["", " ", None])
def test_without_a_key_nothing_is_sent(
    key: str | None, service: SeveraService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SEVERA_DEFAULT", service.connection(password=key))
    with pytest.raises(VismaConnectionConfigError, match="API key"):
        service.hook().call("IAPI", "GetVersion")
    assert service.host.requests == []


def test_without_an_address_production_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SEVERA_DEFAULT", json.dumps({"conn_type": "severa", "password": KEY}))
    assert SeveraHook().settings.base_url == "https://sync.severa.com"


@pytest.mark.parametrize(
    "answer",
    [
        fault("AuthenticationFailureException", text=KEY),
        fault("ValidationException", text=KEY),
        fault(None, text=KEY),
        Answer(401, KEY.encode()),
        Answer(body=f"<{KEY}".encode()),
    ],
)
def test_the_key_is_in_no_error_and_no_log(
    answer: Answer, hook: SeveraHook, service: SeveraService, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    service.answers += [answer] * 3
    with pytest.raises(VismaError) as error:
        hook.call("ICase", "GetAllCases")
    assert KEY not in "".join(traceback.format_exception(error.value)) + caplog.text


def test_only_the_envelope_carries_the_key(hook: SeveraHook, service: SeveraService) -> None:
    hook.call("ICase", "GetAllCases")
    for request in service.host.requests:
        assert KEY not in request.target + str(request.headers)
    assert service.calls[0].body.count(KEY.encode()) == 1


def test_the_button_test_tells_versions_and_quota(hook: SeveraHook, service: SeveraService) -> None:
    service.answers += [
        result("GetVersion", "4.12"),
        result("GetEntitySchemaVersion", "77"),
        rows("GetAllWorkTypes", "WorkType", 3),
    ]
    fine, said = hook.test_connection()
    assert fine
    assert "API version 4.12, entity schema 77. 2 of today's 100 calls are used." in said
    assert [operation_of(call) for call in service.calls] == [
        "GetVersion",
        "GetEntitySchemaVersion",
        "GetAllWorkTypes",
    ]


@pytest.mark.parametrize("step", [0, 1, 2])
@pytest.mark.parametrize("kind", ["AuthenticationFailureException", "NoPermissionException"])
def test_the_button_test_lists_what_access_denied_may_mean(
    kind: str, step: int, hook: SeveraHook, service: SeveraService
) -> None:
    answers = [result("GetVersion", "4"), result("GetEntitySchemaVersion", "7")][:step]
    service.answers += [*answers, fault(kind)]
    fine, said = hook.test_connection()
    assert not fine
    assert f"denies access ({kind})" in said
    assert re.findall(r"\((\d)\)", said) == ["1", "2", "3", "4", "5"]
    assert KEY not in said


def test_the_button_test_tells_of_a_service_that_fails_after_one_try(
    hook: SeveraHook, service: SeveraService
) -> None:
    service.answers += [Answer(503)] * 3
    fine, said = hook.test_connection()
    assert not fine
    assert "HTTP 503" in said
    assert len(service.calls) == 1
