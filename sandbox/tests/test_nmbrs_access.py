"""Credentials, rights and tags: contract nmbrs-and-dialog, sections 2, 3 and 6."""

from __future__ import annotations

import pytest

from visma_sandbox.nmbrs_wsdl import namespace

SMALL, HIDDEN_DEBTOR = 72_001, 4_102
PER_COMPANY = (
    "PersonalInfo_GetAll_AllEmployeesByCompany",
    "PersonalInfoWithoutBSN_Get_GetAllEmployeesByCompany",
    "Employment_GetAll_AllEmployeesByCompany",
    "Department_GetAll_AllEmployeesByCompany",
    "Function_GetAll_AllEmployeesByCompany_V2",
)


@pytest.mark.parametrize(
    ("account", "header"),
    [
        ({"Token": "0" * 32}, {}),
        ({"Username": "x@example.com"}, {}),
        ({"Domain": "elsewhere"}, {}),
        ({"Username": "", "Token": "", "Domain": ""}, {}),
        ({}, {"header": "AuthHeader"}),
        ({}, {"header_namespace": namespace("CompanyService")}),
        ({}, {"header_namespace": "https://api-sandbox.nmbrs.nl/soap/v3/EmployeeService"}),
    ],
)
def test_only_the_right_account_in_the_services_own_namespace_gets_in(nmbrs, account, header):
    answer = nmbrs.call("EmployeeType_GetList", account=nmbrs.account | account, **header)
    assert nmbrs.fault(answer) == nmbrs.service_fault("1001")
    assert nmbrs.sandbox.journal("nmbrs")[-1]["authorized"] is False


@pytest.mark.parametrize(("required", "status"), [(True, 500), (False, 200)])
def test_whether_domain_may_be_left_out_is_a_switch(nmbrs, required, status):
    nmbrs.sandbox.settings(nmbrs_domain_required=required)
    account = {name: nmbrs.account[name] for name in ("Username", "Token")}
    assert nmbrs.call("EmployeeType_GetList", account=account).status_code == status


def test_an_operation_outside_the_users_template_is_1002(nmbrs):
    nmbrs.sandbox.settings(nmbrs_denied_operations=["EmployeeService.EmployeeType_*"])
    assert nmbrs.fault(nmbrs.call("EmployeeType_GetList")) == nmbrs.service_fault("1002")
    nmbrs.sandbox.settings(
        nmbrs_denied_operations=[], nmbrs_allowed_operations=["EmployeeService.List_GetByCompany"]
    )
    assert nmbrs.fault(nmbrs.call("EmployeeType_GetList")) == nmbrs.service_fault("1002")
    nmbrs.ask("List_GetByCompany", f"<CompanyId>{SMALL}</CompanyId><EmployeeType>2</EmployeeType>")


@pytest.mark.parametrize(
    ("service", "operation", "fields", "code"),
    [
        ("DebtorService", "Function_GetList", "<DebtorId>{}</DebtorId>", "2009"),
        ("DebtorService", "Department_GetList", "<DebtorId>{}</DebtorId>", "2009"),
        ("CompanyService", "List_GetByDebtor", "<DebtorId>{}</DebtorId>", "2009"),
        ("CompanyService", "Company_GetCurrentPeriod", "<CompanyId>{}</CompanyId>", "2004"),
        *(("EmployeeService", operation, "<CompanyID>{}</CompanyID>", "2004") for operation in PER_COMPANY),
    ],
)
def test_an_unknown_id_and_a_hidden_one_are_told_apart(nmbrs, service, operation, fields, code):
    hidden = HIDDEN_DEBTOR if code == "2009" else SMALL
    nmbrs.sandbox.settings(nmbrs_hidden_debtors=[HIDDEN_DEBTOR])
    faults = [
        nmbrs.fault(nmbrs.call(operation, fields.format(each), service=service)) for each in (12_345, hidden)
    ]
    assert faults == [nmbrs.service_fault(code), nmbrs.service_fault("1003")]
    nmbrs.sandbox.settings(nmbrs_hidden_is_1003=False)
    answer = nmbrs.call(operation, fields.format(hidden), service=service)
    assert nmbrs.fault(answer) == nmbrs.service_fault(code)


def test_lists_leave_out_what_tags_hide(nmbrs):
    nmbrs.sandbox.settings(nmbrs_hidden_debtors=[HIDDEN_DEBTOR])
    debtors = nmbrs.ask("List_GetAll", service="DebtorService")
    companies = nmbrs.ask("List_GetAll", service="CompanyService")
    assert [each.text for each in debtors.iter(f"{{{namespace('DebtorService')}}}Id")] == ["4101"]
    assert [each.text for each in companies.iter(f"{{{namespace('CompanyService')}}}ID")] == [
        "71001",
        "71002",
    ]
