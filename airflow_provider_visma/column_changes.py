"""What became of a report's columns since it was last published.

Only what values have shown counts: a column of nothing but nulls has no type that could have changed, and a
report without rows has lost no column.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from airflow_provider_visma.exceptions import VismaGuardError, VismaRequestError

_LONGEST_TEXT = 1000


@dataclass(frozen=True, slots=True)
class KnownColumns:
    """The columns of a report as published, with their kinds.

    :param without_value: those that never had a value, so that their kind is only assumed.
    """

    kinds: Mapping[str, str] = field(default_factory=dict)
    without_value: frozenset[str] = frozenset()

    @classmethod
    def of(cls, manifest: Mapping[str, Any] | None) -> Self:
        """Read them from the manifest of a copy; none without one."""
        if manifest is None:
            return cls()
        return cls(dict(manifest.get("columns") or {}), frozenset(manifest.get("without_value") or ()))

    def told(self, columns: Mapping[str, str]) -> dict[str, str]:
        """Return the kinds to assume of *columns* without a value now; of those before if there is no row.

        A column keeps its kind over a day on which it is empty, so that its files do not change their types.
        """
        if not columns:
            return dict(self.kinds)
        return {
            column: kind if column in self.without_value else self.kinds.get(column, kind)
            for column, kind in columns.items()
        }

    def now(self, kinds: Mapping[str, str], *, with_values: Mapping[str, str]) -> KnownColumns:
        """Return what is known after a further read of columns of *kinds*."""
        known = set(with_values) | (set(self.kinds) - self.without_value)
        return KnownColumns(dict(kinds), frozenset(set(kinds) - known))


@dataclass(frozen=True, slots=True)
class ColumnChanges:
    """How columns differ from those before.

    :param changed: kind before and kind now, by column.
    """

    appeared: list[str]
    vanished: list[str]
    changed: dict[str, list[str]]

    @classmethod
    def between(cls, before: KnownColumns, now: KnownColumns) -> Self:
        """Compare two publications of a report."""
        assumed = before.without_value | now.without_value
        return cls(
            appeared=[column for column in now.kinds if column not in before.kinds],
            vanished=[column for column in before.kinds if column not in now.kinds],
            changed={
                column: [kind, now.kinds[column]]
                for column, kind in before.kinds.items()
                if column not in assumed and now.kinds.get(column, kind) != kind
            },
        )

    def __bool__(self) -> bool:
        return bool(self.appeared or self.vanished or self.changed)

    def __str__(self) -> str:
        said = [
            f"{what} {', '.join(columns)}"
            for what, columns in (("new:", self.appeared), ("gone:", self.vanished))
            if columns
        ]
        if self.changed:
            changes = (f"{column} ({before} to {now})" for column, (before, now) in self.changed.items())
            said.append(f"of another type: {', '.join(changes)}")
        return "; ".join(said)

    def to_json(self) -> dict[str, Any]:
        """Return them for a manifest."""
        return {"appeared": self.appeared, "vanished": self.vanished, "changed": self.changed}

    def told(self, reaction: str, log: Any, **where: Any) -> Self:
        """Warn of changes, or stop the task over them.

        :param reaction: ``fail`` or ``warn``.
        :param where: system, connection, operation and advice of the error.
        :raises VismaGuardError: there are some, and the reaction is to fail.
        """
        if self:
            said = str(self)[:_LONGEST_TEXT]
            if reaction == "fail":
                raise VismaGuardError(f"the columns are not those that were published last: {said}", **where)
            log.warning("The columns changed: %s", said)
        return self


def check_reaction(reaction: str, wrong: Callable[[str, str], VismaRequestError]) -> None:
    """Check what is to be done about changes of columns.

    :param wrong: makes the error of a message and an advice.
    """
    if reaction not in ("fail", "warn"):
        raise wrong(f"on_column_change is {reaction!r}", "Give 'fail' or 'warn'.")
