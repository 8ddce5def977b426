"""The Nmbrs hook against the sandbox: what it reads, and what faults make of it."""

from __future__ import annotations

import logging
import traceback
from typing import Any

import pytest

from airflow_provider_visma.exceptions import (
    VismaContentError,
    VismaError,
    VismaIncompleteAnswerError,
    VismaNotFoundError,
    VismaPermissionError,
    VismaRequestError,
    VismaThrottledError,
    VismaUnavailableError,
)
from airflow_provider_visma.hooks.nmbrs import NmbrsHook
from airflow_provider_visma.protocols.soap import ReadReport
from tests.integration.nmbrs.companies import CANARY, PERSONAL_INFO, company, connect
from visma_sandbox.client import SandboxProcess


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
