"""The small lists that every other entity points at: currencies, work types, statuses, products.

What must stay true: their order. A row's index is its GUID, and the other entities draw from these by index.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

from visma_sandbox.severa.changes import Entity, Table


class CodeList(Table):
    """A fixed table; rows can still be added and changed."""

    fixed: ClassVar[tuple[Mapping[str, Any], ...]]
    activity: ClassVar[bool] = True  # whether the contract gives the entity an IsActive

    def __len__(self) -> int:
        return len(self.fixed)

    def base(self, index: int) -> Entity:
        """The row at `index`."""
        active = {"IsActive": True} if self.activity else {}
        return {"GUID": self.guid(index), **active, **self.fixed[index]}


class Currencies(CodeList):
    """The organisation's currencies; the first is its own."""

    name, number = "Currency", 0x10
    fixed = (
        {"IsoCode": "EUR", "Rate": Decimal(1), "Symbol": "€"},
        {"IsoCode": "SEK", "Rate": Decimal("0.0893255"), "Symbol": "kr"},
        {"IsoCode": "GBP", "Rate": Decimal("1.1649"), "Symbol": "£"},
        {"IsoCode": "CHF", "Rate": Decimal("1.05"), "Symbol": "CHF", "IsActive": False},
    )


class Languages(CodeList):
    """The languages of invoices and users."""

    name, number = "Language", 0x11
    activity = False
    fixed = (
        {"IetfLanguageTag": "nl-NL", "Name": "Nederlands"},
        {"IetfLanguageTag": "fi-FI", "Name": "suomi"},
        {"IetfLanguageTag": "en-GB", "Name": "English"},
    )


class Countries(CodeList):
    """Some countries."""

    name, number = "Country", 0x12
    activity = False
    fixed = tuple(
        {
            "DefaultLanguageCode": language,
            "IsEu": eu,
            "IsoCodea2": short,
            "IsoCodea3": long,
            "Name": english,
            "TranslatedName": own,
        }
        for short, long, english, own, language, eu in (
            ("NL", "NLD", "Netherlands", "Nederland", "nl-NL", True),
            ("FI", "FIN", "Finland", "Suomi", "fi-FI", True),
            ("GB", "GBR", "United Kingdom", "United Kingdom", "en-GB", False),
            ("CH", "CHE", "Switzerland", "Schweiz", None, False),
        )
    )


class Timezones(CodeList):
    """Some time zones."""

    name, number = "Timezone", 0x13
    activity = False
    fixed = (
        {"DifferenceToGmt": Decimal(1), "Name": "Amsterdam", "SystemName": "W. Europe Standard Time"},
        {"DifferenceToGmt": Decimal(2), "Name": "Helsinki", "SystemName": "FLE Standard Time"},
    )


class OverTimes(CodeList):
    """Kinds of overtime."""

    name, number = "OverTime", 0x14
    fixed = tuple(
        {
            "Code": f"OT{percentage}",
            "IncludeInFlextime": flextime,
            "IsWorkTime": True,
            "Name": f"Overwerk {percentage} %",
            "Percentage": Decimal(percentage),
        }
        for percentage, flextime in ((50, True), (100, False), (200, None))
    )


class WorkTypes(CodeList):
    """Kinds of work; the last is no longer used."""

    name, number = "WorkType", 0x15
    fixed = tuple(
        {
            "Code": f"W{place:02d}",
            "IsDefault": place == 1,
            "IsProductive": productive,
            "Name": text,
            "IsActive": active,
        }
        for place, (text, productive, active) in enumerate(
            (
                ("Advies", True, True),
                ("Ontwerp & uitwerking", True, True),
                ("Projectleiding", True, True),
                ("Coördinatie", True, True),
                ("Työnjohto", True, True),
                ("Reistijd", False, True),
                ("Opleiding", False, True),
                ("Ziekte <oud>", False, False),
            ),
            start=1,
        )
    )


class ProductCategories(CodeList):
    """Kinds of products."""

    name, number = "ProductCategory", 0x16
    fixed = tuple(
        {"Code": f"C{place}", "IsDefault": place == 0, "Name": text}
        for place, text in enumerate(("Licenties", "Materiaal", "Diensten derden"))
    )


