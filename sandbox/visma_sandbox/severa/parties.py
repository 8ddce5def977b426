"""Who there is: business units, users, and the customers with their companies, addresses and contacts.

What must stay true: a user is a person of the organisation, at the same index; who leaves or is hired there
leaves or arrives here. An account, a company and an address at one index are one customer.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from visma_sandbox import structure
from visma_sandbox.careers import OUT_OF_SERVICE
from visma_sandbox.severa.changes import Entity, Table

# The first child of the root is the narrow API user's, so a small one comes first.
COMPANIES: Final = tuple(structure.COMPANY_BY_ID[number] for number in (71002, 71001, 72001, 72002))
_UNIT_OF_COMPANY: Final = {company.id: index for index, company in enumerate(COMPANIES, start=1)}
_NAMES: Final = (
    "Voorbeeld & Partners",
    "Esimerkki Oy",
    "Proefbedrijf Zürich AG",
    "Testklant «Łódź» Sp. z o.o.",
    "Stichting Δοκιμή",
    "Beispiel GmbH <Süd>",
    "Näyte-Yhtiöt",
)
_OF_COMPANY: Final = (
    "AnnualRevenue",
    "Email",
    "Employees",
    "HeadOfficeAddressGUID",
    "IndustryGUID",
    "TimezoneGUID",
    "VatNumber",
    "Website",
)
_CITIES: Final = ("Testdam", "Voorbeeldhoven", "'s-Proefbosch", "Näytekylä", "Übungen")


class BusinessUnits(Table):
    """The root unit and one for every company of the organisation; the last has no people."""

    name, number = "BusinessUnit", 0x00

    def __len__(self) -> int:
        return 1 + len(COMPANIES)

    def base(self, index: int) -> Entity:
        """The unit at `index`; 0 is the root."""
        world = self.world
        return {
            "Code": f"BU{index:02d}",
            "CurrencyCode": "EUR",
            "CurrencyGUID": world.currencies.guid(0),
            "FormattingCulture": "nl-NL",
            "GUID": self.guid(index),
            "InsertTS": world.founded,
            "IsActive": index < len(COMPANIES),
            "LanguageCode": "nl-NL",
            "LanguageGUID": world.languages.guid(0),
            "Name": COMPANIES[index - 1].name if index else "Severa-proef «Groep»",
            "NextInvoiceNumber": None if index else 10_001,
            "OverDueInterest": Decimal("8.05"),
            "ParentBusinessUnitGUID": self.guid(0) if index else None,
            "PaymentTerm": 14,
            "ShowLogoOnInvoices": True,
            "ShowLogoOnPdfReports": index != 2,
            "TimeZoneGUID": world.timezones.guid(0),
            "VatNumber": f"NL00000000{index}B01",
        }

    def unit_guid(self, row: Mapping[str, Any]) -> str | None:
        """The unit itself."""
        guid: str = row["GUID"]
        return guid

    def within(self, guid: str, *, children: bool = True) -> frozenset[str]:
        """The GUIDs of a unit and, unless told otherwise, of all units below it."""
        found = {guid.lower()}
        if children:
            pairs = [(row["GUID"], row.get("ParentBusinessUnitGUID")) for row in self.rows()]
            while below := {unit for unit, parent in pairs if parent in found} - found:
                found |= below
        return frozenset(found)


class Users(Table):
    """The people of the organisation. Who is out of service there is inactive here."""

    name, number = "User", 0x01

    def __len__(self) -> int:
        return len(self.world.organisation)

    def base(self, index: int) -> Entity:
        """The user at `index`."""
        world = self.world
        person = world.organisation.person(index)
        unit = _UNIT_OF_COMPANY[person.company_id]
        last_name = " ".join(part for part in (person.prefix, person.last_name) if part)
        return {
            "BusinessUnitCode": f"BU{unit:02d}",
            "BusinessUnitGUID": world.business_units.guid(unit),
            "BusinessUnitName": COMPANIES[unit - 1].name,
            "Code": str(person.employee_id),
            "CountryCode": "NL",
            "CountryGUID": world.countries.guid(0),
            "Culture": "nl-NL",
            "Email": person.email_work,
            "FirstName": person.first_name,
            "GUID": self.guid(index),
            "IsActive": world.organisation.employee_type(index) != OUT_OF_SERVICE,
            "LanguageCode": "nl-NL",
            "LanguageGUID": world.languages.guid(0),
            "LastName": last_name or None,
            "Notes": "Werkt in deeltijd;\nniet op vrijdag." if index % 9 == 4 else None,
            "Phone": person.phone_mobile,
            "SendDailyMail": False,
            "SendWeeklyMail": index % 2 == 0,
            "SuperiorUserGUID": None if index == 0 else self.guid(index // 10),
            "TimezoneGUID": world.timezones.guid(0),
            "Title": structure.FUNCTIONS[person.mix % len(structure.FUNCTIONS)].description,
            "WorktypeGUID": world.work_types.guid(person.mix % 7),
        }

    def moments(self, index: int) -> tuple[datetime, datetime]:
        """When the person was created, and when something about them changed, as in the HRM exports."""
        organisation = self.world.organisation
        person = organisation.person(index)
        changed = organisation.changed_at(person).astimezone(UTC).replace(tzinfo=None)
        return min(person.created, changed), changed

    def changed_at(self, index: int) -> datetime:
        """The later of what changed here and what changed about the person."""
        here = super().changed_at(index)
        return max(here, self.moments(index)[1]) if index < len(self) else here

    def unit_guid(self, row: Mapping[str, Any]) -> str | None:
        """The user's business unit."""
        guid: str | None = row.get("BusinessUnitGUID")
        return guid

    def unit_of(self, guid: str | None) -> str | None:
        """The GUID of a user's business unit, without computing the user."""
        index = self.index_of(guid)
        if index is None or index >= len(self):
            row = self.find(guid)
            return None if row is None else self.unit_guid(row)
        company = self.world.organisation.company_of(index)
        return self.world.business_units.guid(_UNIT_OF_COMPANY[company.id])


