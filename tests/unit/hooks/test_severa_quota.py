"""The quota that every answer tells: a warning in time, a stop before the reserve, and when it is over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_visma.exceptions import VismaQuotaError
from airflow_provider_visma.hooks._severa_quota import Quota, QuotaWatch

NOON = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)


class Warnings(list[dict[str, Any]]):
    def __call__(self, message: str, **values: Any) -> None:
        self.append({"message": message, **values})


class Clock:
    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def watch(reserve: int = 0, *, clock: Clock | None = None, warn: Any = None) -> QuotaWatch:
    return QuotaWatch(
        reserve=reserve, conn_id="c", clock=clock or Clock(), warn=Warnings() if warn is None else warn
    )


def header(limit: object, used: object) -> dict[str, str]:
    return {"Quota": str(limit), "UsedQuota": str(used)}


def test_the_latest_answer_tells_the_quota() -> None:
    quota = watch()
    assert quota.latest is None
    quota.note(header(100_000, 1))
    quota.note(header(100_000, 17))
    assert quota.latest == Quota(100_000, 17, NOON.date())
    assert quota.latest.remaining == 99_983


@pytest.mark.parametrize(
    "texts", [{}, {"Quota": "100"}, header("veel", 3), header("", ""), {"Other": "1", "UsedQuota": "2"}]
)
def test_a_header_without_a_quota_changes_nothing(texts: dict[str, str]) -> None:
    quota = watch()
    quota.note(header(100, 100))
    quota.note(texts)
    assert quota.latest == Quota(100, 100, NOON.date())


def test_a_warning_comes_at_80_percent_once_a_day() -> None:
    clock, warnings = Clock(), Warnings()
    quota = watch(5, clock=clock, warn=warnings)
    quota.note(header(100, 79))
    assert warnings == []
    for used in (80, 81, 99):
        quota.note(header(100, used))
    assert [(each["used"], each["limit"], each["reserve"]) for each in warnings] == [(80, 100, 5)]
    clock.now += timedelta(days=1)
    quota.note(header(100, 90))
    assert len(warnings) == 2


@pytest.mark.parametrize(
    ("reserve", "used", "stops"),
    [
        (0, 99, False),
        (0, 100, True),
        (0, 111, True),  # the service counts on beyond the limit
        (10, 89, False),
        (10, 90, True),
        (100, 0, True),
    ],
)
def test_the_call_that_would_eat_into_the_reserve_is_stopped(reserve: int, used: int, stops: bool) -> None:
    quota = watch(reserve)
    quota.note(header(100, used))
    if not stops:
        quota.check()
        return
    with pytest.raises(VismaQuotaError, match="resets at 2026-03-15 00:00 UTC"):
        quota.check()


def test_before_the_first_answer_nothing_is_known_and_nothing_stopped() -> None:
    watch(50).check()


def test_a_new_utc_day_begins_with_a_new_quota() -> None:
    clock = Clock(datetime(2026, 3, 14, 23, 59, 59, tzinfo=UTC))
    quota = watch(clock=clock)
    quota.note(header(100, 100))
    clock.now += timedelta(seconds=1)
    quota.check()


def test_an_answer_that_comes_after_midnight_does_not_stop_the_new_day() -> None:
    clock = Clock(datetime(2026, 3, 14, 23, 58, tzinfo=UTC))
    quota = watch(clock=clock)
    quota.check()
    clock.now += timedelta(minutes=4)
    quota.note(header(100, 100))
    quota.check()
    clock.now += timedelta(hours=1)
    quota.check()
    quota.note(header(100, 100))
    with pytest.raises(VismaQuotaError):
        quota.check()


@pytest.mark.parametrize(
    ("now", "seconds"),
    [
        (NOON, 12 * 3600 + 60),
        (datetime(2026, 3, 14, 23, 59, 59, tzinfo=UTC), 61),
        (datetime(2026, 3, 14, 0, 1, tzinfo=UTC), 24 * 3600),
        # The service's clock is behind ours: there it is still the day before.
        (datetime(2026, 3, 15, 0, 0, 20, tzinfo=UTC), 40),
        # One in the morning in Helsinki is still the day before in UTC.
        (datetime(2026, 3, 15, 1, 0, tzinfo=timezone(timedelta(hours=2))), 3600 + 60),
    ],
)
def test_a_retry_comes_a_minute_after_utc_midnight(now: datetime, seconds: float) -> None:
    error = watch(clock=Clock(now)).exceeded("QuotaLimitExceededException")
    assert error.retry_after == seconds
    assert "resets at 2026-03-15 00:00 UTC" in str(error)
