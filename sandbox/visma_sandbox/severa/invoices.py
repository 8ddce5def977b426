"""The invoices of the last six months, with their rows.

What must stay true: an invoice and the hour entries on it name each other, in both directions by arithmetic;
and the totals are the sums of the rows.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from calendar import monthrange
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from visma_sandbox.severa.changes import GUID_FORM, Entity, Table
from visma_sandbox.severa.hours import ROWS_OF_HOURS
from visma_sandbox.severa.parties import COMPANIES

MONTHS: Final = 6
FIRST_NUMBER: Final = 10_001
PAID_AFTER: Final = timedelta(days=14)
_CENT: Final = Decimal("0.01")
_ROW_PREFIX: Final = GUID_FORM.format(number=0x41)
_UNITS: Final = len(COMPANIES) - 1  # the last company has nobody who could invoice


class Invoices(Table):
    """One for every person over six months, evenly. Every tenth is a draft; every twentieth a credit note."""

    name, number = "Invoice", 0x40

    def __len__(self) -> int:
        people = self.world.organisation.employees
        return max(2 * MONTHS, people) if people else 0

    def row_guid(self, number: int) -> str:
        """The GUID of an invoice row."""
        return f"{_ROW_PREFIX}{number + 1:012x}"

    def day(self, index: int) -> datetime:
        """The invoice's date; those of this month are not ahead of the sandbox's first day."""
        size, today = len(self), self.world.midnight
        month = index * MONTHS // size
        first, last = -(-month * size // MONTHS), -(-(month + 1) * size // MONTHS)
        year, past = divmod(today.year * 12 + today.month - MONTHS + month, 12)
        days = today.day if month == MONTHS - 1 else monthrange(year, past + 1)[1]
        return datetime(year, past + 1, 1 + (index - first) * days // (last - first))

    def between(self, start: datetime | None, end: datetime | None) -> range:
        """The computed invoices dated from `start` up to and with `end`; None is unbounded."""
        indexes = range(len(self))
        first = bisect_left(indexes, start, key=self.day) if start else 0
        last = bisect_right(indexes, end, key=self.day) if end else len(indexes)
        return range(first, last)

    def with_number(self, number: int | None) -> range:
        """The computed invoice that has this number, unless it is a draft; empty when there is none."""
        index = -1 if number is None else number - FIRST_NUMBER
        return range(index, index + 1) if 0 <= index < len(self) else range(0)

    def moments(self, index: int) -> tuple[datetime, datetime]:
        """On its date; what was paid changed two weeks later."""
        inserted = self.day(index) + timedelta(hours=9, minutes=self.bits(index) % 240)
        inserted = min(inserted, self.world.midnight)
        paid = inserted + PAID_AFTER
        return inserted, paid if self._status(index) == "Paid" else inserted

    def _status(self, index: int) -> str:
        if index % 10 == 3:
            return "Draft"
        if index % 20 == 7:
            return "Credited"
        paid = self.day(index) + timedelta(days=15) < self.world.midnight and self.bits(index) % 4
        return "Paid" if paid else "Sent"

    def base(self, index: int) -> Entity:
        """The invoice at `index`."""
        world, bits = self.world, self.bits(index)
        day, status = self.day(index), self._status(index)
        account = world.accounts.row(bits % len(world.accounts))
        case = world.cases.row(bits % len(world.accounts))
        number = None if status == "Draft" else FIRST_NUMBER + index
        rate = 21 if index % 2 else 24
        rows = list(self._rows(index, case, Decimal(rate)))
        net = sum((row["rowVatExcludedAmount"] for row in rows), Decimal(0))
        vat = sum((row["rowVatAmount"] for row in rows), Decimal(0))
        unit = 1 + bits % _UNITS
        due = day + timedelta(days=14)
        return {
            "AccountGUID": account["GUID"],
            "AccountName": account["Name"],
            "AccountNumber": account["Number"],
            "BusinessUnitCode": f"BU{unit:02d}",
            "BusinessUnitGUID": world.business_units.guid(unit),
            "BusinessUnitName": COMPANIES[unit - 1].name,
            "BuyerOrganization": _buyer(account["Name"], index),
            "Culture": "nl-NL",
            "CurrencyGUID": world.currencies.guid(0),
            "CurrencyName": "Euro €",
            "CurrencyRate": Decimal("1.000000"),
            "CurrencyShortform": "EUR",
            "Date": day,
            "Description": None if index % 4 else "Werkzaamheden volgens offerte\n2e regel – «bijlage»",
            "DueDate": due,
            "EntryDate": day,
            "GUID": self.guid(index),
            "InvoiceAllowedCaseGUIDs": [case["GUID"]],
            "InvoiceConfig": None,
            "InvoiceDetails": _details(day=day, due=due, number=number, net=net, vat=vat, rate=rate),
            "InvoiceNumberingBusinessUnitGUID": world.business_units.guid(0),
            "InvoiceRows": rows,
            "InvoiceStatus": status,
            "IsCreditNote": self.is_credit_note(index),
            "IsReimbursed": self.is_reimbursed(index),
            "IsTaxFree": False,
            "LanguageCode": "nl-NL",
            "LanguageGUID": world.languages.guid(0),
            "MainCaseGUID": case["GUID"],
            "Notes": None,
            "Number": number,
            "OrderNumber": case["OrderNumber"],
            "OverDueInterest": Decimal("8.05"),
            "PaymentDate": day + timedelta(days=14) if status == "Paid" else None,
            "PaymentStatus": "Paid" if status == "Paid" else "Unpaid",
            "PaymentTerm": 14,
            "ReceiverAddressline": f"Voorbeeldlaan {bits % 90 + 1}",
            "ReceiverCity": "Testdam",
            "ReceiverCountry": "Nederland",
            "ReceiverCustomerName": account["Name"],
            "ReceiverPostalCode": "0000 XX",
            "ReferenceNumber": None if number is None else f"{number}7",
            "ReimburseInvoiceGUID": self.guid(index - 1) if self.is_credit_note(index) else None,
            "SenderCity": "Voorbeeldhoven",
            "SenderCountry": "Nederland",
            "SenderName": COMPANIES[unit - 1].name,
            "Title": "Creditnota" if self.is_credit_note(index) else "Factuur",
            "YourReference": case["YourReference"],
            "NotesAfterInvoiceRows": "Met vriendelijke groet,\nTest & Co" if index % 3 == 0 else None,
            "NotesBeforeInvoiceRows": None,
        }

    def is_credit_note(self, index: int) -> bool:
        """Whether the computed invoice is a credit note: always of the invoice before it."""
        return index % 20 == 8

    def is_reimbursed(self, index: int) -> bool:
        """Whether the computed invoice was credited."""
        return index % 20 == 7

    def _rows(self, index: int, case: Mapping[str, Any], rate: Decimal) -> Iterator[Entity]:
        """Up to four rows of hours, and one of a product."""
        world = self.world
        hours = world.hour_entries.on_invoice(index)
        count = min(len(hours), ROWS_OF_HOURS)
        for place in range(count):
            start, stop = (-(-edge * len(hours) // count) for edge in (place, place + 1))
            entries = [world.hour_entries.base(each) for each in hours[start:stop]]
            quantity = sum((entry["Quantity"] for entry in entries), Decimal(0))
            price = entries[0]["UnitPrice"]
            values = {
                "CaseGUIDs": sorted({entry["CaseGUID"] for entry in entries}),
                "HourGUIDs": [entry["GUID"] for entry in entries],
                "MainUserGUID": entries[0]["UserGUID"],
                "PhaseGUIDs": sorted({entry["PhaseGUID"] for entry in entries}),
                "UserGUIDs": sorted({entry["UserGUID"] for entry in entries}),
                "articleName": "Gewerkte uren – advies",
                "deliveredQuantity": quantity,
                "quantityUnitCode": "h",
                "rowFreeText": entries[0]["Description"],
                "rowUnitPrice": price,
            }
            yield self._row(index, place, case=case, rate=rate, values=values)
        product = world.products.base(self.bits(index) % 40)
        values = {
            "CaseGUIDs": [case["GUID"]],
            "ProductGUIDs": [product["GUID"]],
            "articleIdentifier": product["Code"],
            "articleName": product["Name"],
            "deliveredQuantity": Decimal(1 + self.bits(index) % 5),
            "quantityUnitCode": product["MeasurementUnit"],
            "rowUnitPrice": product["UnitPrice"],
        }
        yield self._row(index, ROWS_OF_HOURS, case=case, rate=rate, values=values)

    def _row(
        self, index: int, place: int, *, case: Mapping[str, Any], rate: Decimal, values: Entity
    ) -> Entity:
        sign = -1 if self.is_credit_note(index) else 1
        net = (sign * values["deliveredQuantity"] * values["rowUnitPrice"]).quantize(_CENT)
        vat = (net * rate / 100).quantize(_CENT)
        lists = ("CaseGUIDs", "HourGUIDs", "ItemGUIDs", "PhaseGUIDs", "ProductGUIDs", "TravelExpenseGUIDs")
        currency = ("rowAmount", "rowVat", "rowVatExcluded", "unitPrice")
        return {
            **{name: [] for name in (*lists, "UserGUIDs")},
            **{f"{name}CurrencyIdentifier": "EUR" for name in currency},
            "EventDate": self.day(index),
            "GUID": self.row_guid(index * (ROWS_OF_HOURS + 1) + place),
            "MainCaseGUID": case["GUID"],
            "MainCaseName": case["Name"],
            "MainCaseNumber": case["CaseNumber"],
            "rowAmount": net + vat,
            "rowCostAmount": Decimal(0),
            "rowDeliveryDate": self.day(index),
            "rowNumber": place + 1,
            "rowSalesAccountNumber": "8000",
            "rowVatAmount": vat,
            "rowVatCode": "1",
            "rowVatExcludedAmount": net,
            "rowVatRatePercent": rate,
            "unitPriceAmount": values["rowUnitPrice"],
            **values,
        }

    def unit_guid(self, row: Mapping[str, Any]) -> str | None:
        """The invoice's business unit."""
        guid: str | None = row.get("BusinessUnitGUID")
        return guid


def _details(
    *, day: datetime, due: datetime, number: int | None, net: Decimal, vat: Decimal, rate: int
) -> Entity:
    return {
        "invoiceDate": day,
        "invoiceDueDate": due,
        "invoiceNumber": number,
        "invoiceTotalVatAmount": vat,
        "invoiceTotalVatExcludedAmount": net,
        "invoiceTotalVatIncludedAmount": net + vat,
        "invoiceTypeText": "INVOICE",
        "paymentOverDueFinePercent": Decimal("8.05"),
        "paymentTermsFreeText": "14 dagen netto",
        "vatBaseAmount": net,
        "vatRateAmount": vat,
        "vatRatePercent": rate,
    }


def _buyer(name: str, index: int) -> Entity:
    return {
        "buyerEmailaddressIdentifier": f"facturen.{index}@example.com",
        "buyerOrganisationName": name,
        "buyerPostalAddressDetails": {
            "country": "Nederland",
            "countryCode": "NL",
            "postCodeIdentifier": "0000 XX",
            "streetName": "Voorbeeldlaan",
            "townName": "Testdam",
        },
    }
