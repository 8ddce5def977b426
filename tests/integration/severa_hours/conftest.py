"""An upload of hours to a sandbox of which little patience is expected."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.impatience import IMPATIENT
from tests.integration.hour_uploads import Hours, Row, Task, write_csv
from tests.integration.waiting import give_up_where_the_sandbox_hangs
from visma_sandbox.client import SandboxProcess


@pytest.fixture
def severa(sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> SandboxProcess:
    """A sandbox that hears little of patience: a request that it keeps waiting is given up."""
    sandbox.settings(severa_hour_entries=300)  # the tests read all of them, again and again
    connection = {**sandbox.connections()["severa_default"], "extra": {"timeout": IMPATIENT}}
    monkeypatch.setenv("AIRFLOW_CONN_SEVERA_DEFAULT", json.dumps(connection))
    give_up_where_the_sandbox_hangs(sandbox, monkeypatch)
    return sandbox


@pytest.fixture
def hours(severa: SandboxProcess) -> Hours:
    return Hours(severa)


@pytest.fixture
def rows(hours: Hours) -> list[Row]:
    return hours.patterns(12)


@pytest.fixture
def task(rows: list[Row], destination: str, tmp_path: Path) -> Task:
    return Task(destination, write_csv(tmp_path / "hours.csv", rows))


@pytest.fixture(autouse=True)
def patient_connection(severa: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that waits until its process is killed."""
    connection = severa.connections()["severa_default"]
    monkeypatch.setenv("AIRFLOW_CONN_SEVERA_PATIENT", json.dumps(connection))
