from __future__ import annotations

import base64
import hashlib
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from airflow_provider_visma.exceptions import (
    VismaAuthenticationError,
    VismaContentError,
    VismaError,
    VismaIncompleteAnswerError,
    VismaRequestError,
    VismaUnavailableError,
)
from airflow_provider_visma.protocols.authorization_code import (
    Answer,
    OAuthClient,
    Session,
    authorization_address,
    new_pkce,
    read_answer,
    redeem_code,
)
from airflow_provider_visma.protocols.html import page_title
from airflow_provider_visma.protocols.http import httpx

CLIENT = OAuthClient(
    authorize_url="https://orbit.example.com/oauth2/authorize",
    token_url="https://orbit.example.com/oauth2/access_token",
    client_id="a-client",
    client_secret="canary-client-secret",
    redirect_uri="https://airflow.example.com/visma/orbit/callback",
    system="Teamleader Orbit",
)
ISSUED = {
    "access_token": "an-access-token",
    "refresh_token": "a-refresh-token",
    "token_type": "Bearer",
    "expires_in": 3600,
}


def redeem(
    answer: httpx.Response | Exception, client: OAuthClient = CLIENT
) -> tuple[Session, dict[str, str]]:
    sent: dict[str, str] = {}

    def serve(request: httpx.Request) -> httpx.Response:
        sent.update({name: values[0] for name, values in parse_qs(request.content.decode()).items()})
        if isinstance(answer, Exception):
            raise answer
        return answer

    session = redeem_code(
        client,
        "canary-code",
        "a-verifier",
        open_client=lambda: httpx.Client(transport=httpx.MockTransport(serve)),
        clock=lambda: 1000.0,
    )
    return session, sent


def query(address: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(address).query, keep_blank_values=True)


class TestAuthorizationAddress:
    def test_asks_for_a_code_with_the_challenge_and_an_empty_scope(self) -> None:
        address = authorization_address(CLIENT, state="a-state", challenge="a-challenge")
        assert address.startswith("https://orbit.example.com/oauth2/authorize?")
        assert query(address) == {
            "response_type": ["code"],
            "client_id": ["a-client"],
            "redirect_uri": ["https://airflow.example.com/visma/orbit/callback"],
            "scope": [""],
            "state": ["a-state"],
            "code_challenge": ["a-challenge"],
            "code_challenge_method": ["S256"],
        }

    def test_keeps_what_the_address_of_the_page_says_already(self) -> None:
        client = OAuthClient(
            authorize_url="https://o.example/authorize?tenant=a%26b", token_url="", client_id="c"
        )
        assert query(authorization_address(client, state="s", challenge="c"))["tenant"] == ["a&b"]

    def test_the_challenge_is_the_verifiers_hash_and_each_sign_in_has_its_own(self) -> None:
        first, second = new_pkce(), new_pkce()
        assert first.verifier != second.verifier
        assert 43 <= len(first.verifier) <= 128
        digest = hashlib.sha256(first.verifier.encode()).digest()
        assert base64.urlsafe_b64decode(first.challenge + "=") == digest
        assert first.verifier not in repr(first)


class TestReadAnswer:
    @pytest.mark.parametrize(
        ("address", "answer"),
        [
            ("https://a.example/cb?code=c-1&state=s-1", Answer("c-1", "s-1", None)),
            ("code=c-1&state=s-1", Answer("c-1", "s-1", None)),
            ("?code=c-1&state=s-1", Answer("c-1", "s-1", None)),
            ("  https://a.example/cb?code=c-\n1&state=s-1#x\n", Answer("c-1", "s-1", None)),
            ("https://a.example/cb?state=s-1&error=access_denied", Answer(None, "s-1", "access_denied")),
            ("https://a.example/cb?state=s-1&error=%3Cscript%3E", Answer(None, "s-1", "unreadable")),
            ("https://a.example/cb?code=&state=", Answer(None, None, None)),
            ("https://a.example/cb", Answer(None, None, None)),
            ("", Answer(None, None, None)),
            ("http://[::1?code=c-1", Answer(None, None, None)),
        ],
    )
    def test_finds_code_state_and_error_in_whatever_was_pasted(self, address: str, answer: Answer) -> None:
        assert read_answer(address) == answer

    @pytest.mark.parametrize("name", ["code", "state", "error"])
    def test_refuses_what_is_said_twice(self, name: str) -> None:
        with pytest.raises(VismaRequestError, match=f"says {name} twice"):
            read_answer(f"https://a.example/cb?{name}=one&{name}=two")

    def test_refuses_an_address_that_is_too_long_to_be_one(self) -> None:
        with pytest.raises(VismaRequestError, match="longer than 8192"):
            read_answer("code=" + "x" * 8200)


