"""Dialog's integration screen in a real browser: invite, link, import now, and the night after."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urljoin

import pytest
import requests
from playwright.sync_api import Browser, FrameLocator, Page, expect

from demo.airflow_settings import READER, USER
from demo.airflow_stack import AirflowStack
from demo.browser import chromium, sign_in
from visma_sandbox.client import SandboxProcess

pytestmark = pytest.mark.e2e
DAG_ID = "nmbrs_to_dialog"
CONN_ID = "dialog_default"
SCREEN = f"/visma/dialog/{CONN_ID}"
IMPORT_MILLISECONDS = 120_000

OpenScreen = Callable[[str], Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def open_screen(browser: Browser, airflow: AirflowStack, sandbox: SandboxProcess) -> Iterator[OpenScreen]:
    """Return what signs a user in to Airflow and opens the screen."""
    airflow.wait_for_dags(DAG_ID)
    contexts = []

    def open_page(user: str) -> Page:
        context = browser.new_context(locale="en-GB", viewport={"width": 1400, "height": 1000})
        contexts.append(context)
        page = context.new_page()
        sign_in(page, airflow, user)
        page.goto(f"{airflow.url}{SCREEN}")
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def screen(open_screen: OpenScreen) -> Page:
    """Return the screen of somebody who may do everything."""
    return open_screen(USER)


def import_now(screen: Page) -> None:
    """Start an import and wait until the page itself says that it has ended."""
    screen.goto(urljoin(screen.url, SCREEN))
    if (activate := screen.get_by_role("button", name="Activate the import")).is_visible():
        activate.click()  # which a DAG needs once, as it is new and paused
    screen.get_by_role("button", name="Import now").click()
    expect(screen.get_by_role("status")).to_contain_text("The import has been started.")
    progress = screen.locator("#progress")
    expect(progress).to_contain_text("Succeeded", timeout=IMPORT_MILLISECONDS)
    expect(progress.get_by_role("listitem")).to_have_count(4)


def count_of(screen: Page, name: str) -> int:
    """Return a number that the last import reports."""
    row = screen.get_by_role("region", name="Last import").get_by_role("row", name=name, exact=False)
    return int(row.first.get_by_role("cell").inner_text())


def people(sandbox: SandboxProcess) -> dict[str, dict[str, Any]]:
    """Return the users of the import that Dialog holds, by EmployeeId."""
    dialog = sandbox.connections()[CONN_ID]
    answer = requests.get(
        f"{dialog['host']}/Users",
        params={"count": "1000", "filter": "externalId pr"},
        headers={"Authorization": f"Bearer {dialog['password']}"},
        timeout=60,
    )
    return {user["externalId"]: user for user in answer.json()["Resources"]}


def full_name(user: dict[str, Any]) -> str:
    return f"{user['name']['givenName']} {user['name']['familyName']}"


def find(screen: Page, user: dict[str, Any]) -> Any:
    """Search for a user by address and return their row."""
    screen.get_by_role("link", name="Users", exact=True).click()
    screen.get_by_role("searchbox").fill(user["userName"])
    screen.keyboard.press("Enter")
    row = screen.get_by_role("row", name=user["userName"])
    expect(row).to_have_count(1)
    return row


def test_who_was_invited_or_linked_is_left_alone_the_night_after_and_the_others_are_not(
    screen: Page, sandbox: SandboxProcess, airflow: AirflowStack
) -> None:
    expect(screen.get_by_role("region", name="The link")).to_contain_text("nmbrs_default")
    (existing,) = sandbox.add_dialog_users(1)
    import_now(screen)
    assert count_of(screen, "New in Dialog") == len(people(sandbox)) > 50
    invited, linked, imported, *_ = people(sandbox).values()

    row = find(screen, invited)
    row.get_by_role("checkbox").press("Enter")  # which must act on nobody
    expect(row).to_contain_text("imported")
    row.get_by_role("checkbox").press("Space")
    invite = screen.get_by_role("button", name="Invite everybody who is ticked")
    invite.focus()
    screen.keyboard.press("Enter")
    expect(screen.get_by_role("status").first).to_have_text("Invited: 1 of 1.")
    expect(screen.get_by_role("row", name=invited["userName"])).to_contain_text("invited")

    find(screen, linked).get_by_role("button", name="Link").click()
    screen.get_by_label("Name or address of the existing user").fill("dialog1")
    screen.get_by_role("button", name="Look for users").click()
    screen.get_by_role("radio").check()
    screen.get_by_role("button", name="Link", exact=True).click()
    expect(screen.get_by_role("status").first).to_have_text("Linked: 1 of 1.")
    assert linked["userName"] not in screen.url

    for number, user in enumerate((invited, linked, imported)):
        sandbox.change_person(int(user["externalId"]), email_work=f"moved{number}@example.com")
    import_now(screen)

    assert count_of(screen, "Changed") == 1
    assert count_of(screen, "Invited or linked: left alone") == 2
    now = people(sandbox)
    assert now[imported["externalId"]]["userName"] == "moved2@example.com"
    for user in (invited, linked):
        assert now[user["externalId"]]["userName"] == user["userName"]
    states = [
        value["state"]
        for user in (invited, linked)
        for key, value in now[user["externalId"]].items()
        if key.endswith("dialog:2.0:User")
    ]
    assert states == ["invited", "linked"]
    assert existing in str(now[linked["externalId"]])

    row = find(screen, invited)
    row.get_by_role("button", name="Undo").click()
    expect(screen.get_by_role("row", name=invited["userName"])).to_contain_text("imported")
    import_now(screen)
    assert people(sandbox)[invited["externalId"]]["userName"] == "moved0@example.com"

    log = (airflow.log_folder / "api-server.log").read_text()
    for user in (invited, linked, imported):
        assert user["userName"] not in log
    events = airflow.api.get("/eventLogs", limit=100, order_by="-event_log_id")["event_logs"]
    ours = [event for event in events if event["event"].startswith("visma_dialog.")]
    assert {event["event"] for event in ours} >= {
        "visma_dialog.invite",
        "visma_dialog.link",
        "visma_dialog.undo",
        "visma_dialog.import_started",
    }
    assert {event["owner"] for event in ours} == {USER}
    assert not [event for event in ours if "@" in str(event["extra"])]


def test_airflows_navigation_leads_to_the_screen_and_both_connections_are_tested_there(
    screen: Page, airflow: AirflowStack
) -> None:
    screen.goto(airflow.url)
    frame = _opened_from_navigation(screen)

    frame.get_by_role("button", name="Test both connections").click()

    expect(frame.get_by_text("Dialog: works")).to_be_visible(timeout=60_000)
    expect(frame.get_by_text("Nmbrs: works")).to_be_visible()


def test_what_dialog_lacks_and_who_was_set_aside_is_shown_after_an_import(
    screen: Page, sandbox: SandboxProcess
) -> None:
    import_now(screen)
    expected = sandbox.counts()["nmbrs_to_dialog"]

    aside = screen.get_by_role("region", name="Last import")
    group = aside.get_by_text("without a work e-mail address")
    expect(group).to_contain_text(f"{expected['set_aside']['no_work_email']}:")
    group.click()
    expect(aside.get_by_text("Fill in the work e-mail address in Nmbrs.")).to_be_visible()

    screen.get_by_role("link", name="Departments and functions").click()
    missing = screen.get_by_role("region", name="Functions that Dialog lacks").get_by_role("row")
    expect(missing.first).to_be_visible()
    counts = [int(cell) for cell in missing.get_by_role("cell").all_inner_texts()]
    assert sum(counts) == expected["users_with_global_function"] > 0


def test_who_may_not_edit_the_connection_looks_and_cannot_act(
    screen: Page, open_screen: OpenScreen, sandbox: SandboxProcess, airflow: AirflowStack
) -> None:
    import_now(screen)
    someone, *_ = people(sandbox).values()
    find(screen, someone)
    token = screen.locator("input[name=csrf_token]").first.get_attribute("value") or ""

    page = open_screen(READER)
    expect(page.get_by_text("Acting takes the right to edit this connection")).to_be_visible()
    expect(page.get_by_role("button")).to_have_count(0)
    row = find(page, someone)
    expect(row).to_contain_text("imported")
    expect(page.get_by_role("checkbox")).to_have_count(0)
    expect(page.get_by_role("button", name="Invite")).to_have_count(0)
    own = page.locator("input[name=csrf_token]").first.get_attribute("value") or ""

    for csrf in (own, token):
        for address in ("users/invite", "users/link", "import"):
            answer = page.request.post(
                f"{airflow.url}{SCREEN}/{address}",
                form={"csrf_token": csrf, "one": someone["id"], "existing": "x"},
                headers={"origin": airflow.url},
            )
            assert answer.status == 403
    assert sandbox.counts()["dialog"]["users_by_state"].keys() == {"imported"}


def test_a_request_from_another_site_is_refused(
    screen: Page, sandbox: SandboxProcess, airflow: AirflowStack
) -> None:
    import_now(screen)
    someone, *_ = people(sandbox).values()
    find(screen, someone)
    token = screen.locator("input[name=csrf_token]").first.get_attribute("value")
    # The same host under another name is another site.
    other = f"{airflow.url.replace('127.0.0.1', 'localhost')}/no-such-page"
    screen.route(
        other,
        lambda route: route.fulfill(
            content_type="text/html",
            body=f"""<form method="post" action="{airflow.url}{SCREEN}/users/invite">
            <input name="csrf_token" value="{token}"><input name="one" value="{someone["id"]}">
            <button>Win a prize</button></form>""",
        ),
    )
    screen.goto(other)
    with screen.expect_navigation():
        screen.get_by_role("button", name="Win a prize").click()
    expect(screen.get_by_text("Invited:")).to_have_count(0)
    # Browsers keep the cookie from such a form. Were it sent along, the request would be refused as well.
    answer = screen.request.post(
        f"{airflow.url}{SCREEN}/users/invite",
        form={"csrf_token": token or "", "one": someone["id"]},
        headers={"origin": other.removesuffix("/no-such-page"), "sec-fetch-site": "cross-site"},
    )

    assert answer.status == 403
    assert "This request did not come from a page of Airflow" in answer.text()
    assert sandbox.counts()["dialog"]["users_by_state"].keys() == {"imported"}


def _opened_from_navigation(page: Page) -> FrameLocator:
    page.get_by_role("link", name="Dialog").click()
    return page.frame_locator("iframe")
