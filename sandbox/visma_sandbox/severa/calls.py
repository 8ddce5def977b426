"""What the transport hands to the simulated service: a call that was read, allowed and counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from visma_sandbox.severa.access import ApiUser

Row: TypeAlias = Mapping[str, Any]
"""An entity by member name: a nested entity is a row again, a list is a list, what is absent is null."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an operation of the contract.

    :param contract: ``IHourEntry``.
    :param operation: ``GetHourEntriesByDate``.
    :param arguments: every parameter of the operation by name, None for what was null or not given. An
        entity is a dict of the members that came: None for ``i:nil``, no key for one that was absent. A
        list is a list. Dates are naive, as they were written; with a zone they are turned to UTC.
    :param user: whose key it was; what they may not see must be left out, silently.
    :param now: the sandbox's clock, naive UTC.
    """

    contract: str
    operation: str
    arguments: Mapping[str, Any]
    user: ApiUser
    now: datetime
