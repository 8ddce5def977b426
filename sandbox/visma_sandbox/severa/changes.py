"""Entities by index, and what was changed about them since the start.

What must stay true: a table holds changes only. Every other row is computed from seed and index when it is
asked for, so that a hundred thousand of them cost no memory, and a changed row is told from an unchanged one
by its index alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final

from visma_sandbox import people

if TYPE_CHECKING:
    from visma_sandbox.severa.entities import World

Entity = dict[str, Any]
Keep = Callable[[int, Entity], bool]

GUID_FORM: Final = "5e7e4a00-{number:04x}-4000-8000-"
_INSERTED: Final = frozenset({"InsertTS", "InsertTs"})
_UPDATED: Final = frozenset({"UpdatedTS", "UpdatedTs"})
_FIRST_ADDED: Final = 1 << 40
_HALF_MINUTE: Final = timedelta(seconds=30)
_LAST: Final = datetime.max - _HALF_MINUTE


@dataclass(slots=True)
class Edit:
    """What became of one row.

    :param at: moment of the last change, naive UTC.
    :param values: members that differ from the computed row; all of them for an added row.
    :param inserted: when the row was added; None for one that was there.
    """

    at: datetime
    values: Entity
    inserted: datetime | None = None
    deleted: bool = False


class UnknownEntityError(ValueError):
    """A change was asked for of a row or a kind that does not exist."""


class Table(ABC):
    """All entities of one kind, by index.

    :cvar name: of the entity in the contract.
    :cvar number: the kind's own, and the second group of its GUIDs.
    """

    name: ClassVar[str]
    number: ClassVar[int]

    def __init__(self, world: World) -> None:
        self.world = world
        self._prefix = GUID_FORM.format(number=self.number)
        self._seed = world.seed + 7919 * self.number
        self._edits: dict[int, Edit] = {}
        self._added = 0

    @abstractmethod
    def __len__(self) -> int:
        """How many rows are computed; added and deleted ones do not count."""

    @abstractmethod
    def base(self, index: int) -> Entity:
        """Compute the row at `index`."""

    def moments(self, index: int) -> tuple[datetime, datetime]:
        """When the computed row was inserted, and when it last changed (naive UTC)."""
        return self.world.founded, self.world.founded

    def unit_guid(self, row: Mapping[str, Any]) -> str | None:
        """The business unit that `row` belongs to; None is everybody's."""
        return None

    def bits(self, index: int) -> int:
        """64 well-mixed bits, from which a row's values are drawn."""
        return people.mix(self._seed, index)

    def guid(self, index: int) -> str:
        """The GUID of the row at `index`."""
        return f"{self._prefix}{index + 1:012x}"

    def index_of(self, guid: str | None) -> int | None:
        """The index of the row with this GUID, or None when there is none."""
        if not guid or len(guid) != 36 or not guid.lower().startswith(self._prefix):
            return None
        try:
            index = int(guid[24:], 16) - 1
        except ValueError:
            return None
        edit = self._edits.get(index)
        exists = not edit.deleted if edit else 0 <= index < len(self)
        return index if exists else None

    def row(self, index: int) -> Entity:
        """The row at `index` as it is now; it must exist."""
        edit = self._edits.get(index)
        if edit is None:
            return self.base(index)
        if edit.inserted is not None:
            return dict(edit.values)
        return {**self.base(index), **edit.values}

    def find(self, guid: str | None) -> Entity | None:
        """The row with this GUID, or None."""
        index = self.index_of(guid)
        return None if index is None else self.row(index)

    def rows(self, candidates: Iterable[int] | None = None, keep: Keep | None = None) -> Iterator[Entity]:
        """The rows that `keep` wants, those that were touched last.

        :param candidates: the only unchanged rows worth looking at; all by default.
        """
        edits = self._edits
        for index in range(len(self)) if candidates is None else candidates:
            if index not in edits:
                row = self.base(index)
                if keep is None or keep(index, row):
                    yield row
        for index in sorted(edits):
            if not edits[index].deleted:
                row = self.row(index)
                if keep is None or keep(index, row):
                    yield row

    def count(self) -> int:
        """How many rows there are now."""
        base = len(self)
        deleted = sum(edit.deleted and index < base for index, edit in self._edits.items())
        added = sum(not edit.deleted and index >= _FIRST_ADDED for index, edit in self._edits.items())
        return base - deleted + added

    def inserted_at(self, index: int) -> datetime:
        """When the row was inserted."""
        edit = self._edits.get(index)
        return edit.inserted if edit and edit.inserted else self.moments(index)[0]

    def changed_at(self, index: int) -> datetime:
        """When the row last changed."""
        edit = self._edits.get(index)
        return edit.at if edit else self.moments(index)[1]

    def add(self, values: Mapping[str, Any], at: datetime) -> Entity:
        """Add a row and return it with its new GUID; the same values twice make two rows."""
        index = _FIRST_ADDED + self._added
        self._added += 1
        self._edits[index] = Edit(at, {**_normal(values), "GUID": self.guid(index)}, inserted=at)
        return self.row(index)

    def update(self, index: int, values: Mapping[str, Any], at: datetime) -> Entity:
        """Change some members of a row and return it."""
        edit = self._edits.setdefault(index, Edit(at, {}))
        edit.values |= {name: value for name, value in _normal(values).items() if name != "GUID"}
        edit.at = at
        return self.row(index)

    def delete(self, index: int, at: datetime) -> None:
        """Make a row go; nothing will ever tell that it was there."""
        self._edits[index] = Edit(at, {}, deleted=True)

    def reset(self) -> None:
        """Forget every change."""
        self._edits.clear()
        self._added = 0

    def template(self) -> Entity:
        """What an added row is like where it is not told."""
        return self.base(0) if len(self) else {}

    def _stamps(self, at: datetime, members: frozenset[str]) -> Entity:
        """The members among `members` that this kind has, set to `at`."""
        return dict.fromkeys(members & self.template().keys(), at)

    def change(
        self, guid: str | None, changes: Mapping[str, Any], *, at: datetime, delete: bool
    ) -> dict[str, Any]:
        """What the control endpoint does: change, delete or, without a GUID, add a row.

        :return: ``guid`` and ``changed_at``.
        :raises UnknownEntityError: no such row.
        """
        if guid is None:
            stamps = self._stamps(at, _INSERTED | _UPDATED)
            row = self.add({**self.template(), **stamps, **changes}, at)
            return {"guid": row["GUID"], "changed_at": at.isoformat()}
        index = self.index_of(guid)
        if index is None:
            raise UnknownEntityError(f"no {self.name} has the GUID {guid}")
        if delete:
            self.delete(index, at)
        else:
            self.update(index, {**self._stamps(at, _UPDATED), **changes}, at)
        return {"guid": guid, "changed_at": at.isoformat()}


def _normal(values: Mapping[str, Any]) -> Entity:
    """The values with their GUIDs in small letters, as they are compared."""
    return {
        name: value.lower() if name.endswith("GUID") and isinstance(value, str) else value
        for name, value in values.items()
    }


def minute(moment: datetime) -> datetime:
    """`moment` without its seconds."""
    return moment.replace(second=0, microsecond=0)


def closest_minute(moment: datetime) -> datetime:
    """The minute nearest to `moment`: a start may come to lie half a minute late (contract, section 4)."""
    return minute(moment if moment > _LAST else moment + _HALF_MINUTE)
