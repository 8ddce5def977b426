from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs

import pytest

from airflow_provider_visma.exceptions import (
    VismaAuthenticationError,
    VismaContentError,
    VismaError,
    VismaIncompleteAnswerError,
    VismaPermanentError,
    VismaPermissionError,
    VismaRequestError,
    VismaThrottledError,
    VismaTransientError,
    VismaUnavailableError,
)
from airflow_provider_visma.protocols.bearer import BearerAuth, TokenSource
from airflow_provider_visma.protocols.http import httpx
from airflow_provider_visma.protocols.oauth2 import (
    ClientCredentials,
    ClientCredentialsSource,
    shared_source,
)

SECRET = "canary-client-secret"
CREDENTIALS = ClientCredentials(
    token_url="https://connect.example.com/connect/token",
    client_id="isv_test",
    client_secret=SECRET,
    tenant_id="a-tenant",
    scopes="one two",
)
Answer = Callable[[httpx.Request], httpx.Response]


class TokenEndpoint:
    """Answers token requests in the order given, then with numbered tokens."""

    def __init__(self, *answers: httpx.Response | Exception, expires_in: Any = 3600) -> None:
        self.requests: list[httpx.Request] = []
        self.now = 0.0
        self.busy = 0
        self.busiest = 0
        self.entered = threading.Event()
        self.release = threading.Event()
        self.release.set()
        self._answers = list(answers)
        self._expires_in = expires_in
        self._lock = threading.Lock()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        with self._lock:
            self.requests.append(request)
            self.busy += 1
            self.busiest = max(self.busiest, self.busy)
            number = len(self.requests)
        self.entered.set()
        self.release.wait(60)
        with self._lock:
            self.busy -= 1
        if self._answers:
            answer = self._answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        body = {"access_token": f"canary-token-{number}", "token_type": "Bearer", "scope": "one two"}
        return httpx.Response(
            200, json=body | ({} if self._expires_in is None else {"expires_in": self._expires_in})
        )

    def source(self, credentials: ClientCredentials = CREDENTIALS, **options: Any) -> TokenSource:
        return ClientCredentialsSource(
            credentials, open_client=self.client, clock=lambda: self.now, **options
        )

    def client(self) -> httpx.Client:
        return httpx.Client(transport=httpx.MockTransport(self))


def refusal(error: str, status: int = 400) -> httpx.Response:
    return httpx.Response(status, json={"error": error, "error_description": f"said {SECRET}"})


def test_credentials_go_in_the_form_and_nowhere_else() -> None:
    endpoint = TokenEndpoint()
    endpoint.source().get_token()
    [request] = endpoint.requests
    assert request.method == "POST"
    assert "authorization" not in request.headers
    assert request.url.query == b""
    assert parse_qs(request.content.decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": ["isv_test"],
        "client_secret": [SECRET],
        "tenant_id": ["a-tenant"],
        "scope": ["one two"],
    }


def test_an_empty_scope_and_tenant_are_left_out() -> None:
    plain = ClientCredentials(token_url="https://c.example.com/t", client_id="c", client_secret="s")
    assert plain.form() == {"grant_type": "client_credentials", "client_id": "c", "client_secret": "s"}


@pytest.mark.parametrize(
    ("expires_in", "still_fresh", "stale"),
    [
        (3600, 3539.0, 3541.0),
        ("3600", 3539.0, 3541.0),
        (100, 79.0, 81.0),
        (None, 239.0, 241.0),
        ("soon", 239.0, 241.0),
    ],
)
def test_a_token_is_used_until_shortly_before_it_expires(
    expires_in: Any, still_fresh: float, stale: float
) -> None:
    endpoint = TokenEndpoint(expires_in=expires_in)
    source = endpoint.source()
    first = source.get_token()
    endpoint.now = still_fresh
    assert source.get_token() is first
    endpoint.now = stale
    assert source.get_token().value == "canary-token-2"


def test_an_unstated_lifetime_is_known_to_be_unstated() -> None:
    assert TokenEndpoint(expires_in=None).source().get_token().lifetime is None
    assert TokenEndpoint(expires_in=1200).source().get_token().lifetime == 1200


@pytest.mark.parametrize(
    ("told", "kept"), [("a:b:c d:e", "a:b:c d:e"), ("<b>bold</b>", None), (["a"], None), ("", None)]
)
def test_scopes_are_repeated_only_where_they_look_like_scopes(told: Any, kept: str | None) -> None:
    answer = httpx.Response(200, json={"access_token": "canary-token", "scope": told})
    assert TokenEndpoint(answer).source().get_token().scopes == kept


def test_a_rejected_token_is_replaced_once_for_all_who_held_it() -> None:
    endpoint = TokenEndpoint()
    source = endpoint.source()
    old = source.get_token().value
    source.reject(old)
    new = source.get_token().value
    source.reject(old)
    assert (new, source.get_token().value) == ("canary-token-2", "canary-token-2")


