"""Severa's read operations: what each answers, in which pages, and to whom."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

import pytest
import requests
from lxml import etree
from zeep.exceptions import Fault

from sandbox.tests.severa_reads.asking import NOBODY, READS, ask, guid
from visma_sandbox import credentials
from visma_sandbox.severa.access import NARROW_BUSINESS_UNIT
from visma_sandbox.severa.contract import SERVICE_NAMESPACE


@pytest.mark.parametrize("name", READS)
def test_every_read_operation_answers_what_its_wsdl_says(severa, name: str) -> None:
    if name == "IUser.GetUserByName":
        user = ask(severa, "IUser.GetUserByGUID", userGUID=guid(1, 3))
        answer = ask(severa, name, firstName=user["FirstName"], lastName=user["LastName"])
    elif name == "IAccount.GetAccountByName":
        account = ask(severa, "IAccount.GetAccountByGUID")
        answer = ask(severa, name, accountName=account["Name"].upper())
    elif name == "ITimeEntry.GetTimeEntriesByDateAndUserGUID":
        entry = ask(severa, "ITimeEntry.GetTimeEntriesChangedSince")[0]
        answer = ask(severa, name, eventDate=entry["EventDate"], userGUID=entry["UserGUID"])
    elif name == "IHourEntry.GetReimbursedHourEntryByGUID":
        first = ask(severa, "IHourEntry.GetReimbursedHourEntriesByDate")[0]
        answer = ask(severa, name, hourEntryGUID=first["GUID"])
    else:
        answer = ask(severa, name)

    assert answer
    if isinstance(answer, dict):
        assert answer.get("GUID") or answer.get("InvoiceRowOrigins")


def test_the_sandbox_says_which_operations_it_simulates(severa) -> None:
    served = requests.get(f"{severa.sandbox.url}/_control/severa/operations", timeout=30).json()

    assert set(READS) < set(served)
    assert len(READS) > 100


def test_the_counts_are_what_the_administrator_gets(severa) -> None:
    counts = severa.sandbox.settings(severa_counts_since="2026-11-18T00:00:00") and severa.sandbox.counts()
    month = {"startDate": datetime(2026, 11, 1), "endDate": datetime(2026, 11, 30, 23, 59)}
    since = {"startDateTime": datetime(2026, 11, 18), "options": 2}

    assert counts["severa"] == {
        "users": len(ask(severa, "IUser.GetAllUsers")),
        "active_users": len(ask(severa, "IUser.GetAllUsers", includeInactive=False)),
        "cases": len(ask(severa, "ICase.GetAllCases")),
        "cases_of_active_accounts": len(ask(severa, "ICase.GetCasesChangedSince")),
        "customers": len(ask(severa, "ICustomer.GetAllCustomers", options=2)),
        "hour_entries": len(ask(severa, "IHourEntry.GetHourEntriesByDate")),
        "invoices": len(ask(severa, "IInvoice.GetInvoicesByDate")),
        "invoices_this_month": len(ask(severa, "IInvoice.GetInvoicesByDate", **month)),
        "users_changed": len(ask(severa, "IUser.GetUsersChangedSince", **since) or ()),
        "cases_changed": len(ask(severa, "ICase.GetCasesChangedSince", **since)),
        "hour_entries_changed": len(
            ask(severa, "IHourEntry.GetHourEntriesChangedSince", startDate=since["startDateTime"])
        ),
    }
    assert 0 < counts["severa"]["hour_entries_changed"] < counts["severa"]["hour_entries"]
    assert 0 < counts["severa"]["invoices_this_month"] < counts["severa"]["invoices"]


def test_customers_come_in_pages_of_a_hundred_at_most(severa) -> None:
    for _ in range(130):
        severa.sandbox.change_severa("account")

    pages = [
        ask(severa, "ICustomer.GetAllCustomers", options=2, startFromIndex=start, count=500) or []
        for start in (0, 100, 200)
    ]

    assert list(map(len, pages)) == [100, 50, 0]
    assert len({row["GUID"] for page in pages for row in page}) == 150


@pytest.mark.parametrize(
    ("name", "first", "count"),
    [
        ("IAccount.GetAllAccounts", "startFromIndex", "count"),
        ("IActivity.GetActivityInstances", "firstRow", "maxRows"),
    ],
)
def test_pages_put_together_are_the_whole(severa, name: str, first: str, count: str) -> None:
    whole = ask(severa, name, **{first: 0, count: 1_000}, **({"userGUID": None} if "Act" in name else {}))
    pages: list[Any] = []
    while page := ask(
        severa, name, **{first: len(pages), count: 7}, **({"userGUID": None} if "Act" in name else {})
    ):
        pages += page

    assert pages == whole
    assert len(pages) > 14


@pytest.mark.parametrize("start", [-1, -100])
def test_a_page_before_the_first_is_refused(severa, start: int) -> None:
    with pytest.raises(Fault):
        ask(severa, "ICustomer.GetAllCustomers", startFromIndex=start)


@pytest.mark.parametrize(
    "name",
    [
        "IHourEntry.GetHourEntriesByDate",
        "IHourEntry.GetHourEntriesChangedSince",
        "ICase.GetAllCases",
        "IUser.GetAllUsers",
        "IInvoice.GetInvoicesByDate",
        "IPhase.GetPhasesChangedSince",
        "ICustomer.GetAllCustomers",
        "IAccount.GetAllAccounts",
    ],
)
def test_a_narrow_user_gets_the_rows_of_one_unit_and_no_error(severa, name: str) -> None:
    everything = ask(severa, name)
    some = ask(severa, name, key=credentials.SEVERA_NARROW_KEY)

    assert 0 < len(some) < len(everything)
    assert [row for row in everything if row in some] == some
    units = Counter(row.get("BusinessUnitGUID", NARROW_BUSINESS_UNIT) for row in some)
    assert set(units) == {NARROW_BUSINESS_UNIT}


def test_what_a_narrow_user_may_not_see_is_not_found(severa) -> None:
    hidden = next(
        row for row in ask(severa, "IUser.GetAllUsers") if row["BusinessUnitGUID"] != NARROW_BUSINESS_UNIT
    )["GUID"]
    body = f"<v:userGUID>{hidden}</v:userGUID>"

    answer = severa.call("IUser.GetUserByGUID", body, key=credentials.SEVERA_NARROW_KEY)

    assert severa.fault(answer).type == "NotFoundException"


@pytest.mark.parametrize(
    ("name", "field", "form"),
    [
        ("IHourEntry.GetHourEntryByGUID", "hourEntryGUID", "fault"),
        ("ICase.GetCaseByGUID", "caseGuid", "fault"),
        ("IContact.GetContactByGUID", "contactGUID", "null"),
        ("IUser.GetUserByCode", "userCode", "null"),
        ("IPhase.GetPhasesByCaseGUID", "caseGUID", "empty"),
        ("IHourEntry.GetHourEntriesByCaseGUID", "caseGuid", "empty"),
        ("IItem.GetItemsByCaseGUID", "caseGUID", "empty"),
    ],
)
@pytest.mark.parametrize("wanted", [NOBODY, "no guid at all", "5e7e4a00-0020-4000-8000-zzzzzzzzzzzz"])
def test_nothing_found_differs_by_operation(severa, name: str, field: str, form: str, wanted: str) -> None:
    answer = severa.call(name, f"<v:{field}>{wanted}</v:{field}>")

    if form == "fault":
        assert severa.fault(answer).type == "NotFoundException"
        return
    result = etree.fromstring(answer.content).find("{*}Body/*/*")
    nil = result.get("{http://www.w3.org/2001/XMLSchema-instance}nil") == "true"
    assert (nil, len(result)) == (form == "null", 0)


@pytest.mark.parametrize(
    "name",
    [
        "IHourEntry.GetHourEntriesChangedSince",
        "ICase.GetCasesChangedSince",
        "IInvoice.GetInvoicesByDate",
        "IHourEntry.GetHourEntriesByDateAndUserGUID",
    ],
)
def test_a_mandatory_argument_that_is_missing_fails_the_validation(severa, name: str) -> None:
    assert severa.fault(severa.call(name)).type == "ValidationException"


def test_an_answer_of_sixty_four_mebibytes_can_be_asked_for(severa) -> None:
    severa.sandbox.settings(severa_hour_entries=20_000, severa_description_length=3_300)

    with severa_stream(severa) as answer:
        size = sum(len(piece) for piece in answer.iter_content(1 << 20))

    assert size > 64 << 20


def severa_stream(severa) -> requests.Response:
    name = "IHourEntry/GetHourEntriesByDate"
    headers = {"SOAPAction": f'"{SERVICE_NAMESPACE}{name}"', "Content-Type": "text/xml; charset=utf-8"}
    body = severa.envelope("GetHourEntriesByDate")
    return requests.post(severa.url, data=body, headers=headers, timeout=60, stream=True)
