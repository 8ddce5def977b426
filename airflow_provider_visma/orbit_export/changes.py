"""What changed since the last export, by Orbit's own moments.

They have no zone, so they are texts of one clock, compared with each other and with no clock of ours. That
clock goes back an hour in autumn and may be late: each export reaches back further than that, and leaves out
the rows that the one before published and that are still the same.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

FIELD = "updated_at"

_MOMENT = re.compile(r"[1-9]\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?")
_EARLIEST = "1000-01-01T00:00:00"
_AHEAD = timedelta(hours=15)  # of UTC, in the zone that is furthest ahead, by a clock that is an hour fast
_DIGEST_BYTES = 16
_PRUNED_FROM = 10_000


def may_be_same_user(before: str | None, now: str | None) -> bool:
    """Return whether nothing tells two users apart; None is one of whom Orbit did not say who it is.

    Another user may see other rows: what did not change lately would never come.
    """
    return now is None or before in (None, now)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrbitState:
    """What is known of an export after its last run; the value of its watermark.

    :param scope: digest of what is exported. A state of another scope says nothing about this one.
    :param started_at: UTC, when that run began to read.
    :param folder: where its files are.
    :param watermark: the latest moment of change, in Orbit's own words; None where rows have none.
    :param all_dated: whether every row that ever came had one. A new row without would pass any filter by.
    :param columns: kinds of the columns, as published.
    :param without_value: those of them that have never had a value.
    :param user: digest of who was signed in, None where Orbit never said.
    :param full_read_at: UTC, when everything was read last.
    :param full_rows: how many rows that brought.
    """

    scope: str
    started_at: str
    folder: str
    watermark: str | None
    all_dated: bool
    columns: Mapping[str, str] = field(default_factory=dict)
    without_value: tuple[str, ...] = ()
    user: str | None = None
    full_read_at: str | None = None
    full_rows: int = 0

    @classmethod
    def of(cls, stored: Any, *, scope: str, user: str | None = None) -> OrbitState | None:
        """Return the stored state, None where there is none of this scope, or another user's.

        :param user: who is signed in, None where that is not told: then it is taken for the same.
        """
        try:
            state = cls(**{**stored, "without_value": tuple(stored["without_value"])})
        except (TypeError, KeyError):
            return None  # nothing, or written by another version of this provider
        return state if state.scope == scope and may_be_same_user(state.user, user) else None

    def to_json(self) -> dict[str, Any]:
        """Return it as it is stored."""
        return {**asdict(self), "without_value": list(self.without_value)}


def moment_of(text: Any) -> str | None:
    """Return a moment in Orbit's form, None where *text* is none."""
    if not isinstance(text, str) or not _MOMENT.fullmatch(text):
        return None
    try:
        datetime.fromisoformat(text[:19])
    except ValueError:
        return None
    return text


def before(moment: str, overlap: timedelta) -> str:
    """Return the moment that is *overlap* before, to the second."""
    try:
        earlier = (datetime.fromisoformat(moment[:19]) - overlap).isoformat(timespec="seconds")
    except OverflowError:
        return _EARLIEST
    return max(earlier, _EARLIEST)


def latest_believable(now: datetime) -> str:
    """Return the moment beyond which no change can have been made, wherever Orbit's clock stands.

    :param now: UTC.
    """
    return (now + _AHEAD).replace(tzinfo=None).isoformat(timespec="seconds")


def with_since(changed_filter: Any, since: str) -> Any:
    """Return a filter with *since* in place of ``{since}``, however deep."""
    match changed_filter:
        case str():
            return changed_filter.replace("{since}", since)
        case Mapping():
            return {name: with_since(inner, since) for name, inner in changed_filter.items()}
        case list() | tuple():
            return [with_since(inner, since) for inner in changed_filter]
        case _:
            return changed_filter


class Changes:
    """The rows of one read, without those that changed before *since* or are the same as published.

    :param since: the moment from which changes are wanted; None for everything.
    :param latest: no later moment moves the watermark: it would hide all changes until then.
    :param overlap: how far the next export will reach back.
    :param published: digest by id of rows that were published before, as :meth:`recent` gave them.
    :param secret: key of the digests.
    :ivar received: rows that came.
    :ivar older: rows left out because they changed before *since*.
    :ivar repeated: rows left out because they were published before and are still the same.
    :ivar undated: rows without a moment of change; all are passed on.
    :ivar in_future: rows that changed later than can be.
    :ivar watermark: the latest moment of change that came, None before the first.
    """

    def __init__(
        self,
        *,
        since: str | None,
        latest: str,
        overlap: timedelta,
        published: Mapping[str, str],
        secret: bytes,
    ) -> None:
        self.received = self.older = self.repeated = self.undated = self.in_future = 0
        self.watermark: str | None = None
        self._since = since
        self._latest = latest
        self._overlap = overlap
        self._published = published
        self._digest = hashlib.blake2b(key=secret, digest_size=_DIGEST_BYTES)
        self._recent: dict[str, tuple[str, str]] = {}
        self._floor = _EARLIEST
        self._prune_at = _PRUNED_FROM

    def of(self, rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield the changed rows as they come."""
        for row in rows:
            self.received += 1
            moment = moment_of(row.get(FIELD))
            if moment is None:
                self.undated += 1
                yield row
                continue
            if moment > self._latest:
                self.in_future += 1
            elif self.watermark is None or moment > self.watermark:
                self.watermark = moment
                self._floor = before(moment, self._overlap)
            if self._is_published(row, moment) and (self._since is None or moment >= self._since):
                self.repeated += 1
            elif self._since is not None and moment < self._since:
                self.older += 1
            else:
                yield row

    def recent(self) -> Iterator[dict[str, str]]:
        """Yield id and digest of the rows that the next read must bring again."""
        self._prune()
        for row_id, (_, digest) in sorted(self._recent.items()):
            yield {"id": row_id, "digest": digest}

    def _is_published(self, row: Mapping[str, Any], moment: str) -> bool:
        """Return whether the very same was published before; remember the row for the next read."""
        row_id = row.get("id")
        if not isinstance(row_id, str) or (moment < self._floor and row_id not in self._published):
            return False
        digest = self._digest_of(row)
        if moment >= self._floor:  # also where it is older than asked: the latest change may be taken back
            self._remember(row_id, moment, digest)
        return self._published.get(row_id) == digest

    def _remember(self, row_id: str, moment: str, digest: str) -> None:
        self._recent[row_id] = (moment, digest)
        if len(self._recent) >= self._prune_at:
            self._prune()
            self._prune_at = max(_PRUNED_FROM, 2 * len(self._recent))

    def _prune(self) -> None:
        floor = self._floor
        self._recent = {row_id: known for row_id, known in self._recent.items() if known[0] >= floor}

    def _digest_of(self, row: Mapping[str, Any]) -> str:
        digest = self._digest.copy()
        digest.update(json.dumps(row, sort_keys=True, default=str, separators=(",", ":")).encode())
        return digest.hexdigest()
