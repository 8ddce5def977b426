"""How many calls the organisation has left today, as every answer of Severa says in its SOAP header.

The quota belongs to the whole organisation: what one task uses up, every other integration lacks until
the UTC day changes. So a hook stops before it has eaten into the reserve, not after.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from airflow_provider_visma.exceptions import VismaQuotaError

_WARN_AT = 0.8

# The service's clock may be behind ours: a minute later costs nothing, a second early costs a day.
_MARGIN = timedelta(minutes=1)

# An answer just after midnight may tell of the day before, when it was asked for: taken for today's, it
# would stop a task until the next midnight.
_SLOWEST_ANSWER = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Quota:
    """The quota as of the last answer.

    :param limit: calls that the organisation may make in a day.
    :param used: calls that it has made today, from everywhere.
    :param day: the UTC day that it is certain for: in the first minutes of a day, the one before.
    """

    limit: int
    used: int
    day: date

    @property
    def remaining(self) -> int:
        """Calls left today; never below zero, although the service counts on beyond the limit."""
        return max(self.limit - self.used, 0)


class QuotaWatch:
    """Follows the quota of one hook; may be used by several threads.

    :param reserve: calls to leave to others.
    :param clock: the present moment, with a zone.
    :param warn: logs a message with named values.
    """

    def __init__(
        self, *, reserve: int, conn_id: str, clock: Callable[[], datetime], warn: Callable[..., Any]
    ) -> None:
        self._reserve = reserve
        self._conn_id = conn_id
        self._clock = clock
        self._warn = warn
        self._lock = threading.Lock()
        self._warned_on: date | None = None
        self.latest: Quota | None = None

    def note(self, header: Mapping[str, str]) -> None:
        """Read the quota from the SOAP header of an answer: texts by local name."""
        try:
            limit, used = int(header["Quota"]), int(header["UsedQuota"])
        except (KeyError, ValueError):
            return
        quota = Quota(limit, used, (self._now() - _SLOWEST_ANSWER).date())
        with self._lock:
            self.latest = quota
            if used < limit * _WARN_AT or self._warned_on == quota.day:
                return
            self._warned_on = quota.day
        self._warn(
            "Severa's calls of today are nearly used up; the quota resets at 00:00 UTC",
            used=used,
            limit=limit,
            reserve=self._reserve,
            conn_id=self._conn_id,
        )

    def check(self) -> None:
        """Stop before a call that would eat into the reserve.

        :raises VismaQuotaError: it would, as far as the last answer tells; nothing was sent.
        """
        quota = self.latest
        if quota is not None and quota.day == self._now().date() and quota.remaining <= self._reserve:
            kept = f" and {self._reserve} are kept in reserve" if self._reserve else ""
            raise self._error(f"{quota.used} of {quota.limit} calls of today are used{kept}")

    def exceeded(self, code: str) -> VismaQuotaError:
        """Return the error for the service's own refusal."""
        return self._error("the calls of today are used up", code=code)

    def _now(self) -> datetime:
        return self._clock().astimezone(UTC)

    def _error(self, message: str, *, code: str | None = None) -> VismaQuotaError:
        now = self._now()
        # A refusal within the margin is the day before's.
        reset = datetime.combine((now - _MARGIN).date() + timedelta(days=1), time(), UTC)
        return VismaQuotaError(
            f"{message}; the quota resets at {reset:%Y-%m-%d %H:%M} UTC",
            system="Severa",
            conn_id=self._conn_id,
            code=code,
            advice="Airflow's next retry waits for that. Ask Visma for a higher quota if this happens often.",
            retry_after=(reset + _MARGIN - now).total_seconds(),
        )
