"""An Orbit that somebody has signed in to, and files of rows for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.impatience import IMPATIENT
from tests.integration.orbit_set.uploads import (
    ROWS,
    Companies,
    Row,
    Task,
    write_csv,
)
from tests.integration.orbit_world import Orbit, change_connection
from tests.integration.waiting import give_up_where_the_sandbox_hangs
from visma_sandbox.client import SandboxProcess


@pytest.fixture
def orbit(sandbox: SandboxProcess, variables: None, monkeypatch: pytest.MonkeyPatch) -> SandboxProcess:
    """An Orbit that somebody has signed in to; a request that it keeps waiting is given up."""
    world = Orbit(sandbox)
    world.sign_in()
    patient = sandbox.connections()["teamleader_orbit_default"]
    monkeypatch.setenv("AIRFLOW_CONN_ORBIT_PATIENT", json.dumps(patient))
    change_connection(monkeypatch, world, timeout=IMPATIENT)
    give_up_where_the_sandbox_hangs(sandbox, monkeypatch)
    return sandbox


@pytest.fixture
def companies(orbit: SandboxProcess) -> Companies:
    return Companies(orbit)


@pytest.fixture
def task(orbit: SandboxProcess, destination: str, tmp_path: Path) -> Task:
    return Task(destination, write_csv(tmp_path / "companies.csv", ROWS))


@pytest.fixture
def changes(companies: Companies) -> list[Row]:
    """Rows that change twelve companies."""
    return [
        {"id": row_id, "city": f"Stad {number}"} for number, row_id in enumerate(list(companies.before)[:12])
    ]


@pytest.fixture
def change(changes: list[Row], destination: str, tmp_path: Path) -> Task:
    return Task(destination, write_csv(tmp_path / "changes.csv", changes))
