from __future__ import annotations

from collections.abc import Callable

import pytest
from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from fastapi.testclient import TestClient

from airflow_provider_visma import orbit_sign_in
from tests.unit.plugin.conftest import BASE_URL, audit_log, csrf_of
from tests.unit.plugin.orbit_connection import CONN_ID, add_connection, store, stored

Browser = Callable[..., TestClient]
Visitor = Callable[[str], TestClient]
SIGN_OUT = f"/visma/orbit/{CONN_ID}/sign-out"
OURS = {"origin": BASE_URL}
TO_LOGIN = "/api/v2/auth/login?next=%2Fvisma%2Forbit"


@pytest.fixture(autouse=True)
def _session() -> None:
    add_connection()
    store()


def refused(browser: TestClient, headers: dict[str, str], **form: str) -> bool:
    """Return whether the form is refused and nothing happened."""
    form = {"csrf_token": csrf_of(browser.get("/visma/orbit").text), **form}
    answer = browser.post(SIGN_OUT, data=form, headers=headers)
    assert (answer.status_code == 403) == (stored() is not None) == (audit_log() == [])
    return answer.status_code == 403


def test_a_form_of_ours_is_accepted(anna: TestClient) -> None:
    assert not refused(anna, OURS)


def test_a_form_of_ours_is_accepted_over_plain_http_where_browsers_say_less(anna: TestClient) -> None:
    assert not refused(anna, {"sec-fetch-site": "same-origin"})


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": f"{BASE_URL}.evil.example"},
        {"origin": BASE_URL, "sec-fetch-site": "cross-site"},
        {"origin": BASE_URL, "sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
    ],
)
def test_a_form_from_elsewhere_is_refused(anna: TestClient, headers: dict[str, str]) -> None:
    assert refused(anna, headers)


@pytest.mark.parametrize("token", ["", "invented", None])
def test_a_form_without_the_users_own_token_is_refused(
    anna: TestClient, browser: Browser, token: str | None
) -> None:
    of_another = csrf_of(browser("carla").get("/visma/orbit").text)
    assert refused(anna, OURS, csrf_token=of_another if token is None else token)


def test_a_refused_form_leads_back_to_its_page(anna: TestClient) -> None:
    page = anna.post(SIGN_OUT, data={}, headers=OURS).text
    assert '<a href="/visma/orbit">Open the page again</a>' in page


def test_a_form_is_of_use_for_a_working_day(anna: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_visma.plugin.access.CSRF_SECONDS", -1)
    assert refused(anna, OURS)


def test_a_form_too_long_is_not_read_to_its_end(anna: TestClient) -> None:
    answer = anna.post(SIGN_OUT, data={"csrf_token": "x" * 300_000}, headers=OURS)
    assert answer.status_code == 413


def test_json_is_no_form(anna: TestClient) -> None:
    assert anna.post(SIGN_OUT, json={"csrf_token": "x"}, headers=OURS).status_code == 415


@pytest.mark.parametrize("address", [SIGN_OUT, f"/visma/orbit/{CONN_ID}/sign-in", "/visma/orbit/finish"])
def test_who_may_not_read_connections_may_not_act(browser: Browser, address: str) -> None:
    answer = browser("bram", role="viewer").post(address, data={}, headers=OURS)
    assert answer.status_code == 403
    assert stored() is not None


def test_who_may_only_read_connections_may_look_and_not_act(browser: Browser) -> None:
    dirk = browser("dirk", role="user")
    page = dirk.get("/visma/orbit")
    assert page.status_code == 200
    assert CONN_ID in page.text
    assert "<form" not in page.text
    token = csrf_of(browser("dirk", role="op").get("/visma/orbit").text)
    for address in (SIGN_OUT, f"/visma/orbit/{CONN_ID}/sign-in"):
        answer = dirk.post(address, data={"csrf_token": token}, headers=OURS)
        assert answer.status_code == 403
        assert "the right to edit this connection" in answer.text
    assert stored() is not None
    assert audit_log() == []


def test_who_lost_the_right_to_edit_cannot_finish_what_they_began(browser: Browser) -> None:
    began = orbit_sign_in.begin(orbit_sign_in.read_settings(CONN_ID), by="dirk")
    dirk = browser("dirk", role="user")
    answer = dirk.get(f"/visma/orbit/callback?{began.address.partition('?')[2]}&code=a-code")
    assert "the right to edit this connection" in dirk.get(answer.headers["location"]).text


def test_nobody_acts_without_being_signed_in(browser: Browser) -> None:
    answer = browser(None).post(SIGN_OUT, data={}, headers=OURS)
    assert answer.headers["location"] == TO_LOGIN
    assert stored() is not None


class Anonymous(SimpleAuthManagerUser):
    """Somebody who did not sign in, and has a role all the same, as FAB's ``auth_role_public`` has it."""

    def get_id(self) -> str:
        return None  # type: ignore[return-value]  # as FAB's own has none


@pytest.fixture
def visitor(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> Visitor:
    def visit(role: str) -> TestClient:
        async def get_user(*arguments: object) -> Anonymous:
            return Anonymous(username="Anonymous", role=role)

        monkeypatch.setattr("airflow_provider_visma.plugin.access.get_user", get_user)
        return browser(None)

    return visit


def test_a_visitor_who_may_not_look_is_asked_to_sign_in(visitor: Visitor) -> None:
    answer = visitor("viewer").get("/visma/orbit")
    assert (answer.status_code, answer.headers["location"]) == (303, TO_LOGIN)


def test_a_visitor_may_look_and_is_asked_to_sign_in_before_acting(visitor: Visitor) -> None:
    anybody = visitor("op")
    page = anybody.get("/visma/orbit")
    assert CONN_ID in page.text
    assert "Signed in to Airflow" not in page.text
    begun = orbit_sign_in.begin(orbit_sign_in.read_settings(CONN_ID), by="None").address.partition("?")[2]
    form = {"csrf_token": csrf_of(page.text), "address": f"?{begun}&error=access_denied"}
    answers = [
        anybody.post(SIGN_OUT, data=form, headers=OURS),
        anybody.post("/visma/orbit/finish", data=form, headers=OURS),
        anybody.get(f"/visma/orbit/callback?{begun}&error=access_denied"),
    ]
    assert [answer.headers["location"] for answer in answers] == [TO_LOGIN] * 3
    assert stored() is not None
    assert audit_log() == []


def test_a_token_that_the_auth_manager_makes_nobody_of_leads_to_the_login(
    anna: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nobody(manager: object, token: str) -> None:
        """As Keycloak's answers where the cookies beside Airflow's own are gone."""

    monkeypatch.setattr(type(get_auth_manager()), "get_user_from_token", nobody)
    answer = anna.get("/visma/orbit")
    assert (answer.status_code, answer.headers["location"]) == (303, TO_LOGIN)
