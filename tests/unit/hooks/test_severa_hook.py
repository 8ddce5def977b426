"""The hook over a real socket: what is nothing, what is repeated, and what is never sent or told."""

from __future__ import annotations

import json
import logging
import re
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from lxml import etree

from airflow_provider_visma.exceptions import (
    VismaAuthenticationError,
    VismaConnectionConfigError,
    VismaContentError,
    VismaError,
    VismaIncompleteAnswerError,
    VismaNotFoundError,
    VismaQuotaError,
    VismaRequestError,
    VismaUnavailableError,
    VismaUnknownOutcomeError,
)
from airflow_provider_visma.hooks.severa import SeveraHook
from airflow_provider_visma.protocols.soap import ReadReport
from tests.unit.hooks.severa_service import (
    ENDPOINT,
    KEY,
    NOON,
    SeveraService,
    fault,
    null,
    operation_of,
    result,
    rows,
)
from tests.unit.protocols.file_host import RESET, Answer

GUID = "8d5c1f0e-0000-4000-8000-000000000001"


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[SeveraService]:
    """A service that nobody has read the WSDL of."""
    service = SeveraService()
    with service.host:
        monkeypatch.setenv("AIRFLOW_CONN_SEVERA_DEFAULT", service.connection())
        yield service


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[SeveraService, SeveraHook]]:
    service = SeveraService()
    with service.host:
        yield service, service.hook()


@pytest.fixture
def service(shared: tuple[SeveraService, SeveraHook], monkeypatch: pytest.MonkeyPatch) -> SeveraService:
    service, _ = shared
    service.forget()
    monkeypatch.setenv("AIRFLOW_CONN_SEVERA_DEFAULT", service.connection())
    return service


@pytest.fixture
def hook(service: SeveraService, shared: tuple[SeveraService, SeveraHook]) -> SeveraHook:
    """One hook for all tests, because it reads the WSDL once."""
    return shared[1]


def cut_off(operation: str) -> Answer:
    whole = rows(operation, "WorkType", 3)
    return Answer(body=whole.body, cut=len(whole.body) - 40, then=RESET)


NOTHING: list[Callable[[str], Answer]] = [
    lambda operation: fault("NotFoundException"),
    null,
    lambda operation: result(operation, ""),
    lambda operation: result(operation, None),
]
IN_WHICH_WAY = ["a fault", "null", "an empty list", "no result"]


@pytest.mark.parametrize("answer", NOTHING, ids=IN_WHICH_WAY)
def test_a_list_that_was_not_found_is_nothing(
    answer: Callable[[str], Answer], hook: SeveraHook, service: SeveraService
) -> None:
    service.answers += [answer("GetPhasesByCaseGUID"), answer("GetPhasesByCaseGUID")]
    assert list(hook.rows("IPhase", "GetPhasesByCaseGUID", caseGUID=GUID)) == []
    assert hook.call("IPhase", "GetPhasesByCaseGUID", caseGUID=GUID) is None
    assert len(service.calls) == 2


@pytest.mark.parametrize("answer", [NOTHING[0], NOTHING[1], NOTHING[3]], ids=["a fault", "null", "no result"])
def test_one_thing_that_was_not_found_is_none(
    answer: Callable[[str], Answer], hook: SeveraHook, service: SeveraService
) -> None:
    service.answers.append(answer("GetCaseByGUID"))
    assert hook.call("ICase", "GetCaseByGUID", caseGuid=GUID) is None


@pytest.mark.parametrize(("sent", "octets"), [("AAEC\n /w==\n", b"\0\1\2\xff"), ("AA==AAEC", None)])
def test_a_document_is_read_whole_or_not_at_all(
    sent: str, octets: bytes | None, hook: SeveraHook, service: SeveraService
) -> None:
    service.answers.append(result("GetFileBytesByGUID", sent))
    if octets:
        assert hook.call("IFile", "GetFileBytesByGUID", guid=GUID) == octets
        return
    with pytest.raises(VismaContentError, match="unreadable"):
        hook.call("IFile", "GetFileBytesByGUID", guid=GUID)


