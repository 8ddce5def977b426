from __future__ import annotations

import json
import re
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from airflow.models.variable import Variable
from fastapi.testclient import TestClient

from airflow_provider_visma import orbit_sign_in
from tests.unit.plugin.conftest import BASE_URL, audit_log, csrf_of
from tests.unit.plugin.orbit_connection import CONN_ID, add_connection, post, shown, store, stored

Browser = Callable[..., TestClient]


def state_of(address: str) -> str:
    return parse_qs(urlsplit(address).query)["state"][0]


def test_only_connections_of_orbit_are_listed(anna: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    add_connection()
    add_connection("nmbrs_at_work", conn_type="nmbrs")
    monkeypatch.setenv("AIRFLOW_CONN_ORBIT_OF_ENV", '{"conn_type": "teamleader_orbit", "login": "two"}')
    monkeypatch.setenv("AIRFLOW_CONN_BROKEN", "{no json")
    page = anna.get("/visma/orbit").text
    assert page.index("orbit_at_work") < page.index("orbit_of_env")
    assert "nmbrs_at_work" not in page
    assert "broken" not in page


@pytest.mark.parametrize(
    ("session", "state"),
    [
        ({}, "Signed in<"),
        ({"refresh_token": None}, "Signed in, but the session cannot be renewed"),
        (
            {"refresh_token": None, "expires_at": 1.0, "obtained_at": 0.0},
            "Sign in again: the session has ended",
        ),
        ({"expires_at": 1_700_000_000.0}, "2023-11-14 22:13 UTC"),
        ({"expires_at": None}, "Orbit did not say"),
    ],
)
def test_the_state_of_a_session_is_shown_and_nothing_of_its_tokens(
    anna: TestClient, session: dict[str, object], state: str
) -> None:
    add_connection()
    store(**session)
    page = anna.get("/visma/orbit").text
    assert state in page
    assert "the-access-token" not in page
    assert "the-refresh-token" not in page
    assert "a secret of the client" not in page


def test_a_connection_that_cannot_be_used_says_why(anna: TestClient) -> None:
    add_connection(redirect_uri="no address")
    page = anna.get("/visma/orbit").text
    assert "The connection cannot be used" in page
    assert "extra redirect_uri is not an address" in page


def test_a_session_that_cannot_be_read_can_be_forgotten_and_replaced(anna: TestClient) -> None:
    add_connection()
    key = orbit_sign_in.read_settings(CONN_ID).token_key
    Variable.set(key, "the-access-token but no session")
    page = anna.get("/visma/orbit").text
    assert "The stored session cannot be read" in page
    assert "the-access-token" not in page
    assert f"/visma/orbit/{CONN_ID}/sign-in" in page
    post(anna, f"/{CONN_ID}/sign-out")
    assert Variable.get(key, None) is None


def test_a_connection_without_a_session_says_so(anna: TestClient) -> None:
    add_connection()
    page = anna.get("/visma/orbit").text
    assert "Not signed in" in page
    assert f"{BASE_URL}/visma/orbit/callback" in page


@pytest.mark.parametrize("conn_id", ["of/a/team", "a#b", "a:b", "a\\b", "a.b-c(1)!", "één", "finish"])
def test_an_id_may_hold_whatever_airflow_lets_it_hold(anna: TestClient, conn_id: str) -> None:
    add_connection(conn_id)
    page = anna.get("/visma/orbit").text
    (address,) = re.findall(r'action="([^"]+/sign-in)"', page)
    answer = anna.post(address, data={"csrf_token": csrf_of(page)}, headers={"origin": BASE_URL})
    assert answer.headers["location"].startswith("https://orbit.example/")
    assert audit_log()[0][2] == json.dumps({"conn_id": conn_id})


def test_sign_in_sends_the_browser_to_orbit(anna: TestClient) -> None:
    add_connection()
    answer = post(anna, f"/{CONN_ID}/sign-in")
    assert answer.status_code == 303
    address = answer.headers["location"]
    assert address.startswith("https://orbit.example/oauth2/authorize?")
    query = parse_qs(urlsplit(address).query)
    assert query["redirect_uri"] == [f"{BASE_URL}/visma/orbit/callback"]
    assert query["code_challenge_method"] == ["S256"]
    assert audit_log() == [("visma_orbit.sign_in_begun", "anna", json.dumps({"conn_id": CONN_ID}))]


def test_the_page_lets_its_form_end_at_orbit(anna: TestClient) -> None:
    add_connection()
    policy = anna.get("/visma/orbit").headers["content-security-policy"]
    assert "form-action 'self' https: https://orbit.example;" in policy


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (lambda began: None, "the address is incomplete"),
        (lambda began: "anything", "not begun in this Airflow"),
        # Its last letter carries bits that nobody reads; the first one of the signed text has none.
        (lambda began: ("A" if began[0] != "A" else "B") + began[1:], "not begun in this Airflow"),
    ],
    ids=["none", "invented", "altered"],
)
def test_a_forged_state_is_refused(anna: TestClient, state: Callable[[str], str | None], told: str) -> None:
    add_connection()
    forged = state(state_of(post(anna, f"/{CONN_ID}/sign-in").headers["location"]))
    query = {"code": "a-code", **({"state": forged} if forged else {})}
    assert told in shown(anna, anna.get("/visma/orbit/callback", params=query))
    assert stored() is None
    assert audit_log()[-1][0] == "visma_orbit.sign_in_refused"


