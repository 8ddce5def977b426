"""What goes wrong on purpose: SOAP faults, drift, cut answers, the limit of calls a second."""

from __future__ import annotations

import time

import pytest
import requests
from lxml import etree

from visma_sandbox.nmbrs_access import Throttle
from visma_sandbox.nmbrs_drift import FORMS
from visma_sandbox.nmbrs_faults import CODE_TEXTS, ENVELOPE_NAMESPACE
from visma_sandbox.nmbrs_wsdl import namespace

EMPLOYEES = namespace("EmployeeService")
SOAP_1_1, SOAP_1_2 = ENVELOPE_NAMESPACE["1.1"], ENVELOPE_NAMESPACE["1.2"]
PERSONAL = "PersonalInfo_GetAll_AllEmployeesByCompany"
SMALL = 72_001


@pytest.mark.parametrize("code", CODE_TEXTS)
@pytest.mark.parametrize("soap", [SOAP_1_1, SOAP_1_2])
def test_any_code_can_be_injected_in_either_version(nmbrs, code, soap):
    nmbrs.sandbox.inject("nmbrs", "EmployeeService.EmployeeType_GetList", "soap_fault", code=code)
    found = nmbrs.fault(nmbrs.call("EmployeeType_GetList", soap=soap))
    kind = "soap:Server" if soap == SOAP_1_1 else "soap:Receiver"
    assert found == (kind, nmbrs.service_fault(code)[1])
    assert nmbrs.call("EmployeeType_GetList").status_code == 200


def test_a_fault_of_any_text_can_be_injected(nmbrs):
    nmbrs.sandbox.inject("nmbrs", "*", "soap_fault", faultcode="Client", faultstring="no <luck> & no code")
    assert nmbrs.fault(nmbrs.call("EmployeeType_GetList")) == ("soap:Client", "no <luck> & no code")


def _fields(nmbrs, **drift):
    if drift:
        nmbrs.sandbox.inject("nmbrs", f"EmployeeService.{PERSONAL}", "drift", **drift)
    root = nmbrs.ask(PERSONAL, f"<CompanyID>{SMALL}</CompanyID>")
    items = root.iter(f"{{{EMPLOYEES}}}PersonalInfoItem")
    return [
        [f"{etree.QName(leaf).localname}={leaf.text}" for leaf in item.iter() if len(leaf) == 0]
        for item in items
        if len(item)
    ]


@pytest.mark.parametrize("form", sorted(FORMS))
def test_each_form_of_drift_changes_the_items_and_keeps_them_well_formed(nmbrs, form):
    before, after = _fields(nmbrs), _fields(nmbrs, form=form)
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


def test_drift_can_hit_one_field_of_one_item(nmbrs):
    before = _fields(nmbrs)
    after = _fields(nmbrs, form="value", element="StartYear", value="soon", first=7, every=1_000)
    changed = [number for number, pair in enumerate(zip(before, after, strict=True)) if pair[0] != pair[1]]
    assert len(changed) == 1
    assert "StartYear=soon" in after[changed[0]]


def test_a_list_can_be_cut_anywhere(nmbrs):
    nmbrs.sandbox.inject("nmbrs", "*", "truncated", keep=1_000)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        nmbrs.call(PERSONAL, f"<CompanyID>{SMALL}</CompanyID>")


def test_more_than_the_allowed_calls_a_second_are_delayed_and_not_refused():
    throttle = Throttle()
    delays = [throttle.delay(10 + call / 1_000, limit=150, seconds=0.5) for call in range(152)]
    assert delays == [0.0] * 150 + [0.5, 0.5]
    assert throttle.delay(11.2, limit=150, seconds=0.5) == 0.0


def test_the_limit_of_calls_a_second_is_a_switch(nmbrs):
    nmbrs.sandbox.settings(nmbrs_calls_per_second=1, nmbrs_throttle_delay=0.3)
    start = time.monotonic()  # two calls either are in one second, or took one
    nmbrs.call("EmployeeType_GetList")
    assert nmbrs.call("EmployeeType_GetList").status_code == 200
    assert time.monotonic() - start >= 0.3
