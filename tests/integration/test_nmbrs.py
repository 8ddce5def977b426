"""The Nmbrs hook against the sandbox: what it reads, what it refuses, and what faults make of it."""

from __future__ import annotations

import io
import json
import logging
import re
import threading
import traceback
from pathlib import Path
from typing import Any

import pytest

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
    VismaUnknownOutcomeError,
)
from airflow_provider_visma.hooks._call_pace import CallPace
from airflow_provider_visma.hooks.nmbrs import NmbrsHook
from airflow_provider_visma.protocols.soap import ReadReport
from visma_sandbox.client import SandboxProcess

PERSONAL_INFO = "EmployeeService.PersonalInfo_GetAll_AllEmployeesByCompany"
CANARY = "kanarie@geheim.example.com"
DOCUMENT_TYPE = "7f0b5c1e-0000-4000-8000-00000000d001"


@pytest.fixture
def hook(sandbox: SandboxProcess) -> NmbrsHook:
    return NmbrsHook(sleep=lambda seconds: None)


def company(hook: NmbrsHook) -> int:
    return next(hook.companies()).id


def connect(sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> NmbrsHook:
    connection = sandbox.connections()["nmbrs_default"]
    connection["extra"] |= changes.pop("extra", {})
    monkeypatch.setenv("AIRFLOW_CONN_CHANGED", json.dumps(connection | changes))
    return NmbrsHook("changed", sleep=lambda seconds: None)


def test_all_operations_of_the_manual_are_read_into_records(hook: NmbrsHook) -> None:
    debtor, company_id = next(hook.debtors()).id, company(hook)
    employees = list(hook.employees(company_id, 2))
    people = {person.employee_id: person for person in hook.personal_info(company_id)}
    assert employees
    assert {employee.id for employee in employees} < set(people)
    assert any("@" in (person.email_work or "") for person in people.values())
    assert {each.debtor_id for each in hook.debtor_departments(debtor)} == {debtor}
    assert {each.debtor_id for each in hook.debtor_functions(debtor)} == {debtor}
    for reader in (hook.employments, hook.departments, hook.functions):
        records: list[Any] = list(reader(company_id))
        assert {record.employee_id for record in records} <= set(people)
        assert any(record.creation_date for record in records)


def test_companies_are_told_by_debtor_too(hook: NmbrsHook) -> None:
    by_debtor = [one.id for debtor in hook.debtors() for one in hook.companies(debtor.id)]
    assert sorted(by_debtor) == sorted(one.id for one in hook.companies())


def test_personal_info_without_bsn_is_another_call(
    sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = connect(sandbox, monkeypatch, extra={"personal_info_without_bsn": True})
    company_id = company(hook)
    assert list(hook.personal_info(company_id)) == list(NmbrsHook().personal_info(company_id))
    [entry] = sandbox.journal("nmbrs", "*WithoutBSN*")
    assert entry["status"] == 200


def test_any_operation_can_be_called(hook: NmbrsHook) -> None:
    assert hook.call("DebtorService", "Environment_Get")["SubDomain"] == "sandbox"
    period = hook.call("CompanyService", "Company_GetCurrentPeriod", CompanyId=company(hook))
    assert period.count("-") == 2
    types = hook.call("EmployeeService", "EmployeeType_GetList")
    assert {each["Id"] for each in types} >= {2, 4}


def test_rows_of_any_operation_hold_every_field(hook: NmbrsHook) -> None:
    operation = PERSONAL_INFO.partition(".")[2]
    row = next(hook.rows("EmployeeService", operation, CompanyID=company(hook)))
    assert {"Id", "BSN", "Birthday"} < set(row["EmployeePersonalInfos"]["PersonalInfo_V2"][0])


def test_a_wrong_cased_argument_never_reaches_the_service(sandbox: SandboxProcess, hook: NmbrsHook) -> None:
    with pytest.raises(VismaRequestError, match="no argument CompanyID; did you mean CompanyId"):
        hook.call("EmployeeService", "List_GetByCompany", CompanyID=1, EmployeeType=2)
    assert [entry for entry in sandbox.journal("nmbrs") if entry["method"] == "POST"] == []


def test_the_wsdl_is_fetched_once_for_all_hooks(sandbox: SandboxProcess) -> None:
    for _ in range(3):
        list(NmbrsHook().debtors())
    assert len([entry for entry in sandbox.journal("nmbrs") if entry["method"] == "GET"]) <= 1


@pytest.mark.parametrize("form", ["element", "absent"])
def test_an_empty_list_is_no_rows(sandbox: SandboxProcess, hook: NmbrsHook, form: str) -> None:
    sandbox.settings(nmbrs_empty_result=form)
    assert list(hook.employees(company(hook), 77)) == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"password": "f" * 32}, "1001"), ({"login": CANARY}, "1001"), ({"extra": {"domain": "ander"}}, "1001")],
)
def test_a_wrong_login_is_an_authentication_error(
    sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], code: str
) -> None:
    with pytest.raises(VismaAuthenticationError) as error:
        list(connect(sandbox, monkeypatch, **changes).debtors())
    assert error.value.code == code
    assert CANARY not in str(error.value)
    assert len([entry for entry in sandbox.journal("nmbrs") if entry["method"] == "POST"]) == 1


