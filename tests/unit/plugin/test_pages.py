from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from airflow_provider_visma.plugin import texts

Browser = Callable[..., TestClient]


def test_the_plugin_brings_no_web_framework_into_airflows_processes() -> None:
    code = (
        "import sys, airflow.sdk.plugins_manager\n"
        "before = set(sys.modules)\n"
        "import airflow_provider_visma.plugin\n"
        "new = set(sys.modules) - before\n"
        "print(sorted(name for name in new if '.' not in name), 'fastapi' in sys.modules)\n"
        "print(sorted(name for name in new if name.startswith('airflow_provider_visma')))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.splitlines() == [
        "[] False",
        "['airflow_provider_visma.plugin']",
    ]


def test_airflow_lists_the_plugin_with_its_pages(anna: TestClient) -> None:
    plugins = {one["name"]: one for one in anna.get("/api/v2/plugins").json()["plugins"]}
    views = plugins["visma"]["external_views"]
    assert [(view["name"], view["category"]) for view in views] == [
        ("Orbit sign-in", "Admin"),
        ("Dialog", "Visma"),
    ]
    assert all(anna.get(f"/{view['href']}").status_code == 200 for view in views)


@pytest.mark.parametrize("address", ["/visma/orbit", "/visma/orbit?code=abc&state=def"])
def test_a_visitor_is_sent_to_airflows_login_and_back_without_the_query(
    browser: Browser, address: str
) -> None:
    answer = browser(None).get(address)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/api/v2/auth/login?next=%2Fvisma%2Forbit"


def test_where_airflow_is_below_a_path_so_is_everything(browser: Browser) -> None:
    page = browser(root_path="/airflow").get("/airflow/visma/orbit").text
    addresses = re.findall(r'(?:href|src|action)="(/[^"]*)"', page)
    assert len(addresses) > 3
    assert all(address.startswith("/airflow/") for address in addresses)
    to_login = browser(None, root_path="/airflow").get("/airflow/visma/orbit").headers["location"]
    assert to_login == "/airflow/api/v2/auth/login?next=%2Fairflow%2Fvisma%2Forbit"


def test_an_answer_of_orbit_that_comes_too_late_leads_to_the_page_after_the_login(browser: Browser) -> None:
    answer = browser(None).get("/visma/orbit/callback?code=abc&state=def")
    assert answer.headers["location"] == "/api/v2/auth/login?next=%2Fvisma%2Forbit"


def test_a_token_that_airflow_did_not_sign_signs_nobody_in(browser: Browser) -> None:
    visitor = browser(None)
    visitor.cookies.set("_token", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm5hIn0.c2lnbmVk")
    assert visitor.get("/visma/orbit").status_code in (303, 401, 403)


def test_reading_takes_the_right_to_read_connections(browser: Browser) -> None:
    answer = browser("bram", role="viewer").get("/visma/orbit")
    assert answer.status_code == 403
    assert "the right to read connections" in answer.text


@pytest.mark.parametrize(
    "address", ["/visma/orbit", "/visma/nowhere", "/visma/static/visma.css", "/visma/static/x"]
)
def test_every_answer_carries_the_headers_that_bind_the_browser(anna: TestClient, address: str) -> None:
    headers = anna.get(address).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'self'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"


def test_a_page_holds_no_script_and_no_style_of_its_own(anna: TestClient) -> None:
    page = anna.get("/visma/orbit").text
    assert "<style" not in page
    assert " style=" not in page
    assert page.count("<script") == page.count("<script src=") == 1


def test_a_failure_is_answered_with_a_page_that_is_bound_too(
    anna: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("airflow_provider_visma.plugin.orbit.readable_connections")
    answer = anna.get("/visma/orbit")
    assert answer.status_code == 500
    assert "The log of the API server says more" in answer.text
    assert "readable_connections" not in answer.text
    assert "frame-ancestors 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"


def test_an_unknown_address_is_answered_with_a_page(anna: TestClient) -> None:
    answer = anna.get("/visma/nowhere")
    assert answer.status_code == 404
    assert "This page does not exist" in answer.text


def test_both_languages_have_the_same_texts_with_the_same_blanks() -> None:
    dutch, english = texts.TEXTS[texts.DUTCH], texts.TEXTS[texts.ENGLISH]
    assert dutch.keys() == english.keys()
    blanks = {key: [part.split("}")[0] for part in text.split("{")[1:]] for key, text in dutch.items()}
    assert blanks == {
        key: [part.split("}")[0] for part in text.split("{")[1:]] for key, text in english.items()
    }


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("nl-NL,nl;q=0.9,en;q=0.8", "nl"),
        ("en-GB,en;q=0.9,nl;q=0.8", "en"),
        ("de,nl;q=0.3,en;q=0.2", "nl"),
        ("nl;q=0.1,en", "en"),
        ("fr", "en"),
        ("", "en"),
        ("nl;q=x,en", "en"),
    ],
)
def test_the_page_speaks_the_browsers_language(browser: Browser, header: str, language: str) -> None:
    page = browser(**{"accept-language": header}).get("/visma/orbit").text
    assert f'<html lang="{language}">' in page


def test_a_chosen_language_is_kept(anna: TestClient) -> None:
    assert '<html lang="nl">' in anna.get("/visma/orbit?lang=nl").text
    assert '<html lang="nl">' in anna.get("/visma/orbit").text
    assert '<html lang="en">' in anna.get("/visma/orbit?lang=en").text
    assert '<html lang="en">' in anna.get("/visma/orbit?lang=xx").text


def test_a_notice_that_we_did_not_sign_is_not_shown(anna: TestClient) -> None:
    page = anna.get("/visma/orbit?notice=Your+account+is+blocked").text
    assert "blocked" not in page
