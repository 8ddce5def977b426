"""What a list asks for: filter, order and page, and which rows that is.

The form of a filter on the wire is not known. The sandbox takes an object by field: a value that must be
equal, or an object of bounds (``from``, ``to``, or ``gt``, ``gte``, ``lt``, ``lte``), such as
``{"updated_at": {"from": "2026-08-28T00:00:00"}}``; a switch has it ignored or refused.
"""

from __future__ import annotations

import json
import operator
from array import array
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from visma_sandbox.orbit.answers import Refusal
from visma_sandbox.orbit.tables import STAMPS, Table

if TYPE_CHECKING:
    from visma_sandbox.app import Sandbox

_BOUNDS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "from": operator.ge,
    "to": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
_REMEMBERED: Final = 8


@dataclass(frozen=True, slots=True)
class Wish:
    """What a list asks for, checked.

    :param number: of the page; None when the body has none.
    """

    filter: Mapping[str, Any]
    order: Sequence[tuple[str, bool]]
    size: int
    number: int | None


class Lists:
    """Pages of rows; what a filter or an order chose is remembered while its pages are read."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._settings = sandbox.settings
        self._chosen: OrderedDict[str, Sequence[int]] = OrderedDict()

    def read(self, body: Mapping[str, Any], table: Table) -> Wish:
        """The wish in a request's body.

        :raises Refusal: when it is none.
        """
        fields = {*table.row(table.indexes()[0]), *STAMPS} if table.count() else set()
        page = body.get("page")
        if page is None:
            page = {}
        if not isinstance(page, dict):
            raise _bad("page must be an object")
        size, number = page.get("size", 20), page.get("number")
        if not _is_whole(size) or size < 1 or not (number is None or _is_whole(number)):
            raise _bad("page.size and page.number must be whole numbers")
        limit = int(self._settings["orbit_page_limit"])
        return Wish(
            self._filter(body.get("filter"), fields),
            self._order(body.get("order"), fields),
            min(size, limit) if limit else size,
            number,
        )

    def page(self, table: Table, wish: Wish) -> Sequence[int]:
        """The indexes of the rows on the page."""
        chosen = self._choose(table, wish)
        first = int(self._settings["orbit_first_page"])
        number = first if wish.number is None else wish.number
        if number < first:
            match self._settings["orbit_page_before_first"]:
                case "error":
                    raise _bad("page.number is before the first page")
                case "empty":
                    return ()
                case _:
                    number = first
        start = (number - first) * wish.size
        return chosen[start : start + wish.size]

    def _filter(self, given: Any, fields: set[str]) -> Mapping[str, Any]:
        if given in (None, [], {}) or self._settings["orbit_filter"] == "ignored":
            return {}
        if not isinstance(given, dict) or self._settings["orbit_filter"] == "refused":
            raise _bad("filter is not understood")
        for name, wanted in given.items():
            if fields and name not in fields:
                raise _bad("filter names a field that is not known")
            if isinstance(wanted, list) or (isinstance(wanted, dict) and not wanted.keys() <= _BOUNDS.keys()):
                raise _bad("filter wants a value, or bounds")
        return given

    def _order(self, given: Any, fields: set[str]) -> Sequence[tuple[str, bool]]:
        if given in (None, []) or self._settings["orbit_order"] == "ignored":
            return ()
        if not isinstance(given, list) or self._settings["orbit_order"] == "refused":
            raise _bad("order is not understood")
        wanted = []
        for each in given:
            if not isinstance(each, dict) or each.get("order", "asc") not in {"asc", "desc"}:
                raise _bad("order wants a list of field and order, asc or desc")
            if fields and each.get("field") not in fields:
                raise _bad("order names a field that is not known")
            wanted.append((str(each.get("field")), each.get("order") == "desc"))
        return wanted

    def _choose(self, table: Table, wish: Wish) -> Sequence[int]:
        if not wish.filter and not wish.order:
            return table.indexes()
        wanted = [table.resource.name, table.version, table.base_count(), wish.filter, wish.order]
        key = json.dumps(wanted, sort_keys=True)
        if key in self._chosen:
            self._chosen.move_to_end(key)
            return self._chosen[key]
        chosen = [index for index in table.indexes() if _keeps(table, index, wish.filter)]
        for name, descending in reversed(wish.order):
            keys = {index: _sortable(_value(table, index, name)) for index in chosen}
            chosen.sort(key=keys.__getitem__, reverse=descending)
        self._chosen[key] = array("q", chosen)
        if len(self._chosen) > _REMEMBERED:
            self._chosen.popitem(last=False)
        return self._chosen[key]


def _value(table: Table, index: int, name: str) -> Any:
    return table.stamps(index)[name] if name in STAMPS else table.row(index).get(name)


def _keeps(table: Table, index: int, wanted: Mapping[str, Any]) -> bool:
    for name, wish in wanted.items():
        value = _value(table, index, name)
        if not isinstance(wish, dict):
            if value != wish:
                return False
            continue
        for bound, limit in wish.items():
            try:
                if value is None or not _BOUNDS[bound](value, limit):
                    return False
            except TypeError:
                raise _bad("filter compares what cannot be compared") from None
    return True


def _sortable(value: Any) -> tuple[int, float, str]:
    """Nulls before numbers before texts."""
    if value is None:
        return 0, 0.0, ""
    return (1, float(value), "") if isinstance(value, int | float) else (2, 0.0, str(value))


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _bad(message: str) -> Refusal:
    return Refusal(400, "invalid_request", message)
