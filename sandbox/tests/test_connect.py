"""Visma Connect's token endpoint, as contract hrm, section 2 has it."""

from __future__ import annotations

import base64
import json

import pytest
import requests


def claims(token: str) -> dict[str, object]:
    payload = token.split(".")[1]
    found: dict[str, object] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found


def test_a_client_with_its_secret_in_the_form_gets_a_bearer(hrm):
    answer = hrm.ask_token()

    assert answer.status_code == 200
    assert answer.headers["Cache-Control"].startswith("no-store")
    body = answer.json()
    assert body["token_type"] == "Bearer"
    assert body["expires_in"] == 3600
    assert body["scope"].split() == sorted(hrm.form()["scope"].split())
    assert "refresh_token" not in body


def test_a_client_with_its_secret_in_a_basic_header_gets_a_bearer(hrm):
    form = hrm.form(client_id=None, client_secret=None)

    answer = hrm.ask_token(form, auth=(hrm.connection["login"], hrm.connection["password"]))

    assert answer.status_code == 200


def test_the_bearer_is_a_signed_token_with_the_documented_claims(hrm):
    form = hrm.form(scope="hrmanalytics:nlhrm:exportusers")

    found = claims(hrm.ask_token(form).json()["access_token"])

    assert found["client_id"] == form["client_id"]
    assert found["tenant_id"] == form["tenant_id"]
    assert found["scope"] == ["hrmanalytics:nlhrm:exportusers"]
    assert isinstance(found["aud"], list)
    assert found["exp"] - found["nbf"] == pytest.approx(3600, abs=1)
    assert "jti" not in found


def test_the_token_id_appears_when_it_is_switched_on(hrm):
    hrm.sandbox.settings(connect_include_jti=True)

    assert "jti" in claims(hrm.ask_token().json()["access_token"])


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"client_secret": "wrong"}, "invalid_client"),
        ({"client_id": "isv_unknown"}, "invalid_client"),
        ({"client_id": None, "client_secret": None}, "invalid_client"),
        ({"tenant_id": "00000000-0000-4000-8000-000000000000"}, "invalid_tenant"),
        ({"tenant_id": None}, "invalid_tenant"),
        ({"scope": "hrmanalytics:nlhrm:exportusers hrmanalytics:nlhrm:nope"}, "invalid_scope"),
        ({"scope": None}, "invalid_scope"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": None}, "invalid_request"),
    ],
)
def test_a_wrong_request_is_a_400_with_the_oauth_error_code(hrm, changes, error):
    answer = hrm.ask_token(hrm.form(**changes))

    assert answer.status_code == 400
    assert answer.json() == {"error": error}


def test_json_in_place_of_a_form_is_an_invalid_request(hrm):
    answer = requests.post(hrm.connection["extra"]["connect_url"], json=hrm.form(), timeout=10)

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_the_status_of_a_wrong_secret_can_be_switched(hrm):
    hrm.sandbox.settings(connect_invalid_client_status=401)

    assert hrm.ask_token(hrm.form(client_secret="wrong")).status_code == 401


@pytest.mark.parametrize(
    ("switch", "changes"),
    [
        ({"connect_tenant_required": False}, {"tenant_id": None}),
        ({"connect_scope_required": False}, {"scope": None}),
    ],
)
def test_tenant_and_scope_can_be_made_optional(hrm, switch, changes):
    hrm.sandbox.settings(**switch)

    answer = hrm.ask_token(hrm.form(**changes))

    assert answer.status_code == 200
    assert answer.json()["scope"].split() == sorted(hrm.form()["scope"].split())


def test_a_token_really_expires(hrm):
    hrm.sandbox.settings(connect_token_lifetime=120)
    assert hrm.ask_token().json()["expires_in"] == 120
    hrm.authorize()
    hrm.sandbox.settings(clock_offset=119)
    assert hrm.start().status_code == 200

    hrm.sandbox.settings(clock_offset=121)

    refused = hrm.start()
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def test_an_oauth_error_can_be_injected_and_a_token_that_the_api_does_not_know(hrm):
    hrm.sandbox.inject("connect", "token", "oauth_error", error="unauthorized_client")
    hrm.sandbox.inject("connect", "token", "unknown_token")

    assert hrm.ask_token().json()["error"] == "unauthorized_client"
    hrm.authorize()
    assert hrm.start().status_code == 401
    hrm.authorize()
    assert hrm.start().status_code == 200


def test_the_journal_tells_of_a_token_request_and_holds_no_secret(hrm):
    hrm.sandbox.clear_journal()
    token = hrm.ask_token().json()["access_token"]
    hrm.ask_token(hrm.form(client_secret="canary-secret"))

    entries = hrm.sandbox.journal("connect", "token")

    assert [entry["authorized"] for entry in entries] == [True, False]
    assert entries[0]["note"]["tenant_id"] == hrm.form()["tenant_id"]
    assert entries[1]["note"] == {"error": "invalid_client"}
    text = json.dumps(entries)
    for secret in (token, "canary-secret", hrm.connection["password"]):
        assert secret not in text


def test_discovery_names_the_token_endpoint_and_the_keys(hrm):
    found = hrm.session.get(f"{hrm.sandbox.url}/.well-known/openid-configuration", timeout=10).json()

    assert found["token_endpoint"] == hrm.connection["extra"]["connect_url"]
    (key,) = hrm.session.get(found["jwks_uri"], timeout=10).json()["keys"]
    assert (key["kty"], key["alg"]) == ("EC", "ES256")


def test_no_two_tokens_are_the_same(hrm):
    first, second = (hrm.ask_token().json()["access_token"] for _ in range(2))

    assert first != second
