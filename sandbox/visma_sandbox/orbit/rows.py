"""What a row of each resource says, computed from (employees, seed, index) alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from visma_sandbox.orbit.ids import identifier
from visma_sandbox.orbit.resources import COMPANY_TYPES, RESOURCES
from visma_sandbox.orbit_reporting.projects import COMPANIES, project
from visma_sandbox.people import mix

if TYPE_CHECKING:
    from visma_sandbox.organisation import Organisation

Row = dict[str, Any]

#: Every computed row was added in the two years before this, and changed after it was added.
EPOCH: Final = datetime(2026, 7, 1, 8, 0)
_YEAR: Final = 525_600  # minutes
# fmt: off
_CITIES: Final = ("Testdam", "Voorbeeldhoven", "'s-Proefbosch", "Übungen", None, "")
_DESCRIPTIONS: Final = (None, "", "Regel één\nregel twee", "a < b && c > d", "€ 12,50", "Let op: \"concept\"")
_MODES: Final = ("FIXED", "HOURLY", None)
_FUNCTIONS: Final = ("Directeur", "Inkoper", None, "Hoofd administratie")
_VALUES: Final = (1250, 99.95, 0, 1234567.89, None, 0.1, 18000.5)
# fmt: on


def moments(seed: int, index: int) -> tuple[datetime, datetime]:
    """When the row was added, and when it last changed; most never did since."""
    bits = mix(seed, index)
    added = EPOCH - timedelta(minutes=_YEAR + bits % _YEAR, seconds=bits >> 20 & 31)
    if bits >> 30 & 3:
        return added, added
    return added, EPOCH - timedelta(minutes=bits >> 32 & 0x7FFFF, seconds=bits >> 52 & 31)


def seed_of(organisation: Organisation, name: str) -> int:
    """The seed of a resource's ids."""
    return organisation.seed + RESOURCES[name].number


def id_of(organisation: Organisation, name: str, index: int) -> str:
    """The id of the row at `index`."""
    return identifier(RESOURCES[name].prefix, seed_of(organisation, name), index)


def count_of(organisation: Organisation, name: str) -> int:
    """How many rows of a resource there are unless a switch says otherwise."""
    return PER_PERSON[name](organisation.employees)


PER_PERSON: Final[Mapping[str, Callable[[int], int]]] = {
    "projects": lambda people: people // 5 + 3,
    "users": lambda people: people,
    "companies": lambda people: people // 2 + 1,
    "contacts": lambda people: people + 1,
    "deals": lambda people: people // 4 + 1,
    "offers": lambda people: people // 3 + 1,
    "entities": lambda people: people // 10 + 1,
    "contracts": lambda people: people // 8 + 1,
    "assets": lambda people: people // 6 + 1,
    "assettypes": lambda _: 4,
}


def _project(organisation: Organisation, index: int, bits: int) -> Row:
    start = EPOCH - timedelta(days=bits % 900)
    found = project(organisation.seed, index)
    return {
        "name": found.name,
        "extid": found.number,
        "dealid": _some(organisation, "deals", bits) if bits >> 8 & 1 else None,
        "entityid": _some(organisation, "entities", bits >> 4),
        "folderid": identifier("PF", organisation.seed, bits % 5),
        "description": _DESCRIPTIONS[bits % 6],
        "start_dt": f"{start:%Y-%m-%d}T00:00:00",
        "end_dt": f"{start + timedelta(days=bits >> 9 & 255):%Y-%m-%d}T00:00:00" if bits >> 7 & 1 else None,
        "billing_mode": _MODES[bits % 3],
    }


def _user(organisation: Organisation, index: int, bits: int) -> Row:
    person = organisation.person(index)
    return {
        "name": person.display_name,
        "firstname": person.nickname,
        "lastname": person.last_name,
        "email": person.email_work,
        "active": bits & 7 != 0,
    }


def _company(organisation: Organisation, index: int, bits: int) -> Row:
    email = None if bits & 7 == 0 else f"bedrijf.{index + 1}@example.com"
    return {
        "name": f"{COMPANIES[index % 8]} {index + 1}",
        "vatcode": f"NL9999{bits % 100_000:05d}B01" if bits & 1 else None,
        "website": f"https://bedrijf-{index + 1}.example.com" if bits & 2 else "",
        "email": email,
        "type": COMPANY_TYPES[bits >> 8 & 3],
        "iban": None,
        "bic": None,
        "street": "Voorbeeldstraat",
        "housenumber": str(bits % 200 + 1),
        "zipcode": f"{1000 + bits % 8999} AA",
        "city": _CITIES[bits % 6],
        "country": ("NL", "BE", "DE", None)[bits >> 4 & 3],
        "phone": f"+31600{bits % 1_000_000:06d}",
        "custfields": [{"name": "Regio", "value": ("Noord", "Zuid")[bits & 1]}] if bits & 4 else [],
        "emails": [] if email is None else [{"email": email, "type": "PRIMARY"}],
    }


