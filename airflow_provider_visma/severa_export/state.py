"""What is known of a Severa export after its last run, and what its next can be compared with.

Only reads that should have brought the same rows are compared: else a window that moved on would look
like rows that are gone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

_KEPT_READS = 24
_COMPARABLE = 0.9


@dataclass(frozen=True, slots=True)
class Window:
    """From when to when rows were read; None is without a bound. Naive, as Severa's dates are."""

    start: datetime | None = None
    end: datetime | None = None

    @property
    def length(self) -> timedelta:
        """How long it is."""
        return (self.end or datetime.max) - (self.start or datetime.min)

    def contains(self, other: Window) -> bool:
        """Return whether all of *other* lies within."""
        after_start = self.start is None or (other.start is not None and other.start >= self.start)
        before_end = self.end is None or (other.end is not None and other.end <= self.end)
        return after_start and before_end

    def shared_with(self, other: Window) -> timedelta:
        """Return how much of *other* lies within."""
        start = max(self.start or datetime.min, other.start or datetime.min)
        return min(self.end or datetime.max, other.end or datetime.max) - start

    def holds_most_of(self, other: Window) -> bool:
        """Return whether so much of *other* lies within that it should bring nearly as many rows."""
        if self.contains(other):
            return True
        bounded = None not in (self.start, self.end, other.start, other.end)
        return bounded and self.shared_with(other) >= _COMPARABLE * other.length


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRead:
    """A read of everything in a window, with which later ones are compared.

    :param read_at: UTC, when it was begun.
    :param folder: where its index is.
    :param everything: whether it read all from the initial start on.
    """

    start: str | None
    end: str | None
    read_at: str
    rows: int
    folder: str
    everything: bool = False

    @property
    def window(self) -> Window:
        """What it covers."""
        return Window(*(datetime.fromisoformat(bound) if bound else None for bound in (self.start, self.end)))

    def asked_as(self, asked: Mapping[str, str]) -> bool:
        """Return whether a read that gave *asked* as parameters of time was of this window."""
        return list(asked.values()) == [bound for bound in (self.start, self.end) if bound]

    def takes_the_place_of(self, other: PastRead) -> bool:
        """Return whether *other* tells nothing more after this read."""
        # Where everything begins later than it did, nobody will read again what came before.
        begins_later = self.everything and other.everything and (other.start or "") < (self.start or "")
        return begins_later or self.window.contains(other.window)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportState:
    """What is known of an export after its last run; the value of its watermark.

    :param scope: digest of what is exported. A state of another scope says nothing about this one.
    :param read_at: UTC, when the last read was begun: from there on changes are unknown.
    :param folder: where the last run's files and index are.
    :param rows: how many it published.
    :param full_read_at: UTC, when everything was read last.
    :param exact: whether that index holds every row as it was published last. It does not after rows were
        published out of turn, by a run that was repeated or overtaken.
    :param reads: the reads of windows that later ones can be compared with, latest first.
    """

    scope: str
    read_at: str
    folder: str
    rows: int
    schema_version: str
    full_read_at: str | None = None
    exact: bool = True
    reads: tuple[PastRead, ...] = ()

    @classmethod
    def of(cls, stored: Any, *, scope: str) -> ExportState | None:
        """Return the stored state, None where there is none of this scope."""
        try:
            reads = tuple(PastRead(**read) for read in stored["reads"])
            state = cls(**{**stored, "reads": reads})
        except (TypeError, KeyError):
            return None  # nothing, or written by another version of this provider
        return state if state.scope == scope else None

    def to_json(self) -> dict[str, Any]:
        """Return it as it is stored."""
        return {**asdict(self), "reads": [asdict(read) for read in self.reads]}

    def comparable(self, window: Window) -> PastRead | None:
        """Return the read that should have brought about as many rows as one of *window*, or fewer."""
        candidates = [read for read in self.reads if window.holds_most_of(read.window)]
        shared = window.shared_with
        return max(candidates, key=lambda read: (shared(read.window), read.read_at), default=None)

    def covered_by(self, window: Window) -> tuple[PastRead, ...]:
        """Return the reads of which a read of *window* must find every row again, unless it is gone."""
        return tuple(read for read in self.reads if window.contains(read.window))

    def about(self, window: Window | None) -> ExportState:
        """Return the state without the reads that a read of *window* is not compared with."""
        if window is None:
            return self
        return replace(self, reads=tuple(read for read in self.reads if window.holds_most_of(read.window)))

    def after(self, earlier: ExportState | None, read: PastRead | None) -> ExportState:
        """Return this state of a run, with what is still true of the one before.

        :param read: the run's own read of a window, which takes the place of those that it covers, unless
            another run read the same later.
        """
        reads = earlier.reads if earlier else ()
        full_read_at = earlier.full_read_at if earlier else None
        if read and not any(other.window == read.window and other.read_at > read.read_at for other in reads):
            reads = (read, *(other for other in reads if not read.takes_the_place_of(other)))
            full_read_at = read.read_at if read.everything else full_read_at
        # However many windows follow, the next read of everything is compared with this one.
        last_full = tuple(other for other in reads[_KEPT_READS:] if other.everything)[:1]
        return replace(self, full_read_at=full_read_at, reads=reads[:_KEPT_READS] + last_full)

    def overtaken_by(self, other: ExportState) -> ExportState:
        """Return this state, after a run that began before it published rows after it."""
        if other.folder == self.folder:  # the same run, repeated: its index was written anew
            return self
        return replace(self, exact=False)


def scope_of(**what: Any) -> str:
    """Return the digest of what is exported: runs with another one cannot be compared."""
    text = json.dumps(what, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
