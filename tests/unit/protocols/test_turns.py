"""Processes that share a session take turns to renew it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_provider_visma.exceptions import VismaUnavailableError
from airflow_provider_visma.protocols.http import httpx
from airflow_provider_visma.protocols.turns import Claim
from tests.unit.protocols.orbit_session import Kept, Service


def test_whoever_finds_a_claim_waits_and_takes_what_is_saved() -> None:
    service = Service()
    store = Kept(service.session())
    first, second = service.source(store), service.source(store)
    answers: list[str] = []

    def meanwhile() -> None:
        service.on_request = lambda: None
        service.on_sleep = finish
        answers.append(second.get_token().value)

    def finish() -> None:
        service.on_sleep = lambda: None
        store.session = replace(service.session("r-theirs", age=1.0), access_token="theirs")

    service.on_request = meanwhile
    first.get_token()
    assert answers == ["theirs"]
    assert service.redeemed == ["r0"]


def test_a_claim_of_one_who_died_stops_nobody_for_longer_than_a_minute_and_a_half() -> None:
    service = Service()
    store = Kept(service.session())

    def die() -> None:
        raise KeyboardInterrupt

    service.on_request = die
    with pytest.raises(KeyboardInterrupt):
        service.source(store).get_token()
    service.on_request = lambda: None
    began = service.now
    assert service.source(store).get_token().value == "a2"
    assert 88.0 < service.now - began < 93.0


def test_a_claim_that_was_overwritten_is_none() -> None:
    service = Service()
    store = Kept(service.session())

    def overwrite() -> None:
        service.on_sleep = save
        assert store.claim is not None
        store.claim = replace(store.claim, by="another")

    def save() -> None:
        store.session = replace(service.session("r-theirs", age=1.0), access_token="theirs")

    service.on_sleep = overwrite
    assert service.source(store).get_token().value == "theirs"
    assert service.redeemed == []


@pytest.mark.parametrize("rotates", [True, False])
def test_a_renewal_that_failed_or_kept_the_refresh_token_lets_the_next_one_try_at_once(rotates: bool) -> None:
    service = Service(rotates=rotates)
    store = Kept(service.session())
    if rotates:
        service.answers = [httpx.Response(503)]
        with pytest.raises(VismaUnavailableError):
            service.source(store).get_token()
    else:
        service.source(store).get_token()
        assert store.session is not None
        store.session = replace(store.session, expires_at=service.now)
    began = service.now
    assert service.source(store).get_token().value == "a2"
    assert service.now - began < 2.0


def test_where_nothing_can_be_written_the_refresh_token_is_not_used_up() -> None:
    service = Service()
    store = Kept(service.session())

    def refuse(claim: object) -> None:
        raise VismaUnavailableError("no Variable can be written")

    store.save_claim = refuse  # type: ignore[method-assign]
    with pytest.raises(VismaUnavailableError, match="no Variable can be written"):
        service.source(store).get_token()
    assert service.redeemed == []


def test_a_service_that_answers_late_is_not_asked_again_by_the_next_one() -> None:
    service = Service()
    store = Kept(service.session())
    first, second = service.source(store), service.source(store)

    def answer_late() -> None:
        service.on_request = lambda: None
        service.now += 70
        service.on_sleep = save
        second.get_token()

    def save() -> None:
        if len(service.slept) == 4:
            store.session = replace(service.session("r-theirs", age=1.0), access_token="theirs")

    service.on_request = answer_late
    first.get_token()
    assert service.redeemed == ["r0"]


def test_whoever_fails_late_leaves_the_turn_of_the_next_one_alone() -> None:
    service = Service()
    store = Kept(service.session())

    def fail_late() -> None:
        assert store.claim is not None
        store.claim = replace(store.claim, by="another")

    service.on_request = fail_late
    service.answers = [httpx.Response(503)]
    with pytest.raises(VismaUnavailableError):
        service.source(store).get_token()
    assert store.claim is not None
    assert store.claim.by == "another"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"of": "a", "by": "b", "at": 1' + "0" * 400 + "}"])
def test_what_is_no_claim_is_said_to_be_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"^this is no claim$"):
        Claim.from_json(text)
