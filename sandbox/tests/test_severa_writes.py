"""Severa's write operations: what they store, what they refuse, and who may not."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from zeep.exceptions import Fault

from visma_sandbox import credentials
from visma_sandbox.severa.contract import SERVICE_NAMESPACE, operations

TODAY = "2026-11-20"
MORNING = datetime(2026, 11, 20)


def guid(number: int, index: int = 0) -> str:
    return f"5e7e4a00-{number:04x}-4000-8000-{index + 1:012x}"


NOBODY = guid(1, 65_000)
HOUR: dict[str, Any] = {
    "Description": "Geüpload & wel <echt>\ntwee regels",
    "EventDate": datetime(2026, 11, 19),
    "PhaseGUID": guid(0x21, 4),
    "Quantity": Decimal("7.25"),
    "UserGUID": guid(1),
    "WorkTypeGUID": guid(0x15),
}


@pytest.fixture(autouse=True)
def fixed_day(sandbox) -> None:
    sandbox.settings(severa_today=TODAY)


def add(severa, **changes: Any) -> dict[str, Any]:
    entry = {name: value for name, value in {**HOUR, **changes}.items() if value is not ...}
    added: dict[str, Any] = severa.ask("IHourEntry.AddNewHourEntry", hourEntryInfo=entry)
    return added


def hour(severa, wanted: str) -> dict[str, Any]:
    found: dict[str, Any] = severa.ask("IHourEntry.GetHourEntryByGUID", hourEntryGUID=wanted)
    return found


def changed(severa, since: datetime = MORNING) -> list[dict[str, Any]]:
    return severa.ask("IHourEntry.GetHourEntriesChangedSince", startDate=since) or []


def detail(fault: pytest.ExceptionInfo[Fault]) -> tuple[str, str]:
    """The type of a fault, and which member it names."""
    (found,) = fault.value.detail
    return found.tag.rpartition("}")[2], found.findtext("{*}Description")


# -- hour entries


def test_an_entry_is_stored_as_it_was_sent_and_gets_a_guid(severa) -> None:
    added = add(severa)

    assert {name: added[name] for name in HOUR} == HOUR
    assert hour(severa, added["GUID"]) == added
    assert [row["GUID"] for row in changed(severa)] == [added["GUID"]]
    assert (added["CaseGUID"], added["AccountGUID"]) == (guid(0x20, 1), guid(2, 1))
    assert (added["IsBillable"], added["InvoiceGUID"], added["UnitPrice"]) == (True, None, Decimal(0))


def test_the_same_entry_twice_is_stored_twice(severa) -> None:
    first, second = add(severa), add(severa)

    assert first["GUID"] != second["GUID"]
    assert {**first, "GUID": None} == {**second, "GUID": None}
    assert severa.sandbox.counts()["severa"]["hour_entries"] == 2_000 + 2


@pytest.mark.parametrize("quantity", ["0.0001", "0.25", "999", "998.9999"])
def test_a_quantity_within_bounds_is_kept_to_the_digit(severa, quantity: str) -> None:
    assert add(severa, Quantity=Decimal(quantity))["Quantity"] == Decimal(quantity)


@pytest.mark.parametrize(
    ("changes", "member"),
    [
        ({"Quantity": Decimal(0)}, "Quantity"),
        ({"Quantity": Decimal("-1")}, "Quantity"),
        ({"Quantity": Decimal("999.01")}, "Quantity"),
        ({"Quantity": ...}, "Quantity"),
        ({"EventDate": ...}, "EventDate"),
        ({"PhaseGUID": ...}, "PhaseGUID"),
        ({"PhaseGUID": NOBODY}, "PhaseGUID"),
        ({"CaseGUID": NOBODY}, "CaseGUID"),
        ({"CaseGUID": guid(0x20, 7)}, "PhaseGUID"),
        ({"UserGUID": ...}, "UserGUID"),
        ({"UserGUID": NOBODY}, "UserGUID"),
        ({"UserGUID": "iemand"}, "UserGUID"),
        ({"WorkTypeGUID": ...}, "WorkTypeGUID"),
        ({"WorkTypeGUID": NOBODY}, "WorkTypeGUID"),
        ({"OverTimeGUID": NOBODY}, "OverTimeGUID"),
    ],
)
def test_an_entry_that_cannot_be_is_refused_by_name_and_not_stored(
    severa, changes: dict[str, Any], member: str
) -> None:
    with pytest.raises(Fault) as refused:
        add(severa, **changes)

    kind, description = detail(refused)
    assert (kind, description.partition(":")[0]) == ("ValidationException", f"HourEntry.{member}")
    assert NOBODY not in description
    assert changed(severa) == []


def test_an_entry_sent_in_another_letter_case_is_found_with_its_user(severa) -> None:
    added = add(severa, UserGUID=HOUR["UserGUID"].upper(), PhaseGUID=HOUR["PhaseGUID"].upper())

    day = {"startdate": HOUR["EventDate"], "enddate": HOUR["EventDate"]}
    rows = severa.ask("IHourEntry.GetHourEntriesByDateAndUserGUID", userGUID=HOUR["UserGUID"], **day)
    assert added["GUID"] in [row["GUID"] for row in rows]


def test_an_update_changes_what_is_sent_and_leaves_the_rest(severa) -> None:
    added = add(severa)

    updated = severa.ask(
        "IHourEntry.UpdateHourEntry", hourEntryInfo={"GUID": added["GUID"], "Quantity": Decimal("1.5")}
    )

    assert updated["Quantity"] == Decimal("1.5")
    assert hour(severa, added["GUID"]) == {**added, "Quantity": Decimal("1.5")}


def test_an_entry_moved_to_another_phase_moves_to_its_case(severa) -> None:
    added = add(severa)

    moved = severa.ask(
        "IHourEntry.UpdateHourEntry", hourEntryInfo={"GUID": added["GUID"], "PhaseGUID": guid(0x21, 20)}
    )

    assert (moved["CaseGUID"], moved["AccountGUID"]) == (guid(0x20, 6), guid(2, 6))


def test_an_update_of_what_was_there_before_is_a_change_at_the_sandbox_s_time(severa) -> None:
    severa.sandbox.settings(clock_offset=86_400.0 * 3650)
    free = guid(0x30, 1)
    severa.ask("IHourEntry.UpdateHourEntry", hourEntryInfo={"GUID": free, "Description": "later"})

    assert [row["GUID"] for row in changed(severa, datetime(2034, 1, 1))] == [free]


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"GUID": NOBODY, "Quantity": Decimal(1)}, "NotFoundException"),
        ({"GUID": guid(0x30, 1), "Quantity": Decimal(1_000)}, "ValidationException"),
        ({"GUID": guid(0x30, 1), "UserGUID": NOBODY}, "ValidationException"),
        ({"GUID": guid(0x30), "Quantity": Decimal(1)}, "ValidationException"),
    ],
)
def test_an_update_that_cannot_be_is_refused_and_changes_nothing(
    severa, changes: dict[str, Any], kind: str
) -> None:
    with pytest.raises(Fault) as refused:
        severa.ask("IHourEntry.UpdateHourEntry", hourEntryInfo=changes)

    assert detail(refused)[0] == kind
    assert changed(severa) == []


def test_a_deleted_entry_is_gone_and_reported_by_nothing(severa) -> None:
    added = add(severa)

    assert severa.ask("IHourEntry.DeleteHourEntry", hourEntryGUID=added["GUID"]) is True

    with pytest.raises(Fault) as missing:
        hour(severa, added["GUID"])
    assert detail(missing)[0] == "NotFoundException"
    assert changed(severa) == []
    assert severa.sandbox.counts()["severa"]["hour_entries"] == 2_000
    assert add(severa)["GUID"] != added["GUID"]


def test_an_invoiced_entry_cannot_be_deleted(severa) -> None:
    with pytest.raises(Fault) as refused:
        severa.ask("IHourEntry.DeleteHourEntry", hourEntryGUID=guid(0x30))

    assert detail(refused)[0] == "ValidationException"
    assert hour(severa, guid(0x30))["InvoiceGUID"]


# -- invoices


@pytest.mark.parametrize(
    ("operation", "arguments", "stored"),
    [
        ("SetInvoiceStatus", {"status": "Sent"}, {"InvoiceStatus": "Sent"}),
        (
            "SetInvoicePaymentDate",
            {"paymentDate": datetime(2026, 11, 19)},
            {"PaymentDate": datetime(2026, 11, 19), "PaymentStatus": "Paid"},
        ),
        (
            "SetInvoiceNumber",
            {"invoiceNumber": 77_001, "referenceNumber": "770017", "status": "Approved"},
            {"Number": 77_001, "ReferenceNumber": "770017", "InvoiceStatus": "Approved"},
        ),
    ],
)
def test_what_is_set_on_an_invoice_is_kept_and_counts_as_a_change(
    severa, operation: str, arguments: dict[str, Any], stored: dict[str, Any]
) -> None:
    draft = guid(0x40, 3)
    frame = {"businessUnitGUID": "", "startDate": datetime(2026, 11, 21), "endDate": datetime(2100, 1, 1)}
    assert severa.ask(f"IInvoice.{operation}", invoiceGUID=draft, **arguments) is None

    invoice = severa.ask("IInvoice.GetInvoiceByGUID", invoiceGUID=draft)
    assert {name: invoice[name] for name in stored} == stored
    rows = severa.ask("IInvoice.GetInvoicesByDate", options=0, **frame)
    assert [row["GUID"] for row in rows] == [draft]


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("SetInvoiceStatus", {"status": "Verdwenen"}),
        ("SetInvoiceStatus", {"status": None}),
        ("SetInvoiceNumber", {"invoiceNumber": 0, "referenceNumber": None, "status": None}),
    ],
)
def test_what_an_invoice_cannot_be_is_refused(severa, operation: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(Fault) as refused:
        severa.ask(f"IInvoice.{operation}", invoiceGUID=guid(0x40, 3), **arguments)

    assert detail(refused)[0] == "ValidationException"


def test_items_become_one_invoice_for_each_account(severa) -> None:
    items = [guid(0x22, 0), guid(0x22, 2), guid(0x22, 1)]  # of the cases 0, 1 and 0
    wanted = {"ItemGUIDs": {"string": items}, "Date": MORNING, "InvoiceStatus": "Draft"}

    invoices = severa.ask("IInvoice.CreateInvoices", invoiceInformation=wanted)

    assert [row["AccountGUID"] for row in invoices] == [guid(2, 0), guid(2, 1)]
    rows = [invoice["InvoiceRows"]["InvoiceRow"] for invoice in invoices]
    assert [[row["ItemGUIDs"]["string"][0] for row in each] for each in rows] == [
        [items[0], items[2]],
        [items[1]],
    ]
    item = severa.ask("IItem.GetItemByGUID", itemGUID=items[1])
    assert item["InvoiceGUID"] == invoices[1]["GUID"]
    origin = severa.ask("IInvoice.GetInvoiceOriginDetailsByInvoiceGUID", invoiceGUID=invoices[1]["GUID"])
    (row,) = origin["InvoiceRowOrigins"]["InvoiceOriginDetails.InvoiceRowOrigin"]
    assert row["Items"]["Item"] == [item]
    with pytest.raises(Fault) as refused:
        severa.ask("IInvoice.CreateInvoices", invoiceInformation=wanted)
    assert detail(refused)[0] == "ValidationException"


@pytest.mark.parametrize(
    "changes",
    [
        {"ItemGUIDs": None},
        {"ItemGUIDs": {"string": [NOBODY]}},
        {"ItemGUIDs": {"string": [guid(0x22), NOBODY]}},
        {"Date": None},
        {"InvoiceStatus": "Verdwenen"},
    ],
)
def test_invoices_that_cannot_be_created_leave_no_trace(severa, changes: dict[str, Any]) -> None:
    wanted = {"ItemGUIDs": {"string": [guid(0x22)]}, "Date": MORNING, "InvoiceStatus": "Draft"}

    with pytest.raises(Fault) as refused:
        severa.ask("IInvoice.CreateInvoices", invoiceInformation={**wanted, **changes})

    assert detail(refused)[0] == "ValidationException"
    assert severa.sandbox.counts()["severa"]["invoices"] == 100
    assert severa.ask("IItem.GetItemByGUID", itemGUID=guid(0x22))["InvoiceGUID"] is None


def test_items_are_added_together(severa) -> None:
    items = [{"CaseGUID": guid(0x20), "Name": "a"}, {"CaseGUID": guid(0x20), "Name": "b"}]

    added = severa.ask("IItem.AddNewItems", items={"Item": items})

    assert [row["Name"] for row in added] == ["a", "b"]
    assert severa.ask("IItem.GetItemsChangedSince", startDate=datetime(2026, 11, 21)) == added


def test_when_one_item_cannot_be_added_none_is(severa) -> None:
    items = [{"CaseGUID": guid(0x20), "Name": "a"}, {"CaseGUID": guid(0x20), "Name": None}]

    with pytest.raises(Fault) as refused:
        severa.ask("IItem.AddNewItems", items={"Item": items})

    assert detail(refused)[0] == "ValidationException"
    assert not severa.ask("IItem.GetItemsChangedSince", startDate=datetime(2026, 11, 21))


# -- cases and the rest


def test_a_new_case_gets_a_number_a_root_phase_and_the_unit_of_its_owner(severa) -> None:
    wanted = {"AccountGUID": guid(2), "CaseOwnerUserGUID": guid(1), "Name": "Nieuw – proef"}

    case = severa.ask("ICase.AddNewCase", caseInfo=wanted)

    assert {name: case[name] for name in wanted} == wanted
    assert case["CaseNumber"] == 1_050
    (phase,) = severa.ask("IPhase.GetPhasesByCaseGUID", caseGUID=case["GUID"])
    assert phase["GUID"] == case["RootTaskGUID"]
    assert add(severa, PhaseGUID=phase["GUID"])["CaseGUID"] == case["GUID"]
    owner = severa.ask("IUser.GetUserByGUID", userGUID=guid(1))
    assert case["BusinessUnitGUID"] == owner["BusinessUnitGUID"]


def test_a_closed_case_is_closed_for_everyone(severa) -> None:
    severa.ask("ICase.UpdateCase", caseInfo={"GUID": guid(0x20), "IsClosed": True})

    rows = severa.ask("ICase.GetCasesChangedSince", startDateTime=datetime(2026, 11, 21), options=2)
    assert [(row["GUID"], row["IsClosed"]) for row in rows] == [(guid(0x20), True)]


def test_a_disabled_user_is_inactive_until_enabled(severa) -> None:
    before = severa.sandbox.counts()["severa"]["active_users"]
    assert severa.ask("IUser.DisableUser", userGUID=guid(1)) is True
    assert severa.sandbox.counts()["severa"]["active_users"] == before - 1

    assert severa.ask("IUser.EnableUser", userGUID=guid(1)) is True
    assert severa.sandbox.counts()["severa"]["active_users"] == before


@pytest.mark.parametrize(
    ("name", "entity"),
    [
        ("IPhase.AddNewPhase", {"Name": "Extra", "CaseGUID": guid(0x20)}),
        ("IWorkType.AddNewWorkType", {"Name": "Nieuw"}),
        ("IProduct.AddNewTravelExpense", {"Name": "Parkeren", "Code": "T-9"}),
        ("IProductCategory.AddNewProductCategory", {"Name": "Overig"}),
        ("ICaseStatus.AddNewCaseStatus", {"Name": "Uitgesteld"}),
        ("IActivityType.AddNewActivityType", {"Name": "Borrel"}),
        ("ISalesProcess.AddNewSalesProcess", {"Name": "Onderhandeling"}),
        ("IUser.AddNewUser", {"FirstName": "Test", "LastName": "Nieuw"}),
        ("IAccount.AddNewAccount", {"Name": "Klant Nieuw"}),
        ("ICustomer.AddNewCustomer", {"Name": "Klant", "Email": "k@example.com"}),
        ("IContact.AddNewContact", {"LastName": "Nieuw", "AccountGUID": guid(2)}),
        ("IAddress.AddNewAddress", {"City": "Testdam", "Addressline": "Weg 1"}),
        ("IProduct.AddNewProduct", {"Name": "Nieuw", "UnitPrice": Decimal("1.25")}),
        ("IBusinessUnit.AddNewBusinessUnit", {"Name": "Filiaal"}),
        ("IItem.AddNewItem", {"Name": "Los", "CaseGUID": guid(0x20)}),
        ("IActivity.AddNewActivity", {"Name": "Koffie"}),
    ],
)
def test_what_is_added_can_be_read_back(severa, name: str, entity: dict[str, Any]) -> None:
    added = severa.ask(name, **{_first_parameter(name): entity})

    assert {member: added[member] for member in entity} == entity
    read = f"{name.replace('AddNew', 'Get')}ByGUID"
    found = severa.ask(read, **{_first_parameter(read): added["GUID"]})
    assert {member: found[member] for member in (*entity, "GUID")} == {**entity, "GUID": added["GUID"]}


def _first_parameter(name: str) -> str:
    return next(iter(operations()[f"{SERVICE_NAMESPACE}{name.replace('.', '/')}"].parameters))


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("IHourEntry.AddNewHourEntry", {"hourEntryInfo": HOUR}),
        ("IHourEntry.DeleteHourEntry", {"hourEntryGUID": guid(0x30, 1)}),
        ("IInvoice.SetInvoiceStatus", {"invoiceGUID": guid(0x40), "status": "Sent"}),
        ("ICase.UpdateCase", {"caseInfo": {"GUID": guid(0x20), "Name": "x"}}),
    ],
)
def test_a_narrow_user_may_write_nothing(severa, name: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(Fault) as refused:
        severa.ask(name, key=credentials.SEVERA_NARROW_KEY, **arguments)

    assert detail(refused)[0] == "NoPermissionException"
    assert changed(severa) == []


def test_a_reset_forgets_what_was_written(severa) -> None:
    before = severa.sandbox.counts()["severa"]
    add(severa)
    severa.ask("ICase.DeleteCase", caseGuid=guid(0x20))
    assert severa.sandbox.counts()["severa"] != before

    severa.sandbox.reset()
    severa.sandbox.settings(severa_today=TODAY)

    assert severa.sandbox.counts()["severa"] == before
