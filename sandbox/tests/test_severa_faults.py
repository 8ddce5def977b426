"""What goes wrong with Severa: injected faults, the framework's own, hostile requests, and the journal."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import requests

from visma_sandbox.severa.contract import DECLARED_FAULTS, SERVICE_NAMESPACE

VERSION = "IAPI.GetVersion"
ACTION = f"{SERVICE_NAMESPACE}IAPI/GetVersion"
HOUR = "IHourEntry.GetHourEntryByGUID"
NOBODY = "<v:hourEntryGUID>00000000-0000-0000-0000-000000000000</v:hourEntryGUID>"
CASES = "ICase.GetCasesByAccountGUID"


@pytest.mark.parametrize("type", [*DECLARED_FAULTS, "QuotaLimitExceededException", "TosNotApprovedException"])
def test_a_typed_fault_says_in_its_detail_what_is_wrong(severa, type: str) -> None:
    severa.sandbox.inject("severa", HOUR, "soap_fault", type=type, description="No <such> case")

    fault = severa.fault(severa.call(HOUR, NOBODY))
    assert (fault.code, fault.type, fault.description) == ("s:Client", type, "No <such> case")
    assert fault.text != fault.description


def test_the_words_of_a_fault_can_be_chosen(severa) -> None:
    severa.sandbox.inject("severa", "*", "soap_fault", faultstring="Sorry", type="ValidationException")

    assert severa.fault(severa.call(VERSION)) == (
        "s:Client",
        "Sorry",
        "ValidationException",
        "Validation failed",
    )


def test_an_unforeseen_error_has_no_detail_and_in_debug_form_an_exception_detail(severa) -> None:
    severa.sandbox.inject("severa", "*", "soap_fault", type="InternalServiceFault")
    severa.sandbox.inject("severa", "*", "soap_fault", type="ExceptionDetail", description="Null reference")

    plain, debug = severa.fault(severa.call(VERSION)), severa.fault(severa.call(VERSION))
    assert (plain.code, plain.type) == ("a:InternalServiceFault", None)
    assert plain.text.startswith("The server was unable to process the request due to an internal error.")
    assert (debug.code, debug.type, debug.text) == (
        "a:InternalServiceFault",
        "ExceptionDetail",
        "Null reference",
    )


def test_faults_of_the_wire_hit_severa_too(severa) -> None:
    severa.sandbox.inject("severa", VERSION, "status", status=503)
    severa.sandbox.inject("severa", VERSION, "malformed")

    assert severa.call(VERSION).status_code == 503
    assert not severa.call(VERSION).text.endswith("</s:Envelope>")
    assert severa.call(VERSION).status_code == 200


def test_an_operation_that_is_not_simulated_says_so(severa) -> None:
    fault = severa.fault(severa.call("IAccessRights.DeleteAccessRightsProfileByGUID", "<v:guid>g</v:guid>"))

    assert fault.type == "GeneralFailureException"
    assert "does not simulate IAccessRights.DeleteAccessRightsProfileByGUID" in fault.description


def test_the_operations_that_are_simulated_can_be_listed(severa) -> None:
    listed = requests.get(f"{severa.sandbox.url}/_control/severa/operations", timeout=30).json()

    assert {VERSION, HOUR} < set(listed)
    assert "IAccessRights.DeleteAccessRightsProfileByGUID" not in listed


# -- not found


@pytest.mark.parametrize(
    ("form", "single", "many"),
    [
        ("fault", "NotFoundException", "NotFoundException"),
        ("null", "null", "null"),
        ("empty", "null", "empty"),
    ],
)
def test_not_found_has_the_form_that_the_switch_says(severa, form: str, single: str, many: str) -> None:
    severa.sandbox.settings(severa_not_found=form)
    nobody = "<v:accountGuid>00000000-0000-0000-0000-000000000000</v:accountGuid>"

    assert nothing(severa, severa.call(HOUR, NOBODY)) == single
    assert nothing(severa, severa.call(CASES, nobody)) == many


def nothing(severa, answer) -> str | None:
    if answer.status_code == 500:
        kind: str | None = severa.fault(answer).type
        return kind
    assert "<a:" not in answer.text
    return "null" if 'i:nil="true"' in answer.text else "empty"


# -- routing and hostile requests


@pytest.mark.parametrize("action", [ACTION, f'"{ACTION}"'])
def test_the_action_may_be_quoted_or_not(severa, action: str) -> None:
    assert severa.post(severa.envelope("GetVersion"), action).status_code == 200


@pytest.mark.parametrize("action", ["", '""', f"{ACTION}s", f"{SERVICE_NAMESPACE}ICase/GetVersion"])
def test_an_action_that_no_contract_has_is_a_fault_of_the_framework(severa, action: str) -> None:
    fault = severa.fault(severa.post(severa.envelope("GetVersion"), action))

    assert (fault.code, fault.type) == ("a:ActionNotSupported", None)
    assert severa.sandbox.journal("severa")[0]["operation"] == "unknown"


@pytest.mark.parametrize("content_type", ["application/soap+xml; charset=utf-8", "application/xml", ""])
def test_another_content_type_is_refused(severa, content_type: str) -> None:
    answer = severa.post(severa.envelope("GetVersion"), ACTION, **{"Content-Type": content_type})

    assert (answer.status_code, answer.content) == (415, b"")


@pytest.mark.parametrize(
    "body",
    [
        b'<!DOCTYPE a [<!ENTITY l "&l;&l;">]><a>&l;</a>',
        b'<!DOCTYPE a SYSTEM "file:///etc/hostname"><a/>',
        b"<a>" * 1_000_000,
        b"not XML",
    ],
    ids=["entities", "external", "deep", "text"],
)
def test_a_hostile_request_is_a_bad_request(severa, body: bytes) -> None:
    answer = severa.post(body, ACTION)

    assert (answer.status_code, answer.content) == (400, b"")
    assert severa.call(VERSION).status_code == 200


def test_a_request_that_is_too_large_is_refused_while_it_comes(severa) -> None:
    severa.sandbox.settings(severa_request_limit=100_000)

    def body() -> Iterator[bytes]:
        head, _, tail = severa.envelope("GetVersion", "<v:x></v:x>").partition(b"</v:x>")
        yield head
        for _ in range(20):
            yield b"A" * 10_000
        yield b"</v:x>" + tail

    assert severa.post(body(), ACTION).status_code == 413
    assert severa.call(VERSION).status_code == 200


# -- journal


def test_the_journal_tells_what_was_asked_and_never_the_key_or_a_text(severa) -> None:
    fields = (
        "<v:businessUnitGUID>secret-unit</v:businessUnitGUID><v:enddate>2026-02-01</v:enddate>"
        "<v:startdate>2026-01-01</v:startdate>"
    )
    severa.call("IHourEntry.GetHourEntriesByDate", fields)

    (entry,) = severa.sandbox.journal("severa")
    assert entry["operation"] == "IHourEntry.GetHourEntriesByDate"
    assert entry["authorized"]
    assert entry["note"] == {
        "key": True,
        "headers": ["WebServicePassword"],
        "arguments": ["businessUnitGUID", "enddate"],
        "values": {"enddate": "2026-02-01T00:00:00"},
        "dropped": ["startdate"],
        "user": "administrator",
    }
    text = json.dumps(severa.sandbox.journal())
    assert severa.key not in text
    assert "secret-unit" not in text


def test_a_key_put_into_an_http_header_stays_out_of_the_journal_too(severa) -> None:
    severa.post(severa.envelope("GetVersion"), ACTION, Authorization=severa.key)

    (entry,) = severa.sandbox.journal("severa")
    assert entry["authorization"] == ""
    assert severa.key not in json.dumps(entry)
