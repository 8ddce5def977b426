"""Exports of Severa's hour entries, of a sandbox whose own data are few and old."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from tests.integration.severa_export.exporting import CHANGES, HOURS, Task
from visma_sandbox.client import SandboxProcess


@pytest.fixture(autouse=True)
def _nothing_changed_yet(service: SandboxProcess) -> None:
    """Let the sandbox's own data be few, and older than the first run of every test."""
    # Its clock is ahead of all that these tests tell the worker's; the one about two clocks sets both.
    ahead = datetime(2027, 11, 20, tzinfo=UTC).timestamp() - time.time()
    service.settings(severa_today="2026-11-19", severa_hour_entries=300, clock_offset=ahead)


@pytest.fixture
def task(service: SandboxProcess, destination: str) -> Task:
    return Task(destination, **CHANGES)


@pytest.fixture
def hours(service: SandboxProcess, destination: str) -> Task:
    return Task(destination, **HOURS, window="2026-11-01/2026-11-30")
