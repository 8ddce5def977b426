"""An Airflow of several teams, each with connections and Variables of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from airflow.models.connection import Connection
from airflow.models.team import Team
from airflow.models.variable import Variable
from airflow.utils.session import create_session
from sqlalchemy import delete, update

from airflow_provider_visma import orbit_sign_in
from tests.unit.plugin.orbit_connection import CONN_ID, add_connection, store, stored


@pytest.fixture(autouse=True)
def _two_teams(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AIRFLOW__CORE__MULTI_TEAM", "True")
    with create_session() as session:
        session.add_all([Team(name="blue"), Team(name="red")])
    add_connection()
    with create_session() as session:
        session.execute(update(Connection).values(team_name="blue"))
    yield
    with create_session() as session:
        session.execute(delete(Team))


def test_a_teams_connection_can_be_signed_in() -> None:
    settings = orbit_sign_in.read_settings(CONN_ID)
    assert orbit_sign_in.begin(settings, by="anna").address.startswith("https://orbit.example/")


def test_a_session_that_a_teams_task_began_is_seen_and_can_be_ended() -> None:
    store()
    with create_session() as session:
        session.execute(update(Variable).values(team_name="blue"))
    assert stored() is not None
    orbit_sign_in.read_settings(CONN_ID).token_store().clear()
    assert stored() is None
