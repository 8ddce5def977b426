"""Severa's read operations: what they answer, to whom, and what changed since."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
import requests
from lxml import etree
from zeep.exceptions import Fault

from visma_sandbox import credentials
from visma_sandbox.severa import reads, reads_hours, reads_invoices, reads_work
from visma_sandbox.severa.access import NARROW_BUSINESS_UNIT
from visma_sandbox.severa.contract import SERVICE_NAMESPACE, operations

SINCE = datetime(2000, 1, 1)
TODAY = "2026-11-20"
NOBODY = "5e7e4a00-0001-4000-8000-00000000ffff"


def guid(number: int, index: int = 0) -> str:
    return f"5e7e4a00-{number:04x}-4000-8000-{index + 1:012x}"


USER, ACCOUNT, CASE, PHASE, ENTRY, INVOICE = (guid(number) for number in (1, 2, 0x20, 0x21, 0x30, 0x40))
# fmt: off
ARGUMENTS: dict[str, Any] = {
    "businessUnitGUID": "", "businessUnitGuid": guid(0), "businessUnitCode": "BU01",
    "rootBusinessUnitGuid": guid(0), "startDateTime": SINCE, "startDate": SINCE, "startdate": SINCE,
    "insertStartDate": SINCE, "endDate": datetime(2100, 1, 1), "enddate": datetime(2100, 1, 1),
    "insertEndDate": None, "options": 0, "userGUID": USER, "userGUIDs": {"string": [USER, guid(1, 1)]},
    "firstName": None, "lastName": None, "userCode": "500003", "includeInactive": True, "accountName": None,
    "accountNumber": 100, "accountGuid": ACCOUNT, "accountGUID": ACCOUNT, "vatNumber": "NL000000000B01",
    "companyGuid": guid(3), "startFromIndex": 0, "count": 100, "addressGUID": guid(4), "contactGUID": guid(6),
    "type": "EmailAddress", "value": "contact.0@example.com", "currencyGUID": guid(0x10),
    "currencyIsoCode": "EUR", "languageGUID": guid(0x11), "ietfLanguageTag": "nl-NL",
    "countryGUID": guid(0x12), "isoName": "FI", "countryName": "Finland", "timezoneGuid": guid(0x13),
    "overTimeGUID": guid(0x14), "productGUID": guid(0x17), "productCode": "P-003",
    "travelExpenseGUID": guid(0x18), "travelExpenseCode": "T-1", "productCategoryGUID": guid(0x16),
    "productCategoryCode": "C1", "workTypeGUID": guid(0x15), "tagGUID": guid(0x1C),
    "salesProcessGUID": guid(0x1B), "caseStatusGUID": guid(0x1A), "activityTypeGUID": guid(0x1D),
    "caseGuid": CASE, "caseGUID": CASE, "caseNumber": 1_000, "taskGuid": PHASE, "phaseGUID": PHASE,
    "phaseCode": "0.0", "onlyActive": True, "hourGUID": ENTRY, "hourEntryGUID": ENTRY, "inCreditNote": None,
    "itemGUID": guid(0x22), "poNumber": "PO-I00000", "activityGUID": guid(0x23),
    "salesStatusGUID": guid(0x24), "invoiceGUID": INVOICE, "invoiceGuid": INVOICE, "invoiceNumber": 10_001,
    "status": "Paid", "maxInvoices": 3, "invoiceNumberingBusinessUnitGUID": guid(0),
    "getAttachmentOnly": "All", "attachmentGuid": guid(0x42), "includeUnPaidAbsenses": True,
    "includeInfoForInactiveUser": True, "startsAfter": None, "startsBefore": None, "endsAfter": None,
    "endsBefore": None, "firstRow": 0, "maxRows": 5,
}
# fmt: on
ARGUMENTS_OF: dict[str, dict[str, Any]] = {
    "IAccount.GetAccountsChangedSinceOpts": {"options": "IncludeInactive"},
    "IAccount.GetAllAccounts": {"options": "None"},
    "IActivity.GetActivityInstances": {"caseGUID": None, "accountGUID": None, "activityTypeGUID": None},
}
READS = sorted(
    ".".join(key) for part in (reads, reads_work, reads_hours, reads_invoices) for key in part.READS
)


def arguments(name: str) -> dict[str, Any]:
    wanted = dict(ARGUMENTS)
    if "WorkDayInfo" in name or "TimeEntriesByDate" in name:
        wanted |= {"startdate": datetime(2026, 9, 1), "enddate": datetime(2026, 9, 30)}
        wanted |= {"eventDate": datetime(2026, 9, 15)}
    parameters = operations()[f"{SERVICE_NAMESPACE}{name.replace('.', '/')}"].parameters
    return {parameter: {**wanted, **ARGUMENTS_OF.get(name, {})}[parameter] for parameter in parameters}


@pytest.fixture(autouse=True)
def fixed_day(sandbox) -> None:
    sandbox.settings(severa_today=TODAY)


@pytest.fixture(autouse=True)
def _a_few_hundred_hours(severa) -> None:
    """Most of the time of these tests is zeep's, for each row."""
    severa.sandbox.settings(severa_hour_entries=800)


