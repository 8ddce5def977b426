"""Which fields the ``set`` of a resource takes, as far as anybody outside knows.

From the requests of a public client. Orbit may take more: a field that is not here is named with its kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

KINDS: Final = ("text", "number", "whole", "boolean", "date", "list", "any")
"""What a value is: ``date`` a day or a moment without a zone, ``any`` whatever the file says."""

_TEXT: Final = "text"


def _of(texts: str, **others: str) -> Mapping[str, str]:
    return {**dict.fromkeys(texts.split(), _TEXT), **others}


KNOWN_FIELDS: Final[Mapping[str, Mapping[str, str]]] = {
    "assets": _of("name citid ownerid clientid", custfields="list"),
    "companies": _of(
        "name type street housenumber zipcode city country phone website vatcode email iban bic",
        custfields="list",
    ),
    "contacts": _of("firstname lastname email phone mobile gender language companyid jobfunction"),
    "deals": _of("name stageid", value="number"),
    "entities": _of(
        "name companyid currencyid alias description street housenumber postal city country legalentityid "
        "vatcode kvk siret extfincode iban bic",
        enabled="whole",
        tickets="whole",
        projects="whole",
        porequired="boolean",
        custfields="list",
    ),
    "expensenote": _of("ownerid state", lines="list"),
    "offers": _of(
        "entityid folderid code name description billing_mode",
        probability="number",
        due_dt="date",
        discount_work="number",
        discount_material="number",
        items="list",
    ),
    "pos": _of(
        "entityid legalentityid folderid currencyid finaccountid supplierid state altcontent ownerid",
        due_dt="date",
        lines="list",
    ),
}
