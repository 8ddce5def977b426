"""The sandbox's Orbit, and the session that Airflow keeps of whoever signed in there."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from airflow_provider_visma.hooks.orbit import OrbitHook
from airflow_provider_visma.protocols.authorization_code import Session
from visma_sandbox.client import SandboxProcess

CONN_ID = "teamleader_orbit_default"


class Orbit:
    """The sandbox's Orbit, and what Airflow keeps of it."""

    def __init__(self, sandbox: SandboxProcess) -> None:
        self.sandbox = sandbox

    def hook(self) -> OrbitHook:
        async def at_once(seconds: float) -> None:
            pass

        return OrbitHook(sleep=lambda seconds: None, asleep=at_once)

    def sign_in(self, *, expires_in: float = 3600) -> Session:
        """Store a session as if somebody had signed in just now."""
        granted = self.sandbox.orbit_sign_in()
        now = time.time()
        session = Session(
            access_token=granted["access_token"],
            refresh_token=granted["refresh_token"],
            expires_at=now + expires_in,
            obtained_at=now,
        )
        self.store(session)
        return session

    def store(self, session: Session) -> None:
        with self.hook() as hook:
            hook.settings.token_store().save(session)

    def stored(self) -> Session | None:
        with self.hook() as hook:
            return hook.settings.token_store().load()

    def forget(self) -> None:
        """Delete the stored session."""
        with self.hook() as hook:
            hook.settings.token_store().clear()

    def asked(self, operation: str = "*") -> list[dict[str, Any]]:
        """The journal of Orbit's calls."""
        return self.sandbox.journal("orbit", operation)

    def ids(self, resource: str = "projects") -> list[str]:
        """The ids of all rows, in their order."""
        return sorted(row["id"] for row in self.sandbox.orbit_rows(resource, top=100_000))


def change_connection(monkeypatch: pytest.MonkeyPatch, orbit: Orbit, **extra: Any) -> None:
    """Change extras of the connection."""
    connection = orbit.sandbox.connections()[CONN_ID]
    connection["extra"] = {**connection.get("extra", {}), **extra}
    monkeypatch.setenv(f"AIRFLOW_CONN_{CONN_ID.upper()}", json.dumps(connection))
