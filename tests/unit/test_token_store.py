from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from typing import Any

import airflow.sdk
import pytest
from airflow.configuration import conf
from airflow.jobs.triggerer_job_runner import TriggerCommsDecoder
from airflow.models import Variable
from airflow.sdk._shared.secrets_masker import should_hide_value_for_key
from airflow.sdk.execution_time import task_runner
from airflow.sdk.log import mask_secret
from airflow.utils.session import create_session
from sqlalchemy import update

from airflow_provider_visma.exceptions import (
    VismaConnectionConfigError,
    VismaError,
    VismaPermissionError,
    VismaUnavailableError,
)
from airflow_provider_visma.protocols.authorization_code import Session
from airflow_provider_visma.protocols.renewal import RenewingTokenSource
from airflow_provider_visma.protocols.turns import Claim
from airflow_provider_visma.token_store import VariableTokenStore, token_key
from tests.airflow_variables import stored_values
from tests.unit.protocols.orbit_session import CLIENT, Service
from tests.unit.supervisor import Supervisor, supervised

KEY = token_key("https://orbit.example.com", "a-client", "")
SESSION = Session(
    access_token="canary-access", refresh_token="canary-refresh", expires_at=4600.0, obtained_at=1000.0
)


@pytest.fixture(params=["task", "server"])
def process(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A task with its supervisor, or a process with the database."""
    if request.param == "server":
        request.getfixturevalue("variables")
        yield "server"
    else:
        with supervised(monkeypatch):
            yield "task"


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Supervisor]:
    with supervised(monkeypatch) as supervisor:
        yield supervisor


def store() -> VariableTokenStore:
    return VariableTokenStore(KEY, system="Teamleader Orbit", conn_id="orbit")


def test_the_key_goes_by_what_the_connection_is_and_airflow_masks_its_value() -> None:
    assert token_key("https://orbit.example.com", "a-client", "") == KEY
    others = {token_key("https://orbit.example.com", "a-client", "second"), token_key("x", "a-client", "")}
    assert KEY not in others
    assert token_key("ab", "c") != token_key("a", "bc")
    assert should_hide_value_for_key(KEY)
    assert len(KEY) < 60


@pytest.mark.usefixtures("process")
class TestInATaskAndInAServer:
    def test_a_session_comes_back_as_it_was_saved(self) -> None:
        assert store().load() is None
        store().save(SESSION)
        assert store().load() == SESSION
        store().clear()
        assert store().load() is None

    def test_a_claim_comes_back_as_it_was_saved(self) -> None:
        assert store().load_claim() is None
        claim = Claim(of="a", by="b", at=1.0)
        store().save_claim(claim)
        assert store().load_claim() == claim
        assert store().load() is None

    def test_something_else_under_the_key_is_an_error_that_repeats_nothing(self, process: str) -> None:
        variable = airflow.sdk.Variable if process == "task" else Variable
        variable.set(KEY, "canary: edited by hand")
        variable.set(f"{KEY}_turn", "canary: edited by hand")
        with pytest.raises(VismaConnectionConfigError, match="holds no session") as caught:
            store().load()
        assert "canary" not in str(caught.value)
        assert store().load_claim() is None
        store().save(SESSION)
        assert store().load() == SESSION

    def test_a_secrets_backend_that_hides_the_session_is_named_when_it_is_saved(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(f"AIRFLOW_VAR_{KEY.upper()}", "canary: from the environment")
        with pytest.raises(VismaConnectionConfigError, match="hides the session") as caught:
            store().save(SESSION)
        assert "canary" not in str(caught.value)
        monkeypatch.delenv(f"AIRFLOW_VAR_{KEY.upper()}")
        assert store().load() == SESSION

    def test_an_airflow_that_does_not_answer_is_no_reason_to_sign_in_again(
        self, monkeypatch: pytest.MonkeyPatch, process: str
    ) -> None:
        def fail(*args: Any, **options: Any) -> None:
            raise RuntimeError("canary")

        models = "airflow.sdk.Variable" if process == "task" else "airflow.models.Variable"
        for name in ("get", "set", "delete"):
            monkeypatch.setattr(f"{models}.{name}", fail)
        for act in (
            store().load,
            store().load_claim,
            lambda: store().save(SESSION),
            lambda: store().save_claim(Claim(of="a", by="b", at=1.0)),
            store().clear,
        ):
            with pytest.raises(VismaUnavailableError, match="RuntimeError") as caught:
                act()
            assert "canary" not in str(caught.value)
            assert caught.value.conn_id == "orbit"


@pytest.mark.usefixtures("variables")
class TestInAServer:
    def test_the_database_holds_it_encrypted(self) -> None:
        store().save(SESSION)
        assert list(stored_values()) == [KEY]
        assert "canary" not in str(stored_values())

    def test_one_that_cannot_be_decrypted_is_no_missing_one(self) -> None:
        store().save(SESSION)
        with create_session(scoped=False) as session:
            session.execute(update(Variable).values(val="of another Fernet key"))
        with pytest.raises(VismaUnavailableError, match="Fernet key"):
            store().load()

    def test_there_is_a_key_to_encrypt_with(self) -> None:
        assert conf.get("core", "fernet_key")


class TestInATask:
    @pytest.mark.parametrize("failing", [{"GetVariable"}, {"GetVariable", "GetVariableKeys"}])
    def test_a_busy_api_server_is_not_taken_for_a_missing_session(
        self, supervisor: Supervisor, failing: set[str]
    ) -> None:
        store().save(SESSION)
        supervisor.failing = failing
        with pytest.raises(VismaUnavailableError):
            store().load()

    def test_a_task_without_the_right_to_read_is_told_so(self, supervisor: Supervisor) -> None:
        store().save(SESSION)
        supervisor.denied = {"GetVariable"}
        with pytest.raises(VismaPermissionError, match="may not read the Variable"):
            store().load()

    def test_what_was_not_written_is_not_said_to_be(self, supervisor: Supervisor) -> None:
        supervisor.failing = {"PutVariable"}
        with pytest.raises(VismaUnavailableError, match="could not be saved"):
            store().save(SESSION)

    async def test_an_event_loop_of_an_operator_renews_while_its_other_coroutines_use_the_same_wire(
        self, supervisor: Supervisor
    ) -> None:
        service, source = renewing()
        await asyncio.gather(*(source.aget_token() for _ in range(20)), *(other_traffic() for _ in range(20)))
        assert service.redeemed == ["r0"]
        assert json.loads(supervisor.variables[KEY])["refresh_token"] == "r1"
        assert {"a1", "r1"} <= set(supervisor.masked)

    async def test_a_trigger_renews_on_the_triggerers_one_event_loop(
        self, monkeypatch: pytest.MonkeyPatch, supervisor: Supervisor
    ) -> None:
        service, source = renewing()
        ours, theirs = socket.socketpair()
        serving = asyncio.create_task(asyncio.to_thread(supervisor.serve, theirs))
        reader, writer = await asyncio.open_connection(sock=ours)
        comms = TriggerCommsDecoder(async_writer=writer, async_reader=reader, socket=ours)
        await comms.start_reader()
        try:
            with monkeypatch.context() as patch:  # undone before the supervisor is
                patch.setattr(task_runner, "SUPERVISOR_COMMS", comms)
                await asyncio.gather(
                    *(source.aget_token() for _ in range(20)), *(other_traffic() for _ in range(20))
                )
        finally:
            writer.close()
            await serving
            await asyncio.gather(comms._reader_task, return_exceptions=True)
        assert service.redeemed == ["r0"]
        assert json.loads(supervisor.variables[KEY])["refresh_token"] == "r1"


def renewing() -> tuple[Service, RenewingTokenSource]:
    service = Service()
    store().save(service.session())
    source = RenewingTokenSource(
        CLIENT,
        store(),
        open_client=service.client,
        on_token=mask_secret,
        wall_clock=lambda: service.now,
        sleep=service.sleep,
    )
    return service, source


async def other_traffic() -> None:
    """What other code on the event loop asks of the supervisor meanwhile."""
    from airflow.sdk.log import amask_secret

    await amask_secret("something else")


def test_a_process_without_supervisor_and_database_says_that_nothing_can_be_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("airflow.utils.session.create_session", lambda **options: 1 / 0)
    with pytest.raises(VismaError, match="could not be read"):
        store().load()
