"""Orbit's tokens: what a code and a refresh token give, how often, and until when."""

from __future__ import annotations

import pytest
import requests

from visma_sandbox import credentials


@pytest.fixture
def tokens(orbit):
    return orbit.sandbox.orbit_sign_in()


def call_with(orbit, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return int(orbit.post("users.me", headers=headers).status_code)


def refused(answer: requests.Response) -> str:
    assert answer.status_code in {400, 401}, answer.text
    return str(answer.json()["error"])


def reasons(orbit) -> list[str | None]:
    return [note.get("reason") for note in orbit.notes("token")]


def test_a_code_is_good_once_and_a_second_use_ends_what_it_gave(orbit) -> None:
    code = orbit.code()
    given = orbit.redeem(code).json()

    assert refused(orbit.redeem(code)) == "invalid_grant"
    assert call_with(orbit, given["access_token"]) == 401
    assert refused(orbit.refresh(given["refresh_token"])) == "invalid_grant"
    assert reasons(orbit) == [None, "used code", "revoked session"]


def test_a_code_has_a_lifetime(orbit) -> None:
    code = orbit.code()
    orbit.sandbox.settings(clock_offset=601.0)

    assert refused(orbit.redeem(code)) == "invalid_grant"
    assert reasons(orbit) == ["expired code"]


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        ({"code_verifier": "another-verifier-that-has-at-least-43-characters"}, "PKCE"),
        ({"code_verifier": None}, "PKCE"),
        ({"redirect_uri": "http://127.0.0.1:8080/other"}, "another redirect_uri"),
        (
            {"client_id": credentials.ORBIT_PUBLIC_CLIENT_ID, "client_secret": None},
            "another client's code",
        ),
        ({"code": "unknown"}, "unknown code"),
    ],
)
def test_a_code_is_bound_to_who_asked_for_it(orbit, form, reason) -> None:
    code = orbit.code()

    assert refused(orbit.redeem(**{"code": code, **form})) == "invalid_grant"
    assert reasons(orbit) == [reason]
    assert orbit.redeem(code).status_code == 200


def test_a_public_client_needs_no_secret_and_may_send_none(orbit) -> None:
    public = {"client_id": credentials.ORBIT_PUBLIC_CLIENT_ID}
    form = {**public, "client_secret": None}
    given = orbit.redeem(orbit.code(**public), **form).json()

    assert orbit.refresh(given["refresh_token"], **form).status_code == 200
    assert refused(orbit.refresh(given["refresh_token"], **public)) == "invalid_client"


def test_a_client_with_a_secret_may_do_without_pkce(orbit) -> None:
    code = orbit.code(code_challenge=None, code_challenge_method=None)

    assert refused(orbit.redeem(code)) == "invalid_grant"
    assert orbit.redeem(code, code_verifier=None).status_code == 200


