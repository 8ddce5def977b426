"""Nmbrs' lists over HTTP: plain requests and strict zeep, held against the contract."""

from __future__ import annotations

import re

import pytest
import requests
from lxml import etree

from visma_sandbox import credentials
from visma_sandbox.nmbrs_wsdl import SERVICES, namespace

EMPLOYEES = namespace("EmployeeService")
SMALL, EMPTY = 72_001, 72_002
LISTS = {
    "PersonalInfo_GetAll_AllEmployeesByCompany": ("PersonalInfoItem", "EmployeePersonalInfos"),
    "PersonalInfoWithoutBSN_Get_GetAllEmployeesByCompany": ("PersonalInfoItem", "EmployeePersonalInfos"),
    "Employment_GetAll_AllEmployeesByCompany": ("EmployeeEmploymentItem", "EmployeeEmployments"),
    "Department_GetAll_AllEmployeesByCompany": ("EmployeeDepartmentItem", "EmployeeDepartments"),
    "Function_GetAll_AllEmployeesByCompany_V2": ("EmployeeFunctionItem_V2", "EmployeeFunctions"),
}
PERSONAL, _, EMPLOYMENTS, _, FUNCTIONS = LISTS


def test_zeep_reads_every_list_strictly(nmbrs):
    nmbrs.sandbox.settings(nmbrs_nil_items=False)
    headers = {"AuthHeaderWithDomain": nmbrs.account}
    debtors, companies, employees = (nmbrs.zeep(service) for service in SERVICES)
    assert [each.Id for each in debtors.List_GetAll(_soapheaders=headers)] == [4101, 4102]
    assert len(debtors.Department_GetList(DebtorId=4101, _soapheaders=headers)) == 12
    assert len(debtors.Function_GetList(DebtorId=4101, _soapheaders=headers)) == 15
    assert [each.Id for each in debtors.List_GetByNumber(Number="T-002", _soapheaders=headers)] == [4102]
    found = companies.List_GetAll(_soapheaders=headers)
    assert [(each.ID, each.LoonaangifteTijdvak) for each in found][:2] == [(71001, "Month"), (71002, "Week4")]
    assert [each.ID for each in companies.List_GetByDebtor(DebtorId=4102, _soapheaders=headers)] == [
        72001,
        72002,
    ]
    for operation, (_, inner) in LISTS.items():
        items = getattr(employees, operation)(CompanyID=SMALL, _soapheaders=headers)
        assert len(items) > 90
        assert all(each.EmployeeId for each in items)
        assert any(each[inner] for each in items)


def test_environment_get_tells_the_domain_to_who_does_not_know_it(nmbrs):
    account = {name: text for name, text in nmbrs.account.items() if name != "Domain"}
    answer = nmbrs.zeep("DebtorService").Environment_Get(_soapheaders={"AuthHeader": account})
    assert answer.SubDomain == credentials.NMBRS_DOMAIN


@pytest.mark.parametrize(
    ("company", "form"), [(71_001, r"20\d\d-([1-9]|1[0-2])-M"), (71_002, r"20\d\d-([1-9]|1[0-3])-4W")]
)
def test_the_current_period_depends_on_the_companys_payroll(nmbrs, company, form):
    fields = f"<CompanyId>{company}</CompanyId>"
    root = nmbrs.ask("Company_GetCurrentPeriod", fields, service="CompanyService")
    text = root.findtext(f".//{{{namespace('CompanyService')}}}Company_GetCurrentPeriodResult")
    assert re.fullmatch(form, text)


def test_the_employee_type_alone_decides_who_is_listed(nmbrs):
    ids: dict[int, set[str]] = {}
    for kind in range(8):
        fields = f"<CompanyId>{SMALL}</CompanyId><EmployeeType>{kind}</EmployeeType>"
        root = nmbrs.ask("List_GetByCompany", fields)
        ids[kind] = {each.text or "" for each in root.iter(f"{{{EMPLOYEES}}}Id")}
    assert {kind for kind, found in ids.items() if found} == {2, 4, 5, 6}
    everybody = nmbrs.ask(PERSONAL, f"<CompanyID>{SMALL}</CompanyID>").iter(f"{{{EMPLOYEES}}}EmployeeId")
    assert set.union(*ids.values()) == {each.text for each in everybody}
    assert sum(map(len, ids.values())) == 100


def test_employee_types_come_from_a_table_that_can_be_replaced(nmbrs):
    nmbrs.sandbox.settings(nmbrs_employee_types={"2": "Verloond", "4": "Uit dienst"})
    root = nmbrs.ask("EmployeeType_GetList")
    found = [(each[0].text, each[1].text) for each in root.iter(f"{{{EMPLOYEES}}}EmployeeType")]
    assert found == [("2", "Verloond"), ("4", "Uit dienst")]


def test_only_the_operation_without_bsn_spares_the_bsn(nmbrs):
    counts = [
        len(list(nmbrs.ask(operation, f"<CompanyID>{SMALL}</CompanyID>").iter(f"{{{EMPLOYEES}}}BSN")))
        for operation in list(LISTS)[:2]
    ]
    assert counts == [100, 0]


