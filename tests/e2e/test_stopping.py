"""What the demonstration starts, it also stops."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.e2e


def runs(process: psutil.Process) -> bool:
    # whose parent died is reaped by the machine's first process, in its own time
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def test_ctrl_c_ends_airflow_and_sandbox_to_the_last_process(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "demo", "up", "--folder", tmp_path], stdout=subprocess.PIPE, text=True
    ) as demonstration:
        assert demonstration.stdout is not None
        assert any(line.startswith("Sandbox") for line in demonstration.stdout)
        started = psutil.Process(demonstration.pid).children(recursive=True)

        demonstration.send_signal(signal.SIGINT)

        assert demonstration.wait(timeout=120) == 0
    assert len(started) > 5
    assert [process for process in started if runs(process)] == []