def test_a_state_is_worth_something_once_and_only_to_who_began(anna: TestClient, browser: Browser) -> None:
    add_connection()
    query = {
        "error": "access_denied",
        "state": state_of(post(anna, f"/{CONN_ID}/sign-in").headers["location"]),
    }
    carla = browser("carla")
    assert "somebody else began" in shown(carla, carla.get("/visma/orbit/callback", params=query))
    assert "access was denied in Orbit" in shown(anna, anna.get("/visma/orbit/callback", params=query))
    assert "used before" in shown(anna, anna.get("/visma/orbit/callback", params=query))


@pytest.mark.parametrize("user", ["anna", None])
def test_an_answer_that_a_terminal_waits_for_stays_in_the_address_bar(
    browser: Browser, user: str | None
) -> None:
    add_connection()
    begun = orbit_sign_in.begin(orbit_sign_in.read_settings(CONN_ID), by="cli:somebody")
    query = {"code": "the-code-itself", "state": state_of(begun.address)}
    answer = browser(user).get("/visma/orbit/callback", params=query)
    assert (answer.status_code, answer.headers["referrer-policy"]) == (200, "no-referrer")
    assert "begun at a terminal" in answer.text
    assert "the-code-itself" not in answer.text
    assert audit_log() == []
    assert orbit_sign_in.begun_at_terminal(f"?state={query['state']}")


def test_an_error_of_any_name_is_said(anna: TestClient) -> None:
    add_connection()
    query = {"error": "other", "state": state_of(post(anna, f"/{CONN_ID}/sign-in").headers["location"])}
    assert "did not sign you in [other]" in shown(anna, anna.get("/visma/orbit/callback", params=query))


def test_the_pasted_address_is_taken_as_the_callback_is(anna: TestClient) -> None:
    add_connection()
    state = state_of(post(anna, f"/{CONN_ID}/sign-in").headers["location"])
    pasted = f"https://elsewhere.example/done?error=access_denied&state={state}"
    assert "access was denied in Orbit" in shown(anna, post(anna, "/finish", address=pasted))


def test_neither_code_nor_state_is_sent_on_logged_or_kept_by_the_browser(
    anna: TestClient, capfd: pytest.CaptureFixture[str]
) -> None:
    answer = anna.get("/visma/orbit/callback?code=the-code-itself&state=the-state-itself")
    assert answer.headers["cache-control"] == "no-store"
    logged = "".join(capfd.readouterr())
    assert "/visma/orbit/callback" in logged
    for text in (answer.text, answer.headers["location"], logged, str(audit_log())):
        assert "the-code-itself" not in text
        assert "the-state-itself" not in text


def test_signing_out_forgets_the_session(anna: TestClient) -> None:
    add_connection()
    store()
    assert f"forgotten the session of {CONN_ID}" in shown(anna, post(anna, f"/{CONN_ID}/sign-out"))
    assert stored() is None
    assert audit_log() == [("visma_orbit.signed_out", "anna", json.dumps({"conn_id": CONN_ID}))]