def test_a_write_to_something_that_is_not_there_is_an_error(hook: SeveraHook, service: SeveraService) -> None:
    service.answers.append(fault("NotFoundException"))
    with pytest.raises(VismaNotFoundError):
        hook.call("IHourEntry", "DeleteHourEntry", hourEntryGUID=GUID)


def test_a_wrong_address_does_not_look_like_nothing(hook: SeveraHook, service: SeveraService) -> None:
    service.answers += [Answer(404), Answer(404)]
    with pytest.raises(VismaNotFoundError, match="HTTP 404"):
        hook.call("ICase", "GetCaseByGUID", caseGuid=GUID)
    with pytest.raises(VismaNotFoundError, match="HTTP 404"):
        list(hook.rows("ICase", "GetAllCases"))


def test_nil_is_none_and_absent_is_no_key_and_newer_elements_are_counted(
    hook: SeveraHook, service: SeveraService
) -> None:
    row = '<a:WorkType><a:Code i:nil="true"/><a:GUID>g</a:GUID><a:Nieuw>1</a:Nieuw></a:WorkType>'
    service.answers.append(result("GetAllWorkTypes", row))
    report = ReadReport()
    assert list(hook.rows("IWorkType", "GetAllWorkTypes", report=report)) == [{"Code": None, "GUID": "g"}]
    assert report.unknown == {"Nieuw": 1}


@pytest.mark.parametrize(
    "failure",
    [fault(None, code="s:Server"), fault("ExceptionDetail"), Answer(503), Answer(then=RESET, length=False)],
    ids=["an untyped fault", "a debug fault", "HTTP 503", "no answer"],
)
def test_a_read_is_repeated_and_a_write_is_not(
    failure: Answer, hook: SeveraHook, service: SeveraService
) -> None:
    service.answers += [failure, failure, rows("GetAllWorkTypes", "WorkType", 2)]
    assert len(hook.call("IWorkType", "GetAllWorkTypes")) == 2
    service.answers += [failure, failure, rows("GetAllWorkTypes", "WorkType", 2)]
    assert len(list(hook.rows("IWorkType", "GetAllWorkTypes"))) == 2
    assert len(service.calls) == 6

    service.answers += [failure, failure]
    with pytest.raises(VismaUnknownOutcomeError):
        hook.call("IHourEntry", "AddNewHourEntry", hourEntryInfo={"Quantity": 1})
    assert len(service.calls) == 7


@pytest.mark.parametrize(
    ("contract", "operation", "arguments"),
    [
        ("IInvoice", "CreateInvoices", {"invoiceInformation": {}}),
        ("IItem", "AddNewItems", {"items": {"Item": [{}]}}),
        ("IUser", "DisableUser", {"userGUID": GUID}),
        ("ICase", "AddCaseMemberUser", {"caseGuid": GUID}),
    ],
)
@pytest.mark.parametrize("failure", [Answer(502), Answer(then=RESET, length=False), Answer(body=b"<x")])
def test_a_write_without_a_usable_answer_may_have_been_carried_out(
    contract: str,
    operation: str,
    arguments: dict[str, Any],
    failure: Answer,
    hook: SeveraHook,
    service: SeveraService,
) -> None:
    service.answers.append(failure)
    with pytest.raises(VismaUnknownOutcomeError, match=f"Severa {contract}.{operation}"):
        hook.call(contract, operation, **arguments)
    assert len(service.calls) == 1


