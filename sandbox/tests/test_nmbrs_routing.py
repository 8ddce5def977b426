"""From request to operation by ASP.NET's rules: contract nmbrs-and-dialog, section 3."""

from __future__ import annotations

import re

import pytest
from lxml import etree

from visma_sandbox.nmbrs_faults import ENVELOPE_NAMESPACE
from visma_sandbox.nmbrs_wsdl import namespace

EMPLOYEES = namespace("EmployeeService")
SOAP_1_1, SOAP_1_2 = ENVELOPE_NAMESPACE["1.1"], ENVELOPE_NAMESPACE["1.2"]
TEXT_XML, SOAP_XML = "text/xml; charset=utf-8", "application/soap+xml; charset=utf-8"
PERSONAL = "PersonalInfo_GetAll_AllEmployeesByCompany"
COMPANY = 72_001


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
def test_every_mix_seen_in_the_wild_is_answered_in_its_own_version(nmbrs, soap, content_type, action):
    headers = {"Content-Type": content_type} | ({"SOAPAction": action} if action else {})
    answer = nmbrs.post(nmbrs.envelope(soap=soap), **headers)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == (TEXT_XML if soap == SOAP_1_1 else SOAP_XML)
    assert etree.fromstring(answer.content).tag == f"{{{soap}}}Envelope"
    assert answer.content.startswith(b'<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap=')
    (entry,) = nmbrs.sandbox.journal("nmbrs", "EmployeeService.EmployeeType_GetList")
    assert (entry["status"], entry["authorized"]) == (200, True)


UNROUTABLE = "Unable to handle request without a valid action parameter. Please supply a valid soap action."
MISMATCH = "Possible SOAP version mismatch: Envelope namespace {} was unexpected. Expecting {}."


@pytest.mark.parametrize(
    ("changes", "headers", "expected"),
    [
        (
            {},
            {"SOAPAction": '"urn:x"'},
            ("soap:Client", "Server did not recognize the value of HTTP Header SOAPAction: urn:x."),
        ),
        ({"operation": "Nothing_Get"}, {}, ("soap:Client", UNROUTABLE)),
        ({"operation": "Nothing_Get", "soap": SOAP_1_2}, {}, ("soap:Sender", UNROUTABLE)),
        (
            {"soap": SOAP_1_2},
            {"SOAPAction": f'"{EMPLOYEES}/EmployeeType_GetList"'},
            ("soap:VersionMismatch", MISMATCH.format(SOAP_1_2, SOAP_1_1)),
        ),
        (
            {"soap": "urn:soap"},
            {},
            ("soap:VersionMismatch", MISMATCH.format("urn:soap", SOAP_1_2)),
        ),
    ],
)
def test_what_cannot_be_routed_gets_the_frameworks_own_fault(nmbrs, changes, headers, expected):
    assert nmbrs.fault(nmbrs.post(nmbrs.envelope(**changes), **headers)) == expected


@pytest.mark.parametrize(
    ("spoil", "content_type", "status"),
    [
        (lambda body: body, "application/json", 415),
        (lambda body: body, "application/xml", 415),
        (lambda body: body, SOAP_XML, 415),
        (lambda body: body[:-1], TEXT_XML, 400),
        (lambda body: b"", TEXT_XML, 400),
        (lambda body: b"<!DOCTYPE x>" + body, TEXT_XML, 400),
        (lambda body: body + b"<more/>", TEXT_XML, 400),
    ],
)
def test_what_is_no_soap_gets_a_bare_status(nmbrs, spoil, content_type, status):
    answer = nmbrs.post(spoil(nmbrs.envelope()), **{"Content-Type": content_type})
    assert (answer.status_code, answer.content) == (status, b"")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ("<CompanyID>abc</CompanyID>", "Input string was not in a correct format."),
        ("<CompanyID></CompanyID>", "Input string was not in a correct format."),
        ("<CompanyID>99999999999</CompanyID>", "Value was either too large or too small for an Int32."),
    ],
)
def test_a_value_not_of_its_type_is_the_callers_fault(nmbrs, fields, reason):
    code, text = nmbrs.fault(nmbrs.call(PERSONAL, fields))
    assert code == "soap:Client"
    head = "Server was unable to read request. ---> There is an error in XML document"
    assert re.fullmatch(re.escape(head) + r" \(\d+, \d+\)\. ---> " + re.escape(reason), text)


@pytest.mark.parametrize(
    ("operation", "field"),
    [(PERSONAL, "CompanyId"), ("List_GetByCompany", "CompanyID"), (PERSONAL, "companyid")],
)
def test_an_id_in_the_wrong_case_reads_as_0(nmbrs, operation, field):
    answer = nmbrs.call(operation, f"<{field}>{COMPANY}</{field}>")
    assert nmbrs.fault(answer) == nmbrs.service_fault("2004")
    (entry,) = nmbrs.sandbox.journal("nmbrs")
    assert 0 in entry["note"]["parameters"].values()


def test_a_header_that_must_be_understood_and_is_not_ends_the_call(nmbrs):
    extra = b'<x:Trace xmlns:x="urn:x" soap:mustUnderstand="1">1</x:Trace></soap:Header>'
    answer = nmbrs.post(nmbrs.envelope().replace(b"</soap:Header>", extra))
    assert nmbrs.fault(answer) == ("soap:MustUnderstand", "SOAP header Trace was not understood.")
