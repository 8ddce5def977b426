"""Signing in to Orbit in a real browser, from Airflow's own UI to Orbit's page and back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, Request, expect

from demo.airflow_settings import READER, USER
from demo.airflow_stack import AirflowStack
from demo.browser import chromium, open_from_navigation, sign_in
from visma_sandbox import credentials
from visma_sandbox.client import SandboxProcess

pytestmark = pytest.mark.e2e
CONN_ID = "teamleader_orbit_default"
DAG_ID = "orbit_projects"
CALLBACK = "/visma/orbit/callback"

OrbitPage = Callable[[str], Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def orbit_page(browser: Browser, airflow: AirflowStack, sandbox: SandboxProcess) -> Iterator[OrbitPage]:
    """Return what signs a user in to Airflow and opens our page from its navigation."""
    contexts = []

    def open_page(user: str) -> Page:
        context = browser.new_context(locale="en-GB")
        contexts.append(context)
        page = context.new_page()
        sign_in(page, airflow, user)
        return open_from_navigation(page, "Admin", "Orbit sign-in")

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def admins_page(orbit_page: OrbitPage) -> Iterator[Page]:
    """Return the page of somebody who may do everything; nobody is signed in to Orbit before and after."""
    page = orbit_page(USER)
    yield page
    if (sign_out := page.get_by_role("button", name="Sign out")).is_visible():
        sign_out.click()
        expect(page.get_by_role("status")).to_contain_text("forgotten")


def begin(page: Page) -> None:
    """Go from our page to Orbit's, with the keyboard."""
    page.get_by_role("button", name=f"Sign in {CONN_ID}").focus()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Sign in to Teamleader Orbit").wait_for()


def allow(page: Page) -> str:
    """Sign in on Orbit's page and return the address to which it sends the browser."""
    called_back: list[str] = []

    def note(request: Request) -> None:
        if urlsplit(request.url).path == CALLBACK:
            called_back.append(request.url)

    page.on("request", note)
    page.get_by_label("User name").fill(credentials.ORBIT_USER)
    page.get_by_label("Password").fill(credentials.ORBIT_PASSWORD)
    page.get_by_role("button", name="Allow").click()
    page.wait_for_url("**/visma/orbit?*")
    page.remove_listener("request", note)
    (address,) = called_back
    return address


def test_after_a_sign_in_from_airflows_ui_orbits_projects_are_exported(
    airflow: AirflowStack, sandbox: SandboxProcess, admins_page: Page, destination: Path
) -> None:
    airflow.wait_for_dags(DAG_ID)
    card = admins_page.get_by_role("region", name=CONN_ID)
    expect(card).to_contain_text("Not signed in")

    begin(admins_page)
    address = allow(admins_page)

    expect(admins_page.get_by_role("status")).to_have_text(f"{CONN_ID} is signed in.")
    expect(card).to_contain_text("State: Signed in")
    log = (airflow.log_folder / "api-server.log").read_text()
    assert CALLBACK in log
    for (secret,) in parse_qs(urlsplit(address).query).values():
        assert secret not in log
        assert secret not in admins_page.url

    run_id = airflow.api.run(DAG_ID, {"destination": destination.as_uri(), "full_refresh": True})
    assert airflow.api.wait_for_run(DAG_ID, run_id, seconds=180) == "success"
    (manifest,) = destination.glob("projects/*/_manifest.json")
    assert json.loads(manifest.read_text())["rows"] == sandbox.counts()["orbit"]["projects"]


def test_a_forged_state_is_refused_and_a_true_one_counts_once(
    airflow: AirflowStack, admins_page: Page
) -> None:
    alert = admins_page.get_by_role("alert")
    card = admins_page.get_by_role("region", name=CONN_ID)
    begin(admins_page)
    admins_page.goto(f"{airflow.url}{CALLBACK}?code=a-code-of-somebody-else&state=forged")
    expect(alert).to_contain_text("not begun in this Airflow")
    expect(card).to_contain_text("Not signed in")

    begin(admins_page)
    address = allow(admins_page)
    expect(card).to_contain_text("State: Signed in")
    admins_page.goto(address)
    expect(alert).to_contain_text("has been used before")


def test_who_may_not_edit_connections_may_look_and_not_sign_in(
    airflow: AirflowStack, orbit_page: OrbitPage, admins_page: Page
) -> None:
    page = orbit_page(READER)
    card = page.get_by_role("region", name=CONN_ID)
    expect(card).to_contain_text("Not signed in")
    expect(card).to_contain_text("takes the right to edit it")
    expect(page.get_by_role("button")).to_have_count(0)

    token = admins_page.locator("input[name=csrf_token]").first.get_attribute("value")
    answer = page.request.post(
        f"{airflow.url}/visma/orbit/{CONN_ID}/sign-in",
        form={"csrf_token": token or ""},
        headers={"origin": airflow.url},
    )
    assert answer.status == 403
    assert "the right to edit this connection" in answer.text()

    begin(admins_page)
    query = urlsplit(admins_page.url).query
    page.goto(f"{airflow.url}{CALLBACK}?code=a-code&state={parse_qs(query)['state'][0]}")
    expect(page.get_by_role("alert")).to_contain_text("somebody else began")
    admins_page.goto(f"{airflow.url}/visma/orbit")
    expect(card).to_contain_text("Not signed in")


def test_the_page_is_as_dark_as_airflow_is_set_to_be(admins_page: Page) -> None:
    body = admins_page.locator("body")
    expect(body).to_have_css("background-color", "rgb(255, 255, 255)")
    airflows = admins_page.context.pages[0]
    airflows.get_by_role("button", name="User").click()
    airflows.get_by_role("menuitem", name="Appearance").click()
    airflows.get_by_role("menuitemradio", name="Dark").click()
    expect(body).to_have_css("background-color", "rgb(17, 17, 19)")


def test_a_form_of_another_site_is_refused(
    airflow: AirflowStack, sandbox: SandboxProcess, admins_page: Page
) -> None:
    token = admins_page.locator("input[name=csrf_token]").first.get_attribute("value")
    admins_page.goto(f"{sandbox.url}/orbit/oauth2/authorize")
    admins_page.evaluate(
        """([action, token]) => {
            const form = document.createElement("form");
            form.method = "post";
            form.action = action;
            form.innerHTML = `<input name="csrf_token" value="${token}">`;
            document.body.append(form);
            form.submit();
        }""",
        [f"{airflow.url}/visma/orbit/{CONN_ID}/sign-in", token],
    )
    expect(admins_page.get_by_role("alert")).to_contain_text("did not come from a page of Airflow")
