"""Signing in at the sandbox's Orbit, as a browser does it: its page, its form, the address where it ends."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest
from airflow.sdk._shared.secrets_masker import should_hide_value_for_key

from airflow_provider_visma import orbit_sign_in
from airflow_provider_visma.exceptions import VismaConnectionConfigError, VismaError, VismaUnavailableError
from airflow_provider_visma.hooks._orbit_settings import OrbitSettings
from airflow_provider_visma.protocols.http import httpx
from airflow_provider_visma.token_store import VariableTokenStore
from tests.airflow_variables import stored_values
from tests.orbit_browser import browse
from visma_sandbox import credentials
from visma_sandbox.client import SandboxProcess
from visma_sandbox.connections import connections

CONN_ID = "teamleader_orbit_default"
HERE = "http://localhost:8080/visma/orbit/callback"
ELSEWHERE = "https://client.example.com/orbit/callback"

pytestmark = pytest.mark.usefixtures("variables")


@pytest.fixture(autouse=True)
def airflow_knows_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "http://localhost:8080/")


@pytest.fixture
def settings(sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> OrbitSettings:
    return connected(sandbox, monkeypatch)


def connected(sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> OrbitSettings:
    """The connection in Airflow's environment, changed."""
    connection = {**connections(sandbox.url)[CONN_ID], **changes}
    monkeypatch.setenv(f"AIRFLOW_CONN_{CONN_ID.upper()}", json.dumps(connection))
    return orbit_sign_in.read_settings(CONN_ID)


def refused(address: str, **options: Any) -> VismaError:
    with pytest.raises(VismaError) as caught:
        orbit_sign_in.finish(address, **{"by": "anna", **options})
    return caught.value


def works(settings: OrbitSettings) -> bool:
    token = settings.token_source().get_token().value
    with settings.open_client() as client:
        answer = client.post("/users.me", json={}, headers={"Authorization": f"Bearer {token}"})
    return answer.status_code == httpx.codes.OK


def records() -> list[str]:
    return [key for key in stored_values() if "sign_in" in key]


def changed(address: str, **values: str) -> str:
    parts = urlsplit(address)
    return parts._replace(query=urlencode({**dict(parse_qsl(parts.query)), **values})).geturl()


