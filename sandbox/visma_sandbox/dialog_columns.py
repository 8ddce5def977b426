"""The attributes of one resource type as columns: filters and orders of 50,000 rows without reading them.

A column is made when it is first asked for, and only the rows written since are read again. It holds what
the rows hold, or the next list is wrong: who writes a row says so (:meth:`Columns.changed`).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

from scim2_models import AttributeBinding, Path, Resource, ScimFilter
from scim2_models.path import (
    CompareOperator,
    Comparison,
    FilterNode,
    FilterVisitor,
    LogicalExpr,
    LogicalOperator,
    Not,
    Present,
    ValuePath,
    coerce_value,
)

from visma_sandbox.dialog_payload import Payload, comparable_reader, compile_filter, keys_of, sort_key, values

Ids = frozenset[str] | set[str]

_COMPARE: Final[dict[CompareOperator, Callable[[Any, Any], bool]]] = {
    CompareOperator.gt: operator.gt,
    CompareOperator.ge: operator.ge,
    CompareOperator.lt: operator.lt,
    CompareOperator.le: operator.le,
    CompareOperator.sw: str.startswith,
    CompareOperator.ew: str.endswith,
}


class _Column:
    """What one attribute, or one order, makes of every row."""

    def __init__(self, rows: Mapping[str, Payload], read: Callable[[Payload], Any]) -> None:
        self._rows = rows
        self._read = read
        self._of: dict[str, Any] = {}
        self.stale = set(rows)

    def of(self) -> dict[str, Any]:
        """Return what there is of each row, by id."""
        for each in self.stale:
            if each in self._rows:
                self._of[each] = self._read(self._rows[each])
            else:
                self._of.pop(each, None)
        self.stale = set()
        return self._of


class Columns:
    """Finds and orders the rows of one resource type.

    :param rows: the rows by id, as they are now and will be.
    :param unique: ids by the comparable value of each attribute that is unique, by its JSON key.
    """

    def __init__(
        self,
        model: type[Resource[Any]],
        rows: Mapping[str, Payload],
        unique: Mapping[str, Mapping[str, str]],
    ) -> None:
        self.model = model
        self.rows = rows
        self.unique = unique
        self._columns: dict[tuple[str, tuple[str, ...]], _Column] = {}
        self._orders: dict[tuple[str, bool], list[str]] = {}

    def changed(self, resource_id: str) -> None:
        """Take note that a row was written or removed."""
        self._orders.clear()
        for column in self._columns.values():
            column.stale.add(resource_id)

    def matching(self, node: FilterNode) -> Ids:
        """Return the ids of the rows that a filter lets through."""
        return _Finder(self).visit(node)

    def order(self, path: Path[Any]) -> dict[str, tuple[bool, Any]]:
        """Return what orders the rows by an attribute, by id; those without it come last."""
        return self._column("order", (str(path),), sort_key(self.model, path))

    def ordered(self, path: Path[Any], *, descending: bool) -> list[str]:
        """Return the ids of all rows in the order of an attribute."""
        place = (str(path), descending)
        order = self.order(path)
        if place not in self._orders:
            self._orders[place] = sorted(order, key=order.__getitem__, reverse=descending)
        return self._orders[place]

    def values_of(self, binding: AttributeBinding) -> dict[str, tuple[Any, ...]]:
        """Return the values of an attribute in the form that comparisons use, by id."""
        keys, read = keys_of(binding), comparable_reader(binding)
        return self._column(
            "values",
            keys,
            lambda row: tuple(value if value is None else read(value) for value in values(row, keys)),
        )

    def present(self, binding: AttributeBinding) -> dict[str, bool]:
        """Return whether an attribute holds anything, by id."""
        keys = keys_of(binding)
        return self._column(
            "present", keys, lambda row: any(value not in (None, "", {}) for value in values(row, keys))
        )

    def _column(self, use: str, keys: tuple[str, ...], read: Callable[[Payload], Any]) -> dict[str, Any]:
        if (use, keys) not in self._columns:
            self._columns[use, keys] = _Column(self.rows, read)
        return self._columns[use, keys].of()


class _Finder(FilterVisitor[Ids]):
    """Turns a filter into the ids that it lets through (RFC 7644, 3.4.2.2)."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._filter: Any = ScimFilter.__class_getitem__(columns.model)

    def visit_comparison(self, node: Comparison) -> Ids:
        binding = self._filter(node).resolve_comparison(node.attr_path, strict=False)
        if binding is None:
            return frozenset()
        expected = binding.comparable(coerce_value(binding, node.value, node.op))
        if node.op in (CompareOperator.eq, CompareOperator.ne):
            equal = self._equal(binding, expected)
            # Any value may match; "ne" says that none is equal.
            return equal if node.op is CompareOperator.eq else self._columns.rows.keys() - equal
        if expected is None:
            return frozenset()
        column = self._columns.values_of(binding)
        if node.op is CompareOperator.co:  # a search does it for each word and place: a call less
            return {
                each
                for each, found in column.items()
                for value in found
                if value is not None and expected in value
            }
        compare = _COMPARE[node.op]
        return {
            each
            for each, found in column.items()
            for value in found
            if value is not None and compare(value, expected)
        }

    def visit_present(self, node: Present) -> Ids:
        binding = self._filter(node).resolve(node.attr_path, strict=False)
        if binding is None:
            return frozenset()
        if (only := keys_of(binding)[0]) in self._columns.unique:
            return set(self._columns.unique[only].values())
        return {each for each, there in self._columns.present(binding).items() if there}

    def visit_not(self, node: Not) -> Ids:
        return self._columns.rows.keys() - self.visit(node.expr)

    def visit_logical_expr(self, node: LogicalExpr) -> Ids:
        first, *others = (self.visit(term) for term in node.terms)
        return first.intersection(*others) if node.op is LogicalOperator.and_ else first.union(*others)

    def visit_value_path(self, node: ValuePath) -> Ids:
        matches = compile_filter(self._columns.model, node)
        return {each for each, row in self._columns.rows.items() if matches(row)}

    def _equal(self, binding: AttributeBinding, expected: Any) -> Ids:
        keys, rows = keys_of(binding), self._columns.rows
        if keys == ("id",) and isinstance(expected, str):
            return {expected} & rows.keys()
        if len(keys) == 1 and keys[0] in self._columns.unique and expected is not None:
            # An import asks for one number after the other, and writes in between.
            found = self._columns.unique[keys[0]].get(expected)
            return frozenset() if found is None else {found}
        return {each for each, held in self._columns.values_of(binding).items() if expected in held}