def ask(severa, name: str, **changes: Any) -> Any:
    return severa.ask(name, **{**arguments(name), **changes})


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
    served = requests.get(f"{severa.sandbox.url}/_control/severa/operations", timeout=5).json()

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


# -- what changed since


@pytest.mark.parametrize(
    ("since", "found"),
    [
        ("2026-11-21T10:00:29", True),
        ("2026-11-21T10:00:31", False),
        ("2026-11-21T10:01:00", False),
        ("2026-11-21T09:59:31", True),
        ("2026-11-20T00:00:00", True),
    ],
)
def test_changed_since_compares_with_the_closest_minute_of_its_start(severa, since: str, found: bool) -> None:
    severa.sandbox.change_severa(
        "hour_entry", ENTRY, changes={"Description": "laat"}, at="2026-11-21T10:00:45"
    )

    changed = ask(severa, "IHourEntry.GetHourEntriesChangedSince", startDate=datetime.fromisoformat(since))

    assert [row["GUID"] for row in changed or ()] == ([ENTRY] if found else [])


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        ("case", 0x20),
        ("user", 1),
        ("account", 2),
        ("contact", 6),
        ("phase", 0x21),
        ("product", 0x17),
        ("work_type", 0x15),
    ],
)
def test_a_change_is_reported_once_it_happened_and_by_the_operation_of_its_kind(
    severa, kind: str, number: int
) -> None:
    contract = f"i{kind.replace('_', '')}."
    name = next(each for each in READS if each.lower().startswith(contract) and "ChangedSince" in each)
    start = {"startDateTime": datetime(2026, 11, 22, 9), "options": 2, "accountGUID": ""}
    wanted = {parameter: start[parameter] for parameter in arguments(name).keys() & start.keys()}
    assert not ask(severa, name, **wanted)

    severa.sandbox.change_severa(kind, guid(number, 1), at="2026-11-22T11:30:00+02:00")

    assert [row["GUID"] for row in ask(severa, name, **wanted)] == [guid(number, 1)]


def test_a_deletion_is_reported_by_no_operation(severa) -> None:
    everything = len(ask(severa, "IHourEntry.GetHourEntriesByDate"))

    severa.sandbox.change_severa("hour_entry", ENTRY, delete=True, at="2026-11-21T10:00:00")

    assert not ask(severa, "IHourEntry.GetHourEntriesChangedSince", startDate=datetime(2026, 11, 21))
    assert len(ask(severa, "IHourEntry.GetHourEntriesByDate")) == everything - 1
    with pytest.raises(Fault, match="ound"):
        ask(severa, "IHourEntry.GetHourEntryByGUID")


