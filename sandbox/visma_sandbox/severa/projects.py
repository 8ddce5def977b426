"""What is worked on: cases, phases, items and activities.

What must stay true: which index belongs to which is arithmetic (case ``i`` is of account ``i % accounts`` and
has the phases ``3 * i`` to ``3 * i + 2``), so that "those of a case" never searches.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from visma_sandbox.severa.changes import Entity, Table

PHASES_PER_CASE: Final = 3
ITEMS_PER_CASE: Final = 2
_WON, _LEAD = 2, 0
_CASES: Final = ("Renovatie", "Onderhoud & beheer", "Migratie «fase 2»", "Käyttöönotto", "Advies €")
_PHASES: Final = ("Voorbereiding", "Uitvoering", "Oplevering")


class Cases(Table):
    """One for every two people. Every tenth is closed, every fifth was never won."""

    name, number = "Case", 0x20

    def __len__(self) -> int:
        people = self.world.organisation.employees
        return max(6, people // 2) if people else 0

    def account(self, index: int) -> int:
        """The index of the case's account."""
        return index % len(self.world.accounts)

    def owner(self, index: int) -> int:
        """The index of the user who owns the case."""
        return (self.bits(index) >> 8) % self.world.organisation.employees

    def base(self, index: int) -> Entity:
        """The case at `index`."""
        world, bits = self.world, self.bits(index)
        inserted, changed = self.moments(index)
        account = world.accounts.row(self.account(index))
        owner = world.users.guid(self.owner(index))
        unit = world.users.unit_of(owner)
        closed, won = index % 10 == 9, self.is_won(index)
        status = 4 if closed else bits % 2 if won else 0
        return {
            "AccountGUID": account["GUID"],
            "AccountName": account["Name"],
            "AccountNumber": account["Number"],
            "BillingAddressGUID": world.addresses.guid(self.account(index)),
            "BillingNotesBeforeGrid": None,
            "BusinessUnitGUID": unit,
            "BusinessUnitName": (world.business_units.find(unit) or {}).get("Name"),
            "CaseNumber": None if index % 15 == 14 else 1_000 + index,
            "CaseOwnerUserGUID": owner,
            "ClosedDate": changed.replace(hour=0, minute=0, second=0) if closed else None,
            "CompletionEstimate": bits % 101,
            "ContactGUID": world.contacts.guid(2 * self.account(index)),
            "CurrencyGUID": world.currencies.guid(0),
            "CurrencyShortform": "EUR",
            "CurrentCaseStatusDescription": world.case_statuses.base(status)["Name"],
            "CurrentCaseStatusGUID": world.case_statuses.guid(status),
            "CurrentCaseStatusInsertTs": changed,
            "DeadlineDate": None if index % 4 == 0 else world.midnight + timedelta(days=bits % 200),
            "Description": None
            if index % 3 == 0
            else f"Synthetisch project {index}.\n– regel twee: 100 % ä & <é>",
            "ExpectedValue": Decimal(bits % 9_000_000) / 100,
            "GUID": self.guid(index),
            "IncludeExceptions": False,
            "IncludeOverTime": index % 6 == 0,
            "InsertTs": inserted,
            "InternalName": None,
            "IsClosed": closed,
            "IsDailyAllowanceBillable": True,
            "IsInternal": index % 25 == 24,
            "IsMileageBillable": index % 2 == 0,
            "IsOtherTravelExpensesBillable": False,
            "Name": f"{_CASES[bits % len(_CASES)]} {index}",
            "OrderNumber": f"PO-{bits % 100_000:05d}" if index % 2 else None,
            "OverdueInterest": Decimal("8.05"),
            "PaymentTerm": 30,
            "PricingType": "HourlyPrice",
            "Priority": bits % 4,
            "Probability": None if won else 50,
            "RootTaskGUID": world.phases.guid(PHASES_PER_CASE * index),
            "SalesPersonUserGUID": owner,
            "SalesProcessGUID": world.sales_processes.guid(_WON if won else _LEAD),
            "SharedToExtranet": False,
            "StartDate": inserted.replace(hour=0, minute=0, second=0),
            "UpdatedTs": changed,
            "UrlToCase": f"https://severa.example.com/case/{index}?a=1&b=2",
            "UseDefaultProductsInWorkTimeEntry": True,
            "UseDefaultWorkTypes": True,
            "YourReference": "Inkoop/ß" if index % 5 == 0 else None,
        }

    def moments(self, index: int) -> tuple[datetime, datetime]:
        """Some years ago, and at most 300 days ago; every twentieth case changed on the last day."""
        bits = self.bits(index)
        ago = 0 if index % 20 == 3 else (bits >> 32) % 300
        changed = self.world.midnight - timedelta(days=ago, seconds=1 + bits % 40_000)
        return changed - timedelta(days=(bits >> 44) % 700, seconds=1), changed

    def is_won(self, index: int) -> bool:
        """Whether the computed case was ever won."""
        return index % 5 != 0

    def of_account(self, account: int) -> range:
        """The computed cases of a computed account."""
        accounts = len(self.world.accounts)
        return range(account, len(self), accounts) if account < accounts else range(0)

    def unit_guid(self, row: Mapping[str, Any]) -> str | None:
        """The case's business unit."""
        guid: str | None = row.get("BusinessUnitGUID")
        return guid


