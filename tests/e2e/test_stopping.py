"""What the demonstration starts, it also stops."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.e2e


def test_ctrl_c_ends_airflow_and_sandbox_to_the_last_process(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "demo", "up", "--folder", tmp_path], stdout=subprocess.PIPE, text=True
    ) as demonstration:
        assert demonstration.stdout is not None
        assert any(line.startswith("Sandbox") for line in demonstration.stdout)
        started = psutil.Process(demonstration.pid).children(recursive=True)

        demonstration.send_signal(signal.SIGINT)

        assert demonstration.wait(timeout=30) == 0
    assert len(started) > 5
    assert [process for process in started if process.is_running()] == []
