from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_visma.exceptions import (
    VismaAuthenticationError,
    VismaConnectionConfigError,
    VismaUnavailableError,
)
from airflow_provider_visma.protocols.authorization_code import Session
from airflow_provider_visma.protocols.http import httpx
from airflow_provider_visma.protocols.renewal import fingerprint
from tests.unit.protocols.orbit_session import START, Kept, Service


def test_a_stored_access_token_that_is_fresh_is_used_without_asking() -> None:
    service = Service()
    source = service.source(Kept(service.session(age=100.0)))
    token = source.get_token()
    assert (token.value, token.lifetime, token.fresh_until) == ("a0", 3600.0, START - 100 + 3540)
    assert service.redeemed == []


def test_a_renewed_session_is_saved_before_anyone_gets_its_access_token() -> None:
    service, seen = Service(), []
    store = Kept(service.session())
    source = service.source(store, on_token=lambda token: seen.append((token, store.session)))
    assert source.get_token().value == "a1"
    assert store.saved == [
        Session(
            access_token="a1",
            refresh_token="r1",
            expires_at=service.now + 3600,
            obtained_at=service.now,
        )
    ]
    assert ("a1", store.saved[0]) in seen


def test_every_token_is_masked_as_soon_as_it_is_known_and_only_once() -> None:
    service, masked = Service(), []
    store = Kept(service.session())

    def on_token(token: str) -> None:
        assert store.saved == [] or token == "a1"  # that one once more, by whoever lends it
        masked.append(token)

    service.source(store, on_token=on_token).get_token()
    assert sorted(masked) == ["a0", "a1", "a1", "r0", "r1"]


def test_a_refresh_token_that_is_left_out_stays() -> None:
    service = Service(rotates=False)
    store = Kept(service.session())
    service.source(store).get_token()
    assert store.session is not None
    assert (store.session.access_token, store.session.refresh_token) == ("a1", "r0")


@pytest.mark.parametrize(("expires_in", "usable_for"), [(None, 240.0), (0, 0.0), (10, 8.0), ("3600", 3540.0)])
def test_a_lifetime_that_is_missing_or_short_does_no_harm(expires_in: Any, usable_for: float) -> None:
    service = Service(expires_in=expires_in)
    source = service.source(Kept(service.session()))
    token = source.get_token()
    assert (token.value, token.fresh_until - service.now) == ("a1", usable_for)


def test_a_token_that_was_turned_down_is_renewed_though_it_looks_fresh() -> None:
    service = Service()
    store = Kept(service.session(age=100.0))
    source = service.source(store)
    source.reject(source.get_token().value)
    assert source.get_token().value == "a1"


def test_what_another_process_saved_meanwhile_is_used_after_a_401() -> None:
    service = Service()
    store = Kept(service.session(age=100.0))
    source = service.source(store)
    source.reject(source.get_token().value)
    store.session = replace(service.session(age=10.0), access_token="theirs")
    assert source.get_token().value == "theirs"
    assert service.redeemed == []


class TestWithoutASession:
    def test_says_to_sign_in_for_which_connection_and_where(self) -> None:
        service = Service()
        with pytest.raises(VismaAuthenticationError) as caught:
            service.source(Kept()).get_token()
        assert str(caught.value) == (
            "Teamleader Orbit token (connection orbit): nobody has signed in yet. Sign in again: here."
        )

    def test_one_that_cannot_be_renewed_ends_with_its_access_token(self) -> None:
        service = Service()
        source = service.source(Kept(service.session(None, age=100.0)))
        assert source.get_token().value == "a0"
        service.now += 3600
        with pytest.raises(VismaAuthenticationError, match="gave nothing to renew it with"):
            source.get_token()


