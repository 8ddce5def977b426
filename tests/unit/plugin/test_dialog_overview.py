"""The link's health, the last import, and starting one from the screen."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from pathlib import Path
from typing import Any, get_args
from urllib.parse import unquote

import pytest
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.utils.state import DagRunState, TaskInstanceState
from fastapi.testclient import TestClient

from airflow_provider_visma.dialog_import.moves import MoveOutcome
from airflow_provider_visma.dialog_import.rules import SetAsideReason
from airflow_provider_visma.nmbrs_records import EmployeeFunction
from airflow_provider_visma.plugin import texts
from airflow_provider_visma.plugin.addresses import ConnectionIdConvertor
from airflow_provider_visma.plugin.dialog_runs import Readiness
from tests.integration.dialog_world import PEOPLE, Import, person
from tests.unit.plugin.conftest import BASE_URL, audit_log
from tests.unit.plugin.dialog_screen import (
    DAG_ID,
    ROOT,
    Browser,
    add_run,
    change_dag,
    runs,
    send,
    stored_dag,
    text_of,
)
from visma_sandbox.client import SandboxProcess

WHY_NOT = ({*get_args(Readiness)} - {"ready"}) | {"forbidden", "underway", "refused"}


@pytest.fixture(autouse=True)
def dialog(sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> SandboxProcess:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    return sandbox


@pytest.fixture
def dag(anna: TestClient) -> Iterator[None]:
    yield from stored_dag()


@pytest.fixture
def report(tmp_path: Path) -> dict[str, Any]:
    """Return what an import reported that set three people aside and lacked a function."""
    odd = [
        person(601, email_work=None),
        person(602, email_work=None),
        person(603, last_name=None),
        person(604, functions=(EmployeeFunction(604, 999, None, 2020, 1),)),
    ]
    return Import(tmp_path)([*PEOPLE, *odd])


@pytest.mark.usefixtures("dag")
def test_the_screen_says_what_belongs_to_the_link_and_when_it_imports_next(anna: TestClient) -> None:
    page = text_of(anna.get(ROOT).text)
    assert "Connection to Dialog dialog_default Connection to Nmbrs nmbrs_default" in page
    assert f"Import {DAG_ID}" in page
    assert "Next run: 2026-11-23 01:00 UTC" in page
    assert "It has not run yet." in page
    assert "No import has come to its end lately." in page


def test_the_only_connection_is_shown_at_once(anna: TestClient) -> None:
    answer = anna.get("/visma/dialog")
    assert (answer.status_code, answer.headers["location"]) == (303, ROOT)


def test_another_connection_has_no_import_unless_it_names_one(
    anna: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = {"conn_type": "dialog", "host": "https://dialog.example/scim", "password": "x"}
    monkeypatch.setenv("AIRFLOW_CONN_DIALOG_OTHER", json.dumps(other))
    bare = text_of(anna.get("/visma/dialog/dialog_other").text)
    extra = {"import_dag": "their_import", "nmbrs_conn_id": "their_nmbrs"}
    monkeypatch.setenv("AIRFLOW_CONN_DIALOG_OTHER", json.dumps({**other, "extra": extra}))
    named = text_of(anna.get("/visma/dialog/dialog_other").text)

    assert "The connection does not say which DAG imports" in bare
    assert "Connection to Nmbrs their_nmbrs Import their_import" in named
    assert "There is no DAG their_import." in named
    assert "dialog_other" in text_of(anna.get("/visma/dialog").text)


@pytest.mark.parametrize(
    "conn_id", ["of/a/team", "a~1b", "a~2b", "a b", "a#b", "a\\b", "één", "dialog_default/users"]
)
def test_an_id_may_hold_whatever_airflow_lets_it_hold(
    anna: TestClient, monkeypatch: pytest.MonkeyPatch, conn_id: str
) -> None:
    other = {"conn_type": "dialog", "host": "https://dialog.example/scim", "extra": {"import_dag": "theirs"}}
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(other))
    links = re.findall(r'<a href="(/visma/dialog/[^"]+)">([^<]+)</a>', anna.get("/visma/dialog").text)
    assert sorted(unescape(name) for _, name in links) == sorted([conn_id, "dialog_default"])
    (address,) = (href for href, name in links if unescape(name) == conn_id)
    # Starlette's test client decodes an address twice, a server once.
    assert ConnectionIdConvertor().convert(unquote(address).removeprefix("/visma/dialog/")) == conn_id
    page = anna.get(address)
    assert f"Dialog: integration ({conn_id})" in text_of(page.text)
    assert f'href="{address}/users"' in page.text

    form = {"csrf_token": token(anna)}
    answer = anna.post(f"{address}/import", data=form, headers={"origin": BASE_URL})

    assert answer.headers["location"].startswith(f"{address}?notice=")
    assert "the DAG does not exist" in text_of(anna.get(answer.headers["location"]).text)


def test_both_connections_are_tested_on_demand(anna: TestClient, dialog: SandboxProcess) -> None:
    both = text_of(send(anna, "/test").text)
    dialog.inject("dialog", "*", "status", count=None, status=401)
    one = text_of(send(anna, "/test", csrf_token=token(anna)).text)

    assert "Dialog: works" in both
    assert "Nmbrs: works" in both
    assert "Dialog: does not work" in one
    assert "Nmbrs: works" in one
    assert [(event, json.loads(extra)["dialog"]) for event, _, extra in audit_log()] == [
        ("visma_dialog.tested", "works"),
        ("visma_dialog.tested", "fails"),
    ]


def test_a_connection_that_the_user_may_not_read_is_not_tested_for_them(
    anna: TestClient, dialog: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_visma.plugin import dialog as screen

    form_token = token(anna)
    dialog.clear_journal()
    monkeypatch.setattr(screen, "may", lambda user, method, *, conn_id=None: conn_id != "nmbrs_default")

    page = text_of(send(anna, "/test", csrf_token=form_token).text)

    assert "Dialog: works" in page
    assert "Nmbrs: not tested, for you may not read this connection" in page
    assert dialog.journal("nmbrs") == []
    ((_, _, extra),) = audit_log()
    assert json.loads(extra)["nmbrs"] == "hidden"


@pytest.mark.usefixtures("dag")
def test_the_last_import_is_shown_with_who_was_set_aside_and_why(
    anna: TestClient, report: dict[str, Any]
) -> None:
    add_run("night", tasks=dict.fromkeys(("snapshot", "plan", "import"), TaskInstanceState.SUCCESS))
    add_run("last-night", report=report)
    add_run("failed-tonight", state=DagRunState.FAILED, tasks={"snapshot": TaskInstanceState.FAILED})

    page = text_of(anna.get(ROOT).text)

    assert "Failed: Airflow's log of the run says why" in page
    assert "snapshot failed" in page
    assert "run last-night" in page
    assert "Employees in Nmbrs 44 New in Dialog 41" in page
    assert "2: without a work e-mail address Fill in the work e-mail address in Nmbrs." in page
    assert "Employees: 601, 602" in page
    assert "1: without a first name or last name" in page
    assert "Testpersoon" not in page


@pytest.mark.usefixtures("dag")
def test_counts_remain_where_the_files_of_an_import_cannot_be_read(
    anna: TestClient, report: dict[str, Any], tmp_path: Path
) -> None:
    add_run("last-night", report=report)
    for name in ("set_aside.jsonl", "missing.json"):
        (tmp_path / "import1" / name).unlink()

    assert "set_aside.jsonl, which cannot be read from here" in text_of(anna.get(ROOT).text)
    assert "missing.json cannot be read from here" in text_of(anna.get(f"{ROOT}/lists").text)


@pytest.mark.usefixtures("dag")
def test_a_reason_that_this_version_does_not_know_is_shown_as_it_is(
    anna: TestClient, report: dict[str, Any]
) -> None:
    add_run("last-night", report={**report, "set_aside": {"born_tomorrow": 3}})
    assert "3: for another reason: born_tomorrow" in text_of(anna.get(ROOT).text)


@pytest.mark.parametrize(
    "key",
    [
        *(f"dialog.aside.{reason}{advice}" for reason in SetAsideReason for advice in ("", ".advice")),
        *(f"dialog.outcome.{outcome}" for outcome in MoveOutcome if outcome is not MoveOutcome.DONE),
        *(f"dialog.start.{why}" for why in sorted(WHY_NOT)),
    ],
)
def test_whatever_can_come_of_something_has_words(key: str) -> None:
    assert all(key in texts.TEXTS[language] for language in texts.LANGUAGES)


@pytest.mark.usefixtures("dag")
def test_what_dialog_knows_and_what_it_lacks_is_listed(anna: TestClient, report: dict[str, Any]) -> None:
    add_run("last-night", report=report)
    page = text_of(anna.get(f"{ROOT}/lists").text)
    assert "Functions that Dialog lacks" in page
    assert "Id Users 999 1" in page
    assert "Functions in Dialog 1 in all Id Description 501 Kok" in page
    assert "Departments in Dialog 1 in all Code Description 10 Zorg" in page


@pytest.mark.usefixtures("dag")
def test_an_import_is_started_once_and_followed(anna: TestClient) -> None:
    started = send(anna, "/import")
    again = anna.get(send(anna, "/import").headers["location"]).text

    assert (started.status_code, started.headers["location"].partition("?")[0]) == (303, ROOT)
    page = anna.get(started.headers["location"]).text
    assert "The import has been started." in text_of(page)
    assert f'data-progress="{ROOT}/progress"' in page
    assert "an import is underway" in text_of(again)
    ((run_id, kind, who),) = runs()
    assert (kind, who) == ("manual", "anna")
    progress = anna.get(f"{ROOT}/progress").text
    assert 'data-underway="yes"' in progress
    assert "Waiting to begin" in text_of(progress)
    assert run_id in progress
    ((event, user, extra),) = audit_log()
    assert (event, user) == ("visma_dialog.import_started", "anna")
    assert json.loads(extra) == {"conn_id": "dialog_default", "dag_id": DAG_ID, "run_id": run_id}


@pytest.mark.usefixtures("dag")
def test_a_button_that_is_pressed_twice_starts_one_import(browser: Browser, anna: TestClient) -> None:
    form_token = token(anna)
    browsers = [browser("anna") for _ in range(4)]

    with ThreadPoolExecutor(len(browsers)) as pool:
        list(pool.map(lambda each: send(each, "/import", csrf_token=form_token), browsers))

    assert len(runs()) == 1
    assert len(audit_log()) == 1


@pytest.mark.usefixtures("dag")
def test_no_import_is_started_beside_an_older_one_that_goes_on(anna: TestClient) -> None:
    add_run("long", state=DagRunState.RUNNING)
    add_run("short")

    answer = send(anna, "/import")

    assert "an import is underway" in text_of(anna.get(answer.headers["location"]).text)
    assert len(runs()) == 2


@pytest.mark.usefixtures("dag")
@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"is_paused": True}, "the DAG is paused"),
        ({"has_import_errors": True}, "the DAG has import errors"),
        ({"is_stale": True}, "the DAG does not exist"),
        ({"allowed_run_types": ["scheduled"]}, "Airflow refused it"),
    ],
)
def test_a_dag_that_cannot_run_is_not_started(anna: TestClient, changes: dict[str, Any], why: str) -> None:
    change_dag(**changes)
    answer = send(anna, "/import")
    assert why in text_of(anna.get(answer.headers["location"]).text)
    assert runs() == []


@pytest.mark.usefixtures("dag")
def test_a_paused_import_is_activated_by_whoever_may_change_the_dag(
    anna: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.api_fastapi.app import get_auth_manager

    change_dag(is_paused=True)
    with monkeypatch.context() as patch:
        manager = type(get_auth_manager())
        patch.setattr(manager, "is_authorized_dag", lambda self, *, method, **rest: method != "PUT")
        looked = anna.get(ROOT).text
        refused = text_of(anna.get(send(anna, "/activate").headers["location"]).text)
        still = text_of(anna.get(ROOT).text)
    offered = anna.get(ROOT).text
    done = text_of(anna.get(send(anna, "/activate").headers["location"]).text)

    assert "Activate the import" not in looked
    assert "you may not start or change this DAG" in refused
    assert "is paused in Airflow" in still
    assert "Activate the import" in offered
    assert "The import is active" in done
    assert "Next run: 2026-11-23 01:00 UTC" in done
    assert [event for event, _, _ in audit_log()] == ["visma_dialog.activated"]


@pytest.mark.usefixtures("dag")
def test_who_may_not_start_or_see_the_dag_in_airflow_cannot_do_it_here(
    anna: TestClient, monkeypatch: pytest.MonkeyPatch, report: dict[str, Any]
) -> None:
    from airflow.api_fastapi.app import get_auth_manager

    add_run("last-night", report=report)
    allowed = {"GET"}
    monkeypatch.setattr(
        type(get_auth_manager()), "is_authorized_dag", lambda self, *, method, **rest: method in allowed
    )
    looked = anna.get(ROOT).text
    refused = text_of(anna.get(send(anna, "/import").headers["location"]).text)
    allowed.clear()
    hidden = text_of(anna.get(ROOT).text)

    assert "Import now" not in text_of(looked)
    assert "last-night" in looked
    assert "you may not start or change this DAG" in refused
    assert f"You may not see the runs of {DAG_ID}" in hidden
    assert "last-night" not in hidden
    assert len(runs()) == 1


@pytest.mark.usefixtures("dag")
def test_who_may_not_see_tasks_or_what_they_returned_in_airflow_does_not_see_it_here(
    anna: TestClient, monkeypatch: pytest.MonkeyPatch, report: dict[str, Any]
) -> None:
    from airflow.api_fastapi.app import get_auth_manager

    add_run("last-night", report=report, tasks={"snapshot": TaskInstanceState.SUCCESS})
    monkeypatch.setattr(
        type(get_auth_manager()),
        "is_authorized_dag",
        lambda self, *, access_entity=None, **rest: access_entity in (None, DagAccessEntity.RUN),
    )
    overview = text_of(anna.get(ROOT).text)
    lists = text_of(anna.get(f"{ROOT}/lists").text)

    assert "Newest run last-night" in overview
    assert "snapshot" not in overview
    assert "Employees in Nmbrs" not in overview
    for page in (overview, lists):
        assert "You may not see in Airflow what the import returned (XComs)." in page


@pytest.mark.usefixtures("dag")
def test_who_may_only_look_is_offered_nothing_to_do(
    anna: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_visma.plugin import access, listing

    form_token = token(anna)
    for module in (access, listing):
        monkeypatch.setattr(module, "may", lambda user, method, *, conn_id=None: method == "GET")
    page = anna.get(ROOT).text
    assert "<form" not in page
    for address in ("/test", "/import"):
        assert send(anna, address, csrf_token=form_token).status_code == 403
    assert runs() == []


@pytest.mark.parametrize("address", ["/test", "/import", "/activate"])
def test_a_form_from_elsewhere_starts_nothing(anna: TestClient, address: str) -> None:
    form = {"csrf_token": token(anna)}
    answer = anna.post(f"{ROOT}{address}", data=form, headers={"origin": "https://elsewhere.example"})
    assert answer.status_code == 403
    assert audit_log() == []


@pytest.mark.parametrize("address", ["/test", "/import", "/activate"])
def test_an_address_that_a_form_was_sent_to_leads_back(anna: TestClient, address: str) -> None:
    assert anna.get(f"{ROOT}{address}").headers["location"] == ROOT


@pytest.mark.usefixtures("dag")
def test_the_screen_speaks_dutch(browser: Browser) -> None:
    page = text_of(browser("anna", **{"accept-language": "nl"}).get(ROOT).text)
    assert "Volgende import: 2026-11-23 01:00 UTC" in page
    assert "Nu importeren" in page


def token(browser: TestClient) -> str:
    from tests.unit.plugin.conftest import csrf_of

    return csrf_of(browser.get(f"{ROOT}/users").text)
