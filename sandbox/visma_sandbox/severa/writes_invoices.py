"""The write operations about invoices.

What must stay true: an invoice is created from items that are on no other one, and only when all of them can
be invoiced.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from visma_sandbox.severa.changes import Entity
from visma_sandbox.severa.view import Answer, Read, View, mandatory
from visma_sandbox.severa.writes import given, index_of_given, invalid

_CENT: Final = Decimal("0.01")


def _set_invoice_status(view: View, arguments: Mapping[str, Any]) -> Answer:
    _change_invoice(view, arguments, {"InvoiceStatus": _status(view, arguments["status"])})
    return None


def _set_payment_date(view: View, arguments: Mapping[str, Any]) -> Answer:
    date = arguments["paymentDate"]
    status = "Unpaid" if date is None else "Paid"
    _change_invoice(view, arguments, {"PaymentDate": date, "PaymentStatus": status})
    return None


def _set_invoice_number(view: View, arguments: Mapping[str, Any]) -> Answer:
    number = arguments["invoiceNumber"]
    if not number or number < 1:
        raise invalid("invoiceNumber: must be 1 or more")
    changes = {"Number": number, "ReferenceNumber": arguments["referenceNumber"]}
    if arguments["status"]:
        changes["InvoiceStatus"] = _status(view, arguments["status"])
    _change_invoice(view, arguments, changes)
    return None


def _status(view: View, name: str | None) -> str:
    known = {row["Name"] for row in view.world.invoice_statuses.rows()}
    if name not in known:
        raise invalid(f"InvoiceStatus: unknown; one of {', '.join(sorted(known))}")
    return str(name)


def _change_invoice(view: View, arguments: Mapping[str, Any], changes: Entity) -> None:
    invoices = view.world.invoices
    invoices.update(index_of_given(view, invoices, arguments["invoiceGUID"]), changes, view.now)


def _log_entry(view: View, arguments: Mapping[str, Any]) -> Answer:
    index_of_given(view, view.world.invoices, arguments["invoiceGuid"])
    return None


def _create(view: View, arguments: Mapping[str, Any]) -> Answer:
    """One invoice for every account that the items' cases are of, as the vendor's reference has it."""
    wanted = given(arguments, "invoiceInformation")
    status, date = _status(view, wanted.get("InvoiceStatus")), mandatory("Date", wanted.get("Date"))
    by_account: dict[str, list[Entity]] = {}
    for guid in mandatory("ItemGUIDs", wanted.get("ItemGUIDs") or None):
        item = view.world.items.find(guid)
        case = view.world.cases.find(item.get("CaseGUID")) if item else None
        if item is None or case is None or item.get("InvoiceGUID"):
            raise invalid("ItemGUIDs: one is unknown or invoiced already")
        by_account.setdefault(case["AccountGUID"], []).append(item)
    shared = {"Date": date, "EntryDate": date, "InvoiceStatus": status, "PaymentStatus": "Unpaid"}
    due = wanted.get("DueDate") or date + timedelta(days=wanted.get("PaymentTerm") or 14)
    return iter(
        [
            _created(view, account, items, {**wanted, **shared, "DueDate": due})
            for account, items in by_account.items()
        ]
    )


def _created(view: View, account_guid: str, items: list[Entity], values: Entity) -> Entity:
    world = view.world
    account, case = world.accounts.find(account_guid) or {}, world.cases.find(items[0]["CaseGUID"]) or {}
    rows = [
        {
            "CaseGUIDs": [item["CaseGUID"]],
            "EventDate": values["Date"],
            "ItemGUIDs": [item["GUID"]],
            "articleName": item.get("Name"),
            "deliveredQuantity": item["Quantity"],
            "rowDeliveryDate": values["Date"],
            "rowNumber": place,
            "rowUnitPrice": item.get("UnitPrice"),
            "rowVatExcludedAmount": (item["Quantity"] * (item.get("UnitPrice") or 0)).quantize(_CENT),
        }
        for place, item in enumerate(items, start=1)
    ]
    invoice = world.invoices.add(
        {
            **{name: value for name, value in values.items() if name != "ItemGUIDs"},
            "AccountGUID": account_guid,
            "AccountName": account.get("Name"),
            "AccountNumber": account.get("Number"),
            "BusinessUnitGUID": case.get("BusinessUnitGUID"),
            "InvoiceRows": rows,
            "MainCaseGUID": case.get("GUID"),
            "Number": None,
        },
        view.now,
    )
    for item in items:
        index = index_of_given(view, world.items, item["GUID"])
        world.items.update(index, {"InvoiceGUID": invoice["GUID"], "IsReadOnly": True}, view.now)
    return invoice


WRITES: Final[Mapping[tuple[str, str], Read]] = {
    ("IInvoice", "SetInvoiceStatus"): _set_invoice_status,
    ("IInvoice", "SetInvoicePaymentDate"): _set_payment_date,
    ("IInvoice", "SetInvoiceNumber"): _set_invoice_number,
    ("IInvoice", "AddNewInvoiceLogEntry"): _log_entry,
    ("IInvoice", "CreateInvoices"): _create,
}
