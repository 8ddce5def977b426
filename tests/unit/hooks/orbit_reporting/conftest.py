"""A reporting server of Orbit, and a connection to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.hooks.orbit_reporting.orbit_server import Orbit


@pytest.fixture
def orbit(monkeypatch: pytest.MonkeyPatch) -> Iterator[Orbit]:
    variable = "AIRFLOW_CONN_TEAMLEADER_ORBIT_REPORTING_DEFAULT"
    found = Orbit(lambda connection: monkeypatch.setenv(variable, connection))
    with found.host:
        yield found
