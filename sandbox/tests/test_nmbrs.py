"""Nmbrs over HTTP: plain requests and zeep against a running sandbox, held against the contract."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import zeep
from lxml import etree

from visma_sandbox import credentials
from visma_sandbox.client import SandboxProcess, start_sandbox
from visma_sandbox.nmbrs_access import Throttle
from visma_sandbox.nmbrs_documents import DOCUMENT_TYPES
from visma_sandbox.nmbrs_drift import FORMS
from visma_sandbox.nmbrs_faults import CODE_TEXTS
from visma_sandbox.nmbrs_wsdl import SERVICES, namespace

SOAP_1_1 = "http://schemas.xmlsoap.org/soap/envelope/"
SOAP_1_2 = "http://www.w3.org/2003/05/soap-envelope"
TEXT_XML = "text/xml; charset=utf-8"
SOAP_XML = "application/soap+xml; charset=utf-8"
EMPLOYEES = namespace("EmployeeService")
SMALL, EMPTY, HIDDEN_DEBTOR = 72_001, 72_002, 4_102
ACCOUNT = {
    "Username": credentials.NMBRS_LOGIN,
    "Token": credentials.NMBRS_TOKEN,
    "Domain": credentials.NMBRS_DOMAIN,
}
LISTS = {
    "PersonalInfo_GetAll_AllEmployeesByCompany": ("PersonalInfoItem", "EmployeePersonalInfos"),
    "PersonalInfoWithoutBSN_Get_GetAllEmployeesByCompany": ("PersonalInfoItem", "EmployeePersonalInfos"),
    "Employment_GetAll_AllEmployeesByCompany": ("EmployeeEmploymentItem", "EmployeeEmployments"),
    "Department_GetAll_AllEmployeesByCompany": ("EmployeeDepartmentItem", "EmployeeDepartments"),
    "Function_GetAll_AllEmployeesByCompany_V2": ("EmployeeFunctionItem_V2", "EmployeeFunctions"),
}
PERSONAL, _, EMPLOYMENTS, _, FUNCTIONS = LISTS


@pytest.fixture(scope="module")
def running() -> Iterator[SandboxProcess]:
    with start_sandbox(employees=2_000) as process:
        yield process


@pytest.fixture
def sandbox(running: SandboxProcess) -> SandboxProcess:
    running.reset()
    return running


def envelope(
    operation: str,
    fields: str = "",
    *,
    service: str = "EmployeeService",
    account: dict[str, str] | None = None,
    header: str = "AuthHeaderWithDomain",
    header_namespace: str | None = None,
    soap: str = SOAP_1_1,
) -> bytes:
    given = "".join(
        f"<{name}>{text}</{name}>" for name, text in (ACCOUNT if account is None else account).items()
    )
    space = namespace(service)
    return (
        f'<soap:Envelope xmlns:soap="{soap}">'
        f'<soap:Header><{header} xmlns="{header_namespace or space}">{given}</{header}></soap:Header>'
        f'<soap:Body><{operation} xmlns="{space}">{fields}</{operation}></soap:Body></soap:Envelope>'
    ).encode()


def post(
    sandbox: SandboxProcess,
    body: bytes | Iterator[bytes],
    *,
    service: str = "EmployeeService",
    **headers: str,
) -> requests.Response:
    sent = {"Content-Type": TEXT_XML} | {name.replace("_", "-"): text for name, text in headers.items()}
    return requests.post(f"{sandbox.url}/soap/v3/{service}.asmx", data=body, headers=sent, timeout=20)


def ask(
    sandbox: SandboxProcess, operation: str, fields: str = "", *, service: str = "EmployeeService"
) -> Any:
    answer = post(sandbox, envelope(operation, fields, service=service), service=service)
    assert answer.status_code == 200, answer.text
    return etree.fromstring(answer.content)


def fault(answer: requests.Response) -> tuple[str, str]:
    assert answer.status_code == 500
    root = etree.fromstring(answer.content)
    if root.tag == f"{{{SOAP_1_1}}}Envelope":
        assert root.find(".//detail") is not None
        return root.findtext(".//faultcode") or "", root.findtext(".//faultstring") or ""
    space = f".//{{{SOAP_1_2}}}"
    return root.findtext(f"{space}Value") or "", root.findtext(f"{space}Text") or ""


def service_fault(code: str) -> tuple[str, str]:
    return "soap:Server", f"Server was unable to process request. ---> {code}: {CODE_TEXTS[code]}"


def client(sandbox: SandboxProcess, service: str) -> Any:
    return zeep.Client(
        f"{sandbox.url}/soap/v3/{service}.asmx?WSDL", settings=zeep.Settings(strict=True)
    ).service


# Reading


def test_zeep_reads_every_list_strictly(sandbox: SandboxProcess) -> None:
    sandbox.settings(nmbrs_nil_items=False)
    headers = {"AuthHeaderWithDomain": ACCOUNT}
    debtors, companies, employees = (client(sandbox, service) for service in SERVICES)
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


def test_environment_get_tells_the_domain_to_who_does_not_know_it(sandbox: SandboxProcess) -> None:
    account = {name: text for name, text in ACCOUNT.items() if name != "Domain"}
    answer = client(sandbox, "DebtorService").Environment_Get(_soapheaders={"AuthHeader": account})
    assert answer.SubDomain == credentials.NMBRS_DOMAIN


@pytest.mark.parametrize(
    ("company", "form"), [(71_001, r"20\d\d-([1-9]|1[0-2])-M"), (71_002, r"20\d\d-([1-9]|1[0-3])-4W")]
)
def test_the_current_period_depends_on_the_companys_payroll(
    sandbox: SandboxProcess, company: int, form: str
) -> None:
    fields = f"<CompanyId>{company}</CompanyId>"
    root = ask(sandbox, "Company_GetCurrentPeriod", fields, service="CompanyService")
    text = root.findtext(f".//{{{namespace('CompanyService')}}}Company_GetCurrentPeriodResult")
    assert re.fullmatch(form, text)


def test_the_employee_type_alone_decides_who_is_listed(sandbox: SandboxProcess) -> None:
    ids: dict[int, set[str]] = {}
    for kind in range(8):
        fields = f"<CompanyId>{SMALL}</CompanyId><EmployeeType>{kind}</EmployeeType>"
        root = ask(sandbox, "List_GetByCompany", fields)
        ids[kind] = {each.text or "" for each in root.iter(f"{{{EMPLOYEES}}}Id")}
    assert {kind for kind, found in ids.items() if found} == {2, 4, 5, 6}
    everybody = ask(sandbox, PERSONAL, f"<CompanyID>{SMALL}</CompanyID>").iter(f"{{{EMPLOYEES}}}EmployeeId")
    assert set.union(*ids.values()) == {each.text for each in everybody}
    assert sum(map(len, ids.values())) == 100


def test_employee_types_come_from_a_table_that_can_be_replaced(sandbox: SandboxProcess) -> None:
    sandbox.settings(nmbrs_employee_types={"2": "Verloond", "4": "Uit dienst"})
    root = ask(sandbox, "EmployeeType_GetList")
    found = [(each[0].text, each[1].text) for each in root.iter(f"{{{EMPLOYEES}}}EmployeeType")]
    assert found == [("2", "Verloond"), ("4", "Uit dienst")]


def test_only_the_operation_without_bsn_spares_the_bsn(sandbox: SandboxProcess) -> None:
    counts = [
        len(list(ask(sandbox, operation, f"<CompanyID>{SMALL}</CompanyID>").iter(f"{{{EMPLOYEES}}}BSN")))
        for operation in list(LISTS)[:2]
    ]
    assert counts == [100, 0]


def test_nulls_are_written_as_net_writes_them(sandbox: SandboxProcess) -> None:
    text = post(sandbox, envelope(PERSONAL, f"<CompanyID>{SMALL}</CompanyID>")).text
    assert '<DeceasedDate xsi:nil="true" />' in text
    assert "<EmailWork />" in text
    assert text.count("<EmailWork>") < text.count("<EmailPrivate>")
    assert re.search(r"<Birthday>\d{4}-\d\d-\d\dT00:00:00</Birthday>", text)
    assert not re.search(r"T\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", text)
    employments = post(sandbox, envelope(EMPLOYMENTS, f"<CompanyID>{SMALL}</CompanyID>")).text
    assert '<EndDate xsi:nil="true" />' in employments


@pytest.mark.parametrize(("digits", "longest"), [(0, 0), (3, 3), (7, 7)])
def test_the_fraction_of_a_creation_date_is_a_switch(
    sandbox: SandboxProcess, digits: int, longest: int
) -> None:
    sandbox.settings(nmbrs_fraction_digits=digits)
    text = post(sandbox, envelope(PERSONAL, f"<CompanyID>{SMALL}</CompanyID>")).text
    fractions = re.findall(r"<CreationDate>[^<.]*\.?(\d*)</CreationDate>", text)
    assert len(fractions) == 100
    assert max(map(len, fractions)) == longest


@pytest.mark.parametrize(("form", "found"), [("element", 1), ("absent", 0)])
@pytest.mark.parametrize("operation", LISTS)
def test_an_empty_list_comes_in_either_form(
    sandbox: SandboxProcess, operation: str, form: str, found: int
) -> None:
    sandbox.settings(nmbrs_empty_result=form)
    root = ask(sandbox, operation, f"<CompanyID>{EMPTY}</CompanyID>")
    response = root[0][0]
    assert etree.QName(response).localname == f"{operation}Response"
    assert [etree.QName(each).localname for each in response] == [f"{operation}Result"] * found
    assert all(len(each) == 0 for each in response)


@pytest.mark.parametrize(("on", "expected"), [(True, True), (False, False)])
def test_null_items_are_a_switch(sandbox: SandboxProcess, on: bool, expected: bool) -> None:
    sandbox.settings(nmbrs_nil_items=on)
    for operation, (item, _) in LISTS.items():
        text = post(sandbox, envelope(operation, "<CompanyID>71002</CompanyID>")).text
        assert (f'<{item} xsi:nil="true" />' in text) is expected, operation


def test_functions_may_be_null_or_have_code_0(sandbox: SandboxProcess) -> None:
    root = ask(sandbox, FUNCTIONS, "<CompanyID>71001</CompanyID>")
    records = [each for each in root.iter(f"{{{EMPLOYEES}}}EmployeeFunction") if len(each)]
    functions = [each.find(f"{{{EMPLOYEES}}}Function") for each in records]
    assert None in functions
    assert any(each is not None and each.findtext(f"{{{EMPLOYEES}}}Code") == "0" for each in functions)


def test_who_reads_the_wire_by_the_manual_arrives_at_the_sandboxs_counts(sandbox: SandboxProcess) -> None:
    emails: list[str] = []
    nameless = without = 0
    for company in (71_001, 71_002, 72_001, 72_002):
        listed = ask(
            sandbox, "List_GetByCompany", f"<CompanyId>{company}</CompanyId><EmployeeType>2</EmployeeType>"
        )
        active = {each.text for each in listed.iter(f"{{{EMPLOYEES}}}Id")}
        for item in ask(sandbox, PERSONAL, f"<CompanyID>{company}</CompanyID>").iter(
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
    counts = sandbox.counts()["nmbrs_to_dialog"]
    used = [email.removeprefix("!") for email in emails if email]
    twice = sum(used.count(email) > 1 for email in emails if email and not email.startswith("!"))
    assert counts["set_aside"] == {"no_name": nameless, "no_work_email": without, "duplicate_email": twice}
    assert counts["employees"] == len(emails)
    assert counts["importable"] == len(emails) - nameless - without - twice


# Routing


@pytest.mark.parametrize(
    ("soap", "content_type", "action"),
    [
        (SOAP_1_1, TEXT_XML, f'"{EMPLOYEES}/EmployeeType_GetList"'),
        (SOAP_1_1, TEXT_XML, f"{EMPLOYEES}/EmployeeType_GetList"),
        (SOAP_1_1, TEXT_XML, "https%3A%2F%2Fapi.nmbrs.nl/soap/v3/EmployeeService/EmployeeType_GetList"),
        (SOAP_1_1, TEXT_XML, None),
        (SOAP_1_2, TEXT_XML, None),
        (SOAP_1_2, SOAP_XML, None),
        (SOAP_1_2, f'{SOAP_XML}; action="{EMPLOYEES}/EmployeeType_GetList"', None),
    ],
)
def test_every_mix_seen_in_the_wild_is_answered_in_its_own_version(
    sandbox: SandboxProcess, soap: str, content_type: str, action: str | None
) -> None:
    headers = {"Content-Type": content_type} | ({"SOAPAction": action} if action else {})
    answer = post(sandbox, envelope("EmployeeType_GetList", soap=soap), **headers)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == (TEXT_XML if soap == SOAP_1_1 else SOAP_XML)
    assert etree.fromstring(answer.content).tag == f"{{{soap}}}Envelope"
    assert answer.content.startswith(b'<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap=')
    (entry,) = sandbox.journal("nmbrs", "EmployeeService.EmployeeType_GetList")
    assert (entry["status"], entry["authorized"]) == (200, True)


BY_BODY = envelope("EmployeeType_GetList")
UNROUTABLE = "Unable to handle request without a valid action parameter. Please supply a valid soap action."
MISMATCH = "Possible SOAP version mismatch: Envelope namespace {} was unexpected. Expecting {}."


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        (
            BY_BODY,
            {"SOAPAction": '"urn:x"'},
            ("soap:Client", "Server did not recognize the value of HTTP Header SOAPAction: urn:x."),
        ),
        (envelope("Nothing_Get"), {}, ("soap:Client", UNROUTABLE)),
        (envelope("Nothing_Get", soap=SOAP_1_2), {}, ("soap:Sender", UNROUTABLE)),
        (
            envelope("EmployeeType_GetList", soap=SOAP_1_2),
            {"SOAPAction": f'"{EMPLOYEES}/EmployeeType_GetList"'},
            ("soap:VersionMismatch", MISMATCH.format(SOAP_1_2, SOAP_1_1)),
        ),
        (
            envelope("EmployeeType_GetList", soap="urn:soap"),
            {},
            ("soap:VersionMismatch", MISMATCH.format("urn:soap", SOAP_1_2)),
        ),
    ],
)
def test_what_cannot_be_routed_gets_the_frameworks_own_fault(
    sandbox: SandboxProcess, body: bytes, headers: dict[str, str], expected: tuple[str, str]
) -> None:
    assert fault(post(sandbox, body, **headers)) == expected


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (BY_BODY, "application/json", 415),
        (BY_BODY, "application/xml", 415),
        (BY_BODY, SOAP_XML, 415),
        (BY_BODY[:-1], TEXT_XML, 400),
        (b"", TEXT_XML, 400),
        (b"<!DOCTYPE x>" + BY_BODY, TEXT_XML, 400),
        (BY_BODY + b"<more/>", TEXT_XML, 400),
    ],
)
def test_what_is_no_soap_gets_a_bare_status(
    sandbox: SandboxProcess, body: bytes, content_type: str, status: int
) -> None:
    answer = post(sandbox, body, **{"Content-Type": content_type})
    assert (answer.status_code, answer.content) == (status, b"")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ("<CompanyID>abc</CompanyID>", "Input string was not in a correct format."),
        ("<CompanyID></CompanyID>", "Input string was not in a correct format."),
        ("<CompanyID>99999999999</CompanyID>", "Value was either too large or too small for an Int32."),
    ],
)
def test_a_value_not_of_its_type_is_the_callers_fault(
    sandbox: SandboxProcess, fields: str, reason: str
) -> None:
    code, text = fault(post(sandbox, envelope(PERSONAL, fields)))
    assert code == "soap:Client"
    head = "Server was unable to read request. ---> There is an error in XML document"
    assert re.fullmatch(re.escape(head) + r" \(\d+, \d+\)\. ---> " + re.escape(reason), text)


@pytest.mark.parametrize(
    ("operation", "field"),
    [(PERSONAL, "CompanyId"), ("List_GetByCompany", "CompanyID"), (PERSONAL, "companyid")],
)
def test_an_id_in_the_wrong_case_reads_as_0(sandbox: SandboxProcess, operation: str, field: str) -> None:
    answer = post(sandbox, envelope(operation, f"<{field}>{SMALL}</{field}>"))
    assert fault(answer) == service_fault("2004")
    (entry,) = sandbox.journal("nmbrs")
    assert 0 in entry["note"]["parameters"].values()


def test_a_header_that_must_be_understood_and_is_not_ends_the_call(sandbox: SandboxProcess) -> None:
    extra = b'<x:Trace xmlns:x="urn:x" soap:mustUnderstand="1">1</x:Trace></soap:Header>'
    answer = post(sandbox, BY_BODY.replace(b"</soap:Header>", extra))
    assert fault(answer) == ("soap:MustUnderstand", "SOAP header Trace was not understood.")


# Who may what


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"account": {**ACCOUNT, "Token": "0" * 32}}, "1001"),
        ({"account": {**ACCOUNT, "Username": "x@example.com"}}, "1001"),
        ({"account": {**ACCOUNT, "Domain": "elsewhere"}}, "1001"),
        ({"account": {}}, "1001"),
        ({"header": "AuthHeader"}, "1001"),
        ({"header_namespace": namespace("CompanyService")}, "1001"),
        ({"header_namespace": "https://api-sandbox.nmbrs.nl/soap/v3/EmployeeService"}, "1001"),
    ],
)
def test_only_the_right_account_in_the_services_own_namespace_gets_in(
    sandbox: SandboxProcess, changes: dict[str, Any], expected: str
) -> None:
    assert fault(post(sandbox, envelope("EmployeeType_GetList", **changes))) == service_fault(expected)
    assert sandbox.journal("nmbrs")[-1]["authorized"] is False


@pytest.mark.parametrize(("required", "status"), [(True, 500), (False, 200)])
def test_whether_domain_may_be_left_out_is_a_switch(
    sandbox: SandboxProcess, required: bool, status: int
) -> None:
    sandbox.settings(nmbrs_domain_required=required)
    account = {name: ACCOUNT[name] for name in ("Username", "Token")}
    assert post(sandbox, envelope("EmployeeType_GetList", account=account)).status_code == status


def test_an_operation_outside_the_users_template_is_1002(sandbox: SandboxProcess) -> None:
    sandbox.settings(nmbrs_denied_operations=["EmployeeService.EmployeeType_*"])
    assert fault(post(sandbox, BY_BODY)) == service_fault("1002")
    sandbox.settings(
        nmbrs_denied_operations=[], nmbrs_allowed_operations=["EmployeeService.List_GetByCompany"]
    )
    assert fault(post(sandbox, BY_BODY)) == service_fault("1002")
    ask(sandbox, "List_GetByCompany", f"<CompanyId>{SMALL}</CompanyId><EmployeeType>2</EmployeeType>")


@pytest.mark.parametrize(
    ("service", "operation", "fields", "code"),
    [
        ("DebtorService", "Function_GetList", "<DebtorId>{}</DebtorId>", "2009"),
        ("DebtorService", "Department_GetList", "<DebtorId>{}</DebtorId>", "2009"),
        ("CompanyService", "List_GetByDebtor", "<DebtorId>{}</DebtorId>", "2009"),
        ("CompanyService", "Company_GetCurrentPeriod", "<CompanyId>{}</CompanyId>", "2004"),
        *(("EmployeeService", operation, "<CompanyID>{}</CompanyID>", "2004") for operation in LISTS),
    ],
)
def test_an_unknown_id_and_a_hidden_one_are_told_apart(
    sandbox: SandboxProcess, service: str, operation: str, fields: str, code: str
) -> None:
    hidden = HIDDEN_DEBTOR if code == "2009" else SMALL
    sandbox.settings(nmbrs_hidden_debtors=[HIDDEN_DEBTOR])
    faults = [
        fault(post(sandbox, envelope(operation, fields.format(each), service=service), service=service))
        for each in (12_345, hidden)
    ]
    assert faults == [service_fault(code), service_fault("1003")]
    sandbox.settings(nmbrs_hidden_is_1003=False)
    answer = post(sandbox, envelope(operation, fields.format(hidden), service=service), service=service)
    assert fault(answer) == service_fault(code)


def test_lists_leave_out_what_tags_hide(sandbox: SandboxProcess) -> None:
    sandbox.settings(nmbrs_hidden_debtors=[HIDDEN_DEBTOR])
    debtors = ask(sandbox, "List_GetAll", service="DebtorService")
    companies = ask(sandbox, "List_GetAll", service="CompanyService")
    assert [each.text for each in debtors.iter(f"{{{namespace('DebtorService')}}}Id")] == ["4101"]
    assert [each.text for each in companies.iter(f"{{{namespace('CompanyService')}}}ID")] == [
        "71001",
        "71002",
    ]


# Going wrong on purpose


@pytest.mark.parametrize("code", CODE_TEXTS)
@pytest.mark.parametrize("soap", [SOAP_1_1, SOAP_1_2])
def test_any_code_can_be_injected_in_either_version(sandbox: SandboxProcess, code: str, soap: str) -> None:
    sandbox.inject("nmbrs", "EmployeeService.EmployeeType_GetList", "soap_fault", code=code)
    found = fault(post(sandbox, envelope("EmployeeType_GetList", soap=soap)))
    kind = "soap:Server" if soap == SOAP_1_1 else "soap:Receiver"
    assert found == (kind, service_fault(code)[1])
    assert post(sandbox, BY_BODY).status_code == 200


def test_a_fault_of_any_text_can_be_injected(sandbox: SandboxProcess) -> None:
    sandbox.inject("nmbrs", "*", "soap_fault", faultcode="Client", faultstring="no <luck> & no code")
    assert fault(post(sandbox, BY_BODY)) == ("soap:Client", "no <luck> & no code")


def _fields(sandbox: SandboxProcess, **drift: Any) -> list[list[str]]:
    if drift:
        sandbox.inject("nmbrs", f"EmployeeService.{PERSONAL}", "drift", **drift)
    root = ask(sandbox, PERSONAL, f"<CompanyID>{SMALL}</CompanyID>")
    items = root.iter(f"{{{EMPLOYEES}}}PersonalInfoItem")
    return [
        [f"{etree.QName(leaf).localname}={leaf.text}" for leaf in item.iter() if len(leaf) == 0]
        for item in items
        if len(item)
    ]


@pytest.mark.parametrize("form", sorted(FORMS))
def test_each_form_of_drift_changes_the_items_and_keeps_them_well_formed(
    sandbox: SandboxProcess, form: str
) -> None:
    before, after = _fields(sandbox), _fields(sandbox, form=form)
    assert len(before) == len(after) == 100
    assert all(one != other for one, other in zip(before, after, strict=True))
    new = "Sandbox_NewElement=new"
    match form:
        case "new_element_middle":
            assert all(new in item and item[-1] != new for item in after)
        case "new_element_end":
            assert all(item[-1] == new or item[-2] == new for item in after)
        case "missing_required":
            assert not any(leaf.startswith("EmployeeId=") for item in after for leaf in item)
        case "reordered":
            assert [sorted(item) for item in before] == [sorted(item) for item in after]
        case "bad_int":
            assert all("EmployeeId=12x" in item for item in after)
        case "unknown_enum":
            assert all("Gender=Unheard" in item for item in after)
        case "year_0001":
            assert all("Birthday=0001-01-01T00:00:00" in item for item in after)


def test_drift_can_hit_one_field_of_one_item(sandbox: SandboxProcess) -> None:
    before = _fields(sandbox)
    after = _fields(sandbox, form="value", element="StartYear", value="soon", first=7, every=1_000)
    changed = [number for number, pair in enumerate(zip(before, after, strict=True)) if pair[0] != pair[1]]
    assert len(changed) == 1
    assert "StartYear=soon" in after[changed[0]]


def test_a_list_can_be_cut_anywhere(sandbox: SandboxProcess) -> None:
    sandbox.inject("nmbrs", "*", "truncated", keep=1_000)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        post(sandbox, envelope(PERSONAL, f"<CompanyID>{SMALL}</CompanyID>"))


def test_more_than_the_allowed_calls_a_second_are_delayed_and_not_refused() -> None:
    throttle = Throttle()
    delays = [throttle.delay(10 + call / 1_000, limit=150, seconds=0.5) for call in range(152)]
    assert delays == [0.0] * 150 + [0.5, 0.5]
    assert throttle.delay(11.2, limit=150, seconds=0.5) == 0.0


def test_the_limit_of_calls_a_second_is_a_switch(sandbox: SandboxProcess) -> None:
    sandbox.settings(nmbrs_calls_per_second=1, nmbrs_throttle_delay=0.3)
    post(sandbox, BY_BODY)
    start = time.monotonic()
    assert post(sandbox, BY_BODY).status_code == 200
    assert time.monotonic() - start >= 0.3


# Documents


def upload(sandbox: SandboxProcess, content: bytes, **changes: str) -> requests.Response:
    given = {
        "EmployeeId": "500003",
        "StrDocumentName": "beoordeling.pdf",
        "Body": base64.b64encode(content).decode(),
        "GuidDocumentType": DOCUMENT_TYPES[0],
        **changes,
    }
    fields = "".join(f"<{name}>{text}</{name}>" for name, text in given.items())
    return post(sandbox, envelope("EmployeeDocument_UploadDocument", fields))


def documents(sandbox: SandboxProcess) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = requests.get(f"{sandbox.url}/_control/nmbrs/documents", timeout=10).json()
    return found


@pytest.mark.parametrize("size", [0, 1, 2, 3, 100_000, 3_000_001])
def test_a_document_is_kept_as_size_and_hash_and_answered_with_nothing(
    sandbox: SandboxProcess, size: int
) -> None:
    content = (b"%PDF-1.7\n" * (size // 9 + 1))[:size]
    answer = upload(sandbox, content, Body=base64.encodebytes(content).decode())
    response = etree.fromstring(answer.content)[0][0]
    assert etree.QName(response).localname == "EmployeeDocument_UploadDocumentResponse"
    assert (len(response), response.text) == (0, None)
    (stored,) = documents(sandbox)
    assert (stored["size"], stored["sha256"]) == (size, hashlib.sha256(content).hexdigest())
    assert (stored["employee_id"], stored["name"]) == (500_003, "beoordeling.pdf")


def test_zeep_uploads_a_document_through_the_wsdl(sandbox: SandboxProcess) -> None:
    client(sandbox, "EmployeeService").EmployeeDocument_UploadDocument(
        EmployeeId=500_003,
        StrDocumentName="b.pdf",
        Body=b"%PDF-1.7",
        GuidDocumentType=DOCUMENT_TYPES[0],
        _soapheaders={"AuthHeaderWithDomain": ACCOUNT},
    )
    assert documents(sandbox)[0]["sha256"] == hashlib.sha256(b"%PDF-1.7").hexdigest()


def test_a_large_document_sent_in_pieces_costs_the_sandbox_no_memory(sandbox: SandboxProcess) -> None:
    sandbox.settings(nmbrs_document_limit=1 << 30)
    head, tail = envelope(
        "EmployeeDocument_UploadDocument",
        f"<EmployeeId>500003</EmployeeId><StrDocumentName>b.pdf</StrDocumentName><Body>cut here</Body>"
        f"<GuidDocumentType>{DOCUMENT_TYPES[0]}</GuidDocumentType>",
    ).split(b"cut here")
    block = base64.b64encode(bytes(300_000))
    before = _peak(sandbox)
    answer = post(sandbox, iter([head, *[block] * 100, tail]))
    assert answer.status_code == 200
    assert documents(sandbox)[0]["size"] == 30_000_000
    assert sandbox.journal("nmbrs")[0]["body_size"] > 40_000_000
    assert _peak(sandbox) - before < 8 << 20


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"EmployeeId": "500004"}, "2003"),
        ({"StrDocumentName": "beoordeling"}, "2040"),
        ({"StrDocumentName": ".pdf"}, "2040"),
        ({"StrDocumentName": ""}, "2040"),
        ({"GuidDocumentType": "00000000-0000-0000-0000-000000000000"}, "2047"),
        ({"Body": base64.b64encode(bytes(101)).decode()}, "2041"),
    ],
)
def test_a_refused_document_is_not_kept(sandbox: SandboxProcess, changes: dict[str, str], code: str) -> None:
    sandbox.settings(nmbrs_document_limit=100)
    assert fault(upload(sandbox, b"%PDF", **changes)) == service_fault(code)
    assert documents(sandbox) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"Body": "JVBE*"},
        {"Body": "JVBER"},
        {"Body": "JQ==JQ=="},
        {"GuidDocumentType": "no-guid"},
        {"EmployeeId": "x"},
    ],
)
def test_an_unreadable_upload_is_the_callers_fault(sandbox: SandboxProcess, changes: dict[str, str]) -> None:
    code, text = fault(upload(sandbox, b"%PDF", **changes))
    assert code == "soap:Client"
    assert text.startswith("Server was unable to read request. ---> There is an error in XML document (")
    assert documents(sandbox) == []


def test_the_same_document_twice_is_two_documents(sandbox: SandboxProcess) -> None:
    for _ in range(2):
        assert upload(sandbox, b"%PDF").status_code == 200
    assert [each["size"] for each in documents(sandbox)] == [4, 4]
    assert sandbox.counts()["nmbrs"] == {"documents": 2, "bytes": 8}


@pytest.mark.parametrize(("kind", "kept"), [("act_then_reset", 1), ("reset", 0)])
def test_a_lost_answer_leaves_open_whether_the_document_was_stored(
    sandbox: SandboxProcess, kind: str, kept: int
) -> None:
    sandbox.inject("nmbrs", "EmployeeService.EmployeeDocument_*", kind)
    with pytest.raises(requests.ConnectionError):
        upload(sandbox, b"%PDF")
    assert len(documents(sandbox)) == kept


def test_midnight_forgets_people_and_documents_and_keeps_switches(sandbox: SandboxProcess) -> None:
    sandbox.settings(nmbrs_nil_items=False)
    upload(sandbox, b"%PDF")
    before = sandbox.counts()["nmbrs_to_dialog"]["employees"]
    sandbox.change_person(None, nickname="Nieuw")
    assert sandbox.counts()["nmbrs_to_dialog"]["employees"] == before + 1
    assert requests.post(f"{sandbox.url}/_control/nmbrs/midnight", timeout=10).status_code == 204
    assert sandbox.counts()["nmbrs_to_dialog"]["employees"] == before
    assert documents(sandbox) == []
    assert sandbox.settings()["nmbrs_nil_items"] is False


# Size


def _peak(sandbox: SandboxProcess) -> int:
    status = Path(f"/proc/{sandbox.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) << 10  # type: ignore[index]


def test_a_large_list_is_sent_while_it_is_made_in_constant_memory() -> None:
    with start_sandbox(employees=20_000) as large:
        post(large, envelope(PERSONAL, f"<CompanyID>{SMALL}</CompanyID>"))
        before = _peak(large)
        body = envelope(PERSONAL, "<CompanyID>71001</CompanyID>")
        url = f"{large.url}/soap/v3/EmployeeService.asmx"
        with requests.post(
            url, data=body, headers={"Content-Type": TEXT_XML}, stream=True, timeout=20
        ) as answer:
            assert answer.headers["Transfer-Encoding"] == "chunked"
            received = sum(len(piece) for piece in answer.iter_content(1 << 16))
        assert received > 16_000 * 1_400
        assert _peak(large) - before < 8 << 20
