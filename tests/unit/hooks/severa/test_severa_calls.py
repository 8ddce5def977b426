"""What Severa answers to a call, and what the hook makes of it."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_visma.exceptions import (
    VismaAuthenticationError,
    VismaContentError,
    VismaIncompleteAnswerError,
    VismaNotFoundError,
    VismaRequestError,
    VismaUnavailableError,
    VismaUnknownOutcomeError,
)
from airflow_provider_visma.hooks.severa import SeveraHook
from airflow_provider_visma.protocols.soap import ReadReport
from tests.unit.hooks.severa_service import ENDPOINT, NOON, SeveraService, fault, null, result, rows
from tests.unit.protocols.file_host import RESET, Answer

GUID = "8d5c1f0e-0000-4000-8000-000000000001"


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
