from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk import Connection

from airflow_provider_visma.exceptions import VismaConnectionConfigError
from airflow_provider_visma.hooks._orbit_settings import OrbitSettings
from airflow_provider_visma.protocols.turns import LASTS

EXTRA = {
    "redirect_uri": "https://airflow.example.com/visma/orbit/callback",
    "scope": "some scope",
    "refresh_token": "canary-refresh",
    "authorize_url": "https://login.example.com/oauth2/Authorize",
    "connect_url": "https://login.example.com/oauth2/token",
}


def read(conn_id: str = "orbit", *, login: str | None = "a-client", **extra: Any) -> OrbitSettings:
    connection = Connection(
        conn_id=conn_id,
        conn_type="teamleader_orbit",
        login=login,
        password="canary-secret",
        extra=json.dumps(extra),
    )
    return OrbitSettings.read(connection)


def test_a_client_id_is_all_that_a_connection_needs() -> None:
    connection = Connection(conn_id="orbit", conn_type="teamleader_orbit", login="a-client")
    settings = OrbitSettings.read(connection)
    assert settings.connection.base_url == "https://api.orbit.teamleader.eu"
    assert settings.client.authorize_url == "https://api.orbit.teamleader.eu/oauth2/authorize"
    assert settings.client.token_url == "https://api.orbit.teamleader.eu/oauth2/access_token"
    assert (settings.client.client_secret, settings.client.scope, settings.client.redirect_uri) == (
        "",
        "",
        "",
    )
    assert settings.seed is None
    with pytest.raises(VismaConnectionConfigError, match="lacks client ID"):
        read(login=None)


def test_the_extras_say_what_differs() -> None:
    settings = read(**EXTRA)
    assert settings.client.authorize_url == "https://login.example.com/oauth2/Authorize"
    assert settings.client.token_url == "https://login.example.com/oauth2/token"
    assert settings.client.redirect_uri == "https://airflow.example.com/visma/orbit/callback"
    assert (settings.client.scope, settings.seed) == ("some scope", "canary-refresh")


@pytest.mark.parametrize("key", ["redirect_uri", "authorize_url", "connect_url"])
@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "airflow.example.com",
        "https://",
        "http://[::1",
        "https://a/#b",
        "https://a; frame-ancestors *",
        "https://user:password@a/",
        "https://a:99999/",
        "https://例え.jp/",
        "https://a/\x07",
    ],
)
def test_what_is_no_address_is_named(key: str, address: str) -> None:
    with pytest.raises(VismaConnectionConfigError, match=f"extra {key} is not an address"):
        read(**{key: address})


def test_the_session_goes_by_what_the_connection_is_and_not_by_its_id() -> None:
    key = read().token_key
    assert read("made_up_by_a_test").token_key == key
    assert read(scope="x", redirect_uri=EXTRA["redirect_uri"], refresh_token="r").token_key == key
    others = read(login="another"), read(account="second"), read(connect_url=EXTRA["connect_url"])
    assert len({key, *(other.token_key for other in others)}) == 4


@pytest.mark.parametrize(
    "address", ["http://[::1]:8080/a", "https://a.example:443/x?y=z", "http://localhost"]
)
def test_an_address_may_name_a_port_and_a_query(address: str) -> None:
    assert read(authorize_url=address).client.authorize_url == address


def test_a_process_has_one_source_for_a_connection_whose_way_out_is_the_latest() -> None:
    first, second = read(**EXTRA), read(**EXTRA, proxy="http://proxy.example.com:3128")
    source = first.token_source()
    assert second.token_source() is source
    assert source.open_client == second.open_token_client
    assert read("another", **EXTRA).token_source() is not source


def test_no_secret_is_shown() -> None:
    settings = read(**EXTRA)
    assert "canary" not in repr(settings)
    assert "canary" not in repr(settings.token_source())


def test_a_renewal_ends_within_the_turn_that_it_has() -> None:
    for timeout, wait in [(600, 60.0), (30, 30.0)]:
        with read(timeout=timeout).token_source().open_client() as client:
            told = client.timeout
        assert told.read == wait
        assert told.connect is not None
        assert told.connect + wait < LASTS