def test_an_answer_that_breaks_off_after_rows_is_an_error(hook: SeveraHook, service: SeveraService) -> None:
    service.answers += [cut_off("GetAllWorkTypes"), rows("GetAllWorkTypes", "WorkType", 3)]
    assert len(hook.call("IWorkType", "GetAllWorkTypes")) == 3
    many = rows("GetAllWorkTypes", "WorkType", 5000)
    service.answers.append(Answer(body=many.body, cut=len(many.body) - 40, then=RESET))
    with pytest.raises(VismaIncompleteAnswerError):
        list(hook.rows("IWorkType", "GetAllWorkTypes"))


def test_an_operation_that_writes_is_not_streamed(hook: SeveraHook, service: SeveraService) -> None:
    with pytest.raises(VismaRequestError, match="Use call"):
        list(hook.rows("IItem", "AddNewItems", items={"Item": []}))
    assert service.calls == []


@pytest.mark.parametrize(
    ("contract", "operation", "arguments", "told"),
    [
        ("IHourentry", "GetHourEntryByGUID", {}, "did you mean IHourEntry"),
        ("HourEntry", "GetHourEntryByGUID", {}, "did you mean IHourEntry"),
        ("Severa.API.IHourEntry", "GetHourEntryByGUID", {}, "did you mean IHourEntry"),
        ("IHourEntry", "GetHourEntryByGuid", {}, "did you mean GetHourEntryByGUID"),
        ("IHourEntry", "GetHourEntriesByDate", {"startDate": NOON}, "did you mean startdate"),
        ("IHourEntry", "AddNewHourEntry", {"hourEntryInfo": {"UserGuid": GUID}}, "did you mean UserGUID"),
        ("IHourEntry", "GetHourEntriesByDate", {"startdate": "morgen"}, "a date and time"),
    ],
)
def test_nothing_is_guessed_and_nothing_wrong_is_sent(
    contract: str,
    operation: str,
    arguments: dict[str, Any],
    told: str,
    hook: SeveraHook,
    service: SeveraService,
) -> None:
    with pytest.raises(VismaRequestError, match=told):
        hook.call(contract, operation, **arguments)
    assert service.calls == []


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (datetime(2026, 3, 14, 9, 30, tzinfo=timezone(timedelta(hours=2))), "2026-03-14T07:30:00Z"),
        (datetime(2026, 3, 14, 0, 0, tzinfo=UTC), "2026-03-14T00:00:00Z"),
        ("2026-03-14T09:30:00+02:00", "2026-03-14T07:30:00Z"),
        ("2026-03-14T00:00:00+00:00", "2026-03-14T00:00:00Z"),
        (datetime(2026, 3, 14, 9, 30), "2026-03-14T09:30:00"),
        ("2026-03-14", "2026-03-14"),
        (date(2026, 3, 14), "2026-03-14"),
    ],
)
def test_a_moment_with_a_zone_is_sent_in_utc(
    given: Any, sent: str, hook: SeveraHook, service: SeveraService
) -> None:
    hook.call("IHourEntry", "GetHourEntriesChangedSince", startDate=given)
    assert service.envelope.findtext(".//{*}startDate") == sent


CRITERIA = (
    '<xs:complexType name="CustomerCriteria"><xs:sequence>'
    '<xs:element minOccurs="0" name="AccountGroupGuids" nillable="true" type="arrays:ArrayOfstring"/>'
    '<xs:element minOccurs="0" name="Name" nillable="true" type="xs:string"/>'
    '</xs:sequence></xs:complexType><xs:complexType name="Customer">'
)


@pytest.mark.parametrize(
    ("given", "groups"),
    [
        ({}, []),
        ({"criteria": {"Name": "x"}}, []),
        ({"criteria": {"AccountGroupGuids": None}}, []),
        ({"criteria": {"AccountGroupGuids": {"string": [GUID]}}}, [GUID]),
    ],
)
def test_criteria_for_customers_always_hold_a_list_of_groups(
    given: dict[str, Any], groups: list[str], fresh: SeveraService
) -> None:
    path = f"{ENDPOINT}?wsdl"
    document = fresh.wsdl_answers[path].body.decode()
    document = document.replace('<xs:complexType name="Customer">', CRITERIA)
    document, changes = re.subn(
        r'(<xs:element name="GetAllCustomers">.*?)(</xs:sequence>)',
        r'\1<xs:element minOccurs="0" name="criteria" nillable="true" type="e:CustomerCriteria"/>\2',
        document,
        count=1,
    )
    assert changes == 1
    fresh.wsdl_answers[path] = Answer(body=document.encode())
    assert list(fresh.hook().rows("ICustomer", "GetAllCustomers", **given)) == []
    sent = fresh.envelope.findall(".//{*}AccountGroupGuids")
    assert len(sent) == 1
    assert [each.text for each in sent[0]] == groups