def test_a_right_that_is_missing_does_not_cost_a_token_per_refusal() -> None:
    endpoint = TokenEndpoint()
    source = endpoint.source()
    for _ in range(1000):
        source.reject(source.get_token().value)
    assert len(endpoint.requests) == 2
    endpoint.now = 5.1
    source.reject(source.get_token().value)
    assert source.get_token().value == "canary-token-3"


@pytest.mark.parametrize(
    ("answer", "kind", "advice"),
    [
        (refusal("invalid_client"), VismaAuthenticationError, "client secret"),
        (refusal("invalid_client", 401), VismaAuthenticationError, "client secret"),
        (refusal("unauthorized_client"), VismaPermissionError, "Service"),
        (refusal("invalid_scope"), VismaPermissionError, "scopes"),
        (refusal("invalid_tenant"), VismaAuthenticationError, "Integration Administrator"),
        (refusal("invalid_grant"), VismaAuthenticationError, "Sign in again"),
        (refusal("invalid_request"), VismaRequestError, "filled in"),
        (refusal("something_new"), VismaAuthenticationError, "RFC 6749"),
        (httpx.Response(400, text="<html>"), VismaRequestError, "token endpoint"),
        (httpx.Response(404, text="no"), VismaPermanentError, "token endpoint"),
        (httpx.Response(200, json={"expires_in": 1}), VismaContentError, None),
        (httpx.Response(200, json={"access_token": "a\r\nHost: b"}), VismaContentError, None),
        (httpx.Response(200, json={"access_token": "a", "token_type": "mac"}), VismaContentError, None),
    ],
)
def test_a_refusal_is_permanent_and_says_what_to_do(
    answer: httpx.Response, kind: type[VismaError], advice: str | None
) -> None:
    with pytest.raises(VismaPermanentError) as caught:
        TokenEndpoint(answer).source().get_token()
    assert isinstance(caught.value, kind)
    assert (advice or "") in str(caught.value)


def test_the_services_own_code_is_in_the_error_and_its_description_is_not() -> None:
    with pytest.raises(VismaError) as caught:
        TokenEndpoint(refusal("invalid_client")).source().get_token()
    assert caught.value.code == "invalid_client"
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (httpx.Response(429, headers={"Retry-After": "17"}), VismaThrottledError),
        (httpx.Response(500), VismaUnavailableError),
        (httpx.Response(503), VismaUnavailableError),
        (httpx.ConnectError(f"to {SECRET}"), VismaUnavailableError),
        (httpx.ReadTimeout(f"from {SECRET}"), VismaUnavailableError),
        (httpx.Response(200, text="<html>sign in to the proxy</html>"), VismaIncompleteAnswerError),
        (httpx.Response(200, json=["a"]), VismaIncompleteAnswerError),
        (httpx.Response(200, text="[" * 100_000), VismaIncompleteAnswerError),
    ],
)
def test_what_may_pass_by_itself_is_transient(
    answer: httpx.Response | Exception, kind: type[VismaError]
) -> None:
    with pytest.raises(VismaTransientError) as caught:
        TokenEndpoint(answer).source().get_token()
    assert isinstance(caught.value, kind)
    assert SECRET not in str(caught.value)


def test_a_failing_endpoint_is_asked_once_by_all_and_then_left_alone_for_a_moment() -> None:
    endpoint = TokenEndpoint(httpx.Response(500), httpx.Response(429, headers={"Retry-After": "30"}))
    source = endpoint.source()
    for _ in range(100):
        with pytest.raises(VismaUnavailableError):
            source.get_token()
    assert len(endpoint.requests) == 1
    endpoint.now = 5.1
    with pytest.raises(VismaThrottledError):
        source.get_token()
    endpoint.now = 35.0
    with pytest.raises(VismaThrottledError):
        source.get_token()
    assert len(endpoint.requests) == 2
    endpoint.now = 35.2
    assert source.get_token().value == "canary-token-3"


def test_each_waiter_gets_an_error_of_its_own() -> None:
    source = TokenEndpoint(httpx.Response(429, headers={"Retry-After": "30"})).source()
    errors = []
    for _ in range(2):
        with pytest.raises(VismaThrottledError) as caught:
            source.get_token()
        errors.append(caught.value)
    assert errors[0] is not errors[1]
    assert vars(errors[0]) == vars(errors[1])
    assert errors[1].retry_after == 30


