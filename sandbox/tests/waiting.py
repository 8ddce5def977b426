"""Waiting for what another process does, and not a moment less or more than it takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE = 180.0

T = TypeVar("T")
_sleep = time.sleep  # many tests let nobody sleep


def wait_until(happened: Callable[[], T]) -> T:
    """Ask until the answer is true, and return it: another process cannot be told to hurry."""
    deadline = time.monotonic() + PATIENCE
    while not (answer := happened()):
        assert time.monotonic() < deadline, "it never happened"
        _sleep(0.02)
    return answer
