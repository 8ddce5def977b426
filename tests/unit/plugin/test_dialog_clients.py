"""Which client of Dialog a request of the screen gets."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from airflow_provider_visma.exceptions import VismaError
from airflow_provider_visma.plugin.dialog_clients import DialogClient, DialogClients
from visma_sandbox.client import SandboxProcess


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def clients(sandbox: SandboxProcess, clock: Clock) -> Iterator[DialogClients]:
    kept = DialogClients(clock)
    yield kept
    clock.now = 1e9
    with kept.of("dialog_default") as last:
        last.hook.close()


def lent(clients: DialogClients) -> DialogClient:
    with clients.of("dialog_default") as client:
        return client


def test_what_dialog_can_do_and_holds_in_lists_is_asked_once_a_minute(
    clients: DialogClients, clock: Clock, sandbox: SandboxProcess
) -> None:
    for now in (0.0, 59.0, 60.0):
        clock.now = now
        with clients.of("dialog_default") as client:
            assert (client.departments, client.functions) == ([], {})
    asked = [entry["operation"] for entry in sandbox.journal("dialog")]
    assert asked.count("ResourceTypes.list") == 2
    assert asked.count("Departments.list") == 2


def test_two_requests_at_once_do_not_share_a_client(clients: DialogClients) -> None:
    with clients.of("dialog_default") as one, clients.of("dialog_default") as other:
        assert one is not other
    assert lent(clients) in (one, other)


def test_a_client_that_met_an_error_is_not_used_again(clients: DialogClients) -> None:
    with pytest.raises(VismaError), clients.of("dialog_default") as failed:
        raise VismaError("no answer")
    assert lent(clients) is not failed


def test_a_changed_connection_gets_another_client(
    clients: DialogClients, sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = lent(clients)
    changed = {**sandbox.connections()["dialog_default"], "password": "another token"}
    monkeypatch.setenv("AIRFLOW_CONN_DIALOG_DEFAULT", json.dumps(changed))
    assert lent(clients) is not before
