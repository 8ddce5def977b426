from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Iterator
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from lxml import html

from visma_sandbox import credentials
from visma_sandbox.client import SandboxProcess, start_sandbox

REDIRECT = "http://127.0.0.1:8080/visma/orbit/callback"
VERIFIER = "verifier-of-a-test-which-has-at-least-43-characters"


def challenge(verifier: str = VERIFIER) -> str:
    return urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()


class Orbit:
    """The least a client of Orbit can be: what it is told, it sends; as a person, it fills in the form."""

    redirect = REDIRECT

    def __init__(self, sandbox: SandboxProcess) -> None:
        self.sandbox = sandbox
        self.url = sandbox.connections()["teamleader_orbit_default"]["host"]
        self.session = requests.Session()

    # -- signing in

    def asked(self, **changes: str | None) -> dict[str, str]:
        wishes = {
            "response_type": "code",
            "client_id": credentials.ORBIT_CLIENT_ID,
            "redirect_uri": REDIRECT,
            "scope": "",
            "state": "st<a>te &\"'",
            "code_challenge": challenge(),
            "code_challenge_method": "S256",
            **changes,
        }
        return {name: value for name, value in wishes.items() if value is not None}

    def page(self, **changes: str | None) -> requests.Response:
        return self.session.get(
            f"{self.url}/oauth2/authorize", params=self.asked(**changes), allow_redirects=False, timeout=10
        )

    def decide(
        self,
        decision: str = "allow",
        *,
        username: str = credentials.ORBIT_USER,
        password: str = credentials.ORBIT_PASSWORD,
        **changes: str | None,
    ) -> requests.Response:
        """Open the page and press a button, with what the form holds, as a browser does."""
        page = self.page(**changes)
        form = html.fromstring(page.content, base_url=page.url).forms[0]
        fields = {
            **dict(form.form_values()),
            "username": username,
            "password": password,
            "decision": decision,
        }
        return self.session.post(
            requests.compat.urljoin(page.url, form.action), data=fields, allow_redirects=False, timeout=10
        )

    def code(self, **changes: str | None) -> str:
        return answer_of(self.decide(**changes))["code"]

    def token(self, **form: str | None) -> requests.Response:
        wishes = {
            "client_id": credentials.ORBIT_CLIENT_ID,
            "client_secret": credentials.ORBIT_CLIENT_SECRET,
            **form,
        }
        sent = {name: value for name, value in wishes.items() if value is not None}
        return self.session.post(f"{self.url}/oauth2/access_token", data=sent, timeout=10)

    def redeem(self, code: str, **form: str | None) -> requests.Response:
        wishes = {"redirect_uri": REDIRECT, "code_verifier": VERIFIER, **form}
        return self.token(grant_type="authorization_code", code=code, **wishes)

    def refresh(self, token: str, **form: str | None) -> requests.Response:
        return self.token(grant_type="refresh_token", refresh_token=token, **form)

    def sign_in(self) -> None:
        token = self.sandbox.orbit_sign_in()["access_token"]
        self.session.headers["Authorization"] = f"Bearer {token}"

    # -- calls

    def post(self, operation: str, body: Any = None, **wishes: Any) -> requests.Response:
        sent = {"json": {} if body is None else body} if "data" not in wishes else {}
        return self.session.post(f"{self.url}/{operation}", **{"timeout": 30, **sent, **wishes})

    def call(self, operation: str, body: Any = None) -> Any:
        answer = self.post(operation, body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def all_of(self, resource: str, *, size: int = 7, first: int = 1, **wishes: Any) -> list[dict[str, Any]]:
        """Every row, page by page until one is short."""
        found: list[dict[str, Any]] = []
        while True:
            number = first + len(found) // size
            page = self.call(f"{resource}.list", {"page": {"size": size, "number": number}, **wishes})
            found += page
            if len(page) < size:
                return found

    def notes(self, operation: str) -> list[dict[str, Any]]:
        return [entry["note"] for entry in self.sandbox.journal("orbit", operation)]


def answer_of(answer: requests.Response) -> dict[str, str]:
    """What the browser carries to the client."""
    assert answer.status_code == 303, answer.text
    location = urlsplit(answer.headers["Location"])
    return {name: values[0] for name, values in parse_qs(location.query).items()}


@pytest.fixture(scope="session")
def running_orbit() -> Iterator[SandboxProcess]:
    with start_sandbox(employees=100) as sandbox:
        yield sandbox


@pytest.fixture
def orbit(running_orbit: SandboxProcess) -> Orbit:
    running_orbit.reset()
    return Orbit(running_orbit)


@pytest.fixture
def signed_in(orbit: Orbit) -> Orbit:
    orbit.sign_in()
    return orbit


@pytest.fixture
def answer() -> Any:
    return answer_of
