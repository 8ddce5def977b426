"""Severa's faults, as errors: the type of the detail decides (contract of the SOAP API, section 6).

A declared type says that the same call will fail again, so it is permanent, GeneralFailureException too:
clients that work never repeat it, and a repeated write might be carried out twice. Only what has no type
may pass. What the service says never gets into a message, because it may quote people: whoever keeps what
was sent anyway finds it in the error's ``reason``.
"""

from __future__ import annotations

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
    from airflow_provider_visma.hooks._severa_quota import QuotaWatch
    from airflow_provider_visma.protocols.soap import SoapFault

NOT_FOUND = "NotFoundException"

CAUSES_OF_DENIAL = (
    "the API add-on is not active for the organisation",
    "the API user is inactive, or its SOAP API permission is not Allowed (an administrator sets it)",
    "the API user has not enabled the SOAP API in its own profile",
    "the connection's API key is not the API user's present one (a regenerated key replaces the old)",
    "the API user's access rights are too narrow (the Administrator profile is recommended)",
)
"""What "access denied" may mean, in the order in which to check (support article 77000465267)."""


def causes_of_denial() -> str:
    """Return the causes as one sentence without a full stop."""
    return "Check in this order: " + "; ".join(
        f"({number}) {cause}" for number, cause in enumerate(CAUSES_OF_DENIAL, 1)
    )


_KINDS: dict[str, tuple[type[VismaError], str, str | None]] = {
    "AuthenticationFailureException": (VismaAuthenticationError, "access denied", causes_of_denial()),
    "NoPermissionException": (
        VismaPermissionError,
        "the API user may not do this",
        "Widen the access rights of the API user in Severa; its Administrator profile allows everything.",
    ),
    "ValidationException": (
        VismaRequestError,
        "the service rejects the values",
        "Compare them with the rules of the organisation in Severa.",
    ),
    NOT_FOUND: (VismaNotFoundError, "not found, or not for this API user", None),
    "GeneralFailureException": (
        VismaRequestError,
        "the service could not carry out the call and names no cause",
        "Compare the arguments with the operation's documentation.",
    ),
    "TosNotApprovedException": (
        VismaPermissionError,
        "the terms of service are not approved",
        "An administrator has to sign in to Severa and approve them.",
    ),
}
_QUOTA = "QuotaLimitExceededException"
_UNREAD = ("ActionNotSupported", "DeserializationFailed")  # WCF's, before any operation has begun
_LONGEST_REASON = 500


def fault_error(fault: SoapFault, *, quota: QuotaWatch) -> VismaError:
    """Return the error for *fault*, what the service says in its ``reason``.

    :param quota: knows when the quota resets.
    """
    error = _error(fault, quota)
    error.reason = (fault.description or fault.text)[:_LONGEST_REASON] or None
    return error


def _error(fault: SoapFault, quota: QuotaWatch) -> VismaError:
    kind = fault.detail or ""
    if kind == _QUOTA:
        return quota.exceeded(kind)
    if kind in _KINDS:
        error, title, advice = _KINDS[kind]
        return error(title, code=kind, advice=advice)
    if kind.endswith("Exception"):  # declared by a newer contract
        return VismaRequestError("the service refuses the call with a fault unknown here", code=kind[:80])
    if fault.code in _UNREAD:
        return VismaRequestError("the service could not read the request", code=fault.code)
    # WCF's other own faults, and ExceptionDetail, in which debug mode shows what the service did not catch.
    return VismaUnavailableError("the service failed", code=(kind or fault.code)[:80] or None)
