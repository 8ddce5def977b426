"""Rules of a Severa export: what to ask for.

Severa tells changes to the minute only, and deletions not at all. So every rule here would rather read a
row twice than not at all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from airflow_provider_visma.exceptions import VismaRequestError
from airflow_provider_visma.published_rows.refresh import is_due
from airflow_provider_visma.severa_export.state import ExportState, Window

SYSTEM: Final = "Severa"

_MINUTE = timedelta(minutes=1)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*")


class Read(StrEnum):
    """What one run reads.

    ``changes`` since a moment; ``everything`` from the initial start on; the rows of a ``window`` of
    dates; or a ``list`` that knows no dates.
    """

    CHANGES = "changes"
    EVERYTHING = "everything"
    WINDOW = "window"
    LIST = "list"


@dataclass(frozen=True, slots=True)
class Times:
    """The parameters of an operation that say from when to when.

    :param start: None where it has none.
    :param end: None where it has none.
    """

    start: str | None = None
    end: str | None = None

    @property
    def tells_changes(self) -> bool:
        """Whether the operation returns what changed since *start*, and not what lies in a window."""
        return self.start is not None and self.end is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one run asks for.

    :param arguments: the operation's parameters of time.
    :param window: what the read covers; None for changes.
    :param drop_repeats: leave out the rows that were published before and are still the same.
    :param moves_watermark: False where the author asked for changes since a moment of their own.
    """

    read: Read
    arguments: Mapping[str, datetime]
    window: Window | None = None
    drop_repeats: bool = False
    moves_watermark: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the author of the DAG wants, as far as it decides what to ask for.

    :param initial_start: where everything begins.
    :param overlap: how much longer ago than the last read changes are asked for.
    :param changed_since: ask for changes since then, and leave the watermark alone.
    """

    initial_start: datetime
    overlap: timedelta
    window: Window | None = None
    changed_since: datetime | None = None
    full_refresh: bool = False
    full_refresh_every: timedelta | None = None

    def plan(self, times: Times, state: ExportState | None, *, now: datetime) -> Plan:
        """Return what to ask for.

        :param now: UTC, before the request.
        """
        if times.tells_changes:
            return self._changes(str(times.start), state, now)
        if self.window is None:
            return Plan(read=Read.LIST, arguments={}, window=Window())
        window, read = self.window, Read.WINDOW
        if self.full_refresh or (self.full_refresh_every and self._full_is_due(state, now)):
            start = self.initial_start.astimezone(UTC).replace(tzinfo=None)
            window, read = Window(start, window.end), Read.EVERYTHING
        bounds = ((times.start, window.start), (times.end, window.end))
        arguments = {name: bound for name, bound in bounds if name and bound}
        return Plan(read=read, arguments=arguments, window=window)

    def _changes(self, parameter: str, state: ExportState | None, now: datetime) -> Plan:
        if self.changed_since:
            return Plan(
                read=Read.CHANGES,
                arguments={parameter: self.changed_since.astimezone(UTC)},
                moves_watermark=False,
            )
        if state is None or self.full_refresh or self._full_is_due(state, now):
            start = self.initial_start.astimezone(UTC)
            return Plan(
                read=Read.EVERYTHING,
                arguments={parameter: start},
                window=Window(start.replace(tzinfo=None), None),
            )
        # A clock that was ahead must not keep the watermark in the future.
        read_at = min(datetime.fromisoformat(state.read_at), now)
        since = changes_since(read_at, overlap=self.overlap)
        return Plan(read=Read.CHANGES, arguments={parameter: since}, drop_repeats=state.exact)

    def _full_is_due(self, state: ExportState | None, now: datetime) -> bool:
        return is_due(state.full_read_at if state else None, every=self.full_refresh_every, now=now)


def times_of(operation: str, parameters: Sequence[str]) -> Times:
    """Return which parameters of an operation say from when to when.

    :param parameters: their names; ``startDate``, ``startdate`` and ``insertStartDate`` all occur.
    """

    def named(word: str) -> str | None:
        found = [name for name in parameters if re.search(rf"{word}date|date{word}", name, re.IGNORECASE)]
        return found[0] if len(found) == 1 else None

    start, end = named("start"), named("end")
    if "ChangedSince" in operation:
        return Times(start)
    return Times(start, end) if start and end else Times()


def changes_since(read_at: datetime, *, overlap: timedelta) -> datetime:
    """Return from when to ask for changes after a read that was begun at *read_at*.

    Severa compares to the closest minute, so seconds would only move the start to a later one.
    """
    return (read_at - overlap).astimezone(UTC).replace(second=0, microsecond=0)


def month_of(moment: datetime) -> Window:
    """Return the calendar month (UTC) of *moment*, to its last minute."""
    start = moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    return Window(start, (start + timedelta(days=32)).replace(day=1) - _MINUTE)


def window_of(wish: Any, *, moment: datetime | None) -> Window | None:
    """Return the window that an author wrote, None where there is none.

    :param wish: ``month``, ``<start>/<end>`` or both in a sequence, as dates or moments. A date as the end
        means all of that day.
    :param moment: the run's own.
    :raises VismaRequestError: it is none of these, or ends before it begins.
    """
    if wish in (None, "", "None"):
        return None
    if wish == "month":
        if moment is None:
            raise VismaRequestError(
                "the run has no date, so it has no month", system=SYSTEM, advice="Give the window's bounds."
            )
        return month_of(moment)
    bounds = wish.split("/") if isinstance(wish, str) else wish
    try:
        start, end = (
            _bound(bound, is_end=is_end) for bound, is_end in zip(bounds, (False, True), strict=True)
        )
        window = Window(start, end)
        if end < start:
            raise ValueError
    except (TypeError, ValueError):
        raise VismaRequestError(
            f"{str(wish)[:80]!r} is not a window",
            system=SYSTEM,
            advice="Give 'month', or the first and the last day: ('2026-11-01', '2026-11-30').",
        ) from None
    return window


def _bound(written: Any, *, is_end: bool) -> datetime:
    text = written.isoformat() if hasattr(written, "isoformat") else str(written).strip()
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    # A date alone has no hour to say where its day ends.
    return moment + timedelta(days=1) - _MINUTE if is_end and len(text) == len("2026-11-30") else moment


def moment_of(written: Any, *, parameter: str) -> datetime:
    """Return the moment that an author wrote, in UTC where it names no zone.

    :raises VismaRequestError: it is none.
    """
    try:
        text = written.isoformat() if hasattr(written, "isoformat") else str(written).strip()
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise VismaRequestError(
            f"{parameter} is {str(written)[:40]!r}, which is no date",
            system=SYSTEM,
            advice="Write it as 2026-11-01 or 2026-11-01T02:00:00Z.",
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def checked_name(name: str) -> str:
    """Return the name of an export if it is a plain path, so that nothing of it can leave the destination.

    :raises VismaRequestError: it is not.
    """
    if not _NAME.fullmatch(name):
        raise VismaRequestError(
            f"{name[:60]!r} cannot be the name of an export",
            system=SYSTEM,
            advice="Use letters, digits, dots, dashes and underscores, with slashes between folders.",
        )
    return name
