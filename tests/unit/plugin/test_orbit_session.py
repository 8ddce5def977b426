"""Sessions that the sandbox's Orbit really gave, checked and ended from the page."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fastapi.testclient import TestClient

from airflow_provider_visma import orbit_sign_in
from tests.orbit_browser import browse
from tests.unit.plugin.conftest import BASE_URL, audit_log
from tests.unit.plugin.orbit_connection import post, shown
from visma_sandbox.client import SandboxProcess

CONN_ID = "teamleader_orbit_default"


def sign_in(browser: TestClient) -> str:
    """Sign in at the sandbox and return the page that is shown afterwards."""
    address = browse(post(browser, f"/{CONN_ID}/sign-in").headers["location"])
    assert address.startswith(f"{BASE_URL}/visma/orbit/callback?")
    return shown(browser, browser.get(address.removeprefix(BASE_URL)))


def test_orbits_answer_is_stored_and_said(anna: TestClient, sandbox: SandboxProcess) -> None:
    sandbox.settings(orbit_redirect_uris=[f"{BASE_URL}/visma/orbit/callback"])
    assert f"{CONN_ID} is signed in." in sign_in(anna)
    assert [event for event, _, _ in audit_log()] == ["visma_orbit.sign_in_begun", "visma_orbit.signed_in"]


def test_the_pasted_address_signs_in(
    anna: TestClient, sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = "https://client.example.com/orbit/callback"
    sandbox.settings(orbit_redirect_uri=elsewhere)
    for name, value in sandbox.environment().items():
        monkeypatch.setenv(name, value)
    page = anna.get("/visma/orbit").text
    assert 'target="_blank"' in page
    address = browse(post(anna, f"/{CONN_ID}/sign-in").headers["location"])
    assert address.startswith(elsewhere)
    assert f"{CONN_ID} is signed in." in shown(anna, post(anna, "/finish", address=address))


def test_a_session_is_checked_at_orbit_and_renewed_as_a_task_would(
    anna: TestClient, sandbox: SandboxProcess
) -> None:
    sandbox.settings(orbit_redirect_uris=[f"{BASE_URL}/visma/orbit/callback"])
    sign_in(anna)
    store = orbit_sign_in.read_settings(CONN_ID).token_store()
    before = store.load()
    assert before is not None
    store.save(replace(before, obtained_at=before.obtained_at - 7200, expires_at=before.obtained_at - 3600))
    assert f"Orbit accepts the session of {CONN_ID}" in shown(anna, post(anna, f"/{CONN_ID}/check"))
    after = store.load()
    assert after is not None
    assert after.access_token != before.access_token


def test_a_session_whose_access_token_orbit_ended_early_is_renewed_as_a_task_would(
    anna: TestClient, sandbox: SandboxProcess
) -> None:
    sandbox.settings(orbit_redirect_uris=[f"{BASE_URL}/visma/orbit/callback"])
    sign_in(anna)
    sandbox.inject("orbit", "users.me", "expired_token")
    assert f"Orbit accepts the session of {CONN_ID}" in shown(anna, post(anna, f"/{CONN_ID}/check"))


def test_what_is_checked_is_the_last_sign_in(anna: TestClient, sandbox: SandboxProcess) -> None:
    sandbox.settings(orbit_redirect_uris=[f"{BASE_URL}/visma/orbit/callback"])
    for _ in range(2):
        sign_in(anna)
        post(anna, f"/{CONN_ID}/check")
    asked = [entry for entry in sandbox.journal("orbit") if entry["operation"] == "users.me"]
    sessions = {entry["note"].get("session") for entry in asked}
    assert len(asked) == 2
    assert len(sessions) == 2


def test_a_session_that_orbit_no_longer_knows_is_said_to_have_ended(
    anna: TestClient, sandbox: SandboxProcess
) -> None:
    sandbox.settings(orbit_redirect_uris=[f"{BASE_URL}/visma/orbit/callback"])
    sign_in(anna)
    sandbox.reset()
    page = shown(anna, post(anna, f"/{CONN_ID}/check"))
    assert "This did not work" in page
    assert 'role="alert"' in page
    assert audit_log()[-1][2] == f'{{"conn_id": "{CONN_ID}", "accepted": 0}}'