def _contact(organisation: Organisation, index: int, bits: int) -> Row:
    return {
        "firstname": ("Anna", "Bram", "Zoë", "Łukasz", None)[bits % 5],
        "lastname": f"Voorbeeld-{index + 1}",
        "email": f"contact.{index + 1}@example.com" if bits & 3 else None,
        "phone": None,
        "mobile": f"+31610{bits % 1_000_000:06d}",
        "gender": ("F", "M", None)[bits % 3],
        "language": ("nl", "en", "fr")[bits % 3],
        "companyid": _some(organisation, "companies", bits >> 5),
        "jobfunction": _FUNCTIONS[bits & 3],
    }


def _deal(organisation: Organisation, index: int, bits: int) -> Row:
    stage = identifier("DS", organisation.seed, bits % 4)
    return {"name": f"Deal {index + 1}", "value": _VALUES[bits % 7], "stageid": stage}


def _offer(organisation: Organisation, index: int, bits: int) -> Row:
    return {
        "entityid": _some(organisation, "entities", bits),
        "folderid": identifier("PF", organisation.seed, bits % 5),
        "code": f"OFF-{index + 1:05d}",
        "name": f"Offerte {index + 1}",
        "description": _DESCRIPTIONS[bits % 6],
        "probability": (0.5, 0.25, 1, None)[bits & 3],
        "due_dt": f"{EPOCH + timedelta(days=bits % 90):%Y-%m-%d}T00:00:00",
        "billing_mode": _MODES[bits % 3],
        "discount_work": 0,
        "discount_material": 2.5,
        "items": [{"name": "Advies", "lines": [{"quantity": 8, "price": 95.5}]}] if bits & 4 else [],
    }


def _entity(organisation: Organisation, index: int, bits: int) -> Row:
    return {
        "name": f"{COMPANIES[index % 8]} vestiging {index + 1}",
        "companyid": _some(organisation, "companies", bits),
        "currencyid": identifier("CU", organisation.seed, 0),
        "alias": f"V{index + 1}",
        "enabled": int(bits & 7 != 0),
        "tickets": 0,
        "projects": 1,
        "description": _DESCRIPTIONS[bits % 6],
        "street": "Proefplein",
        "housenumber": str(bits % 99 + 1),
        "postal": f"{1000 + bits % 8999} BB",
        "city": _CITIES[bits % 6],
        "country": "NL",
        "legalentityid": identifier("LE", organisation.seed, bits % 2),
        "vatcode": None,
        "kvk": f"9999{bits % 10_000:04d}",
        "siret": None,
        "extfincode": f"{10_000 + index}",
        "porequired": bool(bits & 1),
        "iban": None,
        "bic": None,
        "custfields": [],
    }


def _contract(organisation: Organisation, index: int, bits: int) -> Row:
    start = EPOCH - timedelta(days=bits % 700)
    return {
        "name": f"Contract {index + 1}",
        "entityid": _some(organisation, "entities", bits),
        "start_dt": f"{start:%Y-%m-%d}T00:00:00",
        "end_dt": None if bits & 1 else f"{start + timedelta(days=365):%Y-%m-%d}T00:00:00",
    }


def _asset(organisation: Organisation, index: int, bits: int) -> Row:
    return {
        "name": f"Laptop {index + 1}",
        "citid": id_of(organisation, "assettypes", bits & 3),
        "ownerid": _some(organisation, "users", bits >> 3),
        "clientid": _some(organisation, "companies", bits >> 6),
        "custfields": [],
    }


def _asset_type(organisation: Organisation, index: int, bits: int) -> Row:
    kinds = ("Laptop", "Telefoon", "Licentie", "Voertuig")
    return {"name": kinds[index % 4] if index < 4 else f"Soort {index + 1}"}


def _some(organisation: Organisation, name: str, bits: int) -> str | None:
    """The id of one of the resource's rows; None where there are none."""
    count = count_of(organisation, name)
    return id_of(organisation, name, bits % count) if count else None


MAKERS: Final[Mapping[str, Callable[[Organisation, int, int], Row]]] = {
    "projects": _project,
    "users": _user,
    "companies": _company,
    "contacts": _contact,
    "deals": _deal,
    "offers": _offer,
    "entities": _entity,
    "contracts": _contract,
    "assets": _asset,
    "assettypes": _asset_type,
}
