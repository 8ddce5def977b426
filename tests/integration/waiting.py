"""Waiting for what another process does, and not a moment less or more than it takes."""

from __future__ import annotations

import gc
import multiprocessing
import time
from collections.abc import Callable

import pytest

from tests.impatience import time_out_where
from visma_sandbox.client import SandboxProcess

PATIENCE = 180.0

_FORKED = multiprocessing.get_context("fork")
_sleep = time.sleep  # many tests let nobody sleep


def wait_until(happened: Callable[[], bool]) -> None:
    """Look again and again: another process cannot be told to hurry."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, "it never happened"
        _sleep(0.05)


class Try(_FORKED.Process):
    """One try of a task, in a process that may be killed; a fork, since Airflow takes seconds to import."""

    def run(self) -> None:
        gc.disable()  # it has its parent's garbage, and a finalizer would swallow the SystemExit of a signal
        super().run()

    def wait(self) -> int | None:
        """Wait for its end; return its exit code, a signal's number negated."""
        self.join(PATIENCE)
        return self.exitcode


def give_up_where_the_sandbox_hangs(sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a request time out when the sandbox keeps it waiting, and no other one ever.

    A time-out of a second would do so on a quick machine alone: on a busy one it ends honest requests too,
    and what was sent with them is then in doubt. Holds for connections with the extra ``timeout`` IMPATIENT.
    """
    time_out_where(lambda port: sandbox.kept_waiting(port=port) is not None, monkeypatch)