class TestRedeemCode:
    def test_sends_the_verifier_and_the_same_redirect_uri(self) -> None:
        session, sent = redeem(httpx.Response(200, json=ISSUED))
        assert sent == {
            "grant_type": "authorization_code",
            "code": "canary-code",
            "redirect_uri": "https://airflow.example.com/visma/orbit/callback",
            "code_verifier": "a-verifier",
            "client_id": "a-client",
            "client_secret": "canary-client-secret",
        }
        assert session == Session(
            access_token="an-access-token",
            refresh_token="a-refresh-token",
            expires_at=4600.0,
            obtained_at=1000.0,
        )

    def test_a_public_client_sends_no_secret(self) -> None:
        public = OAuthClient(
            authorize_url="", token_url=CLIENT.token_url, client_id="public", redirect_uri="r"
        )
        _, sent = redeem(httpx.Response(200, json=ISSUED), public)
        assert "client_secret" not in sent

    @pytest.mark.parametrize(
        ("left_out", "values"),
        [
            ("refresh_token", {"refresh_token": None, "expires_at": 4600.0}),
            ("expires_in", {"refresh_token": "a-refresh-token", "expires_at": None}),
            ("token_type", {"refresh_token": "a-refresh-token", "expires_at": 4600.0}),
        ],
    )
    def test_tolerates_an_answer_that_leaves_out(self, left_out: str, values: dict[str, Any]) -> None:
        session, _ = redeem(httpx.Response(200, json={k: v for k, v in ISSUED.items() if k != left_out}))
        assert {name: getattr(session, name) for name in values} == values

    @pytest.mark.parametrize("told", [None, "soon", [], float("inf"), 10**400])
    def test_takes_a_lifetime_that_cannot_be_read_for_one_that_was_not_said(self, told: Any) -> None:
        body = (
            str(ISSUED | {"expires_in": told})
            .replace("'", '"')
            .replace("None", "null")
            .replace("inf", "1e999")
        )
        session, _ = redeem(httpx.Response(200, text=body))
        assert session.expires_at is None

    def test_takes_a_lifetime_beyond_all_measure_for_ten_years(self) -> None:
        session, _ = redeem(httpx.Response(200, json=ISSUED | {"expires_in": 1e300}))
        assert session.expires_at == 1000.0 + 10 * 365 * 86400
        assert Session.from_json(session.to_json()) == session

    @pytest.mark.parametrize(
        ("answer", "kind", "said"),
        [
            (httpx.Response(400, json={"error": "invalid_grant"}), VismaAuthenticationError, "used before"),
            (
                httpx.Response(401, json={"error": "invalid_client"}),
                VismaAuthenticationError,
                "client secret",
            ),
            (httpx.Response(400, json={"error": "surprise"}), VismaAuthenticationError, "surprise"),
            (httpx.Response(200, json={}), VismaContentError, "no bearer token"),
            (
                httpx.Response(200, json=ISSUED | {"access_token": "a b"}),
                VismaContentError,
                "no bearer token",
            ),
            (httpx.Response(200, json=[]), VismaIncompleteAnswerError, "not a JSON object"),
            (
                httpx.Response(200, html="<title>Please sign in</title>canary-body"),
                VismaIncompleteAnswerError,
                "'Please sign in'",
            ),
            (
                httpx.Response(400, html="<html><head><title>Bad\n Request</title>canary-body"),
                VismaRequestError,
                "a page titled 'Bad Request'",
            ),
            (httpx.Response(502, text="canary-body"), VismaUnavailableError, "status 502"),
            (httpx.ReadTimeout("canary-body"), VismaUnavailableError, "ReadTimeout"),
            (
                VismaContentError("the answer is larger than 9 bytes"),
                VismaContentError,
                "token: the answer is",
            ),
        ],
    )
    def test_names_the_refusal_and_repeats_nothing_else(
        self, answer: httpx.Response | Exception, kind: type[VismaError], said: str
    ) -> None:
        with pytest.raises(kind, match=said) as caught:
            redeem(answer)
        assert "Teamleader Orbit" in str(caught.value)
        assert "canary" not in str(caught.value)
        assert caught.value.__cause__ is None