class Products(CodeList):
    """Forty products, of which every eighth is no longer sold."""

    name, number = "Product", 0x17
    fixed = tuple(
        {
            "Code": f"P-{place:03d}",
            "Description": None if place % 3 else f"Synthetisch product {place}\nTweede regel: ä ö ü €",
            "IsActive": place % 8 != 7,
            "MeasurementUnit": ("stk", "uur", "m²")[place % 3],
            "Name": f"Testproduct {place:03d}",
            "Type": "Product",
            "UnitCost": Decimal(place * 37 + 5) / 8,
            "UnitPrice": Decimal(place * 61 + 9) / 4,
            "UseInWorkTimeEntry": place % 5 == 0,
            "VAT": Decimal("21") if place % 2 else Decimal("25.5"),
        }
        for place in range(40)
    )

    def base(self, index: int) -> Entity:
        """The product at `index`, in one of the categories."""
        category = self.world.product_categories.guid(index % len(self.world.product_categories))
        return {**super().base(index), "ProductCategoryGUID": category}


class TravelExpenses(CodeList):
    """What travelling costs."""

    name, number = "TravelExpense", 0x18
    fixed = tuple(
        {
            "Code": f"T-{place}",
            "ExpenseClass": expense_class,
            "MeasurementUnit": unit,
            "Name": text,
            "Type": "TravelExpense",
            "UnitPrice": Decimal(price),
            "UseInWorkTimeEntry": False,
            "VAT": Decimal(0),
        }
        for place, (text, expense_class, unit, price) in enumerate(
            (
                ("Kilometers", "Mileage", "km", "0.23"),
                ("Dagvergoeding", "DailyAllowance", "dag", "51.00"),
                ("Trein", "Other", "stk", "18.40"),
            )
        )
    )


class InvoiceStatuses(CodeList):
    """The statuses an invoice goes through; an invoice names its status, so InvoiceStatus has no GUID."""

    name, number = "InvoiceStatus", 0x19
    fixed = tuple(
        {
            "Description": None if text != "Sent" else "Naar de klant verzonden",
            "HasInvoiceNumber": place > 0,
            "IsDefault": place == 0,
            "IsPaid": text == "Paid",
            "IsReadOnly": place > 1,
            "IsSent": place > 1,
            "IsWaitingPayment": text == "Sent",
            "Name": text,
            "SortOrder": place + 1,
        }
        for place, text in enumerate(("Draft", "Approved", "Sent", "Paid", "Credited"))
    )


class CaseStatuses(CodeList):
    """The statuses of a case."""

    name, number = "CaseStatus", 0x1A
    fixed = tuple(
        {"Icon": None, "Name": text, "IsActive": text != "Wacht"}
        for text in ("Offerte", "In uitvoering", "Wacht", "Gereed", "Gesloten")
    )


class SalesProcesses(CodeList):
    """The steps of a sale."""

    name, number = "SalesProcess", 0x1B
    fixed = tuple(
        {
            "DefaultProbability": probability,
            "IsAlsoItemStatus": False,
            "IsInProgress": text in ("Lead", "Offerte"),
            "IsLost": text == "Verloren",
            "IsOffer": text == "Offerte",
            "IsWon": text == "Gewonnen",
            "Name": text,
        }
        for text, probability in (("Lead", 10), ("Offerte", 50), ("Gewonnen", 100), ("Verloren", None))
    )


class Tags(CodeList):
    """Keywords of cases and of users."""

    name, number = "Tag", 0x1C
    fixed = tuple(
        {"Context": context, "Keyword": text, "Weight": place}
        for place, (context, text) in enumerate(
            (
                ("Case", "Onderhoud"),
                ("Case", "Übergabe"),
                ("Case", "Spoed & nazorg"),
                ("User", "Projectleider"),
                ("User", "Fins: päällikkö"),
            )
        )
    )


class ActivityTypes(CodeList):
    """Kinds of activities."""

    name, number = "ActivityType", 0x1D
    fixed = tuple(
        {
            "Category": category,
            "Code": f"A{place}",
            "IsDefault": place == 0,
            "IsPaidLeave": leave,
            "Name": text,
        }
        for place, (text, category, leave) in enumerate(
            (("Overleg", "CalendarEntry", None), ("Taak", "Task", None), ("Verlof", "Absence", True))
        )
    )
