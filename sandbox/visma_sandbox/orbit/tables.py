"""The rows of a resource by index, and what was changed about them since the start.

What must stay true: a table holds changes only. Every other row is computed when it is asked for, so that a
hundred thousand of them cost no memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from visma_sandbox.orbit.ids import identifier, index_of
from visma_sandbox.orbit.resources import RESOURCES
from visma_sandbox.orbit.rows import MAKERS, Row, count_of, moments, seed_of
from visma_sandbox.people import mix

if TYPE_CHECKING:
    from visma_sandbox.app import Sandbox

_FIRST_ADDED: Final = 1 << 40
#: What items of a list have, and what `get` answers has not.
STAMPS: Final = ("added_at", "updated_at")


class UnknownRowError(LookupError):
    """No such resource, or no row of it with the id."""


@dataclass(slots=True)
class _Edit:
    values: Row
    updated_at: datetime
    added_at: datetime | None = None
    deleted: bool = False


class Table:
    """All rows of one resource.

    :ivar version: another one after every change.
    """

    def __init__(self, sandbox: Sandbox, name: str) -> None:
        self._sandbox = sandbox
        self._organisation = sandbox.organisation
        self._make = MAKERS[name]
        self.resource = RESOURCES[name]
        self.seed = seed_of(sandbox.organisation, name)
        self.version = 0
        self.clear()

    def clear(self) -> None:
        """Forget every change."""
        self._edits: dict[int, _Edit] = {}
        self._added = 0
        self._deleted = 0
        self.version += 1

    def base_count(self) -> int:
        """How many rows are computed."""
        name, wanted = self.resource.name, self._sandbox.settings["orbit_rows"]
        rows = wanted.get(name, -1) if isinstance(wanted, dict) else int(wanted) or -1
        if name == "users" or rows < 0:  # users are the organisation's people, whatever the switch says
            return count_of(self._organisation, name)
        return int(rows)

    def count(self) -> int:
        """How many rows there are now."""
        return len(self.indexes()) if self._deleted else self.base_count() + self._added

    def indexes(self) -> Sequence[int]:
        """The indexes of all rows, in the order in which they were added."""
        base, added = range(self.base_count()), range(_FIRST_ADDED, _FIRST_ADDED + self._added)
        if not self._deleted:
            return base if not added else _Joined(base, added)
        gone = {index for index, edit in self._edits.items() if edit.deleted}
        return [index for part in (base, added) for index in part if index not in gone]

    def index(self, row_id: object) -> int:
        """The index of the row with this id.

        :raises UnknownRowError: when there is none.
        """
        found = index_of(self.resource.prefix, self.seed, row_id)
        added = found is not None and _FIRST_ADDED <= found < _FIRST_ADDED + self._added
        if found is None or not (added or found < self.base_count()) or self._is_deleted(found):
            raise UnknownRowError(f"{self.resource.name} has no such id")
        return found

    def row(self, index: int) -> Row:
        """The row as ``get`` answers it."""
        edit = self._edits.get(index)
        made = {} if edit is not None and edit.added_at is not None else self._computed(index)
        row = {"id": identifier(self.resource.prefix, self.seed, index), **made}
        return row if edit is None else row | edit.values

    def item(self, index: int) -> Row:
        """The row as a list has it."""
        return {**self.row(index), **self.stamps(index)}

    def items(self, indexes: Sequence[int]) -> Iterator[Row]:
        """Rows as a list has them, one at a time."""
        return (self.item(index) for index in indexes)

    def stamps(self, index: int) -> dict[str, str]:
        """When the row was added and changed, as on the wire: without a zone."""
        edit = self._edits.get(index)
        added, updated = moments(self.seed, index)
        if edit is not None:
            added, updated = edit.added_at or added, edit.updated_at
        return {"added_at": added.isoformat(), "updated_at": updated.isoformat()}

    def add(self, values: Mapping[str, Any], at: datetime | None = None) -> int:
        """Add a row; the same values twice make two."""
        now = self.now() if at is None else at
        index = _FIRST_ADDED + self._added
        self._added += 1
        template: Row = {
            name: [] if isinstance(value, list) else None for name, value in self._computed(0).items()
        }
        self._edits[index] = _Edit({**template, **values}, now, added_at=now)
        self.version += 1
        return index

    def change(self, index: int, values: Mapping[str, Any], at: datetime | None = None) -> None:
        """Change fields of a row."""
        edit = self._edits.setdefault(index, _Edit({}, self.now()))
        edit.values |= values
        edit.updated_at = self.now() if at is None else at
        self.version += 1

    def delete(self, index: int) -> None:
        """Make a row go; nothing will ever tell that it was there."""
        self._edits.setdefault(index, _Edit({}, self.now())).deleted = True
        self._deleted += 1
        self.version += 1

    def now(self) -> datetime:
        """The clock on Orbit's wall, to the second."""
        at = datetime.fromtimestamp(self._sandbox.clock(), UTC)
        zone = ZoneInfo(str(self._sandbox.settings["orbit_zone"]))
        return at.astimezone(zone).replace(tzinfo=None, microsecond=0)

    def _computed(self, index: int) -> Row:
        return self._make(self._organisation, index, mix(self.seed, index))

    def _is_deleted(self, index: int) -> bool:
        edit = self._edits.get(index)
        return edit is not None and edit.deleted


class _Joined(Sequence[int]):
    """Two ranges as one sequence, without making a list of them."""

    def __init__(self, first: range, second: range) -> None:
        self._first = first
        self._second = second

    def __len__(self) -> int:
        return len(self._first) + len(self._second)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        base = len(self._first)
        return self._first[place] if place < base else self._second[place - base]
