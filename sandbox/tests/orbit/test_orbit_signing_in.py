"""Signing in to Orbit: the page, the code, and where the browser is sent (contract orbit, section a1)."""

from __future__ import annotations

import pytest
import requests
from lxml import html

from visma_sandbox import credentials


def test_the_metadata_names_the_endpoints_as_the_real_ones_are_named(orbit) -> None:
    root = orbit.sandbox.url
    found = requests.get(f"{root}/.well-known/oauth-authorization-server/orbit", timeout=30).json()

    assert found["issuer"] == orbit.url
    assert found["authorization_endpoint"] == f"{orbit.url}/oauth2/Authorize"
    assert found["token_endpoint"] == f"{orbit.url}/oauth2/access_token"
    assert found["code_challenge_methods_supported"] == ["S256"]
    assert "revocation_endpoint" not in found
    below = requests.get(f"{orbit.url}/.well-known/oauth-authorization-server", timeout=30)
    assert below.json() == found
    assert requests.get(found["authorization_endpoint"], params=orbit.asked(), timeout=30).status_code == 200


def test_a_client_cannot_register_itself(orbit) -> None:
    answer = requests.post(f"{orbit.url}/oauth2/register", json={}, timeout=30)

    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "text/html; charset=utf-8")


def test_the_page_has_a_form_with_a_label_for_each_field_and_two_buttons(orbit) -> None:
    page = orbit.page()
    form = html.fromstring(page.content).forms[0]

    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert page.headers["X-Frame-Options"] == "DENY"
    assert form.method == "POST"
    for name in ("username", "password"):
        field = form.inputs[name]
        assert form.xpath(f"//label[@for='{field.get('id')}']/text()")
    assert [(button.get("value"), button.text) for button in form.findall(".//button")] == [
        ("allow", "Allow"),
        ("deny", "Deny"),
    ]


def test_what_the_request_brings_is_shown_as_text_and_never_as_markup(orbit) -> None:
    page = orbit.page(state='"><script>alert(1)</script>')

    assert b"<script" not in page.content
    assert html.fromstring(page.content).forms[0].fields["state"] == '"><script>alert(1)</script>'


def test_a_person_who_allows_is_sent_back_with_a_code_and_the_state(orbit, answer) -> None:
    response = orbit.decide()

    back = answer(response)
    assert set(back) == {"code", "state"}
    assert back["state"] == orbit.asked()["state"]
    assert response.headers["Location"].startswith(f"{orbit.redirect}?")
    assert "no-store" in response.headers["Cache-Control"]
    tokens = orbit.redeem(back["code"]).json()
    assert set(tokens) == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 3600)


def test_the_query_of_the_redirect_address_stays(orbit, answer) -> None:
    back = answer(orbit.decide(redirect_uri="http://localhost:9/back?conn=a%26b"))

    assert back["conn"] == "a&b"
    assert "code" in back


def test_a_person_who_denies_is_sent_back_without_a_password(orbit, answer) -> None:
    back = answer(orbit.decide("deny", username="", password=""))

    assert back == {"error": "access_denied", "state": orbit.asked()["state"]}


def test_orbit_itself_can_deny(orbit, answer) -> None:
    orbit.sandbox.settings(orbit_denied=True)

    assert answer(orbit.decide())["error"] == "access_denied"


def test_a_wrong_password_brings_the_page_again_with_the_name_and_a_reason(orbit) -> None:
    page = orbit.decide(password="not this one")

    assert page.status_code == 200
    tree = html.fromstring(page.content)
    assert tree.forms[0].fields["username"] == credentials.ORBIT_USER
    assert tree.forms[0].fields["state"] == orbit.asked()["state"]
    assert not tree.forms[0].fields["password"]
    assert tree.xpath("//*[@role='alert']/text()") == ["User name or password is not right."]


@pytest.mark.parametrize(
    "address",
    [
        "https://elsewhere.example.com/",
        "http://127.0.0.1.example.com/",
        "http://[::1/",
        "http://localhost:9/#part",
        "javascript:alert(1)",
        "",
        None,
    ],
)
def test_the_browser_is_never_sent_to_an_address_that_is_not_registered(orbit, address) -> None:
    page = orbit.page(redirect_uri=address)

    assert page.status_code == 400
    assert "Location" not in page.headers
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize("address", ["http://[::1]:7/a", "https://localhost/a", "http://127.0.0.1/a"])
def test_any_address_of_this_machine_is_registered(orbit, address) -> None:
    assert orbit.page(redirect_uri=address).status_code == 200


def test_a_switch_registers_other_addresses(orbit) -> None:
    assert orbit.page(redirect_uri="https://client.example.com/orbit/callback").status_code == 200
    orbit.sandbox.settings(orbit_redirect_uris=["https://other.example.com/back"])

    assert orbit.page(redirect_uri="https://other.example.com/back").status_code == 200
    assert orbit.page().status_code == 400


def test_an_unknown_application_is_told_so_on_a_page(orbit) -> None:
    page = orbit.page(client_id="who")

    assert page.status_code == 400
    assert html.fromstring(page.content).findtext(".//title") == "400 Bad Request"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "everything"}, "invalid_scope"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        (
            {"client_id": credentials.ORBIT_PUBLIC_CLIENT_ID, "code_challenge": None},
            "invalid_request",
        ),
    ],
)
def test_a_request_that_is_wrong_goes_back_to_the_client(orbit, answer, changes, error) -> None:
    assert answer(orbit.page(**changes)) == {"error": error, "state": orbit.asked()["state"]}


def test_no_code_no_state_and_no_token_is_journalled(orbit, answer) -> None:
    back = answer(orbit.decide())
    tokens = orbit.redeem(back["code"]).json()
    renewed = orbit.refresh(tokens["refresh_token"]).json()
    orbit.session.headers["Authorization"] = f"Bearer {renewed['access_token']}"
    orbit.call("users.me")

    text = requests.get(f"{orbit.sandbox.url}/_control/journal", timeout=30).text
    secrets = [
        back["code"],
        back["state"],
        *(each[f"{kind}_token"] for each in (tokens, renewed) for kind in ("access", "refresh")),
    ]
    assert [each for each in secrets if each in text] == []
    assert credentials.ORBIT_PASSWORD not in text
    assert credentials.ORBIT_CLIENT_SECRET not in text
    (entry,) = (each for each in orbit.sandbox.journal("orbit", "authorize") if each["method"] == "GET")
    assert entry["query"]["state"] == "***"


def test_the_connection_says_where_the_browser_goes(orbit) -> None:
    connection = orbit.sandbox.connections()["teamleader_orbit_default"]
    assert "redirect_uri" not in connection.get("extra", {})  # so that Airflow uses its own address

    orbit.sandbox.settings(orbit_redirect_uri="http://localhost:1/there")
    changed = orbit.sandbox.connections()["teamleader_orbit_default"]
    assert changed["extra"]["redirect_uri"] == "http://localhost:1/there"