class TestSession:
    SESSION = Session(
        access_token="canary-access",
        refresh_token="canary-refresh",
        expires_at=4600.0,
        obtained_at=1000.0,
        seed="s",
    )

    def test_comes_back_from_json_as_it_was(self) -> None:
        assert Session.from_json(self.SESSION.to_json()) == self.SESSION

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "{",
            "[]",
            "null",
            "{}",
            '{"access_token": "canary"}',
            '{"access_token": 1, "refresh_token": null, "expires_at": null, "obtained_at": 1}',
            '{"access_token": "a", "refresh_token": null, "expires_at": "soon", "obtained_at": 1}',
            '{"access_token": "a", "refresh_token": null, "expires_at": 1e13, "obtained_at": 1}',
            '{"access_token": "a", "refresh_token": null, "expires_at": null, "obtained_at": NaN}',
            '{"access_token": "a", "refresh_token": null, "expires_at": null, "obtained_at": -1e13}',
            "[" * 100_000,
        ],
    )
    def test_refuses_other_json_without_repeating_it(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"^this is no session$"):
            Session.from_json(text)

    def test_shows_no_token(self) -> None:
        assert "canary" not in repr(self.SESSION)

    @pytest.mark.parametrize(
        ("expires_at", "now", "seconds"),
        [
            (4600.0, 1000.0, 3540.0),
            (4600.0, 4539.0, 1.0),
            (4600.0, 4540.0, 0.0),
            (1010.0, 1000.0, 8.0),
            (1000.0, 1000.0, 0.0),
            (None, 1000.0, 240.0),
            (None, 1240.0, 0.0),
            (4600.0, 941.0, 3599.0),
            (4600.0, 939.0, 0.0),
        ],
    )
    def test_is_fresh_until_a_minute_before_its_end(
        self, expires_at: float | None, now: float, seconds: float
    ) -> None:
        session = Session(access_token="a", refresh_token="r", expires_at=expires_at, obtained_at=1000.0)
        assert session.fresh_at(now) == seconds


class TestPageTitle:
    @pytest.mark.parametrize(
        ("body", "title"),
        [
            (b"<!DOCTYPE html><html><head><title>404 Not Found</title></head></html>", "404 Not Found"),
            (b"\xef\xbb\xbf\n <title>\n Caf\xc3\xa9\t &amp; more </title>", "Café & more"),
            (b"<title>" + b"x" * 500 + b"</title>", "x" * 100 + "…"),
            (b"<title>a\x1b[31m\x00b</title>", "a [31m\ufffdb"),
            (b"<title>unfinished", "unfinished"),
            ("<meta charset=iso-8859-1><title>Café</title>".encode("latin-1"), "Café"),
            (b"<title>Caf\xc3\xa9</title>" + b"x" * (65534 - 20) + "é".encode() * 9, "Café"),
            (b"<title></title>", None),
            (b"<p>no title</p>", None),
            (b"<" + b"p" * 70_000 + b"><title>too late</title>", None),
            (b"<", None),
            (b"", None),
            (b'{"title": "no page"}', None),
        ],
    )
    def test_is_what_a_page_calls_itself_on_one_line(self, body: bytes, title: str | None) -> None:
        assert page_title(body) == title
