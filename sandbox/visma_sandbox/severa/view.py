"""What a call may see, and how lists are narrowed.

What must stay true: rights that are too narrow leave rows out and never raise (contract, section 2): who asks
cannot tell what they may not see from what does not exist.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from visma_sandbox.severa.calls import Call, Row
from visma_sandbox.severa.changes import Entity, Keep, Table, closest_minute, minute
from visma_sandbox.severa.faults import NotFound, SeveraFault

if TYPE_CHECKING:
    from visma_sandbox.severa.entities import World

Answer: TypeAlias = Iterator[Row] | Row | str | bool | bytes | int | list[str] | None
Missing: TypeAlias = Literal["fault", "null", "empty"]

NEW_ONLY: Final = 1
INCLUDE_INACTIVE: Final = 2
EXCLUDE_NOT_NUMBERED: Final = 4
EXCLUDE_NO_WON_CASES: Final = 8


class View:
    """The world as the user of one call sees it."""

    def __init__(self, world: World, call: Call) -> None:
        self.world = world
        self.call = call
        self.now = call.now
        narrow = call.user.rights == "narrow"
        unit = call.user.business_unit_guid or ""
        self._units = world.business_units.within(unit) if narrow else None

    @property
    def may_write(self) -> bool:
        """Whether the user may change anything."""
        return self._units is None

    def sees(self, table: Table, row: Row) -> bool:
        """Whether the user may see a row."""
        if self._units is None:
            return True
        unit = table.unit_guid(row)
        return unit is None or unit in self._units

    def rows(
        self, table: Table, candidates: Iterable[int] | None = None, keep: Keep | None = None
    ) -> Iterator[Entity]:
        """The rows that the user may see and `keep` wants."""
        if self._units is None:
            return table.rows(candidates, keep)

        def allowed(index: int, row: Entity) -> bool:
            return (keep is None or keep(index, row)) and self.sees(table, row)

        return table.rows(candidates, allowed)

    def changed(
        self,
        table: Table,
        start: datetime | None,
        *,
        options: int | None = 0,
        candidates: Iterable[int] | None = None,
        keep: Keep | None = None,
    ) -> Iterator[Entity]:
        """The rows changed since `start`, or with the option inserted since; precise to the minute only."""
        first = closest_minute(mandatory("the start", start))
        moment_of = table.inserted_at if (options or 0) & NEW_ONLY else table.changed_at

        def wanted(index: int, row: Entity) -> bool:
            return minute(moment_of(index)) >= first and (keep is None or keep(index, row))

        return self.rows(table, candidates, wanted)

    def find(self, table: Table, guid: str | None) -> Entity | None:
        """The row with this GUID if the user may see it."""
        row = table.find(guid)
        return row if row is not None and self.sees(table, row) else None

    def get(self, table: Table, guid: str | None, missing: Missing = "fault") -> Entity:
        """The row with this GUID.

        :param missing: what this operation answers when there is none.
        :raises NotFound: when there is none, or the user may not see it.
        """
        row = self.find(table, guid)
        if row is None:
            raise NotFound(missing)
        return row

    def first(self, rows: Iterator[Entity], missing: Missing = "fault") -> Entity:
        """The first of `rows`.

        :raises NotFound: when there is none.
        """
        row = next(rows, None)
        if row is None:
            raise NotFound(missing)
        return row

    def in_units(self, table: Table, guid: str | None, *, children: bool = True) -> Keep | None:
        """A filter by business unit; an empty GUID is all units, an unknown one has no rows."""
        if not guid:
            return None
        units = self.world.business_units.within(guid, children=children)
        return lambda _, row: table.unit_guid(row) in units


Read = Callable[[View, Mapping[str, Any]], Answer]
Reads = Mapping[tuple[str, str], Read]


def mandatory(what: str, value: Any) -> Any:
    """`value`, unless it is missing.

    :raises SeveraFault: a ValidationException that names `what`.
    """
    if value is None or value == "":
        raise SeveraFault("ValidationException", f"{what} is mandatory")
    return value


def both(*filters: Keep | None) -> Keep | None:
    """All filters together; None when there is nothing to filter by."""
    active = [each for each in filters if each is not None]
    if len(active) < 2:
        return active[0] if active else None
    return lambda index, row: all(each(index, row) for each in active)


def having(member: str, value: Any) -> Keep:
    """The rows whose member has a value."""
    return lambda _, row: row.get(member) == value


def between(member: str, start: datetime | None, end: datetime | None) -> Keep | None:
    """The rows whose member lies from `start` up to and with `end`; None is unbounded."""
    if start is None and end is None:
        return None

    def keep(_: int, row: Entity) -> bool:
        moment = row.get(member)
        return moment is not None and (start is None or start <= moment) and (end is None or moment <= end)

    return keep


def active_unless(options: int | None) -> Keep | None:
    """Leaves out inactive rows unless the option asks for them."""
    if (options or 0) & INCLUDE_INACTIVE:
        return None
    return lambda _, row: row.get("IsActive") is not False


def table_of(name: str) -> Callable[[View], Table]:
    """How to get at a table whose view is known later."""

    def table(view: View) -> Table:
        found: Table = getattr(view.world, name)
        return found

    return table


def by_guid(table_name: str, parameter: str, missing: Missing = "fault") -> Read:
    """An operation that answers the row with a GUID."""
    table = table_of(table_name)
    return lambda view, arguments: view.get(table(view), arguments[parameter], missing)


def by_member(
    table_name: str, parameter: str, member: str, missing: Missing = "fault", *, active: bool = False
) -> Read:
    """An operation that answers the first row whose member has a value; text without regard to case.

    :param active: an inactive row does not count.
    """
    table = table_of(table_name)

    def read(view: View, arguments: Mapping[str, Any]) -> Answer:
        wanted = _folded(mandatory(parameter, arguments[parameter]))
        rows = view.rows(table(view), None, lambda _, row: _folded(row.get(member)) == wanted)
        if active:
            rows = (row for row in rows if row.get("IsActive"))
        return view.first(rows, missing)

    return read


def everything(table_name: str) -> Read:
    """An operation that answers all active rows."""
    table = table_of(table_name)
    return lambda view, _: view.rows(table(view), None, active_unless(0))


def changed_since(table_name: str, parameter: str = "startDateTime") -> Read:
    """An operation that answers what changed, with the options 1 (new only) and 2 (also inactive)."""
    table = table_of(table_name)

    def read(view: View, arguments: Mapping[str, Any]) -> Answer:
        options = arguments.get("options")
        keep = active_unless(options)
        return view.changed(table(view), arguments[parameter], options=options, keep=keep)

    return read


def _folded(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value