class TestTheConnectionsOwnRefreshToken:
    def test_begins_a_session_where_nothing_is_stored(self) -> None:
        service = Service()
        store = Kept()
        assert service.source(store, seed="r0").get_token().value == "a1"
        assert store.session is not None
        assert (store.session.refresh_token, store.session.seed) == ("r1", fingerprint("r0"))

    def test_is_not_redeemed_a_second_time(self) -> None:
        service = Service()
        store = Kept()
        service.source(store, seed="r0").get_token()
        service.now += 4000
        service.source(store, seed="r0").get_token()
        assert service.redeemed == ["r0", "r1"]

    def test_replaces_what_is_stored_when_somebody_puts_another_one_in(self) -> None:
        service = Service()
        service.valid = "new"
        store = Kept(service.session("old", age=100.0, seed=fingerprint("before")))
        assert service.source(store, seed="new").get_token().value == "a1"
        assert store.session is not None
        assert (store.session.refresh_token, store.session.seed) == ("r1", fingerprint("new"))

    def test_gives_way_to_what_is_stored_where_it_is_no_good(self) -> None:
        service = Service()
        store = Kept(service.session(seed=fingerprint("before")))
        source = service.source(store, seed="mistyped")
        assert source.get_token().value == "a2"
        assert service.redeemed == ["mistyped", "r0"]
        service.now += 4000
        assert source.get_token().value == "a3"
        assert service.redeemed == ["mistyped", "r0", "r2"]

    def test_is_tried_once_where_it_is_no_good(self) -> None:
        service = Service()
        store = Kept(service.session(age=100.0, seed=fingerprint("before")))
        for _ in range(2):
            assert service.source(store, seed="mistyped").get_token().value == "a0"
        assert service.redeemed == ["mistyped"]

    def test_is_named_when_it_is_all_there_is_and_no_good(self) -> None:
        service = Service()
        with pytest.raises(
            VismaAuthenticationError, match="the refresh token in the connection is not accepted"
        ):
            service.source(Kept(), seed="canary").get_token()


class TestWhenTheRefreshTokenIsUsedUp:
    def test_waits_for_what_another_process_is_about_to_save(self) -> None:
        service = Service()
        service.valid = "r-theirs"
        store = Kept(service.session())
        theirs = replace(service.session("r-theirs", age=1.0), access_token="theirs")

        def save_late() -> None:
            if len(service.slept) == 4:
                store.session = theirs

        service.on_sleep = save_late
        assert service.source(store).get_token().value == "theirs"
        assert service.redeemed == ["r0"]

    def test_renews_what_another_process_saved_when_that_has_expired_too(self) -> None:
        service = Service()
        service.valid = "r-theirs"
        store = Kept(service.session())

        def save() -> None:
            store.session = service.session("r-theirs")

        service.on_request = save
        assert service.source(store).get_token().value == "a2"
        assert service.redeemed == ["r0", "r-theirs"]

    def test_says_to_sign_in_when_nothing_comes_within_seconds(self) -> None:
        service = Service()
        service.valid = "another"
        store = Kept(service.session("canary-refresh"))
        began = service.now
        with pytest.raises(VismaAuthenticationError) as caught:
            service.source(store).get_token()
        assert caught.value.code == "invalid_grant"
        assert "saved at 2027-01-15 06:53:20 UTC is not accepted" in str(caught.value)
        assert str(caught.value).endswith("[invalid_grant]. Sign in again: here.")
        assert "canary" not in str(caught.value)
        assert 5.0 < service.now - began < 15.0
        assert store.session == replace(
            service.session("canary-refresh"), obtained_at=START - 4000, expires_at=START - 400
        )

    def test_an_answer_that_was_lost_leads_there_and_not_to_another_error(self) -> None:
        service = Service()
        store = Kept(service.session())
        service.answers = [httpx.ReadTimeout("lost")]
        source = service.source(store)
        with pytest.raises(VismaUnavailableError) as caught:
            source.get_token()
        assert caught.value.conn_id == "orbit"
        service.valid = "r1"  # which got lost
        service.now += 60
        with pytest.raises(VismaAuthenticationError, match="replaced by another that could not be saved"):
            source.get_token()


