"""Tries in processes of their own, and the time-out of a request that the sandbox keeps waiting."""

from __future__ import annotations

import gc
import multiprocessing

import pytest

from sandbox.tests.waiting import PATIENCE
from tests.impatience import time_out_where
from visma_sandbox.client import SandboxProcess

_FORKED = multiprocessing.get_context("fork")


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
