"""Severa on a fixed day, with a few hundred hours."""

from __future__ import annotations

import pytest

from sandbox.tests.severa_reads.asking import TODAY


@pytest.fixture(autouse=True)
def fixed_day(sandbox) -> None:
    sandbox.settings(severa_today=TODAY)


@pytest.fixture(autouse=True)
def _a_few_hundred_hours(severa) -> None:
    """Most of the time of these tests is zeep's, for each row."""
    severa.sandbox.settings(severa_hour_entries=800)
