"""A service that issues tokens, a place to keep them, and a clock: all in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from airflow_provider_visma.exceptions import VismaUnavailableError
from airflow_provider_visma.protocols.authorization_code import OAuthClient, Session
from airflow_provider_visma.protocols.http import httpx
from airflow_provider_visma.protocols.renewal import RenewingTokenSource
from airflow_provider_visma.protocols.turns import Claim

CLIENT = OAuthClient(
    authorize_url="https://orbit.example.com/oauth2/authorize",
    token_url="https://orbit.example.com/oauth2/access_token",
    client_id="a-client",
    system="Teamleader Orbit",
)
START = 1_800_000_000.0


class Kept:
    """Keeps a session and a claim, and counts."""

    def __init__(self, session: Session | None = None) -> None:
        self.session = session
        self.claim: Claim | None = None
        self.saved: list[Session] = []
        self.failures = 0

    def load(self) -> Session | None:
        return self.session

    def save(self, session: Session) -> None:
        if self.failures:
            self.failures -= 1
            raise VismaUnavailableError("canary is not saved")
        self.session = session
        self.saved.append(session)

    def load_claim(self) -> Claim | None:
        return self.claim

    def save_claim(self, claim: Claim) -> None:
        self.claim = claim


class Service:
    """Redeems refresh tokens: ``r0`` first, then whatever it gave out last.

    :param rotates: whether a refresh token is good for once.
    """

    def __init__(self, *, rotates: bool = True, expires_in: Any = 3600) -> None:
        self.rotates = rotates
        self.expires_in = expires_in
        self.valid = "r0"
        self.redeemed: list[str] = []
        self.answers: list[httpx.Response | Exception] = []
        self.on_request: Callable[[], None] = lambda: None
        self.now = START
        self.slept: list[float] = []
        self.on_sleep: Callable[[], None] = lambda: None

    def client(self) -> httpx.Client:
        return httpx.Client(transport=httpx.MockTransport(self._serve))

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)
        self.on_sleep()

    def source(self, store: Kept, **options: Any) -> RenewingTokenSource:
        return RenewingTokenSource(
            CLIENT,
            store,
            open_client=self.client,
            conn_id="orbit",
            sign_in="Sign in again: here.",
            clock=lambda: self.now,
            wall_clock=lambda: self.now,
            sleep=self.sleep,
            **options,
        )

    def session(self, refresh_token: str | None = "r0", *, age: float = 4000.0, seed: str = "") -> Session:
        return Session(
            access_token="a0",
            refresh_token=refresh_token,
            expires_at=self.now - age + 3600,
            obtained_at=self.now - age,
            seed=seed,
        )

    def _serve(self, request: httpx.Request) -> httpx.Response:
        form = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
        assert form["grant_type"] == "refresh_token"
        self.redeemed.append(form["refresh_token"])
        self.on_request()
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        if form["refresh_token"] != self.valid:
            return httpx.Response(400, json={"error": "invalid_grant"})
        number = len(self.redeemed)
        issued = {"access_token": f"a{number}", "token_type": "Bearer", "expires_in": self.expires_in}
        if self.rotates:
            issued["refresh_token"] = self.valid = f"r{number}"
        return httpx.Response(200, json={name: value for name, value in issued.items() if value is not None})
