"""A session that is begun at a terminal and renewed by tasks of a real Airflow, all at once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_visma.token_store import token_key
from demo.airflow_stack import AirflowStack
from tests.orbit_browser import browse
from visma_sandbox.client import SandboxProcess

pytestmark = pytest.mark.e2e
CONN_ID = "teamleader_orbit_default"
DAG_ID = "orbit_callers"


@pytest.fixture
def signed_in(airflow: AirflowStack, sandbox: SandboxProcess) -> Iterator[None]:
    """Sign in at a terminal, while the browser is elsewhere; afterwards nobody is signed in."""
    # A token is taken for ended 0.8 s after it was asked for, and a refresh token may be used once.
    sandbox.settings(orbit_access_lifetime=1, orbit_reuse_revokes=True)
    with airflow.at_terminal("visma", "orbit-login", CONN_ID) as login:
        assert login.stdin is not None
        assert login.stdout is not None
        address = next(line for line in login.stdout if line.startswith("http"))
        login.stdin.write(browse(address.strip()) + "\n")
        login.stdin.close()
        assert "Signed in." in login.stdout.read()
    yield
    connection = sandbox.connections()[CONN_ID]
    host = connection["host"]
    key = token_key(host, f"{host}/oauth2/access_token", connection["login"], "")
    with airflow.at_terminal("variables", "delete", key) as deleting:
        deleting.communicate()
    assert deleting.returncode == 0


@pytest.mark.usefixtures("signed_in")
def test_tasks_that_renew_a_session_at_once_take_turns_though_reuse_would_end_it(
    airflow: AirflowStack, sandbox: SandboxProcess
) -> None:
    airflow.wait_for_dags(DAG_ID)
    run_id = airflow.api.run(DAG_ID)
    assert airflow.api.wait_for_run(DAG_ID, run_id, seconds=180) == "success"
    tokens = [entry["note"] for entry in sandbox.journal("orbit", "token")]
    assert sum(note.get("grant_type") == "refresh_token" for note in tokens) >= 4
    assert [note["error"] for note in tokens if note.get("error")] == []
