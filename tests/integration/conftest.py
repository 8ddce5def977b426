"""What the tests of exports and their files start from."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_visma.protocols import downloads
from visma_sandbox.client import SandboxProcess


@pytest.fixture
def service(sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> SandboxProcess:
    """A sandbox whose jobs are done at once, and downloads that do not wait between their tries."""
    sandbox.settings(hrm_job_polls=0)
    monkeypatch.setattr(downloads, "_BACK_OFF", lambda state: 0.0)
    return sandbox


@pytest.fixture
def destination(tmp_path: Path) -> str:
    return f"file://{tmp_path}/out"