def test_a_changed_entry_is_found_on_its_new_day_and_not_on_its_old_one(severa) -> None:
    old = ask(severa, "IHourEntry.GetHourEntryByGUID")["EventDate"]
    new = old + timedelta(days=30)

    severa.sandbox.change_severa("hour_entry", ENTRY, changes={"EventDate": new.isoformat()})

    def is_found(day: datetime) -> bool:
        rows = ask(severa, "IHourEntry.GetHourEntriesByDate", startdate=day, enddate=day)
        return any(row["GUID"] == ENTRY for row in rows or ())

    assert (is_found(old), is_found(new)) == (False, True)


def test_what_was_computed_does_not_age_when_the_clock_moves(severa) -> None:
    before = ask(severa, "IHourEntry.GetHourEntriesChangedSince", startDate=SINCE)

    severa.sandbox.settings(clock_offset=40 * 86_400)

    assert ask(severa, "IHourEntry.GetHourEntriesChangedSince", startDate=SINCE) == before


def test_a_change_without_a_moment_happens_by_the_sandbox_s_clock(severa) -> None:
    severa.sandbox.settings(clock_offset=86_400 * 365)
    changed = severa.sandbox.change_severa("hour_entry")

    start = datetime.fromisoformat(changed["changed_at"]) - timedelta(days=300)
    assert [row["GUID"] for row in ask(severa, "IHourEntry.GetHourEntriesChangedSince", startDate=start)] == [
        changed["guid"]
    ]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("shoe", {}),
        ("hour_entry", {"guid": NOBODY}),
        ("hour_entry", {"changes": {"Shoes": 1}}),
        ("hour_entry", {"changes": {"EventDate": "yesterday"}}),
        ("hour_entry", {"changes": {"Quantity": "many"}}),
        ("hour_entry", {"delete": True}),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(severa, kind: str, body: dict[str, Any]) -> None:
    answer = requests.post(
        f"{severa.sandbox.url}/_control/severa/change", json={"kind": kind, **body}, timeout=5
    )

    assert (answer.status_code, bool(answer.text)) == (400, True)


# -- option bits


@pytest.mark.parametrize(
    ("options", "share"),
    [
        (2, 1.0),
        (2 | 16, 0.04),
        (2 | 32, 0.9),
        (2 | 64, 0.1),
        (2 | 32 | 64, 0.0),
        (0, 0.9),
        (4 | 2, 0.9),
    ],
)
def test_the_options_of_changed_cases_leave_out_what_they_say(severa, options: int, share: float) -> None:
    found = ask(severa, "ICase.GetCasesChangedSince", options=options) or []

    assert len(found) == pytest.approx(50 * share)


def test_a_change_made_in_severa_itself_shows_in_the_row(severa) -> None:
    severa.sandbox.change_severa("case", CASE, changes={"Name": "anders"}, at="2026-11-21T12:00:00")
    added = severa.sandbox.change_severa("hour_entry", changes={"Quantity": "1.5"})["guid"]

    case = ask(severa, "ICase.GetCaseByGUID")
    entry = ask(severa, "IHourEntry.GetHourEntryByGUID", hourEntryGUID=added)
    assert (case["Name"], case["UpdatedTs"]) == ("anders", datetime(2026, 11, 21, 12))
    assert (str(entry["Quantity"]), entry["InvoiceGUID"], entry["IsReadOnly"]) == ("1.5", None, False)


def test_a_guid_is_never_changed(severa) -> None:
    severa.sandbox.change_severa("case", CASE, changes={"GUID": NOBODY, "Name": "anders"})

    assert (ask(severa, "ICase.GetCaseByGUID")["GUID"], ask(severa, "ICase.GetCaseByGUID")["Name"]) == (
        CASE,
        "anders",
    )


