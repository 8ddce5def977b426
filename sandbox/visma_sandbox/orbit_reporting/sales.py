"""Invoices, and the sales pipeline with its contacts and labels."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from visma_sandbox.orbit_reporting.edm import NAMESPACE, Column, Row, Value
from visma_sandbox.orbit_reporting.projects import COMPANIES, NOTES, project, user_id
from visma_sandbox.orbit_reporting.reports import FIRST_KEY, LAST_MONDAY, Report, identifier
from visma_sandbox.people import mix

_STATUSES: Final = (
    "Concept",
    "Verzonden",
    "Betaald",
    "Betaald",
    "Betaald",
    "Herinnerd",
    "Oninbaar",
    "Betaald",
)
_CURRENCIES: Final = (("EUR", "1"), ("EUR", "1"), ("EUR", "1"), ("USD", "0.9234567"))
_STAGES: Final = ("Lead", "Offerte", "Onderhandeling", "Gewonnen", "Verloren")
_CHANCES: Final = ("0.1", "0.25", "0.5", "1", "0")
_LABELS: Final = ("bouw", "zorg & welzijn", "", "2026", "<spoed>")
_EVENINGS: Final = ("09:15:00+02:00", "17:45:30.5+01:00", "23:59:59.9999999Z", "00:00:00-11:30")


class Invoices(Report):
    """The invoices of two years, paid or not."""

    id = "RP3FJ8N5C6VD1BY"
    title = "Facturen"
    per_employee = 6
    columns = (
        Column("InvoiceKey", "Edm.Int64", nullable=False),
        Column("InvoiceID", nullable=False),
        Column("Number", "Edm.Int32"),
        Column("ProjectNumber"),
        Column("CompanyName"),
        Column("InvoiceDate", "Edm.DateTime"),
        Column("DueDate", "Edm.DateTime"),
        Column("PaidAt", "Edm.DateTimeOffset"),
        Column("AmountExVat", "Edm.Decimal"),
        Column("Vat", "Edm.Decimal"),
        Column("Currency"),
        Column("ExchangeRate", "Edm.Double"),
        Column("Status"),
        Column("IsCredit", "Edm.Boolean"),
        Column("Remark"),
    )

    def row(self, index: int) -> Row:
        """An entry for an invoice."""
        bits = mix(self.seed + 201, index)
        work = project(self.seed, bits % (self.organisation.employees // 5 + 3))
        day = LAST_MONDAY - timedelta(days=(len(self) - 1 - index) * 728 // len(self))
        cents = (bits >> 20) % 5_000_000
        credit = bits >> 44 & 15 == 0
        sign = "-" if credit and cents else ""
        vat = cents * 21
        currency, rate = _CURRENCIES[bits >> 48 & 3]
        status = _STATUSES[bits >> 50 & 7]
        paid = day + timedelta(days=(bits >> 53) % 60)
        return (
            str(FIRST_KEY + index),
            identifier("FA", self.seed + 201, index),
            str(2024_0000 + index),
            work.number,
            work.company,
            f"{day}T00:00:00",
            f"{day + timedelta(days=30)}T00:00:00",
            f"{paid}T{_EVENINGS[bits >> 56 & 3]}" if status == "Betaald" else None,
            f"{sign}{cents // 100}.{cents % 100:02d}",
            f"{sign}{vat // 10_000}.{vat % 10_000:04d}",
            currency,
            rate,
            status,
            "true" if credit else "false",
            NOTES[bits >> 58 & 7],
        )


class SalesPipeline(Report):
    """The deals. A contact is a complex value and labels are a collection: the feed is of version 3."""

    id = "RPQ5Z1R8GEAW6SU"
    title = "Verkoopkansen"
    per_employee = 3
    columns = (
        Column("DealKey", "Edm.Int64", nullable=False),
        Column("DealID", nullable=False),
        Column("Title"),
        Column("CompanyName"),
        Column("OwnerID"),
        Column("OwnerName"),
        Column("Stage"),
        Column("Probability", "Edm.Single"),
        Column("Value", "Edm.Decimal"),
        Column("ExpectedClose", "Edm.DateTime"),
        Column("Contact", f"{NAMESPACE}.Contact"),
        Column("Labels", "Collection(Edm.String)", nullable=False),
        Column("Age", "Edm.Time"),
        Column("ExternalID", "Edm.Guid"),
    )

    def row(self, index: int) -> Row:
        """An entry for a deal."""
        bits = mix(self.seed + 301, index)
        owner = (bits >> 8) % self.organisation.employees
        stage = (bits >> 24) % 5
        closes = LAST_MONDAY + timedelta(days=(bits >> 28) % 365)
        labels = [_LABELS[(bits >> 34 + place) % 5] for place in range((bits >> 32) % 4)]
        return (
            str(FIRST_KEY + index),
            identifier("DE", self.seed + 301, index),
            f"Kans {index + 1}",
            COMPANIES[(bits >> 40) % len(COMPANIES)],
            user_id(self.seed, owner),
            self.user_name(owner),
            _STAGES[stage],
            _CHANCES[stage],
            f"{(bits >> 44) % 1_000_000}.{bits % 100:02d}" if bits >> 61 else None,
            f"{closes}T00:00:00" if bits >> 58 & 3 else None,
            self._contact(index, bits),
            labels,
            f"P{bits % 400}DT{bits % 24}H{bits % 60}M{bits % 59}.{bits % 10_000_000:07d}S",
            f"{bits & 0xFFFFFFFF:08x}-{bits >> 32 & 0xFFFF:04x}-4000-8000-{index:012x}",
        )

    def _contact(self, index: int, bits: int) -> Value:
        if bits >> 36 & 7 == 0:
            return None
        street = None if bits >> 39 & 1 else ("Voorbeeldstraat", str(bits % 300), "Testdam")
        return (f"Contact {index + 1}", f"contact.{index}@example.com", "2024-02-29T00:00:00", street)
