"""Nmbrs' fault codes, as errors (contract of the SOAP API, section 3).

What the service says in a fault never gets into a message: the titles here are our own.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from airflow_provider_visma.exceptions import (
    VismaAuthenticationError,
    VismaError,
    VismaNotFoundError,
    VismaPermissionError,
    VismaRequestError,
    VismaUnavailableError,
)

if TYPE_CHECKING:
    from airflow_provider_visma.protocols.soap import SoapFault

# Nmbrs' faults have no field for the code: it stands in the text, "… ---> 1001: Invalid Authentication".
_CODE = re.compile(r"---> ?(\d{4}):")

_KINDS: dict[str, tuple[type[VismaError], str, str | None]] = {
    "1000": (VismaAuthenticationError, "invalid e-mail and password", "Check the API user and its token."),
    "1001": (
        VismaAuthenticationError,
        "invalid authentication",
        "Check e-mail, API token and domain: the domain is only the first part of the Nmbrs address.",
    ),
    "1002": (
        VismaPermissionError,
        "the API user may not call this",
        "Open the call in the API user's template in Nmbrs.",
    ),
    "1003": (
        VismaPermissionError,
        "the API user has no right to this debtor or company",
        "Look at the tags and filters of the API user in Nmbrs.",
    ),
    "1004": (VismaPermissionError, "disabled: no valid subscription", None),
    "1006": (VismaUnavailableError, "login failed for an unknown reason", "A retry tends to help."),
    "2003": (VismaNotFoundError, "no such employee, or not for this API user", None),
    "2004": (VismaNotFoundError, "no such company, or not for this API user", None),
    "2006": (VismaRequestError, "the period is not of the company's kind", None),
    "2009": (VismaNotFoundError, "no such debtor, or not for this API user", None),
    "2011": (VismaRequestError, "the service wants unprotected mode", None),
    "2012": (VismaRequestError, "the wage tax return has been sent already", None),
    "2013": (VismaPermissionError, "not in a free trial", None),
    "2030": (VismaRequestError, "the values do not go together", None),
    "2040": (VismaRequestError, "the document's name needs an extension", None),
    "2041": (VismaRequestError, "the document is too large", None),
    "2042": (VismaAuthenticationError, "the user has several environments", None),
    "2043": (VismaAuthenticationError, "invalid domain", None),
    "2046": (VismaNotFoundError, "not found", None),
    "2047": (VismaRequestError, "invalid document type", "Set the GUID of a document type of the company."),
    "9999": (VismaUnavailableError, "unknown error in the service", None),
}

MAY_CALL = frozenset({"1003", "2003", "2004", "2009"})
"""Faults that come only after the right to call was found."""


def fault_error(fault: SoapFault) -> VismaError:
    """Return the error for *fault*."""
    found = _CODE.search(fault.text)
    if found:
        code = found[1]
        kind, title, advice = _KINDS.get(code, (VismaRequestError, "the service refused", None))
        return kind(title, code=code, advice=advice)
    if fault.code in ("Client", "Sender"):
        return VismaRequestError("the service could not read the request", code=fault.code)
    if fault.code == "VersionMismatch":
        return VismaRequestError("the service expects another SOAP version", code=fault.code)
    return VismaUnavailableError("the service failed", code=fault.code[:40] or None)