@pytest.mark.parametrize("days", [1, 3, 20, 60, 130])
def test_every_invoice_changed_in_a_frame_is_in_it(severa, days: int) -> None:
    found = []
    frames = min(220 // days + 1, 30)
    end = datetime(2026, 12, 1)
    for step in range(frames):
        start = end - timedelta(days=days * (step + 1))
        frame = {"startDate": start, "endDate": start + timedelta(days=days, minutes=-1)}
        found += [row["GUID"] for row in ask(severa, "IInvoice.GetInvoicesByDate", **frame) or ()]

    together = {"startDate": start} if days * frames < 220 else {}
    assert found
    assert sorted(found) == sorted(
        row["GUID"] for row in ask(severa, "IInvoice.GetInvoicesByDate", **together)
    )


def test_new_only_leaves_out_what_was_only_changed(severa) -> None:
    severa.sandbox.change_severa("case", CASE, changes={"Name": "anders"}, at="2026-11-21T12:00:00")
    added = severa.sandbox.change_severa("case", at="2026-11-21T12:00:00")["guid"]
    start = {"startDateTime": datetime(2026, 11, 21)}

    both = ask(severa, "ICase.GetCasesChangedSince", options=2, **start)
    new = ask(severa, "ICase.GetCasesChangedSince", options=3, **start)

    assert ([row["GUID"] for row in both], [row["GUID"] for row in new]) == ([CASE, added], [added])


@pytest.mark.parametrize(("options", "found"), [(2, 0), (2 | 64, 0), (2 | 128, 1), (2 | 224, 1)])
def test_an_account_counts_as_changed_through_its_contacts_only_when_asked(
    severa, options: int, found: int
) -> None:
    severa.sandbox.change_severa("contact", guid(6), changes={"JobTitle": "CEO"}, at="2026-11-21T12:00:00")

    changed = ask(
        severa, "IAccount.GetAccountsChangedSince", startDateTime=datetime(2026, 11, 21), options=options
    )

    assert len(changed or ()) == found


@pytest.mark.parametrize(
    ("by", "frame", "options", "found"),
    [
        ("changes", ("2026-11-21T10:00", "2026-11-21T10:00"), 0, True),
        ("changes", ("2026-11-21T10:01", "2026-11-21T10:05"), 0, False),
        ("changes", ("2026-11-21T10:00", "2026-11-21T10:00"), 1, False),
        ("invoice_date", ("2026-11-21T10:00", "2026-11-21T10:00"), 0, False),
        ("invoice_date", ("2026-06-01T00:00", "2026-06-01T00:00"), 0, True),
    ],
)
def test_invoices_by_date_go_by_when_they_changed(
    severa, by: str, frame: tuple[str, str], options: int, found: bool
) -> None:
    severa.sandbox.settings(severa_invoice_dates=by)
    severa.sandbox.change_severa(
        "invoice", INVOICE, changes={"Notes": "x", "Date": "2026-06-01T00:00:00"}, at="2026-11-21T10:00:59"
    )
    start, end = map(datetime.fromisoformat, frame)

    rows = ask(severa, "IInvoice.GetInvoicesByDate", startDate=start, endDate=end, options=options)

    assert (INVOICE in [row["GUID"] for row in rows or ()]) == found


@pytest.mark.parametrize(
    ("unit", "options", "all_of_them"), [("", 0, True), (guid(0), 0, True), (guid(0), 16, False)]
)
def test_invoices_of_a_unit_are_those_of_the_units_below_it_too_unless_told(
    severa, unit: str, options: int, all_of_them: bool
) -> None:
    rows = ask(severa, "IInvoice.GetInvoicesByDate", businessUnitGUID=unit, options=options)

    assert bool(rows) == all_of_them
    assert len(rows or ()) in (0, severa.sandbox.counts()["severa"]["invoices"])


def test_invoices_by_status_come_at_most_as_many_as_asked(severa) -> None:
    some = ask(severa, "IInvoice.GetInvoicesByStatus", maxInvoices=3)
    rest = ask(severa, "IInvoice.GetInvoicesByStatus", maxInvoices=None)

    assert (len(some), {row["InvoiceStatus"] for row in rest}) == (3, {"Paid"})
    assert len(rest) > 3


# -- paging


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


# -- rights, and nothing found


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