class TestSaving:
    def test_is_tried_again(self) -> None:
        service = Service()
        store = Kept(service.session())
        store.failures = 3
        assert service.source(store).get_token().value == "a1"
        assert [session.refresh_token for session in store.saved] == ["r1"]

    def test_that_fails_lends_no_token_and_is_made_up_for_by_the_next_who_asks(self) -> None:
        service = Service()
        store = Kept(service.session())
        store.failures = 5
        source = service.source(store)
        with pytest.raises(VismaUnavailableError, match="could not be saved") as caught:
            source.get_token()
        assert "Sign in again: here." in str(caught.value)
        service.now += 60
        assert source.get_token().value == "a1"
        assert service.redeemed == ["r0"]
        assert [session.refresh_token for session in store.saved] == ["r1"]

    def test_that_never_can_succeed_is_not_repeated(self) -> None:
        service = Service()
        store = Kept(service.session())
        tries = []

        def save(session: Session) -> None:
            tries.append(session)
            raise VismaConnectionConfigError("a secrets backend hides it")

        store.save = save  # type: ignore[method-assign]
        with pytest.raises(VismaConnectionConfigError, match="a secrets backend hides it"):
            service.source(store).get_token()
        assert len(tries) == 1

    def test_does_not_overwrite_a_sign_in_of_the_meantime(self) -> None:
        service = Service()
        store = Kept(service.session())
        signed_in = replace(service.session("r-new", age=1.0), access_token="new")

        def sign_in() -> None:
            store.session = signed_in

        service.on_request = sign_in
        assert service.source(store).get_token().value == "new"
        assert store.session == signed_in

    def test_does_not_overwrite_a_sign_in_that_cannot_be_renewed_with_the_connections_own_token(self) -> None:
        service = Service()
        store = Kept()
        signed_in = replace(service.session(None, age=1.0), access_token="new", seed=fingerprint("r0"))

        def sign_in() -> None:
            store.session = signed_in

        service.on_request = sign_in
        assert service.source(store, seed="r0").get_token().value == "new"
        assert store.session == signed_in

    def test_overwrites_a_renewal_of_the_meantime_that_kept_the_refresh_token(self) -> None:
        service = Service()
        store = Kept(service.session())

        def renew() -> None:
            store.session = replace(service.session("r0", age=1.0), access_token="theirs")

        service.on_request = renew
        assert service.source(store).get_token().value == "a1"
        assert store.session is not None
        assert store.session.refresh_token == "r1"


class TestSigningOut:
    def test_while_a_session_is_renewed_is_not_undone(self) -> None:
        service = Service()
        store = Kept(service.session())

        def sign_out() -> None:
            store.session = None

        service.on_request = sign_out
        source = service.source(store)
        with pytest.raises(VismaAuthenticationError, match="somebody signed out"):
            source.get_token()
        service.now += 60
        with pytest.raises(VismaAuthenticationError, match="nobody has signed in"):
            source.get_token()
        assert (store.saved, store.session) == ([], None)

    def test_while_a_task_waits_for_its_turn_leaves_the_refresh_token_alone(self) -> None:
        service = Service()
        store = Kept(service.session())

        def sign_out() -> None:
            store.session = None

        service.on_sleep = sign_out
        with pytest.raises(VismaAuthenticationError, match="somebody signed out"):
            service.source(store).get_token()
        assert service.redeemed == []

    def test_is_not_undone_by_a_session_that_could_not_be_saved_before(self) -> None:
        service = Service()
        store = Kept(service.session())
        store.failures = 5
        source = service.source(store)
        with pytest.raises(VismaUnavailableError):
            source.get_token()
        store.session = None
        service.now += 60
        with pytest.raises(VismaAuthenticationError, match="somebody signed out"):
            source.get_token()
        assert (store.saved, store.session) == ([], None)