class Accounts(Table):
    """The customers, one for every five people. Every tenth is inactive and every tenth has no number."""

    name, number = "Account", 0x02

    def __len__(self) -> int:
        people = self.world.organisation.employees
        return max(4, people // 5) if people else 0

    def base(self, index: int) -> Entity:
        """The account at `index`."""
        world, bits = self.world, self.bits(index)
        inserted, changed = self.moments(index)
        return {
            "AccountGroupGUIDs": [],
            "AccountOwnerUserGUID": world.users.guid(self.owner(index)),
            "AccountRating": bits % 6 or None,
            "CompanyGUID": world.companies.guid(index),
            "CurrencyCode": "EUR",
            "CurrencyGUID": world.currencies.guid(0),
            "GUID": self.guid(index),
            "InsertTS": inserted,
            "InvoicingVat": Decimal("25.5") if index % 3 == 1 else Decimal(21),
            "IsActive": self.is_active(index),
            "IsInternal": index % 20 == 19,
            "LanguageCode": "nl-NL",
            "LanguageGUID": world.languages.guid(index % 3),
            "Name": f"{_NAMES[bits % len(_NAMES)]} {index:04d}",
            "Notes": "Facturen naar de locatie;\r\nBTW verlegd?" if index % 7 == 3 else None,
            "Number": None if index % 10 == 7 else 100 + index,
            "OverdueInterest": Decimal("7.5"),
            "PaymentTerm": (14, 30, None)[bits % 3],
            "ReverseCharge": index % 11 == 10,
            "UpdatedTS": changed,
            "eInvoiceAddress": f"0037000000{index:04d}" if index % 3 == 1 else None,
            "eInvoiceOperator": "TESTOPERATOR" if index % 3 == 1 else None,
        }

    def moments(self, index: int) -> tuple[datetime, datetime]:
        """Some years ago, and some months ago."""
        bits = self.bits(index)
        inserted = self.world.founded + timedelta(days=bits % 900, seconds=(bits >> 16) % 30_000)
        return inserted, self.world.midnight - timedelta(days=1 + (bits >> 32) % 400, seconds=bits % 36_000)

    def is_active(self, index: int) -> bool:
        """Whether the computed account is in use."""
        return index % 10 != 8

    def owner(self, index: int) -> int:
        """The index of the user who looks after the account."""
        return (self.bits(index) >> 8) % self.world.organisation.employees

    def as_customer(self, row: Mapping[str, Any]) -> Entity:
        """The account as ICustomer sees it: with what is known of its company."""
        company = self.world.companies.find(row.get("CompanyGUID")) or {}
        return {**{name: company.get(name) for name in _OF_COMPANY}, **row}

    def unit_guid(self, row: Mapping[str, Any]) -> str | None:
        """The owner's business unit."""
        return self.world.users.unit_of(row.get("AccountOwnerUserGUID"))


class _OfAccount(Table):
    """What exists once for every account."""

    def __len__(self) -> int:
        return len(self.world.accounts)

    def moments(self, index: int) -> tuple[datetime, datetime]:
        """Those of the account."""
        return self.world.accounts.moments(index)

    def unit_guid(self, row: Mapping[str, Any]) -> str | None:
        """The business unit of the account's owner."""
        index = self.index_of(row["GUID"])
        if index is None or index >= len(self):
            return None
        accounts = self.world.accounts
        return self.world.users.unit_of(self.world.users.guid(accounts.owner(index)))


class Companies(_OfAccount):
    """The legal persons behind the accounts."""

    name, number = "Company", 0x03

    def base(self, index: int) -> Entity:
        """The company at `index`."""
        bits = self.bits(index)
        return {
            "AnnualRevenue": bits % 9_000_000 if index % 4 else None,
            "Email": f"klant.{index}@example.com",
            "Employees": (bits >> 8) % 900 if index % 3 else None,
            "GUID": self.guid(index),
            "HeadOfficeAddressGUID": self.world.addresses.guid(index),
            "LanguageGUID": self.world.languages.guid(index % 3),
            "Name": self.world.accounts.row(index)["Name"],
            "TimezoneGUID": self.world.timezones.guid(0),
            "VatNumber": f"NL0000{index:05d}B01",
            "Website": f"https://klant-{index}.example.com/?taal=nl&versie=1",
        }


class Addresses(_OfAccount):
    """The head offices."""

    name, number = "Address", 0x04

    def base(self, index: int) -> Entity:
        """The address at `index`."""
        country = index % 2
        return {
            "Addressline": f"Voorbeeldlaan {index + 1}",
            "Addressline2": None if index % 4 else "t.a.v. crediteuren",
            "City": _CITIES[index % len(_CITIES)],
            "CompanyGUID": self.world.companies.guid(index),
            "CountryCode": ("NL", "FI")[country],
            "CountryGUID": self.world.countries.guid(country),
            "CountryName": ("Netherlands", "Finland")[country],
            "GUID": self.guid(index),
            "IsBillingAddress": True,
            "IsPostalAddress": True,
            "IsVisitAddress": index % 3 == 0,
            "Phone": f"+3110000{index % 10_000:04d}",
            "PostalCode": "0000 XX",
        }


class Contacts(Table):
    """Two people at every account, obviously synthetic."""

    name, number = "Contact", 0x06

    def __len__(self) -> int:
        return 2 * len(self.world.accounts)

    def base(self, index: int) -> Entity:
        """The contact at `index`."""
        world, account = self.world, index // 2
        methods = [
            {"IsForbiddenToUse": False, "Name": "Werk", "Type": "EmailAddress", "Value": self.email(index)},
            {"IsForbiddenToUse": index % 5 == 0, "Name": "", "Type": "Phone", "Value": f"+31300{index:06d}"},
        ]
        return {
            "AccountGUID": world.accounts.guid(account),
            "AddressGUID": world.addresses.guid(account),
            "CommunicationMethods": methods[: 1 + index % 2],
            "DateOfBirth": None,
            "Description": "Liever bellen\nvóór 12 uur" if index % 6 == 1 else None,
            "FirstName": ("Test", "Näyte", "Örs", "Zoë")[index % 4],
            "GUID": self.guid(index),
            "IsActive": index % 12 != 11,
            "JobTitle": ("Inkoper", None, "Directeur/eigenaar")[index % 3],
            "Keywords": ["beurs", "nieuwsbrief: ja"][: index % 3],
            "LanguageGUID": world.languages.guid(index % 3),
            "LastName": f"Contactpersoon-{index}",
            "SatisfactionLevel": index % 4 or None,
        }

    def email(self, index: int) -> str:
        """The contact's address."""
        return f"contact.{index}@example.com"

    def moments(self, index: int) -> tuple[datetime, datetime]:
        """Those of the account."""
        return self.world.accounts.moments(index // 2)

    def unit_guid(self, row: Mapping[str, Any]) -> str | None:
        """The business unit of the account's owner."""
        account = self.world.accounts.find(row.get("AccountGUID"))
        return None if account is None else self.world.accounts.unit_guid(account)
