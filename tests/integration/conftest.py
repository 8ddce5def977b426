"""What the tests of exports, their files and imports start from."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_visma.protocols import downloads
from tests.integration.dialog_world import Import
from tests.integration.orbit_world import Orbit
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


@pytest.fixture
def dialog(sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> SandboxProcess:
    """The sandbox with an empty Dialog, and no waiting between two tries."""
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    return sandbox


@pytest.fixture
def run_import(tmp_path: Path) -> Import:
    return Import(tmp_path)


@pytest.fixture(params=[True, False], ids=["bulk", "single requests"])
def bulk(request: pytest.FixtureRequest, dialog: SandboxProcess) -> bool:
    """Whether Dialog offers Bulk."""
    dialog.settings(dialog_bulk=request.param)
    return bool(request.param)


@pytest.fixture
def orbit(sandbox: SandboxProcess, variables: None) -> Orbit:
    """Orbit, to which somebody has signed in."""
    world = Orbit(sandbox)
    world.sign_in()
    return world
