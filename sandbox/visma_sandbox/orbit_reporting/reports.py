"""What a report is: an id, a title, columns, and rows by index.

What must stay true: a row is computed from (employees, seed, index) alone, whenever it is asked for, so that
a feed of any length costs the memory of one entry and the same sandbox always sends the same feed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import date, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, Final

from visma_sandbox.orbit_reporting.edm import Column, Row
from visma_sandbox.people import mix

if TYPE_CHECKING:
    from visma_sandbox.app import Sandbox

# No 0, I, L or O: what Orbit's ids are made of, after a prefix of two letters.
ALPHABET: Final = "123456789ABCDEFGHJKMNPQRSTUVWXYZ"
# A number that a float cannot tell from its neighbour: a key that went through one collides with another.
FIRST_KEY: Final = 2**53 + 1
# The week in which every report ends. A fixed one: a feed does not change because a day has passed.
LAST_MONDAY: Final = date(2026, 6, 29)
WEEKS: Final = 104

_PAIRS: Final = tuple(first + second for first in ALPHABET for second in ALPHABET)


def identifier(prefix: str, seed: int, index: int) -> str:
    """An id such as ``PR4K7…``: 13 characters, another one for every index."""
    bits = mix(seed, index)
    return (
        f"{prefix}{_PAIRS[bits & 1023]}{_PAIRS[bits >> 10 & 1023]}{_PAIRS[bits >> 20 & 1023]}"
        f"{_PAIRS[bits >> 30 & 1023]}{_PAIRS[bits >> 40 & 1023]}{_PAIRS[bits >> 50 & 1023]}"
        f"{ALPHABET[bits >> 60]}"
    )


def weeks_ago(weeks: int) -> date:
    """The Monday so many weeks before the last one."""
    return LAST_MONDAY - timedelta(weeks=weeks)


class Report(ABC):
    """One report that a user of the tenant has defined."""

    id: ClassVar[str]
    title: ClassVar[str]
    columns: ClassVar[tuple[Column, ...]]
    #: Rows for every employee, unless the switch says otherwise; None when the switch has no say.
    per_employee: ClassVar[int | None] = None

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.organisation = sandbox.organisation
        self.seed = sandbox.organisation.seed

    def __len__(self) -> int:
        if self.per_employee is None or not self.organisation.employees:
            return 0
        wanted = self.sandbox.settings["orbit_report_rows"]
        rows = wanted.get(self.id, 0) if isinstance(wanted, dict) else int(wanted)
        return int(rows) or self.per_employee * self.organisation.employees

    @abstractmethod
    def row(self, index: int) -> Row:
        """The values of an entry, one for each column; the first is the key."""

    def key(self, index: int) -> str:
        """The key of the entry at `index`, as an address has it: an Int64 ends in L there."""
        return f"{FIRST_KEY + index}L"

    def user_name(self, index: int) -> str:
        """The name of the person at `index`, as it is now."""
        return _user_name(self.sandbox, self.sandbox.people_version, index)


@lru_cache(maxsize=16_384)
def _user_name(sandbox: Sandbox, version: int, index: int) -> str:
    return sandbox.organisation.person(index).display_name
