"""The hour entries: any number of them, in the order of their days.

What must stay true: the computed entries are spread evenly over the working days, so a range of days is a
range of indexes; and every one of them was last changed before the day on which the sandbox started, so that
only what a test or a caller does counts as changed since.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from visma_sandbox.severa.changes import Entity, Table
from visma_sandbox.severa.projects import PHASES_PER_CASE

PER_EMPLOYEE: Final = 20
WINDOW_DAYS: Final = 182
LATEST_CHANGE: Final = timedelta(days=7)  # after the start of an entry's day, amply
MAX_QUANTITY: Final = 999
ROWS_OF_HOURS: Final = 4

# fmt: off
_QUANTITIES: Final = tuple(map(Decimal, (
    "7.5", "8", "0.25", "3.75", "1.3333", "6.50", "4", "2.675",
    "8.00", "7.50", "5.5", "0.1", "7.25", "8", "4", "9",
)))
# fmt: on
_PRICES: Final = tuple(Decimal("82.5") + place * Decimal("1.2345") for place in range(64))
_COSTS: Final = tuple(Decimal("41.0075") + place * Decimal("0.75") for place in range(16))
_TEXTS: Final = (
    "Overleg met de opdrachtgever",
    "Uitwerking & controle van het ontwerp",
    None,
    "Työmaakäynti – mittaukset",
    "Reistijd <enkele reis>",
    "Storing opgelost:\n- oorzaak gezocht\n- onderdeel vervangen à € 12,50",
    "Voorbereiding «fase 2»; zie ook 'notities'",
    "Übergabe an das Team",
)


@lru_cache(maxsize=4)
def _working_days(today: datetime) -> tuple[datetime, ...]:
    window = (today - timedelta(days=ago) for ago in range(WINDOW_DAYS, 0, -1))
    return tuple(day for day in window if day.weekday() < 5)


class HourEntries(Table):
    """Hours worked on a phase of a case. HourEntry has no UpdatedTS: when one changed is not to be seen."""

    name, number = "HourEntry", 0x30

    def __len__(self) -> int:
        people = self.world.organisation.employees
        wanted = int(self.world.settings["severa_hour_entries"])
        return (wanted or PER_EMPLOYEE * people) if people else 0

    @property
    def days(self) -> tuple[datetime, ...]:
        """The working days of the last half year, up to yesterday."""
        return _working_days(self.world.midnight)

    def between(self, start: datetime | None, end: datetime | None) -> range:
        """The computed entries whose day is from `start` up to and with `end`; None is unbounded."""
        size, days = len(self), self.days
        first = sum(day < start for day in days) if start else 0
        last = sum(day <= end for day in days) if end else len(days)
        return range(-(-first * size // len(days)), -(-last * size // len(days)))

    def maybe_changed_since(self, start: datetime) -> range:
        """The computed entries worth looking at for what changed since `start`."""
        earliest = self.days[0]
        return self.between(max(start, earliest + LATEST_CHANGE) - LATEST_CHANGE, None)

    def user(self, index: int) -> int:
        """The index of the user who worked the computed entry."""
        return self.bits(index) % self.world.organisation.employees

    def base(self, index: int) -> Entity:
        """The entry at `index`."""
        world, bits = self.world, self.bits(index)
        user = bits % world.organisation.employees
        case = (user * 7 + (bits >> 48) % 4) % len(world.cases)
        text = _TEXTS[(bits >> 20) & 7]
        length = self.world.settings["severa_description_length"]
        if length:
            text = ((text or "–") + " ") * (length // len(text or "–") + 1)
            text = text[:length]
        quantity = _QUANTITIES[(bits >> 24) & 15]
        price = _PRICES[(bits >> 28) & 63]
        invoice, row = self.invoiced(index)
        timed = (bits >> 50) & 7 == 0
        days = self.days
        day = days[index * len(days) // len(self)]
        return {
            "AccountGUID": world.accounts.guid(case % len(world.accounts)),
            "CaseGUID": world.cases.guid(case),
            "Description": text,
            "EndTime": day + timedelta(hours=17) if timed else None,
            "EventDate": day,
            "GUID": self.guid(index),
            "InvoiceDescription": None,
            "InvoiceGUID": None if invoice is None else world.invoices.guid(invoice),
            "InvoiceQuantity": None if invoice is None else quantity,
            "InvoiceRowGUID": None if row is None else world.invoices.row_guid(row),
            "IsApproved": None if bits & 0x1C000 == 0 else invoice is not None,
            "IsBillable": bits & 0x3000 != 0,
            "IsProductive": True,
            "IsReadOnly": invoice is not None,
            "OverTimeGUID": world.overtimes.guid(0) if bits & 0x3E000000000 == 0 else None,
            "PhaseGUID": world.phases.guid(case * PHASES_PER_CASE + (bits >> 40) % PHASES_PER_CASE),
            "Quantity": quantity,
            "StartTime": day + timedelta(hours=9) if timed else None,
            "TaskGUID": None,
            "UnitCost": _COSTS[(bits >> 34) & 15],
            "UnitPrice": price,
            "UnitPriceInBaseCurrency": price,
            "UserGUID": world.users.guid(user),
            "WorkTypeGUID": world.work_types.guid((bits >> 44) % 7),
        }

    def template(self) -> Entity:
        """An entry that is on no invoice."""
        free = {"InvoiceGUID": None, "InvoiceRowGUID": None, "InvoiceQuantity": None, "IsReadOnly": False}
        return {**super().template(), **free}

    def moments(self, index: int) -> tuple[datetime, datetime]:
        """In the evening of its day; every sixteenth was changed up to four days later."""
        bits = self.bits(index)
        days = self.days
        day = days[index * len(days) // len(self)]
        inserted = day + timedelta(hours=17, minutes=bits % 120)
        if (bits >> 8) & 15:
            return inserted, inserted
        changed = inserted + timedelta(days=1 + (bits >> 12) % 4)
        return inserted, min(changed, self.world.midnight - timedelta(minutes=1))

    def invoiced(self, index: int) -> tuple[int | None, int | None]:
        """The invoice and the row number that the computed entry is on; every fourth older one is on one."""
        total = self._invoiced_total()
        place, rest = divmod(index, 4)
        if rest or place >= total:
            return None, None
        invoice = place * len(self.world.invoices) // total
        placed = self.on_invoice(invoice)
        row = (index - placed.start) // 4 * min(len(placed), ROWS_OF_HOURS) // len(placed)
        return invoice, invoice * (ROWS_OF_HOURS + 1) + row

    def on_invoice(self, invoice: int) -> range:
        """The computed entries on a computed invoice."""
        total, invoices = self._invoiced_total(), len(self.world.invoices)
        if invoice >= invoices:
            return range(0)
        return range(-(-invoice * total // invoices) * 4, -(-(invoice + 1) * total // invoices) * 4, 4)

    def _invoiced_total(self) -> int:
        return len(self) * 3 // 16

    def unit_guid(self, row: Mapping[str, Any]) -> str | None:
        """The business unit of the user who worked."""
        return self.world.users.unit_of(row.get("UserGUID"))
