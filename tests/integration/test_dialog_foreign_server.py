"""The import against a SCIM server that nobody of us wrote, and that has never heard of Dialog."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Iterator
from datetime import date
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from scim2_server.memory import InMemoryStorage
from scim2_server.testserver.application import BearerTokenApplication
from scim2_server.testserver.cli import ThreadingWSGIServer
from scim2_server.utils import load_default_provider

from airflow_provider_visma.dialog_import.plan import Plan
from airflow_provider_visma.dialog_import.planning import make_plan
from airflow_provider_visma.dialog_import.rules import DebtorLists, UserFields
from airflow_provider_visma.exceptions import VismaAuthenticationError
from airflow_provider_visma.hooks.dialog import DialogHook
from airflow_provider_visma.nmbrs_records import (
    DebtorDepartment,
    DebtorFunction,
    EmployeeDepartment,
    EmployeeFunction,
    Employment,
    SnapshotEmployee,
)

LISTS = DebtorLists([DebtorDepartment(1, 901, 10, "Zorg")], [DebtorFunction(1, 501, 7, "Kok")])
TOKEN = "vreemd-token-0123456789"


def person(number: int, last_name: str = "Voorbeeld") -> SnapshotEmployee:
    return SnapshotEmployee(
        employee_id=number,
        debtor_id=1,
        company_id=1,
        nickname="Testpersoon",
        last_name=last_name,
        email_work=f"persoon{number}@example.com",
        employments=(Employment(number, 1, None, date(2020, 1, 1), None),),
        departments=(EmployeeDepartment(number, 10, None, 2020, 1),),
        functions=(EmployeeFunction(number, 501, None, 2020, 1),),
    )


class _Silent(WSGIRequestHandler):
    def log_message(self, *arguments: object) -> None:
        """Say nothing: pytest's output is no access log."""


@pytest.fixture(params=[True, False], ids=["bulk", "single requests"])
def server(request: pytest.FixtureRequest) -> Iterator[str]:
    provider = load_default_provider()
    assert provider.config is not None
    assert provider.config.bulk is not None
    provider.config.bulk.supported = request.param
    application = BearerTokenApplication(InMemoryStorage(), provider, bearer_tokens=[TOKEN])
    with make_server(
        "127.0.0.1", 0, application, server_class=ThreadingWSGIServer, handler_class=_Silent
    ) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}/v2"
        running.shutdown()
        thread.join()


@pytest.fixture
def hook(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[DialogHook]:
    connection = {"conn_type": "dialog", "host": server, "password": TOKEN}
    monkeypatch.setenv("AIRFLOW_CONN_DIALOG_DEFAULT", json.dumps(connection))
    with DialogHook() as hook:
        yield hook


def planned(hook: DialogHook, people: list[SnapshotEmployee]) -> Plan:
    return make_plan(people, lists=LISTS, content=hook.content(), day=date(2026, 11, 21))


def test_users_are_created_changed_and_then_left_in_peace(hook: DialogHook) -> None:
    people = [person(number) for number in range(1, 31)]
    created = hook.write(planned(hook, people).writes)
    people[4] = person(5, "Anders")
    changed = planned(hook, people)
    hook.write(changed.writes)

    assert (created.trouble, created.counts.total()) == ([], 30)
    assert list(changed.text())[1:] == ["~ user 5 family_name: Voorbeeld -> Anders"]
    assert planned(hook, people).lines == ()
    assert {str(user.fields.department) for user in hook.users()} == {"Zorg"}  # type: ignore[union-attr]


def test_a_work_address_is_changed_in_its_place(hook: DialogHook) -> None:
    hook.write(planned(hook, [person(1)]).writes)
    moved = dataclasses.replace(person(1), email_work="nieuw@example.com")

    report = hook.write(planned(hook, [moved]).writes)

    assert report.trouble == []
    (user,) = hook.users()
    assert isinstance(user.fields, UserFields)
    assert user.fields.email == user.fields.user_name == "nieuw@example.com"


def test_what_the_server_lacks_is_said_and_not_sent(hook: DialogHook) -> None:
    abilities = hook.abilities()
    plan = planned(hook, [person(1)])

    assert {name for name, yes in abilities.items() if not yes} - {"bulk"} == {
        "states_and_dates",
        "departments",
        "functions",
    }
    assert (plan.counts()["departments"], plan.counts()["functions"]) == (0, 0)
    assert list(hook.departments()) == list(hook.functions()) == []


def test_the_connection_test_names_the_missing_schemas(hook: DialogHook) -> None:
    good, said = hook.test_connection()

    assert good
    assert "schemas missing: urn:airflow-provider-visma:params:scim:schemas:dialog:2.0:Department" in said
    assert "states and dates: no" in said


def test_a_wrong_token_is_an_error_that_says_so(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = {"conn_type": "dialog", "host": server, "password": "ander-token-0123456789"}
    monkeypatch.setenv("AIRFLOW_CONN_DIALOG_DEFAULT", json.dumps(connection))

    with pytest.raises(VismaAuthenticationError, match="HTTP 401"):
        DialogHook().content()