def test_threads_and_event_loops_wait_for_one_fetch() -> None:
    endpoint = TokenEndpoint()
    endpoint.release.clear()
    source = endpoint.source()

    async def many() -> list[str]:
        return [token.value for token in await asyncio.gather(*(source.aget_token() for _ in range(200)))]

    with ThreadPoolExecutor(24) as pool:
        threads = [pool.submit(source.get_token) for _ in range(20)]
        loops = [pool.submit(asyncio.run, many()) for _ in range(3)]
        endpoint.release.set()
        values = {future.result(60).value for future in threads}
        for loop in loops:
            values |= set(loop.result(60))
    assert values == {"canary-token-1"}
    assert len(endpoint.requests) == 1


def test_fifty_rejections_at_once_lead_to_one_fetch_at_a_time() -> None:
    endpoint = TokenEndpoint()
    source = endpoint.source()
    old = source.get_token().value

    def refuse_and_ask() -> str:
        source.reject(old)
        return source.get_token().value

    with ThreadPoolExecutor(50) as pool:
        values = {future.result(60) for future in [pool.submit(refuse_and_ask) for _ in range(50)]}
    assert values == {"canary-token-2"}
    assert endpoint.busiest == 1


async def test_a_cancelled_waiter_leaves_the_fetch_to_the_others() -> None:
    endpoint = TokenEndpoint()
    endpoint.release.clear()
    source = endpoint.source()
    leader = asyncio.create_task(source.aget_token())
    follower = asyncio.create_task(source.aget_token())
    assert await asyncio.to_thread(endpoint.entered.wait, 60)
    leader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leader
    endpoint.release.set()
    assert (await follower).value == "canary-token-1"
    assert len(endpoint.requests) == 1


def test_a_token_is_handed_to_the_mask_before_anyone_has_it() -> None:
    masked: list[str] = []
    token = TokenEndpoint().source(on_token=masked.append).get_token()
    assert masked == [token.value]


def test_neither_secret_nor_token_is_printed() -> None:
    source = TokenEndpoint().source()
    token = source.get_token()
    shown = f"{CREDENTIALS!r} {token!r} {source!r} {vars(source)!r}"
    assert "canary" not in shown


# The same flow for both kinds of client


class Api:
    """Accepts only the tokens in `good`."""

    def __init__(self, *good: str) -> None:
        self.good = set(good)
        self.seen: list[tuple[str, bytes]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        token = request.headers["Authorization"].removeprefix("Bearer ")
        self.seen.append((token, request.content))
        return httpx.Response(200 if token in self.good else 401)


async def send(kind: str, api: Api, auth: httpx.Auth) -> int:
    transport = httpx.MockTransport(api)
    if kind == "sync":
        with httpx.Client(transport=transport, auth=auth) as client:
            return client.post("https://api.example.com/x", content=b"body").status_code
    async with httpx.AsyncClient(transport=transport, auth=auth) as aclient:
        return (await aclient.post("https://api.example.com/x", content=b"body")).status_code


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_401_is_met_with_one_forced_refresh(kind: str) -> None:
    api = Api("canary-token-2")
    assert await send(kind, api, BearerAuth(TokenEndpoint().source())) == 200
    assert api.seen == [("canary-token-1", b"body"), ("canary-token-2", b"body")]


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_second_401_is_handed_back(kind: str) -> None:
    api, endpoint = Api(), TokenEndpoint()
    assert await send(kind, api, BearerAuth(endpoint.source())) == 401
    assert (len(api.seen), len(endpoint.requests)) == (2, 2)


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_who_does_not_repeat_sends_one_request_and_has_another_token_next_time(kind: str) -> None:
    api = Api("canary-token-2")
    auth = BearerAuth(TokenEndpoint().source(), repeat=False)
    assert await send(kind, api, auth) == 401
    assert [token for token, _ in api.seen] == ["canary-token-1"]
    assert await send(kind, api, auth) == 200


# One source per way of signing in


def test_who_signs_in_alike_shares_a_source_and_who_does_not_has_another() -> None:
    endpoint = TokenEndpoint()
    same = ClientCredentials(
        **{name: getattr(CREDENTIALS, name) for name in CREDENTIALS.__dataclass_fields__}
    )
    first = shared_source(CREDENTIALS, open_client=endpoint.client)
    assert shared_source(same, open_client=endpoint.client) is first
    for name in CREDENTIALS.__dataclass_fields__:
        values = {field: getattr(CREDENTIALS, field) for field in CREDENTIALS.__dataclass_fields__}
        other = ClientCredentials(**(values | {name: "https://other.example.com/"}))
        assert shared_source(other, open_client=endpoint.client) is not first


def test_a_corrected_way_out_takes_effect_on_the_shared_source() -> None:
    credentials = ClientCredentials(
        token_url="https://c.example.com/t", client_id="way-out", client_secret="s"
    )
    broken, mended = TokenEndpoint(httpx.ConnectError("")), TokenEndpoint()
    source = shared_source(credentials, open_client=broken.client)
    shared_source(credentials, open_client=mended.client)
    assert source.get_token().value == "canary-token-1"
    assert broken.requests == []