class _OfCase(Table):
    """What exists a fixed number of times for every case, and changes with it."""

    per_case = 1

    def __len__(self) -> int:
        return self.per_case * len(self.world.cases)

    def moments(self, index: int) -> tuple[datetime, datetime]:
        """Those of the case."""
        return self.world.cases.moments(index // self.per_case)

    def of_case(self, case: int) -> range:
        """The computed rows of a computed case."""
        last = len(self.world.cases)
        return range(case * self.per_case, (case + 1) * self.per_case) if case < last else range(0)

    def unit_guid(self, row: Mapping[str, Any]) -> str | None:
        """The case's business unit."""
        case = self.world.cases.find(row.get("CaseGUID"))
        return None if case is None else self.world.cases.unit_guid(case)


class Phases(_OfCase):
    """Three for every case: the first is the root of the others."""

    name, number = "Phase", 0x21
    per_case = PHASES_PER_CASE

    def base(self, index: int) -> Entity:
        """The phase at `index`."""
        world, bits = self.world, self.bits(index)
        case, place = divmod(index, PHASES_PER_CASE)
        flat_rate = {
            "AdditionalHoursUnitPrice": Decimal("95.5"),
            "AreAdditionalHoursBillable": True,
            "Hours": Decimal(40),
            "Price": Decimal("3600.00"),
        }
        planned = world.midnight - timedelta(days=bits % 300)
        return {
            "CaseGUID": world.cases.guid(case),
            "Code": f"{case}.{place}",
            "Deadline": planned + timedelta(days=90) if bits % 3 else None,
            "Description": "Eerst bellen,\ndan komen – «'s ochtends»" if bits % 5 == 0 else None,
            "FlatRate": flat_rate if bits % 8 == 0 else None,
            "GUID": self.guid(index),
            "IsCompleted": place == 0 and bits % 2 == 0,
            "IsLocked": False,
            "Name": f"{_PHASES[place]} {case}",
            "OriginalWorkEstimate": Decimal(bits % 400) / 4,
            "OwnerUserGUID": world.users.guid(world.cases.owner(case)),
            "ParentPhaseGUID": self.guid(index - place) if place else None,
            "PlannedStartDate": planned,
            "PricePerHour": Decimal("110.1250") if bits % 4 == 0 else None,
            "SortOrder": place,
            "WorkEstimate": Decimal(bits % 500) / 4,
            "WorkTypeGUID": world.work_types.guid(bits % 7),
        }


class Items(_OfCase):
    """Two for every case: a product, and a travel expense of the owner."""

    name, number = "Item", 0x22
    per_case = ITEMS_PER_CASE

    def base(self, index: int) -> Entity:
        """The item at `index`."""
        world, bits = self.world, self.bits(index)
        case, place = divmod(index, ITEMS_PER_CASE)
        sold = world.travel_expenses.base(bits % 3) if place else world.products.base(bits % 40)
        quantity = Decimal(bits % 97 + 1) / (1 if place == 0 else 4)
        return {
            "CaseGUID": world.cases.guid(case),
            "CaseNumber": world.cases.row(case).get("CaseNumber"),
            "Description": "Retour klant – «spoed»" if place and bits % 3 == 0 else None,
            "EventDate": self.day(index),
            "GUID": self.guid(index),
            "IsApproved": bits % 4 != 0,
            "IsBillable": True,
            "IsOutSourcingCost": False,
            "IsReadOnly": False,
            "IsRealised": True,
            "MeasurementUnit": sold["MeasurementUnit"],
            "Name": sold["Name"],
            "ProductCode": sold["Code"],
            "ProductGUID": sold["GUID"],
            "ProductType": sold["Type"],
            "PurchaseOrderNumber": f"PO-I{index:05d}",
            "Quantity": quantity,
            "RecurrenceEndType": 0,
            "UnitCost": sold.get("UnitCost"),
            "UnitPrice": sold["UnitPrice"],
            "UnitPriceInBaseCurrency": sold["UnitPrice"],
            "UserGUID": world.users.guid(world.cases.owner(case)),
            "VAT": sold["VAT"],
        }

    def day(self, index: int) -> datetime:
        """The day of the computed item."""
        return self.world.midnight - timedelta(days=1 + self.bits(index) % 170)

    def moments(self, index: int) -> tuple[datetime, datetime]:
        """In the evening of its day."""
        moment = self.day(index) + timedelta(hours=18, minutes=self.bits(index) % 300)
        return moment, moment


class SalesStatuses(_OfCase):
    """The step that the sale of a case has reached."""

    name, number = "SalesStatus", 0x24

    def base(self, index: int) -> Entity:
        """The status of the case at `index`."""
        world = self.world
        step = _WON if world.cases.is_won(index) else _LEAD
        return {
            "CaseGUID": world.cases.guid(index),
            "GUID": self.guid(index),
            "SalesProcessGUID": world.sales_processes.guid(step),
            "TimeStamp": self.moments(index)[0],
        }


class Activities(Table):
    """Two appointments for every person, one behind and one ahead."""

    name, number = "Activity", 0x23

    def __len__(self) -> int:
        return 2 * self.world.organisation.employees

    def base(self, index: int) -> Entity:
        """The activity at `index`."""
        world, bits = self.world, self.bits(index)
        case = bits % len(world.cases)
        days = (bits >> 8) % 60
        start = world.midnight + timedelta(days=days if index % 2 else -1 - days, hours=8, minutes=bits % 480)
        return {
            "AccountGUID": world.accounts.guid(world.cases.account(case)),
            "ActivityTypeGUID": world.activity_types.guid(bits % 3),
            "EndDateTime": None if index % 10 == 9 else start + timedelta(minutes=30 + bits % 90),
            "GUID": self.guid(index),
            "IsAllDay": False,
            "IsClosed": index % 2 == 0,
            "IsDuration": True,
            "IsPrivate": False,
            "IsReadOnly": None,
            "Location": ("Testdam", None, "Online – «link»")[bits % 3],
            "Name": f"Overleg {index}",
            "Notes": "1. Voortgang\n2. Rondvraag & sluiting" if index % 3 else None,
            "OwnerUserGUID": world.users.guid(index // 2),
            "StartDateTime": start,
            "TaskGUID": world.phases.guid(PHASES_PER_CASE * case),
        }

    def moments(self, index: int) -> tuple[datetime, datetime]:
        """Within the last months."""
        moment = self.world.midnight - timedelta(days=1 + self.bits(index) % 90, hours=3)
        return moment, moment

    def unit_guid(self, row: Mapping[str, Any]) -> str | None:
        """The owner's business unit."""
        return self.world.users.unit_of(row.get("OwnerUserGUID"))