@pytest.mark.parametrize(
    ("changes", "lacking"),
    [({"password": ""}, "API token"), ({"extra": {"domain": ""}}, "domain"), ({"login": None}, "user")],
)
def test_an_incomplete_connection_is_named(
    sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], lacking: str
) -> None:
    with pytest.raises(VismaConnectionConfigError, match=f"lacks {lacking}"):
        list(connect(sandbox, monkeypatch, **changes).debtors())


def test_the_whole_address_is_understood_as_a_domain(
    sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(connect(sandbox, monkeypatch, extra={"domain": "sandbox.nmbrs.nl"}).debtors())


@pytest.mark.parametrize(
    ("fault", "kind", "requests"),
    [
        ({"kind": "soap_fault", "code": 1002}, VismaPermissionError, 1),
        ({"kind": "soap_fault", "code": 2004}, VismaNotFoundError, 1),
        ({"kind": "soap_fault", "code": 1006}, VismaUnavailableError, 3),
        ({"kind": "soap_fault", "code": 9999}, VismaUnavailableError, 3),
        ({"kind": "status", "status": 503}, VismaUnavailableError, 3),
        ({"kind": "status", "status": 400}, VismaRequestError, 1),
        ({"kind": "status", "status": 415}, VismaRequestError, 1),
        ({"kind": "status", "status": 429, "retry_after": 5}, VismaThrottledError, 3),
        ({"kind": "status", "status": 429, "retry_after": 3600}, VismaThrottledError, 1),
        ({"kind": "html_error_page", "body": f"<html>{CANARY}</html>"}, VismaIncompleteAnswerError, 3),
        ({"kind": "redirect", "location": "http://127.0.0.1:9/"}, VismaRequestError, 1),
        ({"kind": "reset"}, VismaUnavailableError, 3),
        ({"kind": "empty_body"}, VismaIncompleteAnswerError, 3),
        ({"kind": "truncated", "keep": 0.01}, VismaIncompleteAnswerError, 3),
        ({"kind": "gzip_bomb"}, VismaContentError, 1),
        ({"kind": "doctype"}, VismaContentError, 1),
        ({"kind": "internal_entity", "element": "LastName"}, VismaContentError, 1),
        ({"kind": "billion_laughs", "element": "LastName"}, VismaContentError, 1),
        ({"kind": "quadratic_blowup", "element": "LastName"}, VismaContentError, 1),
        ({"kind": "external_entity", "element": "LastName"}, VismaContentError, 1),
        ({"kind": "parameter_entity"}, VismaContentError, 1),
        ({"kind": "external_dtd"}, VismaContentError, 1),
        ({"kind": "utf7_declaration"}, VismaContentError, 1),
    ],
)
def test_a_fault_is_repeated_only_where_that_may_help(
    sandbox: SandboxProcess, hook: NmbrsHook, fault: dict[str, Any], kind: type[VismaError], requests: int
) -> None:
    company_id = company(hook)
    sandbox.inject("nmbrs", PERSONAL_INFO, count=None, **fault)
    with pytest.raises(kind) as error:
        list(hook.personal_info(company_id))
    assert type(error.value) is kind
    assert CANARY not in str(error.value)
    assert len(sandbox.journal("nmbrs", PERSONAL_INFO)) == requests


@pytest.mark.parametrize(
    ("fault", "kinds"),
    [
        ({"kind": "truncated", "keep": 0.7}, (VismaIncompleteAnswerError,)),
        ({"kind": "truncated", "keep": 0.7, "chunked": True}, (VismaIncompleteAnswerError,)),
        ({"kind": "reset_body", "keep": 0.7}, (VismaIncompleteAnswerError,)),
        ({"kind": "trailing_garbage"}, (VismaIncompleteAnswerError,)),
        ({"kind": "malformed", "element": "LastName"}, (VismaIncompleteAnswerError,)),
        ({"kind": "nul_byte", "element": "LastName"}, (VismaIncompleteAnswerError,)),
        ({"kind": "bad_utf8", "element": "LastName"}, (VismaIncompleteAnswerError,)),
        ({"kind": "control_reference", "element": "LastName"}, (VismaIncompleteAnswerError,)),
        (
            {"kind": "undefined_entity", "element": "LastName"},
            (VismaIncompleteAnswerError, VismaContentError),
        ),
        ({"kind": "deep_nesting", "element": "LastName"}, (VismaContentError,)),
        ({"kind": "huge_text", "element": "LastName"}, (VismaContentError,)),
        ({"kind": "many_attributes", "element": "LastName"}, (VismaContentError,)),
    ],
)
def test_a_spoilt_body_is_never_a_whole_list(
    sandbox: SandboxProcess, hook: NmbrsHook, fault: dict[str, Any], kinds: tuple[type[VismaError], ...]
) -> None:
    company_id = company(hook)
    sandbox.inject("nmbrs", PERSONAL_INFO, count=None, **fault)
    with pytest.raises(kinds):
        list(hook.personal_info(company_id))


def test_a_read_that_breaks_off_is_read_anew_whole(sandbox: SandboxProcess, hook: NmbrsHook) -> None:
    company_id = company(hook)
    expected = list(hook.personal_info(company_id))
    sandbox.inject("nmbrs", PERSONAL_INFO, "truncated", keep=0.7, count=2)
    assert hook.whole(lambda: list(hook.personal_info(company_id))) == expected


@pytest.mark.parametrize(
    "form", ["new_element_middle", "new_element_end", "reordered", "unknown_enum", "year_0001"]
)
def test_a_changed_contract_changes_nobody(sandbox: SandboxProcess, hook: NmbrsHook, form: str) -> None:
    company_id = company(hook)
    expected = list(hook.personal_info(company_id))
    sandbox.inject("nmbrs", PERSONAL_INFO, "drift", form=form)
    report = ReadReport()
    assert list(hook.personal_info(company_id, report=report)) == expected
    assert bool(report.unknown) == form.startswith("new_element")
    assert report.unreadable_rows == 0


@pytest.mark.parametrize("form", ["missing_required", "bad_int", "empty_int"])
def test_a_required_value_that_is_missing_or_unreadable_is_never_a_silent_none(
    sandbox: SandboxProcess, hook: NmbrsHook, form: str
) -> None:
    company_id = company(hook)
    expected = list(hook.departments(company_id))
    sandbox.inject("nmbrs", "*Department_GetAll*", "drift", form=form, element="Code", every=5, count=None)
    report = ReadReport()
    found = list(hook.departments(company_id, report=report))
    assert report.unreadable_rows > 0
    spoilt = {row.key for row in report.unreadable}
    assert {row.field for row in report.unreadable} == {"Code"}
    assert found == [record for record in expected if record.employee_id not in spoilt]
    with pytest.raises(VismaContentError, match="cannot be read"):
        list(hook.departments(company_id))


def test_a_document_arrives_as_it_is(sandbox: SandboxProcess, hook: NmbrsHook, tmp_path: Path) -> None:
    employee = next(hook.employees(company(hook), 2)).id
    file = tmp_path / "beoordeling.pdf"
    file.write_bytes(b"%PDF-1.7\n" + bytes(range(256)) * 2000 + b"\n%%EOF")
    hook.upload_document(employee, file.name, file, DOCUMENT_TYPE)
    [entry] = sandbox.journal("nmbrs", "*UploadDocument")
    assert entry["status"] == 200
    assert entry["body_size"] > file.stat().st_size * 4 / 3


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"name": "zonder"}, VismaRequestError, "extension"),
        ({"document_type": "geen"}, VismaRequestError, "not a GUID"),
        ({"document_type": None}, VismaRequestError, "not a GUID"),
        ({"document_type": "00000000-0000-4000-8000-000000000000"}, VismaRequestError, "2047"),
        ({"employee_id": 1}, VismaNotFoundError, "2003"),
    ],
)
def test_a_document_that_nmbrs_would_refuse(
    hook: NmbrsHook, changes: dict[str, Any], kind: type[VismaError], message: str
) -> None:
    employee = next(hook.employees(company(hook), 2)).id
    document = {"employee_id": employee, "name": "x.pdf", "document_type": DOCUMENT_TYPE, **changes}
    with pytest.raises(kind, match=message):
        hook.upload_document(body=io.BytesIO(b"%PDF-"), **document)