@pytest.mark.parametrize(
    ("form", "error", "status"),
    [
        ({"client_secret": "wrong"}, "invalid_client", 401),
        ({"client_secret": None}, "invalid_client", 401),
        ({"client_id": "who"}, "invalid_client", 401),
        ({"grant_type": "password"}, "unsupported_grant_type", 400),
        ({"grant_type": None}, "invalid_request", 400),
        ({"refresh_token": None}, "invalid_request", 400),
        ({"refresh_token": "unknown"}, "invalid_grant", 400),
    ],
)
def test_errors_are_those_of_the_rfc(orbit, tokens, form, error, status) -> None:
    answer = orbit.token(**{"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], **form})

    assert (answer.status_code, answer.json()) == (status, {"error": error})
    assert answer.headers["Cache-Control"] == "no-store"
    assert orbit.notes("token")[0]["error"] == error


def test_a_body_in_json_is_no_request_for_a_token(orbit) -> None:
    answer = requests.post(
        f"{orbit.url}/oauth2/access_token", json={"grant_type": "refresh_token"}, timeout=30
    )

    assert refused(answer) == "invalid_request"


def test_errors_can_be_pages(orbit) -> None:
    orbit.sandbox.settings(orbit_token_errors="html")
    answer = orbit.refresh("unknown")

    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "text/html; charset=utf-8")
    assert "<title>400 Bad Request</title>" in answer.text


def test_a_fault_brings_any_error(orbit, tokens) -> None:
    orbit.sandbox.inject("orbit", "token", "oauth_error", error="temporarily_unavailable", status=503)
    answer = orbit.refresh(tokens["refresh_token"])

    assert (answer.status_code, answer.json()) == (503, {"error": "temporarily_unavailable"})
    assert orbit.refresh(tokens["refresh_token"]).status_code == 200


def test_refreshing_rotates_and_the_journal_tells_the_generations(orbit, tokens) -> None:
    second = orbit.refresh(tokens["refresh_token"]).json()
    third = orbit.refresh(second["refresh_token"]).json()

    assert len({tokens["refresh_token"], second["refresh_token"], third["refresh_token"]}) == 3
    assert len({tokens["access_token"], second["access_token"], third["access_token"]}) == 3
    wanted = ("session", "presented_generation", "given_generation", "access")
    assert [tuple(note[name] for name in wanted) for note in orbit.notes("token")] == [
        (1, 1, 2, 2),
        (1, 2, 3, 3),
    ]
    assert call_with(orbit, tokens["access_token"]) == call_with(orbit, third["access_token"]) == 200
    assert [(note["session"], note["access"]) for note in orbit.notes("users.me")] == [(1, 1), (1, 3)]


def test_a_refresh_token_that_rotated_is_refused_and_the_session_lives_on(orbit, tokens) -> None:
    second = orbit.refresh(tokens["refresh_token"]).json()

    assert refused(orbit.refresh(tokens["refresh_token"])) == "invalid_grant"
    assert reasons(orbit)[-1] == "used refresh token, generation 1"
    assert orbit.refresh(second["refresh_token"]).status_code == 200


def test_using_one_twice_can_end_the_session(orbit, tokens) -> None:
    orbit.sandbox.settings(orbit_reuse_revokes=True)
    second = orbit.refresh(tokens["refresh_token"]).json()
    orbit.refresh(tokens["refresh_token"])

    assert refused(orbit.refresh(second["refresh_token"])) == "invalid_grant"
    assert call_with(orbit, second["access_token"]) == 401
    assert orbit.sandbox.counts()["orbit_sessions"] == {"signed_in": 1, "revoked": 1, "access_tokens": 2}


def test_a_used_one_can_be_good_for_a_while(orbit, tokens) -> None:
    orbit.sandbox.settings(orbit_refresh_grace=30, orbit_reuse_revokes=True)
    orbit.refresh(tokens["refresh_token"])

    assert orbit.refresh(tokens["refresh_token"]).status_code == 200
    orbit.sandbox.settings(clock_offset=31.0)
    assert refused(orbit.refresh(tokens["refresh_token"])) == "invalid_grant"


@pytest.mark.parametrize(("way", "repeated"), [("same", True), ("omitted", False)])
def test_without_rotation_the_old_one_stays(orbit, tokens, way, repeated) -> None:
    orbit.sandbox.settings(orbit_refresh_token=way)

    for _ in range(2):
        given = orbit.refresh(tokens["refresh_token"]).json()
        assert given.get("refresh_token") == (tokens["refresh_token"] if repeated else None)


def test_there_may_be_no_refresh_token_at_all(orbit) -> None:
    orbit.sandbox.settings(orbit_refresh_token="never")

    assert "refresh_token" not in orbit.redeem(orbit.code()).json()


def test_the_lifetime_may_be_left_out(orbit) -> None:
    orbit.sandbox.settings(orbit_expires_in=False)

    assert "expires_in" not in orbit.redeem(orbit.code()).json()


def test_access_tokens_and_refresh_tokens_have_lifetimes(orbit) -> None:
    orbit.sandbox.settings(orbit_access_lifetime=100, orbit_refresh_lifetime=1000)
    tokens = orbit.sandbox.orbit_sign_in()
    assert tokens["expires_in"] == 100
    orbit.sandbox.settings(clock_offset=101.0)

    assert call_with(orbit, tokens["access_token"]) == 401
    orbit.sandbox.settings(clock_offset=999.0)
    second = orbit.refresh(tokens["refresh_token"]).json()
    orbit.sandbox.settings(clock_offset=2000.0)
    assert refused(orbit.refresh(second["refresh_token"])) == "invalid_grant"
    assert reasons(orbit)[-1] == "expired refresh token"


def test_a_token_that_was_given_and_never_arrived_is_lost_with_rotation(orbit, tokens) -> None:
    orbit.sandbox.inject("orbit", "token", "act_then_reset")
    with pytest.raises(requests.ConnectionError):
        orbit.refresh(tokens["refresh_token"])

    assert refused(orbit.refresh(tokens["refresh_token"])) == "invalid_grant"


def test_a_session_is_the_application_s_that_asked(orbit, tokens) -> None:
    public = {"client_id": credentials.ORBIT_PUBLIC_CLIENT_ID, "client_secret": None}

    assert refused(orbit.refresh(tokens["refresh_token"], **public)) == "invalid_grant"
    mine = orbit.sandbox.orbit_sign_in(credentials.ORBIT_PUBLIC_CLIENT_ID)
    assert orbit.refresh(mine["refresh_token"], **public).status_code == 200
    assert mine["session"] == 2


def test_a_reset_ends_every_session(orbit, tokens) -> None:
    orbit.sandbox.reset()

    assert call_with(orbit, tokens["access_token"]) == 401
    assert orbit.sandbox.counts()["orbit_sessions"]["signed_in"] == 0
