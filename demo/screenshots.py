"""The pictures in docs/images, taken from the running UI: `python -m demo.screenshots FOLDER`."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page

from demo.airflow_stack import AirflowStack
from demo.browser import chromium, open_from_navigation, sign_in
from demo.main_job import IMPORT_DAG, RUN_SECONDS, surroundings
from visma_sandbox import credentials
from visma_sandbox.client import SandboxProcess


def take(pictures: Path) -> None:
    """Run the import once and take every picture.

    :param pictures: folder for the PNG files.
    """
    with (
        tempfile.TemporaryDirectory(prefix="screenshots-") as folder,
        surroundings(Path(folder)) as (sandbox, airflow),
        _signed_in(airflow) as page,
    ):
        _open_form(page, airflow.url, connection_id="visma_hrm_default", label="Visma.net HRM & Payroll")
        for section, name in (("Standard", "connection-form"), ("Extra", "connection-form-extra")):
            _unfold(page, f"{section} Fields")
            page.get_by_role("dialog").screenshot(path=pictures / f"{name}.png")
        run_id = airflow.api.run(IMPORT_DAG)
        airflow.api.wait_for_run(IMPORT_DAG, run_id, seconds=RUN_SECONDS)
        page.set_viewport_size({"width": 1280, "height": 700})
        page.goto(f"{airflow.url}/dags/{IMPORT_DAG}/runs/{run_id}", wait_until="networkidle")
        page.get_by_text("Task Instances").last.wait_for()
        page.screenshot(path=pictures / "run-grid.png")
        _sign_in_to_orbit(page, pictures)
        look_at_dialog(page, airflow, sandbox, pictures)


@contextmanager
def _signed_in(airflow: AirflowStack) -> Iterator[Page]:
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 1600})
        sign_in(page, airflow, airflow.user)
        yield page


def _sign_in_to_orbit(page: Page, pictures: Path) -> None:
    """Go the way that docs/orbit.md describes: from Airflow's page to Orbit's and back."""
    orbit = open_from_navigation(page, "Admin", "Orbit sign-in")
    orbit.set_viewport_size({"width": 960, "height": 560})
    orbit.screenshot(path=pictures / "orbit-before-sign-in.png")
    orbit.get_by_role("button", name="Sign in").click()
    orbit.get_by_label("User name").fill(credentials.ORBIT_USER)
    orbit.get_by_label("Password").fill(credentials.ORBIT_PASSWORD)
    orbit.get_by_role("button", name="Allow").click()
    orbit.get_by_role("status").wait_for()
    orbit.screenshot(path=pictures / "orbit-sign-in.png")
    orbit.emulate_media(color_scheme="dark")
    orbit.screenshot(path=pictures / "orbit-sign-in-dark.png")


def look_at_dialog(page: Page, airflow: AirflowStack, sandbox: SandboxProcess, pictures: Path) -> None:
    """Take the pictures of the integration screen, after an import: invite somebody, link somebody.

    :param page: of somebody who is signed in to Airflow and may edit connections.
    """
    screen = f"{airflow.url}/visma/dialog/dialog_default"
    sandbox.add_dialog_users(5)
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(f"{screen}/users")
    for place in (0, 1, 3):
        page.get_by_role("checkbox", name="Tick").nth(place + 1).check()
    page.get_by_role("button", name="Invite everybody who is ticked").click()
    page.get_by_role("button", name="Undo").first.wait_for()
    for suffix in ("", "-dark"):
        page.emulate_media(color_scheme="dark" if suffix else "light")
        page.screenshot(path=pictures / f"dialog-users{suffix}.png")
    page.get_by_role("searchbox").fill("test.5@example.com")  # whom Dialog knows from before
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Link").click()
    page.get_by_role("radio").first.check()
    page.emulate_media(color_scheme="light")
    page.screenshot(path=pictures / "dialog-link.png")
    page.goto(screen)
    if (activate := page.get_by_role("button", name="Activate the import")).is_visible():
        activate.click()
    page.get_by_role("button", name="Test both connections").click()
    page.get_by_text("Nmbrs: works").wait_for(timeout=60_000)
    for suffix in ("", "-dark"):
        page.emulate_media(color_scheme="dark" if suffix else "light")
        page.screenshot(path=pictures / f"dialog-integration{suffix}.png", full_page=True)
    page.emulate_media(color_scheme="light")
    page.get_by_role("link", name="Departments and functions").click()
    page.get_by_role("region", name="Functions that Dialog lacks").wait_for()
    page.screenshot(path=pictures / "dialog-lists.png")


def _open_form(page: Page, url: str, *, connection_id: str, label: str) -> None:
    page.goto(f"{url}/connections", wait_until="networkidle")
    page.get_by_role("button", name="Add Connection").first.click()
    page.get_by_role("dialog").locator("input").first.fill(connection_id)
    page.get_by_role("combobox").last.click()
    page.keyboard.type(label)
    page.keyboard.press("Enter")


def _unfold(page: Page, section: str) -> None:
    button = page.get_by_role("button", name=section, exact=True)
    button.wait_for()
    if button.get_attribute("aria-expanded") != "true":
        button.click()
    page.wait_for_timeout(500)  # it unfolds in an animation


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    take(target)
