"""The list of users: what it shows, and what inviting, linking and undoing do in Dialog."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import replace
from pathlib import Path

import pytest
from airflow.models.connection import Connection
from airflow.utils.session import create_session
from fastapi.testclient import TestClient

from airflow_provider_visma.plugin.dialog_clients import DialogClients
from tests.integration.dialog_world import Import, change_user, person, user_of
from tests.unit.plugin.conftest import BASE_URL, audit_log, csrf_of
from tests.unit.plugin.dialog_screen import CONN_ID, ROOT, Browser, only, rows, send, text_of, ticked
from visma_sandbox.client import SandboxProcess

PEOPLE = [person(number) for number in range(1, 121)]


@pytest.fixture(autouse=True)
def imported(dialog: SandboxProcess, tmp_path: Path) -> SandboxProcess:
    zoe = person(500, nickname="Zoë", last_name="<b>Test</b>", email_work="zoe@example.com", departments=())
    Import(tmp_path)([*PEOPLE, zoe])
    return dialog


@pytest.fixture
def dialog(sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> SandboxProcess:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    # What another test had this Dialog do is not remembered.
    monkeypatch.setattr("airflow_provider_visma.plugin.dialog_users._CLIENTS", DialogClients())
    return sandbox


def states(dialog: SandboxProcess) -> dict[str, int]:
    found: dict[str, int] = dialog.counts()["dialog"]["users_by_state"]
    return found


def test_the_list_shows_what_the_manual_names_page_by_page(anna: TestClient) -> None:
    first = anna.get(f"{ROOT}/users").text
    last = send(anna, "/users", go="101").text

    assert "Users 1 to 50 of 121" in text_of(first)
    assert rows(first)["1"] == (
        "Testpersoon Nummer1 persoon1@example.com Zorg Kok 2020-01-01 imported"
        " Invite Testpersoon Nummer1 Link… Testpersoon Nummer1"
    )
    assert "Users 101 to 121 of 121" in text_of(last)
    assert len(rows(last)) == 21
    assert not rows(first).keys() & rows(last).keys()


def test_users_are_found_by_words_state_and_department(anna: TestClient, dialog: SandboxProcess) -> None:
    dialog.move_user(7, "invited")

    assert list(rows(send(anna, "/users", search="zoë test").text)) == ["500"]
    assert list(rows(send(anna, "/users", state="invited").text)) == ["7"]
    assert len(rows(send(anna, "/users", department="10", search="nummer12").text)) == 2
    assert list(rows(send(anna, "/users", department="10", search="zoë").text)) == []
    found = send(anna, "/users", search='no"body').text
    assert "Users 0 to 0 of 0" in text_of(found)
    assert 'value="no&#34;body"' in found


def test_what_dialog_holds_is_shown_as_text(anna: TestClient) -> None:
    page = send(anna, "/users", search="zoe").text
    assert "<b>Test" not in page
    assert "&lt;b&gt;Test&lt;/b&gt;" in page


def test_a_name_that_is_searched_for_is_in_no_address_and_no_log(
    anna: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    page = send(anna, "/users", search="zoë", state="imported").text
    chosen = send(anna, "/users/choose", **only(page, 500), search="zoë").text

    for text in (page, chosen):
        assert not re.search(r'(action|href|src)="[^"]*zo', text, re.IGNORECASE)
    assert not [line for line in caplog.messages if "zo%C3%AB" in line or "zoë" in line.lower()]


def test_everybody_who_is_ticked_is_invited_and_the_view_is_kept(
    anna: TestClient, dialog: SandboxProcess
) -> None:
    page = send(anna, "/users", search="nummer12").text

    answer = send(anna, "/users/invite", **ticked(page, 12, 120), search="nummer12").text

    assert "Invited: 2 of 2." in text_of(answer)
    assert list(rows(answer)) == ["12", "120"]
    assert re.search(r"invited Undo Testpersoon Nummer12 until 20\S+ \S+ UTC$", rows(answer)["12"])
    assert states(dialog) == {"imported": 119, "invited": 2}
    ((event, user, extra),) = audit_log()
    details = json.loads(extra)
    assert (event, user) == ("visma_dialog.invite", "anna")
    assert (details["conn_id"], details["done"], len(details["ids"].split())) == (CONN_ID, 2, 2)
    assert "persoon" not in extra.lower()


def test_one_who_changed_meanwhile_is_left_alone_and_the_others_are_invited(
    anna: TestClient, dialog: SandboxProcess
) -> None:
    page = anna.get(f"{ROOT}/users").text
    rename = {"op": "replace", "path": "name.familyName", "value": "Anders"}
    change_user(dialog, user_of(dialog, 2)["id"], rename)

    answer = text_of(send(anna, "/users/invite", **ticked(page, 1, 2, 3)).text)

    assert "Invited: 2 of 3." in answer
    assert "1 changed meanwhile: nothing was done." in answer
    assert states(dialog) == {"imported": 119, "invited": 2}
    assert user_of(dialog, 2)["name"]["familyName"] == "Anders"


def test_an_invitation_is_taken_back_while_that_is_possible_and_then_no_longer_offered(
    anna: TestClient, dialog: SandboxProcess
) -> None:
    invited = send(anna, "/users/invite", **only(anna.get(f"{ROOT}/users").text, 1)).text
    back = send(anna, "/users/undo", **only(invited, 1)).text
    dialog.settings(dialog_undo_seconds=0)
    settled = send(anna, "/users/invite", **only(back, 1)).text
    refused = send(anna, "/users/undo", **only(settled, 1)).text

    assert "Taken back: 1 of 1." in text_of(back)
    assert "Undo" in rows(invited)["1"]
    assert "Undo" not in rows(settled)["1"]
    assert "not allowed by Dialog, or no longer" in text_of(refused)
    assert states(dialog) == {"imported": 120, "invited": 1}
    assert [event for event, _, _ in audit_log()] == [
        "visma_dialog.invite",
        "visma_dialog.undo",
        "visma_dialog.invite",
        "visma_dialog.undo",
    ]


def test_a_user_is_linked_with_the_one_who_is_suggested_by_address(
    anna: TestClient, dialog: SandboxProcess
) -> None:
    first, second = dialog.add_dialog_users(2)
    page = send(anna, "/users", search="nummer1").text
    found = send(anna, "/users/choose", **only(page, 1), existing_search="dialog2").text
    (address,) = re.findall(r"· (\S+@example.com)", found)
    work = {"op": "replace", "path": 'emails[type eq "work"].value', "value": address}
    change_user(dialog, user_of(dialog, 1)["id"], work)
    page = send(anna, "/users", search="nummer1").text

    chosen = send(anna, "/users/choose", **only(page, 1)).text
    linked = send(anna, "/users/link", **only(page, 1), existing=second).text

    assert "Suggested, by e-mail address" in chosen
    assert second in chosen
    assert first not in chosen
    assert "Linked: 1 of 1." in text_of(linked)
    assert "linked Undo" in rows(linked)["1"]
    assert audit_log()[-1][0] == "visma_dialog.link"
    again = send(anna, "/users/link", **only(anna.get(f"{ROOT}/users").text, 2), existing=second).text
    assert "somebody else is linked with that user" in text_of(again)


def test_nobody_who_is_not_chosen_is_invited_or_linked(anna: TestClient, dialog: SandboxProcess) -> None:
    page = anna.get(f"{ROOT}/users").text
    assert "Nobody is ticked." in send(anna, "/users/invite").text
    assert "Nobody was chosen." in send(anna, "/users/link", **only(page, 1)).text
    assert send(anna, "/users/choose", one="nobody").status_code == 404
    assert states(dialog) == {"imported": 121}


def test_who_may_only_look_sees_the_list_and_cannot_act(
    browser: Browser, dialog: SandboxProcess, anna: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_visma.plugin import access, listing

    def may(user: object, method: str, *, conn_id: str | None = None) -> bool:
        return method == "GET"

    form = only(anna.get(f"{ROOT}/users").text, 1)
    for module in (access, listing):
        monkeypatch.setattr(module, "may", may)
    page = anna.get(f"{ROOT}/users").text

    assert len(rows(page)) == 50
    assert "Acting takes the right to edit this connection" in text_of(page)
    assert "formaction" not in page
    for address in ("invite", "undo", "choose", "link"):
        refused = send(anna, f"/users/{address}", **form, existing="x")
        assert refused.status_code == 403
    assert states(dialog) == {"imported": 121}


@pytest.mark.parametrize(("role", "status"), [("viewer", 403), (None, 303)])
def test_who_may_not_read_connections_sees_nothing(browser: Browser, role: str | None, status: int) -> None:
    visitor = browser("bram", role) if role else browser(None)
    for address in ("", "/users", "/lists", "/progress"):
        answer = visitor.get(f"{ROOT}{address}")
        assert answer.status_code == status
        assert "persoon" not in answer.text


@pytest.mark.parametrize("address", ["", "/invite", "/undo", "/choose", "/link"])
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://elsewhere.example"},
        {"sec-fetch-site": "cross-site", "origin": BASE_URL},
        {},
    ],
    ids=["another origin", "cross-site", "nothing said"],
)
def test_a_form_from_elsewhere_does_nothing(
    anna: TestClient, dialog: SandboxProcess, address: str, headers: dict[str, str]
) -> None:
    page = anna.get(f"{ROOT}/users").text
    form = {**only(page, 1), "csrf_token": csrf_of(page)}

    assert anna.post(f"{ROOT}/users{address}", data=form, headers=headers).status_code == 403
    assert states(dialog) == {"imported": 121}


def test_a_form_without_its_token_does_nothing(anna: TestClient, dialog: SandboxProcess) -> None:
    form = only(anna.get(f"{ROOT}/users").text, 1)
    assert send(anna, "/users/invite", **form, csrf_token="").status_code == 403
    assert states(dialog) == {"imported": 121}


def test_a_dialog_without_filters_is_shown_as_a_whole_and_says_so(
    anna: TestClient, dialog: SandboxProcess
) -> None:
    dialog.settings(dialog_filter=False)
    page = send(anna, "/users", search="zoë").text
    assert "This Dialog cannot search or filter" in text_of(page)
    assert "Users 1 to 50 of 121" in text_of(page)
    assert "cannot search, so there is nobody to choose from" in text_of(
        send(anna, "/users/choose", **only(page, 1)).text
    )


def test_a_dialog_without_states_offers_no_filter_by_what_it_does_not_keep(
    anna: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_visma.dialog_import.service import DialogService

    monkeypatch.setattr(DialogService, "user_fields", frozenset({"user_name", "given_name", "email"}))
    page = send(anna, "/users", state="invited", department="10").text

    assert "This Dialog knows no states" in text_of(page)
    assert 'name="search"' in page
    assert "<select" not in page


def test_a_dialog_that_does_not_answer_is_told_of_on_the_page(
    anna: TestClient, dialog: SandboxProcess
) -> None:
    form = {**only(anna.get(f"{ROOT}/users").text, 1), "csrf_token": csrf_of(anna.get(f"{ROOT}/users").text)}
    dialog.inject("dialog", "*", "status", count=None, status=503)

    page = anna.get(f"{ROOT}/users")
    invited = anna.post(f"{ROOT}/users/invite", data=form, headers={"origin": BASE_URL})

    assert (page.status_code, invited.status_code) == (200, 200)
    for answer in (page, invited):
        assert "Dialog gave no usable answer" in text_of(answer.text)
    assert [(event, json.loads(extra)["code"]) for event, _, extra in audit_log()] == [
        ("visma_dialog.invite_failed", "HTTP 503")
    ]


@pytest.mark.parametrize(
    "kind", ["html_error_page", "empty_body", "truncated", "trailing_garbage", "redirect"]
)
def test_an_answer_that_is_no_list_is_told_of_on_the_page(
    anna: TestClient, dialog: SandboxProcess, kind: str
) -> None:
    form = {"csrf_token": csrf_of(anna.get(f"{ROOT}/users").text), "search": "zoë"}
    dialog.inject("dialog", "Users.search", kind, count=None)

    page = anna.post(f"{ROOT}/users", data=form, headers={"origin": BASE_URL})

    assert page.status_code == 200
    assert "Dialog gave no usable answer" in text_of(page.text)


def test_whose_answer_did_not_come_stands_in_the_audit_log(anna: TestClient, dialog: SandboxProcess) -> None:
    form = only(anna.get(f"{ROOT}/users").text, 1)
    dialog.inject("dialog", "Users.patch", "act_then_reset")
    dialog.inject("dialog", "Users.get", "status", after=1, status=403)

    answer = text_of(send(anna, "/users/invite", **form).text)

    assert "1 without an answer: the list shows what became of it." in answer
    ((event, _, extra),) = audit_log()
    assert (event, json.loads(extra)["in_doubt"]) == ("visma_dialog.invite", form["one"])


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59.9999999Z", "9999-12-31T23:59:59-14:00"])
def test_a_moment_that_never_comes_is_shown(
    anna: TestClient, dialog: SandboxProcess, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    from airflow_provider_visma.dialog_import.roster import DialogRoster

    dialog.move_user(1, "invited")
    listed = DialogRoster._listed
    monkeypatch.setattr(
        DialogRoster, "_listed", lambda self, user: replace(listed(self, user), takes_effect_at=moment)
    )

    assert "Undo Testpersoon Nummer1 until 9999-12-31 23:59 UTC" in rows(anna.get(f"{ROOT}/users").text)["1"]


def test_the_last_page_is_shown_where_the_one_asked_for_is_gone(anna: TestClient) -> None:
    assert "Users 101 to 121 of 121" in text_of(send(anna, "/users", go="1051").text)
    assert "Users 1 to 50 of 121" in text_of(send(anna, "/users", go="-7").text)


def test_the_list_speaks_dutch(browser: Browser) -> None:
    page = browser("anna", **{"accept-language": "nl"}).get(f"{ROOT}/users").text
    assert '<html lang="nl">' in page
    assert "Gebruikers 1 tot en met 50 van 121" in text_of(page)
    assert "geïmporteerd Uitnodigen" in rows(page)["1"]


def test_an_address_that_a_form_was_sent_to_leads_back_to_the_list(anna: TestClient) -> None:
    for address in ("invite", "undo", "choose", "link"):
        answer = anna.get(f"{ROOT}/users/{address}")
        assert (answer.status_code, answer.headers["location"]) == (303, f"{ROOT}/users")
        dutch = anna.get(f"{ROOT}/users/{address}?lang=nl&notice=forged").headers["location"]
        assert dutch == f"{ROOT}/users?lang=nl"


def test_every_control_of_the_list_has_a_name(anna: TestClient) -> None:
    page = anna.get(f"{ROOT}/users").text
    controls = re.findall(r"<(?:input|select)[^>]*>", page)
    ids = set(re.findall(r'<label for="([^"]+)"', page))
    for control in controls:
        if 'type="hidden"' in control:
            continue
        named = re.search(r'id="([^"]+)"', control)
        assert "aria-label=" in control or (named and named[1] in ids), control


def test_the_enter_key_in_the_list_acts_on_nobody(anna: TestClient) -> None:
    forms = re.findall(r"<form.*?</form>", anna.get(f"{ROOT}/users").text, re.DOTALL)
    for form in forms:
        (first, *_) = re.findall(r"<button[^>]*>", form)
        assert "formaction" not in first
        assert "name=" not in first


def test_a_connection_in_airflows_database_leads_to_dialog_as_well(
    anna: TestClient, dialog: SandboxProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")  # as Airflow's own API server does
    monkeypatch.delenv("AIRFLOW_CONN_DIALOG_DEFAULT")
    there = dialog.connections()[CONN_ID]
    with create_session() as session:
        session.add(
            Connection(conn_id="kept", conn_type="dialog", host=there["host"], password=there["password"])
        )

    page = anna.get("/visma/dialog/kept/users").text

    assert "Users 1 to 50 of 121" in text_of(page)


@pytest.mark.parametrize("address", ["", "/invite", "/undo", "/choose", "/link"])
@pytest.mark.parametrize("conn_id", ["nmbrs_default", "nowhere"])
def test_nothing_can_be_done_with_a_connection_that_is_not_one_of_dialog(
    anna: TestClient, conn_id: str, address: str
) -> None:
    form = {"csrf_token": csrf_of(anna.get(f"{ROOT}/users").text), "one": "x", "existing": "y"}
    answer = anna.post(f"/visma/dialog/{conn_id}/users{address}", data=form, headers={"origin": BASE_URL})
    assert answer.status_code == 404
    assert audit_log() == []


@pytest.mark.parametrize("address", ["/undo", "/choose", "/link"])
def test_a_form_that_names_nobody_is_refused(anna: TestClient, address: str) -> None:
    assert send(anna, f"/users{address}", one="", existing="x").status_code == 404


def test_another_systems_connection_has_no_such_page(anna: TestClient) -> None:
    assert anna.get("/visma/dialog/nmbrs_default/users").status_code == 404
    assert anna.get("/visma/dialog/nowhere").status_code == 404
