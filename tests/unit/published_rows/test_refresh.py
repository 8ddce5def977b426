"""When everything is read again, and when a read brings too little to be believed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_visma.published_rows.refresh import fell_too_far, is_due

WEEK = timedelta(days=7)
NOW = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("full_read_at", "every", "due"),
    [
        (None, None, False),
        (None, WEEK, True),
        ("2026-11-13T02:00:00+00:00", None, False),
        ("2026-11-13T02:00:00+00:00", WEEK, True),
        (
            "2026-11-13T02:59:00+00:00",
            WEEK,
            True,
        ),  # a nightly run that begins earlier
        ("2026-11-13T03:01:00+00:00", WEEK, False),
        ("2026-11-28T02:00:00+00:00", WEEK, True),  # by a clock that was ahead
        ("2026-11-20T01:55:00+00:00", timedelta(0), True),
    ],
)
def test_everything_is_read_again_when_its_time_has_come(
    full_read_at: str | None, every: timedelta | None, due: bool
) -> None:
    assert is_due(full_read_at, every=every, now=NOW) is due


@pytest.mark.parametrize(
    ("rows", "before", "max_drop", "fell"),
    [
        (50, 100, 0.5, False),
        (49, 100, 0.5, True),
        (0, 1, 0.5, True),
        (0, 0, 0.5, False),
        (200, 100, 0.0, False),
        (99, 100, 0.0, True),
        (0, 100, 1.0, False),
        (3, 10, 0.7, False),
    ],
)
def test_too_few_rows_are_a_share_of_those_before(
    rows: int, before: int, max_drop: float, fell: bool
) -> None:
    assert fell_too_far(rows, before=before, max_drop=max_drop) is fell
