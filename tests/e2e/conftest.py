"""One Airflow and one sandbox for all tests here; each test starts from a sandbox that knows nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from demo.airflow_stack import AirflowStack
from visma_sandbox.client import SandboxProcess, start_sandbox

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
EMPLOYEES = 120

# The default of five seconds is short where all other tests run beside these, on two cores.
expect.set_options(timeout=30_000)


@pytest.fixture(scope="package")
def running_sandbox() -> Iterator[SandboxProcess]:
    with start_sandbox(employees=EMPLOYEES) as sandbox:
        yield sandbox


@pytest.fixture(scope="package")  # so that it does not run on beside all other tests
def airflow(
    running_sandbox: SandboxProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AirflowStack]:
    with AirflowStack(
        tmp_path_factory.mktemp("airflow"),
        dag_folders=[ROOT / "dags", HERE / "dags"],
        environment={
            **running_sandbox.environment(),
            # Of runs that nobody gives one, such as those that are started from a screen of ours.
            "VISMA_DESTINATION": tmp_path_factory.mktemp("destination").as_uri(),
        },
    ) as stack:
        yield stack


@pytest.fixture
def sandbox(running_sandbox: SandboxProcess) -> SandboxProcess:
    running_sandbox.reset()
    running_sandbox.settings(hrm_job_polls=1)
    return running_sandbox


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    return tmp_path / "destination"
