"""What the API knows: its resources, what may be done with each, and which fields may be set.

The names come from the requests of a public client. Of deals, contracts, assets and users only few fields are
known, and which letters begin the ids of most kinds is not known at all: those are made up here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

#: The wire types of fields: of a text, of an id of some kind, and of a day or moment.
TEXT, NUMBER, WHOLE, BOOLEAN, LIST, MOMENT, EMAIL = (
    "text",
    "number",
    "whole",
    "boolean",
    "list",
    "moment",
    "email",
)
COMPANY_TYPES: Final = ("PROSPECT", "CLIENT", "SUPPLIER", "BOTH")


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource.

    :param prefix: of its ids.
    :param number: tells the seeds of the kinds apart; those of projects and users are the reports' own.
    :param verbs: what may be done with it.
    :param settable: the fields that ``set`` takes, with their types; an id's type is its prefix.
    :param needed: the fields without which none is made.
    """

    name: str
    prefix: str
    number: int
    verbs: tuple[str, ...]
    settable: Mapping[str, str] = field(default_factory=dict)
    needed: tuple[str, ...] = ()


def _texts(names: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), TEXT)


_ALL: Final = ("list", "get", "set")
_READ: Final = ("list", "get")

RESOURCES: Final[Mapping[str, Resource]] = {
    each.name: each
    for each in (
        Resource("projects", "PR", 101, _READ),
        Resource("users", "US", 102, (*_READ, "me")),
        Resource(
            "companies",
            "CP",
            111,
            _ALL,
            {
                **_texts("name type street housenumber zipcode city country phone website vatcode iban bic"),
                "email": EMAIL,
                "custfields": LIST,
            },
            ("name",),
        ),
        Resource(
            "contacts",
            "CT",
            112,
            _ALL,
            {
                **_texts("firstname lastname phone mobile gender language jobfunction"),
                "email": EMAIL,
                "companyid": "CP",
            },
            ("lastname",),
        ),
        Resource("deals", "DE", 113, _ALL, {"name": TEXT, "value": NUMBER, "stageid": TEXT}, ("name",)),
        Resource(
            "offers",
            "QU",
            114,
            _ALL,
            {
                **_texts("folderid code name description billing_mode"),
                "entityid": "EN",
                "due_dt": MOMENT,
                **dict.fromkeys(("probability", "discount_work", "discount_material"), NUMBER),
                "items": LIST,
            },
            ("name", "entityid"),
        ),
        Resource(
            "entities",
            "EN",
            115,
            _ALL,
            {
                **_texts("name currencyid alias description street housenumber postal city country"),
                **_texts("legalentityid vatcode kvk siret extfincode iban bic"),
                "companyid": "CP",
                **dict.fromkeys(("enabled", "tickets", "projects"), WHOLE),
                "porequired": BOOLEAN,
                "custfields": LIST,
            },
            ("name",),
        ),
        Resource("contracts", "CN", 116, _READ),
        Resource(
            "assets",
            "AS",
            117,
            _ALL,
            {"name": TEXT, "citid": "AT", "ownerid": "US", "clientid": "CP", "custfields": LIST},
            ("name",),
        ),
        Resource("assettypes", "AT", 118, ("list",)),
    )
}

#: What a public client calls besides, and the sandbox has not.
NOT_SIMULATED: Final = frozenset(
    {
        "contacts.checkadd",
        "contacts.detail",
        "contracts.getvariable",
        "contracts.setvariable",
        "deals.context",
        "entities.context",
        "expensenote.set",
        "expensenotes.context",
        "mails.context",
        "offers.context",
        "pos.context",
        "pos.get",
        "pos.set",
        "projectperiod.get",
    }
)
