"""What the test of an Orbit connection says, and that it spends nothing."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest

from airflow_provider_visma.hooks.orbit import OrbitHook
from tests.integration.orbit_world import CONN_ID, Orbit, change_connection
from visma_sandbox import credentials


def test_it_asks_who_signed_in_where_the_token_is_fresh(orbit: Orbit) -> None:
    good, said = orbit.hook().test_connection()
    assert (good, "Orbit accepts the stored sign-in" in said) == (True, True)
    assert credentials.ORBIT_USER not in said
    assert orbit.asked("users.me")[-1]["status"] == 200


def test_it_redeems_no_refresh_token(orbit: Orbit) -> None:
    session = orbit.sign_in()
    ended = replace(session, expires_at=time.time() - 10, obtained_at=time.time() - 3600)
    orbit.store(ended)
    good, said = orbit.hook().test_connection()
    assert (good, "The next task renews it" in said) == (True, True)
    assert orbit.asked() == []
    assert orbit.stored() == ended


def test_it_says_what_to_do_where_nobody_has_signed_in(orbit: Orbit, monkeypatch: pytest.MonkeyPatch) -> None:
    orbit.forget()
    good, said = orbit.hook().test_connection()
    assert (good, f"airflow visma orbit-login {CONN_ID}" in said) == (False, True)
    change_connection(monkeypatch, orbit, refresh_token=orbit.sandbox.orbit_sign_in()["refresh_token"])
    good, said = orbit.hook().test_connection()
    assert (good, "first task will redeem" in said) == (True, True)
    assert orbit.asked() == []


def test_it_says_that_a_sign_in_without_a_refresh_token_has_ended(orbit: Orbit) -> None:
    session = orbit.sign_in()
    ended = replace(session, refresh_token=None, expires_at=time.time() - 10, obtained_at=time.time() - 3600)
    orbit.store(ended)
    good, said = orbit.hook().test_connection()
    assert (good, "has ended" in said and "orbit-login" in said) == (False, True)


def test_it_says_what_orbit_refuses(orbit: Orbit) -> None:
    orbit.sandbox.inject("orbit", "users.me", kind="expired_token", count=None)
    good, said = orbit.hook().test_connection()
    assert (good, "HTTP 401" in said) == (False, True)


def test_it_says_what_is_wrong_with_the_connection(orbit: Orbit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        f"AIRFLOW_CONN_{CONN_ID.upper()}", json.dumps({"conn_type": "teamleader_orbit", "host": "x y"})
    )
    good, said = OrbitHook().test_connection()
    assert not good
    assert "connection" in said
