"""What counts as a change of a report's columns, and what does not."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_visma.column_changes import ColumnChanges, KnownColumns

BEFORE = KnownColumns({"A": "integer", "B": "text", "C": "text"}, frozenset({"C"}))


def after(kinds: dict[str, str], *without_value: str) -> KnownColumns:
    with_values = {column: kind for column, kind in kinds.items() if column not in without_value}
    return BEFORE.now(kinds, with_values=with_values)


@pytest.mark.parametrize(
    ("now", "changes"),
    [
        (after({"A": "integer", "B": "text", "C": "text"}, "C"), ([], [], {})),
        (after({"B": "text", "A": "integer", "C": "text"}), ([], [], {})),
        (after({"A": "integer", "B": "text"}), ([], ["C"], {})),
        (after({"A": "integer", "B": "text", "C": "text", "D": "json"}), (["D"], [], {})),
        (after({"A": "text", "B": "text", "C": "text"}), ([], [], {"A": ["integer", "text"]})),
        (after({"A": "integer", "B": "text", "C": "integer"}), ([], [], {})),  # its first value
        (after({"A": "integer", "B": "text", "C": "text"}, "A", "B", "C"), ([], [], {})),
    ],
)
def test_changes_are_told(now: KnownColumns, changes: tuple[Any, Any, Any]) -> None:
    found = ColumnChanges.between(BEFORE, now)
    assert (found.appeared, found.vanished, found.changed) == changes
    assert bool(found) == any(changes)


def test_a_change_is_told_in_words() -> None:
    now = after({"A": "text", "B": "text", "D": "text"})
    assert str(ColumnChanges.between(BEFORE, now)) == (
        "new: D; gone: C; of another type: A (integer to text)"
    )


def test_a_column_keeps_its_kind_while_it_has_no_value() -> None:
    assert BEFORE.told({"A": "text", "C": "decimal", "D": "double"}) == {
        "A": "integer",
        "C": "decimal",
        "D": "double",
    }
    now = after({"A": "integer", "C": "decimal", "D": "double"}, "A", "C", "D")
    assert now.without_value == {"C", "D"}


def test_a_report_without_rows_has_lost_no_column() -> None:
    assert BEFORE.told({}) == dict(BEFORE.kinds)
    now = BEFORE.now(BEFORE.told({}), with_values={})
    assert now == BEFORE


def test_a_manifest_tells_the_columns() -> None:
    assert KnownColumns.of(None) == KnownColumns()
    assert KnownColumns.of({"columns": {"A": "integer"}, "without_value": ["A"]}) == KnownColumns(
        {"A": "integer"}, frozenset({"A"})
    )
