"""A connection of Orbit in Airflow's database, with or without a session, and what a person does with it."""

from __future__ import annotations

import json
import time

from airflow.models.connection import Connection
from airflow.utils.session import create_session
from fastapi.testclient import TestClient

from airflow_provider_visma import orbit_sign_in
from airflow_provider_visma.protocols.authorization_code import Session
from airflow_provider_visma.protocols.http import httpx
from tests.unit.plugin.conftest import BASE_URL, csrf_of

CONN_ID = "orbit_at_work"


def add_connection(conn_id: str = CONN_ID, conn_type: str = "teamleader_orbit", **extra: str) -> None:
    connection = Connection(
        conn_id=conn_id,
        conn_type=conn_type,
        host="https://orbit.example",
        login="client-one",
        password="a secret of the client",
        extra=json.dumps(extra),
    )
    with create_session() as session:
        session.add(connection)


def store(**session: object) -> None:
    known = {
        "access_token": "the-access-token",
        "refresh_token": "the-refresh-token",
        "expires_at": time.time() + 3600,
        "obtained_at": time.time(),
    }
    orbit_sign_in.read_settings(CONN_ID).token_store().save(Session(**{**known, **session}))  # type: ignore[arg-type]


def stored() -> Session | None:
    return orbit_sign_in.read_settings(CONN_ID).token_store().load()


def post(browser: TestClient, address: str, /, **form: str) -> httpx.Response:
    """Send a form of our page."""
    form.setdefault("csrf_token", csrf_of(browser.get("/visma/orbit").text))
    return browser.post(f"/visma/orbit{address}", data=form, headers={"origin": BASE_URL})


def shown(browser: TestClient, answer: httpx.Response) -> str:
    """Return the page that a redirect leads to."""
    assert answer.status_code == 303
    return browser.get(answer.headers["location"]).text