def test_nulls_are_written_as_net_writes_them(nmbrs):
    text = nmbrs.call(PERSONAL, f"<CompanyID>{SMALL}</CompanyID>").text
    assert '<DeceasedDate xsi:nil="true" />' in text
    assert "<EmailWork />" in text
    assert text.count("<EmailWork>") < text.count("<EmailPrivate>")
    assert re.search(r"<Birthday>\d{4}-\d\d-\d\dT00:00:00</Birthday>", text)
    assert not re.search(r"T\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", text)
    employments = nmbrs.call(EMPLOYMENTS, f"<CompanyID>{SMALL}</CompanyID>").text
    assert '<EndDate xsi:nil="true" />' in employments


@pytest.mark.parametrize(("digits", "longest"), [(0, 0), (3, 3), (7, 7)])
def test_the_fraction_of_a_creation_date_is_a_switch(nmbrs, digits, longest):
    nmbrs.sandbox.settings(nmbrs_fraction_digits=digits)
    text = nmbrs.call(PERSONAL, f"<CompanyID>{SMALL}</CompanyID>").text
    fractions = re.findall(r"<CreationDate>[^<.]*\.?(\d*)</CreationDate>", text)
    assert len(fractions) == 100
    assert max(map(len, fractions)) == longest


@pytest.mark.parametrize(("form", "found"), [("element", 1), ("absent", 0)])
@pytest.mark.parametrize("operation", LISTS)
def test_an_empty_list_comes_in_either_form(nmbrs, operation, form, found):
    nmbrs.sandbox.settings(nmbrs_empty_result=form)
    root = nmbrs.ask(operation, f"<CompanyID>{EMPTY}</CompanyID>")
    response = root[0][0]
    assert etree.QName(response).localname == f"{operation}Response"
    assert [etree.QName(each).localname for each in response] == [f"{operation}Result"] * found
    assert all(len(each) == 0 for each in response)


@pytest.mark.parametrize(("on", "expected"), [(True, True), (False, False)])
def test_null_items_are_a_switch(nmbrs, on, expected):
    nmbrs.sandbox.settings(nmbrs_nil_items=on)
    for operation, (item, _) in LISTS.items():
        text = nmbrs.call(operation, "<CompanyID>71002</CompanyID>").text
        assert (f'<{item} xsi:nil="true" />' in text) is expected, operation


def test_functions_may_be_null_or_have_code_0(nmbrs):
    root = nmbrs.ask(FUNCTIONS, "<CompanyID>71001</CompanyID>")
    records = [each for each in root.iter(f"{{{EMPLOYEES}}}EmployeeFunction") if len(each)]
    functions = [each.find(f"{{{EMPLOYEES}}}Function") for each in records]
    assert None in functions
    assert any(each is not None and each.findtext(f"{{{EMPLOYEES}}}Code") == "0" for each in functions)


def test_who_reads_the_wire_by_the_manual_arrives_at_the_sandboxs_counts(nmbrs):
    emails: list[str] = []
    nameless = without = 0
    for company in (71_001, 71_002, 72_001, 72_002):
        listed = nmbrs.ask(
            "List_GetByCompany", f"<CompanyId>{company}</CompanyId><EmployeeType>2</EmployeeType>"
        )
        active = {each.text for each in listed.iter(f"{{{EMPLOYEES}}}Id")}
        for item in nmbrs.ask(PERSONAL, f"<CompanyID>{company}</CompanyID>").iter(
            f"{{{EMPLOYEES}}}PersonalInfoItem"
        ):
            if item.findtext(f"{{{EMPLOYEES}}}EmployeeId") not in active:
                continue
            nickname, last_name, email = (
                (item.findtext(f".//{{{EMPLOYEES}}}{name}") or "").strip()
                for name in ("Nickname", "LastName", "EmailWork")
            )
            named = bool(nickname and last_name)
            nameless += not named
            without += named and not email
            emails.append(email.lower() if named else f"!{email.lower()}" if email else "")
    counts = nmbrs.sandbox.counts()["nmbrs_to_dialog"]
    used = [email.removeprefix("!") for email in emails if email]
    twice = sum(used.count(email) > 1 for email in emails if email and not email.startswith("!"))
    assert counts["set_aside"] == {"no_name": nameless, "no_work_email": without, "duplicate_email": twice}
    assert counts["employees"] == len(emails)
    assert counts["importable"] == len(emails) - nameless - without - twice


def test_a_large_list_is_sent_while_it_is_made_in_constant_memory(large_nmbrs):
    large_nmbrs.ask(PERSONAL, f"<CompanyID>{SMALL}</CompanyID>")
    before = large_nmbrs.peak_memory()
    url = f"{large_nmbrs.sandbox.url}/soap/v3/EmployeeService.asmx"
    body = large_nmbrs.envelope(PERSONAL, "<CompanyID>71001</CompanyID>")
    headers = {"Content-Type": "text/xml; charset=utf-8"}
    with requests.post(url, data=body, headers=headers, stream=True, timeout=20) as answer:
        assert answer.headers["Transfer-Encoding"] == "chunked"
        received = sum(len(piece) for piece in answer.iter_content(1 << 16))
    assert received > 16_000 * 1_400
    assert large_nmbrs.peak_memory() - before < 8 << 20
