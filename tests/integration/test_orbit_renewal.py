"""Sessions of the sandbox's Orbit, kept in Airflow's own database, and what threatens them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_visma.exceptions import VismaAuthenticationError, VismaPermissionError
from airflow_provider_visma.hooks._orbit_settings import OrbitSettings
from airflow_provider_visma.protocols.authorization_code import Session
from airflow_provider_visma.protocols.http import httpx
from airflow_provider_visma.protocols.renewal import RenewingTokenSource
from tests.integration.orbit_renewals import Renewals, settings_of
from visma_sandbox.client import SandboxProcess
from visma_sandbox.connections import connections

pytestmark = pytest.mark.usefixtures("variables")


def connection(sandbox: SandboxProcess, **extra: Any) -> dict[str, Any]:
    found = connections(sandbox.url)["teamleader_orbit_default"]
    return {**found, "extra": {**found.get("extra", {}), **extra}}


@pytest.fixture
def settings(sandbox: SandboxProcess) -> OrbitSettings:
    return settings_of(connection(sandbox))


@pytest.fixture
def expired(sandbox: SandboxProcess, settings: OrbitSettings, variables: None) -> Session:
    """A stored session whose access token has expired."""
    signed_in = sandbox.orbit_sign_in()
    session = Session(
        access_token=signed_in["access_token"],
        refresh_token=signed_in["refresh_token"],
        expires_at=4600.0,
        obtained_at=1000.0,
    )
    settings.token_store().save(session)
    return session


def source(settings: OrbitSettings, **options: Any) -> RenewingTokenSource:
    """A source as a process has it that has just started."""
    return RenewingTokenSource(
        settings.client,
        settings.token_store(),
        open_client=settings.open_client,
        seed=settings.seed,
        conn_id="orbit",
        sign_in="Sign in again: here.",
        **{"sleep": lambda seconds: None, **options},
    )


def works(sandbox: SandboxProcess, settings: OrbitSettings, token: str) -> bool:
    with settings.open_client() as client:
        answer = client.post("/users.me", json={}, headers={"Authorization": f"Bearer {token}"})
    return answer.status_code == httpx.codes.OK


def renewals(sandbox: SandboxProcess) -> int:
    return sum(entry["note"].get("grant_type") == "refresh_token" for entry in sandbox.journal("orbit"))


@pytest.mark.parametrize("reuse_revokes", [False, True], ids=["reuse is refused", "reuse ends the session"])
def test_fifty_that_renew_at_once_leave_one_valid_session_and_redeem_its_token_once(
    sandbox: SandboxProcess, settings: OrbitSettings, expired: Session, reuse_revokes: bool
) -> None:
    sandbox.settings(orbit_reuse_revokes=reuse_revokes)
    outcomes = Renewals(connection=connection(sandbox), processes=10, threads=5).run()
    stored = settings.token_store().load()
    assert stored is not None
    assert outcomes == [{"token": stored.access_token}] * 50
    assert stored.refresh_token != expired.refresh_token
    assert renewals(sandbox) == 1
    assert works(sandbox, settings, stored.access_token)


def test_fifty_that_do_not_see_each_others_claims_leave_one_valid_session_all_the_same(
    sandbox: SandboxProcess, settings: OrbitSettings, expired: Session
) -> None:
    outcomes = Renewals(connection=connection(sandbox), processes=10, threads=5, takes_turns=False).run()
    stored = settings.token_store().load()
    assert stored is not None
    assert outcomes == [{"token": stored.access_token}] * 50
    assert works(sandbox, settings, stored.access_token)
    assert source(settings, wall_clock=lambda: stored.obtained_at + 4000).get_token().value


def test_where_reuse_ends_the_session_those_who_do_not_see_the_claims_are_told_to_sign_in_again(
    sandbox: SandboxProcess, settings: OrbitSettings, expired: Session
) -> None:
    sandbox.settings(orbit_reuse_revokes=True)
    Renewals(connection=connection(sandbox), processes=4, threads=2, takes_turns=False).run()
    stored = settings.token_store().load()
    assert stored is not None
    with pytest.raises(VismaAuthenticationError, match="Sign in again"):
        source(settings, wall_clock=lambda: stored.obtained_at + 4000).get_token()


class Killed(BaseException):
    """What is left of a process that was killed."""


class TestATaskThatIsKilledBetweenReceivingAndSaving:
    @pytest.fixture(autouse=True)
    def killed(self, request: pytest.FixtureRequest) -> None:
        """A service that rotates or not, and the kill."""
        sandbox, settings = request.getfixturevalue("sandbox"), request.getfixturevalue("settings")
        sandbox.settings(orbit_refresh_token=request.getfixturevalue("refresh_token"))
        request.getfixturevalue("expired")
        store = settings.token_store()

        def die(session: Session) -> None:
            raise Killed

        store.save = die
        task = source(settings)
        task.store = store
        with pytest.raises(Killed):
            task.get_token()
        assert renewals(sandbox) == 1

    @pytest.mark.parametrize("refresh_token", ["same", "omitted"])
    def test_costs_nothing_where_the_refresh_token_stays(
        self, sandbox: SandboxProcess, settings: OrbitSettings, refresh_token: str
    ) -> None:
        assert works(sandbox, settings, source(settings).get_token().value)

    @pytest.mark.parametrize("refresh_token", ["rotated"])
    def test_has_the_next_run_say_clearly_to_sign_in_again(
        self, sandbox: SandboxProcess, settings: OrbitSettings, refresh_token: str
    ) -> None:
        shared = settings.token_source()
        shared._sleep = lambda seconds: None
        shared._turns._sleep = shared._sleep
        with pytest.raises(VismaAuthenticationError) as caught:
            shared.get_token()
        assert str(caught.value) == (
            "Teamleader Orbit token (connection orbit): the refresh token saved at 1970-01-01 00:16:40 UTC is"
            " not accepted: it was revoked, has expired, or was replaced by another that could not be saved"
            " [invalid_grant]. Sign in again on the page /visma/orbit of Airflow's UI, or with:"
            " airflow visma orbit-login orbit"
        )

    @pytest.mark.parametrize("refresh_token", ["rotated"])
    def test_costs_nothing_where_the_service_gives_the_old_one_some_seconds_more(
        self, sandbox: SandboxProcess, settings: OrbitSettings, refresh_token: str
    ) -> None:
        sandbox.settings(orbit_refresh_grace=60)
        assert works(sandbox, settings, source(settings).get_token().value)


def test_the_connections_own_refresh_token_begins_a_session_that_goes_on_without_it(
    sandbox: SandboxProcess,
) -> None:
    seeded = settings_of(connection(sandbox, refresh_token=sandbox.orbit_sign_in()["refresh_token"]))
    first = source(seeded).get_token().value
    stored = seeded.token_store().load()
    assert stored is not None
    second = source(seeded, wall_clock=lambda: stored.obtained_at + 4000).get_token().value
    assert first != second
    assert works(sandbox, seeded, second)


def test_a_web_page_instead_of_an_error_is_repeated_by_its_title_and_no_more(
    sandbox: SandboxProcess, settings: OrbitSettings, expired: Session
) -> None:
    sandbox.settings(orbit_token_errors="html")
    sandbox.inject("orbit", "token", "oauth_error", status=403)
    with pytest.raises(VismaPermissionError, match="a page titled '403 Forbidden'") as caught:
        source(settings).get_token()
    assert "refused" not in str(caught.value)


def test_where_a_web_page_is_all_that_says_so_a_used_up_refresh_token_still_leads_to_signing_in(
    sandbox: SandboxProcess, settings: OrbitSettings, expired: Session
) -> None:
    sandbox.settings(orbit_token_errors="html")
    settings.token_store().save(replace(expired, refresh_token="used up"))
    with pytest.raises(VismaAuthenticationError) as caught:
        source(settings).get_token()
    assert "a page titled '400 Bad Request' [HTTP 400]. Sign in again: here." in str(caught.value)