class TestBothWays:
    def test_a_redirect_to_this_airflow_is_the_default_and_stores_a_session_that_works(
        self, settings: OrbitSettings
    ) -> None:
        begun = orbit_sign_in.begin(settings, by="anna")
        assert begun.redirect_uri == HERE
        address = browse(begun.address)
        assert address.startswith(HERE)
        signed_in = orbit_sign_in.finish(address, by="anna")
        assert signed_in.conn_id == CONN_ID
        assert settings.token_store().load() == signed_in.session
        assert works(settings)
        assert records() == []

    def test_a_redirect_elsewhere_is_finished_with_the_address_that_is_pasted(
        self, sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings = connected(sandbox, monkeypatch, extra={"redirect_uri": ELSEWHERE})
        begun = orbit_sign_in.begin(settings, by="anna")
        assert begun.redirect_uri == ELSEWHERE
        orbit_sign_in.finish(f"\n {browse(begun.address)} \n", by="anna")
        assert works(settings)

    def test_a_public_client_signs_in_with_pkce_alone(
        self, sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings = connected(sandbox, monkeypatch, login=credentials.ORBIT_PUBLIC_CLIENT_ID, password="")
        orbit_sign_in.finish(browse(orbit_sign_in.begin(settings, by="anna").address), by="anna")
        assert works(settings)
        token = next(entry for entry in sandbox.journal("orbit", "token"))
        assert (token["note"]["pkce"], token["note"]["client_secret"]) == (True, False)

    def test_signing_in_again_replaces_the_session(self, settings: OrbitSettings) -> None:
        first = orbit_sign_in.finish(browse(orbit_sign_in.begin(settings, by="anna").address), by="anna")
        second = orbit_sign_in.finish(browse(orbit_sign_in.begin(settings, by="anna").address), by="anna")
        assert first.session != second.session
        assert settings.token_store().load() == second.session

    def test_a_session_without_a_lifetime_or_a_refresh_token_is_stored_too(
        self, sandbox: SandboxProcess, settings: OrbitSettings
    ) -> None:
        sandbox.settings(orbit_expires_in=False, orbit_refresh_token="never")
        signed_in = orbit_sign_in.finish(browse(orbit_sign_in.begin(settings, by="anna").address), by="anna")
        assert (signed_in.session.refresh_token, signed_in.session.expires_at) == (None, None)
        assert works(settings)


class TestWhatTravels:
    def test_the_address_names_no_user_no_connection_and_no_verifier(self, settings: OrbitSettings) -> None:
        begun = orbit_sign_in.begin(settings, by="anna")
        query = parse_qs(urlsplit(begun.address).query, keep_blank_values=True)
        assert query["scope"] == [""]
        assert query["code_challenge_method"] == ["S256"]
        assert "anna" not in begun.address
        assert CONN_ID not in begun.address
        assert begun.address not in repr(begun)

    def test_what_is_remembered_is_encrypted_and_its_key_makes_airflow_mask_it(
        self, settings: OrbitSettings
    ) -> None:
        orbit_sign_in.begin(settings, by="anna")
        [key] = records()
        assert should_hide_value_for_key(key)
        assert "anna" not in stored_values()[key]
        assert "verifier" not in stored_values()[key]


class TestRefusals:
    def test_a_state_that_was_used(self, settings: OrbitSettings) -> None:
        address = browse(orbit_sign_in.begin(settings, by="anna").address)
        orbit_sign_in.finish(address, by="anna")
        assert refused(address).code == "state_used"

    def test_of_two_who_finish_at_once_one_succeeds(
        self, sandbox: SandboxProcess, settings: OrbitSettings
    ) -> None:
        address = browse(orbit_sign_in.begin(settings, by="anna").address)
        together = Barrier(8)

        def finish() -> str | None:
            together.wait()
            try:
                orbit_sign_in.finish(address, by="anna")
            except VismaError as error:
                return error.code
            return None

        with ThreadPoolExecutor(8) as pool:
            outcomes = [future.result() for future in [pool.submit(finish) for _ in range(8)]]
        assert sorted(outcomes, key=str) == [None, *["state_used"] * 7]
        assert len(sandbox.journal("orbit", "token")) == 1

    @pytest.mark.parametrize("forged", ["x", "", "IjEi.x", '"000000000001_x"'])
    def test_a_state_that_was_not_signed_here(self, settings: OrbitSettings, forged: str) -> None:
        address = browse(orbit_sign_in.begin(settings, by="anna").address)
        error = refused(changed(address, state=forged))
        assert error.code == ("state_forged" if forged else "state_missing")

    def test_a_state_that_was_signed_with_another_key(
        self, settings: OrbitSettings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        address = browse(orbit_sign_in.begin(settings, by="anna").address)
        monkeypatch.setenv("AIRFLOW__API__SECRET_KEY", "another key")
        assert refused(address).code == "state_forged"

    def test_a_state_of_more_than_ten_minutes_ago(
        self, sandbox: SandboxProcess, settings: OrbitSettings
    ) -> None:
        began = 1_800_000_000.0
        address = browse(orbit_sign_in.begin(settings, by="anna", clock=lambda: began).address)
        assert refused(address, clock=lambda: began + 601).code == "state_expired"
        orbit_sign_in.finish(address, by="anna", clock=lambda: began + 599)

    def test_another_user_who_does_not_spoil_it_for_the_one_who_began(self, settings: OrbitSettings) -> None:
        address = browse(orbit_sign_in.begin(settings, by="anna").address)
        assert refused(address, by="bert").code == "other_user"
        orbit_sign_in.finish(address, by="anna")

    def test_a_user_who_may_no_longer_edit_the_connection(
        self, sandbox: SandboxProcess, settings: OrbitSettings
    ) -> None:
        asked: list[str] = []
        address = browse(orbit_sign_in.begin(settings, by="anna").address)
        error = refused(address, may_edit=lambda conn_id: bool(asked.append(conn_id)))
        assert (error.code, error.conn_id, asked) == ("not_allowed", CONN_ID, [CONN_ID])
        assert sandbox.journal("orbit", "token") == []

    def test_a_person_who_denies(self, settings: OrbitSettings) -> None:
        address = browse(orbit_sign_in.begin(settings, by="anna").address, decision="deny")
        error = refused(address)
        assert str(error) == (
            f"Teamleader Orbit sign-in (connection {CONN_ID}): access was denied [access_denied]."
            " Begin again."
        )
        assert refused(address).code == "state_used"

    def test_an_address_without_a_code(self, settings: OrbitSettings) -> None:
        address = browse(orbit_sign_in.begin(settings, by="anna").address)
        assert refused(changed(address, code="")).code == "code_missing"

    def test_a_code_that_the_service_does_not_know(self, settings: OrbitSettings) -> None:
        address = browse(orbit_sign_in.begin(settings, by="anna").address)
        error = refused(changed(address, code="canary"))
        assert (error.code, error.conn_id) == ("invalid_grant", CONN_ID)
        assert "canary" not in str(error)
        assert settings.token_store().load() is None

    def test_a_code_of_another_sign_in_because_of_its_verifier(self, settings: OrbitSettings) -> None:
        first = browse(orbit_sign_in.begin(settings, by="anna").address)
        second = browse(orbit_sign_in.begin(settings, by="anna").address)
        code = dict(parse_qsl(urlsplit(first).query))["code"]
        assert refused(changed(second, code=code)).code == "invalid_grant"

    def test_a_connection_that_became_another_client_meanwhile(
        self, sandbox: SandboxProcess, settings: OrbitSettings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        address = browse(orbit_sign_in.begin(settings, by="anna").address)
        connected(sandbox, monkeypatch, login=credentials.ORBIT_PUBLIC_CLIENT_ID, password="")
        assert refused(address).code == "connection_changed"

    @pytest.mark.parametrize("conn_id", ["unknown", "severa_default"])
    def test_a_connection_that_is_none_of_orbits(self, sandbox: SandboxProcess, conn_id: str) -> None:
        with pytest.raises(VismaConnectionConfigError, match="no connection of the type teamleader_orbit"):
            orbit_sign_in.read_settings(conn_id)

    def test_nowhere_to_return_to(self, settings: OrbitSettings, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("AIRFLOW__API__BASE_URL")
        with pytest.raises(VismaConnectionConfigError, match="base_url"):
            orbit_sign_in.begin(settings, by="anna")


def test_what_has_expired_is_forgotten_when_the_next_sign_in_begins(settings: OrbitSettings) -> None:
    began = 1_800_000_000.0
    for minutes in (0, 5, 11):
        orbit_sign_in.begin(settings, by="anna", clock=lambda minutes=minutes: began + 60 * minutes)
    assert len(records()) == 2


def test_storing_is_tried_again_since_the_code_is_used_up(
    settings: OrbitSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, tries = VariableTokenStore.save, []

    def save_late(self: VariableTokenStore, session: Any) -> None:
        tries.append(session)
        if len(tries) < 3:
            raise VismaUnavailableError("busy")
        save(self, session)

    monkeypatch.setattr(VariableTokenStore, "save", save_late)
    address = browse(orbit_sign_in.begin(settings, by="anna").address)
    orbit_sign_in.finish(address, by="anna", sleep=lambda seconds: None)
    assert works(settings)