def test_a_list_in_pages_is_read_to_its_end(hook: SeveraHook, service: SeveraService) -> None:
    service.answers += [
        rows("GetAllCustomers", "Customer", 100),
        rows("GetAllCustomers", "Customer", 30, first=100),
    ]
    names = [row["Name"] for row in hook.rows("ICustomer", "GetAllCustomers", fields=["Name"])]
    assert names == [f"name-{number}" for number in range(130)]
    assert service.envelope.findtext(".//{*}startFromIndex") == "130"


def test_a_service_that_repeats_itself_is_named(hook: SeveraHook, service: SeveraService) -> None:
    service.answers += [rows("GetAllAccounts", "AccountTiny", 100)] * 2
    with pytest.raises(
        VismaContentError, match=r"Severa IAccount.GetAllAccounts \(connection severa_default\)"
    ):
        list(hook.rows("IAccount", "GetAllAccounts"))


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


@pytest.mark.parametrize("fields", [None, ["LastName", "IsActive"]])
def test_a_row_that_cannot_be_read_is_told_without_anything_personal(
    fields: list[str] | None, hook: SeveraHook, service: SeveraService
) -> None:
    values = (
        "<a:Addressline>kanarie</a:Addressline><a:GUID>g-1</a:GUID>"
        "<a:IsActive>gisteren</a:IsActive><a:LastName>kanarie</a:LastName>"
    )
    service.answers.append(result("GetAllUsers", f"<a:User>{values}</a:User>"))
    with pytest.raises(
        VismaContentError, match=f"key {None if fields else 'g-1'} at place 1: IsAct"
    ) as error:
        list(hook.rows("IUser", "GetAllUsers", fields=fields))
    assert "kanarie" not in "".join(traceback.format_exception(error.value))


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


def test_columns_tell_the_kinds_of_a_lists_elements(hook: SeveraHook) -> None:
    columns = hook.columns("IHourEntry", "GetHourEntriesByDate")
    assert list(columns) == sorted(columns)
    assert columns["EventDate"] == "datetime"
    assert columns["Quantity"] == "decimal"
    assert columns["GUID"] == "text"


def test_parameters_are_told_in_the_contracts_order(hook: SeveraHook) -> None:
    told = hook.parameters("IHourEntry", "GetHourEntriesByDateAndUserGUID")
    assert told == ("businessUnitGUID", "startdate", "enddate", "userGUID")
    assert hook.parameters("IAPI", "GetVersion") == ()
    with pytest.raises(VismaRequestError, match=r"Severa ICase.GetCaseByGuid .*did you mean GetCaseByGUID"):
        hook.parameters("ICase", "GetCaseByGuid")


def test_unavailable_is_told_after_three_tries(hook: SeveraHook, service: SeveraService) -> None:
    service.answers += [Answer(503)] * 4
    with pytest.raises(VismaUnavailableError):
        hook.call("ICase", "GetAllCases")
    assert len(service.calls) == 3


def test_access_denied_is_told_at_once(hook: SeveraHook, service: SeveraService) -> None:
    service.answers += [fault("AuthenticationFailureException")]
    with pytest.raises(VismaAuthenticationError, match="add-on"):
        list(hook.rows("ICase", "GetAllCases"))
    assert len(service.calls) == 1
