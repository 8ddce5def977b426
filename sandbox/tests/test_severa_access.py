"""Severa's keys, rights and quota."""

from __future__ import annotations

import pytest
from lxml import etree

from visma_sandbox import credentials

DENIED = ("s:Client", "Access denied", "AuthenticationFailureException", "Access denied")
UNITS = "IBusinessUnit.GetBusinessUnitsChangedSince"
SINCE = "<v:startDateTime>2000-01-01</v:startDateTime><v:options>14</v:options>"
HOURS = "IHourEntry.GetHourEntriesChangedSince"
HOURS_SINCE = "<v:startDate>2000-01-01</v:startDate>"
DAY = 86_400


def rows(answer) -> int:
    assert answer.status_code == 200, answer.text
    return len(etree.fromstring(answer.content).find("{*}Body/*/*"))


@pytest.mark.parametrize(
    "key",
    [
        None,
        "nonsense",
        credentials.SEVERA_KEY.upper(),
        f"{credentials.SEVERA_KEY}\n",
        credentials.SEVERA_INACTIVE_KEY,
        credentials.SEVERA_NO_RIGHT_KEY,
        credentials.SEVERA_OLD_KEY,
        credentials.SEVERA_NEW_KEY,
    ],
)
def test_a_key_that_is_not_good_is_denied_without_a_reason(severa, key: str | None) -> None:
    answer = severa.call(HOURS, HOURS_SINCE, key=key)

    assert severa.fault(answer) == DENIED
    (entry,) = severa.sandbox.journal("severa")
    assert (entry["authorized"], entry["note"]["key"], entry["status"]) == (False, key is not None, 500)


def test_a_regenerated_key_replaces_the_old_one_at_once(severa) -> None:
    severa.sandbox.settings(severa_key_regenerated=True)

    assert severa.fault(severa.call(HOURS, HOURS_SINCE)) == DENIED
    assert rows(severa.call(HOURS, HOURS_SINCE, key=credentials.SEVERA_NEW_KEY)) > 0


def test_without_the_add_on_every_key_is_denied(severa) -> None:
    severa.sandbox.settings(severa_addon=False)

    assert severa.fault(severa.call(HOURS, HOURS_SINCE)) == DENIED


def test_terms_that_are_not_approved_are_an_undeclared_fault(severa) -> None:
    severa.sandbox.settings(severa_tos_approved=False)

    assert severa.fault(severa.call(HOURS, HOURS_SINCE)).type == "TosNotApprovedException"


def test_a_narrow_user_gets_fewer_rows_and_no_error(severa) -> None:
    everything = rows(severa.call(HOURS, HOURS_SINCE))
    some = rows(severa.call(HOURS, HOURS_SINCE, key=credentials.SEVERA_NARROW_KEY))

    assert 0 < some < everything
    assert [entry["note"]["user"] for entry in severa.sandbox.journal("severa")] == [
        "administrator",
        "narrow",
    ]


def test_an_operation_can_be_denied(severa) -> None:
    severa.sandbox.settings(severa_denied_operations=["IHourEntry.*"])

    assert severa.fault(severa.call(HOURS, HOURS_SINCE)).type == "NoPermissionException"
    assert rows(severa.call(UNITS, SINCE)) > 0


def test_the_versions_want_a_key_only_when_told(severa) -> None:
    severa.sandbox.settings(severa_entity_schema_version="2020.1")
    name = "IAPI.GetEntitySchemaVersion"

    answer = severa.call(name, key=None)
    assert etree.fromstring(answer.content).findtext(".//{*}GetEntitySchemaVersionResult") == "2020.1"

    severa.sandbox.settings(severa_version_needs_key=True)
    assert severa.fault(severa.call(name, key=None)) == DENIED
    assert severa.call(name).status_code == 200


# -- quota


def test_every_answer_says_how_much_of_the_quota_is_used(severa) -> None:
    severa.sandbox.settings(severa_quota=100, severa_used_quota=40)

    answers = [
        severa.call("IAPI.GetVersion"),
        severa.call(HOURS, HOURS_SINCE, key="nonsense"),
        severa.call("IHourEntry.Unheard"),
        severa.call(HOURS, "<v:startDate>x</v:startDate>"),
    ]
    assert [severa.header(answer) for answer in answers] == [
        {"Quota": 100, "UsedQuota": used} for used in (41, 42, 43, 44)
    ]


def test_over_the_quota_every_call_is_the_fault_of_the_sample_and_still_counts(severa) -> None:
    severa.sandbox.settings(severa_quota=2)
    statuses = [severa.call("IAPI.GetVersion").status_code for _ in range(3)]
    answer = severa.call(HOURS, HOURS_SINCE)

    assert statuses == [200, 200, 500]
    assert severa.fault(answer) == (
        "s:Client",
        "Quota limit reached",
        "QuotaLimitExceededException",
        "Quota limit",
    )
    assert severa.header(answer) == {"Quota": 2, "UsedQuota": 4}


def test_the_fault_over_the_quota_is_the_sample_to_the_letter(severa) -> None:
    severa.sandbox.settings(severa_quota=100, severa_used_quota=110)

    assert severa.call(HOURS, HOURS_SINCE).text == (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Header>'
        '<Quota xmlns="http://soap.severa.com/">100</Quota>'
        '<UsedQuota xmlns="http://soap.severa.com/">111</UsedQuota></s:Header><s:Body><s:Fault>'
        '<faultcode>s:Client</faultcode><faultstring xml:lang="en-US">Quota limit reached</faultstring>'
        '<detail><QuotaLimitExceededException xmlns="http://schemas.datacontract.org/2004/07/Severa.API"'
        ' xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><Description>Quota limit</Description>'
        '<Source i:nil="true"/></QuotaLimitExceededException></detail></s:Fault></s:Body></s:Envelope>'
    )


def test_at_midnight_utc_the_count_begins_again(severa) -> None:
    severa.sandbox.settings(severa_quota=1)
    severa.call("IAPI.GetVersion")
    assert severa.call("IAPI.GetVersion").status_code == 500

    severa.sandbox.settings(clock_offset=DAY)
    answer = severa.call("IAPI.GetVersion")
    assert answer.status_code == 200
    assert severa.header(answer) == {"Quota": 1, "UsedQuota": 1}
