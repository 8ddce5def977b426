"""Arguments, in the form in which Severa's service takes them as they were meant.

Only a top-level moment and one known defect are touched; names and types are the contract's to check.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from zeep.xsd.types import builtins


def prepared(
    contract: str, operation: str, elements: Mapping[str, Any], arguments: Mapping[str, Any]
) -> dict[str, Any]:
    """Return *arguments*, moments with a zone turned to UTC.

    :param elements: the operation's parameters as zeep elements, by name.
    """
    values = {
        name: _in_utc(value) if name in elements and _is_moment(elements[name]) else value
        for name, value in arguments.items()
    }
    if (contract, operation) == ("ICustomer", "GetAllCustomers") and "criteria" in elements:
        values["criteria"] = _with_account_groups(elements["criteria"], values.get("criteria"))
    return values


def _is_moment(element: Any) -> bool:
    return isinstance(element.type, builtins.DateTime)


def _in_utc(value: Any) -> Any:
    """Return a moment with a zone in UTC.

    .NET turns "+02:00", and even "+00:00", into the server's local time; only "Z" it leaves as it is.
    """
    moment = value
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value.strip())
        except ValueError:
            return value
    if isinstance(moment, datetime) and moment.tzinfo is not None:
        return moment.astimezone(UTC)
    return value


def _with_account_groups(element: Any, criteria: Any) -> Any:
    """Return *criteria* with a list of account groups: without one, the service crashed (2020)."""
    if criteria is not None and not isinstance(criteria, Mapping):
        return criteria
    given = dict(criteria or {})
    name = next((name for name, _ in element.type.elements if name.lower() == "accountgroupguids"), None)
    if name is not None and given.get(name) is None:
        given[name] = {}
    return given
