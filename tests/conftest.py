"""One sandbox for the whole session, an Airflow home of its own, and connections that lead there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator

import hypothesis
import pytest

# The same examples everywhere, however long each takes: by default one that takes a fifth of a second fails.
hypothesis.settings.load_profile("ci")

# Before anything imports Airflow: it reads its home, and writes to it, when it is imported.
_HOME = tempfile.TemporaryDirectory(prefix="airflow-home-")
os.environ["AIRFLOW_HOME"] = _HOME.name
os.environ["AIRFLOW__CORE__FERNET_KEY"] = (
    "c3ludGhldGljLWtleS1vZi10aGUtdGVzdHMtMTIzNDU="  # the same in every process
)
os.environ["AIRFLOW__API__SECRET_KEY"] = "synthetic secret key of the tests"

from airflow.sdk._shared.secrets_masker import _secrets_masker  # noqa: E402

from airflow_provider_visma.hooks import _orbit_settings  # noqa: E402
from airflow_provider_visma.protocols import oauth2  # noqa: E402
from tests import airflow_variables  # noqa: E402
from visma_sandbox.client import SandboxProcess, start_sandbox  # noqa: E402

EMPLOYEES = 120


@pytest.fixture(scope="session")
def running_sandbox() -> Iterator[SandboxProcess]:
    with start_sandbox(employees=EMPLOYEES) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running_sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> SandboxProcess:
    """A sandbox that remembers nothing, and the environment's connections to it."""
    running_sandbox.reset()
    oauth2._cached_source.cache_clear()  # tokens that it has forgotten
    _orbit_settings._cached_source.cache_clear()
    # Airflow's masker becomes slower with every secret it has seen, and a process of tests sees many.
    _secrets_masker().reset_masker()
    for name, value in running_sandbox.environment().items():
        monkeypatch.setenv(name, value)
    return running_sandbox


@pytest.fixture
def variables() -> None:
    """Airflow's Variables and connections in its own database, empty."""
    airflow_variables.create_tables()