def test_the_connection_may_name_the_document_type(
    sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = connect(sandbox, monkeypatch, extra={"document_type": DOCUMENT_TYPE})
    hook.upload_document(next(hook.employees(company(hook), 2)).id, "x.pdf", io.BytesIO(b"%PDF-"))


@pytest.mark.parametrize("kind", ["act_then_reset", "status", "empty_body", "html_error_page"])
def test_a_document_is_sent_once_whatever_comes_back(
    sandbox: SandboxProcess, hook: NmbrsHook, kind: str
) -> None:
    employee = next(hook.employees(company(hook), 2)).id
    sandbox.inject("nmbrs", "*UploadDocument", kind, count=None)
    with pytest.raises(VismaUnknownOutcomeError, match="may have been carried out"):
        hook.upload_document(employee, "x.pdf", io.BytesIO(b"%PDF-"), DOCUMENT_TYPE)
    assert len(sandbox.journal("nmbrs", "*UploadDocument")) == 1


def test_calls_run_at_the_same_time_within_the_bound(
    sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = connect(sandbox, monkeypatch, extra={"max_concurrency": 3})
    running, highest, lock = 0, 0, threading.Lock()
    together = threading.Barrier(3, timeout=10)

    def task() -> list[Any]:
        nonlocal running, highest
        with lock:
            running += 1
            highest = max(highest, running)
        together.wait()  # passes only when three are here
        with lock:
            running -= 1
        return list(hook.debtors())

    assert len({len(debtors) for debtors in hook.concurrently([task] * 9)}) == 1
    assert highest == 3


def test_the_first_error_ends_what_has_not_begun(hook: NmbrsHook) -> None:
    begun: list[int] = []

    def fail() -> None:
        begun.append(1)
        raise VismaUnavailableError("kapot")

    with pytest.raises(VismaUnavailableError):
        hook.concurrently([fail] * 100)
    assert len(begun) < 100


def test_every_call_waits_for_its_turn(sandbox: SandboxProcess) -> None:
    waits: list[float] = []
    hook = NmbrsHook(pace=CallPace(1, clock=lambda: 0.0, sleep=waits.append), sleep=lambda seconds: None)
    list(hook.debtors())
    list(hook.debtors())
    hook.call("DebtorService", "Environment_Get")
    assert waits == [1.0, 1.0]


def test_the_connection_test_says_what_it_checked(sandbox: SandboxProcess, hook: NmbrsHook) -> None:
    good, message = hook.test_connection()
    assert good
    assert f"{sandbox.url} accepts api@visma-sandbox.example for domain sandbox" in message
    assert "All nine read operations" in message
    assert sandbox.journal("nmbrs", "*UploadDocument") == []


def test_the_connection_test_names_what_is_not_open(sandbox: SandboxProcess, hook: NmbrsHook) -> None:
    sandbox.settings(
        nmbrs_denied_operations=["DebtorService.Function_GetList", "EmployeeService.Employment*"]
    )
    good, message = hook.test_connection()
    assert not good
    assert "may not call: DebtorService Function_GetList, EmployeeService Employment." in message


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({"operation": "*", "kind": "soap_fault", "code": 1001}, "invalid authentication"),
        ({"operation": "*", "kind": "status", "status": 503, "body": CANARY}, "HTTP 503"),
        (
            {"operation": "*", "kind": "html_error_page", "body": f"<html>{CANARY}</html>"},
            "a web page came",
        ),
        (
            {"operation": "*Function_GetList", "kind": "status", "status": 500},
            r"failed: .*Function_GetList \(HTTP 500\)",
        ),
    ],
)
def test_the_connection_test_tells_what_failed_without_echoing_it(
    sandbox: SandboxProcess, hook: NmbrsHook, fault: dict[str, Any], expected: str
) -> None:
    list(hook.debtors())  # so that the WSDL is there
    sandbox.inject("nmbrs", count=None, **fault)
    good, message = hook.test_connection()
    assert not good
    assert re.search(expected, message)
    assert CANARY not in message


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "soap_fault", "code": 9999, "text": CANARY},
        {"kind": "soap_fault", "faultcode": "soap:Client", "faultstring": CANARY},
        {"kind": "status", "status": 500, "body": CANARY},
        {"kind": "html_error_page", "body": f"<html>{CANARY}</html>"},
        {"kind": "malformed", "element": "LastName"},
        {"kind": "drift", "form": "value", "element": "EmployeeId", "value": CANARY},
        {"kind": "drift", "form": "value", "element": "CreationDate", "value": CANARY},
    ],
)
def test_no_fault_puts_a_person_or_a_token_into_an_error_or_a_log(
    sandbox: SandboxProcess,
    hook: NmbrsHook,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    fault: dict[str, Any],
) -> None:
    company_id = company(hook)
    sandbox.inject("nmbrs", PERSONAL_INFO, count=None, **fault)
    caplog.set_level(logging.DEBUG)
    with pytest.raises(VismaError) as error:
        list(hook.personal_info(company_id))
    told = "".join(traceback.format_exception(error.value)) + caplog.text + repr(error.value.__dict__)
    told += "".join(capfd.readouterr())  # where Airflow's own log goes
    token = sandbox.connections()["nmbrs_default"]["password"]
    assert CANARY not in told
    assert token not in told
