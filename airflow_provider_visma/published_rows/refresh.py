"""Reads of everything: when the next one is due, and when one brings too little to be believed.

Only they can show what is gone, and only if they were complete: who may see less gets fewer rows, without
an error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from airflow_provider_visma.exceptions import VismaGuardError, VismaRequestError


def is_due(full_read_at: str | None, *, every: timedelta | None, now: datetime) -> bool:
    """Return whether everything is to be read again.

    :param full_read_at: UTC, when everything was read last; None where it never was.
    :param every: how often to; None for never.
    :param now: UTC.
    """
    if every is None:
        return False
    if full_read_at is None:
        return True
    # A nightly run that begins some seconds earlier than a week ago must not wait for the next night.
    tolerance = min(every / 10, timedelta(hours=1))
    return abs(now - datetime.fromisoformat(full_read_at)) >= every - tolerance


@dataclass(frozen=True, slots=True)
class DropGuard:
    """How many rows may be missing beside an earlier read that should have brought as many.

    :param max_drop: the share of them.
    :param on_drop: ``fail`` or ``warn``.
    """

    max_drop: float
    on_drop: str

    def check(self, wrong: Callable[[str, str], VismaRequestError]) -> None:
        """Check what the author of the DAG gave.

        :param wrong: makes the error of a message and an advice.
        """
        if self.on_drop not in ("fail", "warn"):
            raise wrong(f"on_drop is {self.on_drop!r}", "Give 'fail' or 'warn'.")
        if not 0 <= self.max_drop <= 1:
            raise wrong(f"max_drop is {self.max_drop}", "Give a share between 0 and 1.")

    def told(self, rows: int, *, before: int, read_at: str, log: Any, **where: Any) -> None:
        """Warn of rows that are too few, or stop the task over them.

        :param before: how many the earlier read brought.
        :param read_at: when that was.
        :param where: system, connection, operation and advice of the error.
        :raises VismaGuardError: they are too few, and the reaction is to fail.
        """
        if not fell_too_far(rows, before=before, max_drop=self.max_drop):
            return
        message = (
            f"{rows} rows came where the read of {read_at} brought {before}; "
            f"{self.max_drop:.0%} of them may be missing"
        )
        if self.on_drop == "fail":
            raise VismaGuardError(message, **where)
        log.warning("Far fewer rows came than before: %s", message)


def fell_too_far(rows: int, *, before: int, max_drop: float) -> bool:
    """Return whether *rows* are fewer than the share *max_drop* of *before* allows to be missing."""
    # Rounded: 1 - 0.7 is a little more than 0.3.
    return rows < round(before * (1 - max_drop), 6)
