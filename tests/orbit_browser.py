"""A person at a browser, on the page where the sandbox's Orbit asks whether to allow."""

from __future__ import annotations

from urllib.parse import parse_qsl

from airflow_provider_visma.protocols.http import httpx
from visma_sandbox import credentials


def browse(address: str, *, decision: str = "allow") -> str:
    """Open *address*, sign in, decide, and return the address where the browser ends."""
    page, _, query = address.partition("?")
    person = {"username": credentials.ORBIT_USER, "password": credentials.ORBIT_PASSWORD}
    with httpx.Client() as browser:
        assert browser.get(address).status_code == httpx.codes.OK
        form = {**dict(parse_qsl(query, keep_blank_values=True)), **person, "decision": decision}
        answer = browser.post(page, data=form)
    assert answer.status_code == httpx.codes.SEE_OTHER
    return answer.headers["Location"]
