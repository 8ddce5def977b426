"""The pictures in docs/images, taken from the running UI: `python -m demo.screenshots FOLDER`."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from demo.airflow_stack import AirflowStack
from demo.main_job import IMPORT_DAG, RUN_SECONDS, surroundings


def take(pictures: Path) -> None:
    """Run the import once and take every picture.

    :param pictures: folder for the PNG files.
    """
    with (
        tempfile.TemporaryDirectory(prefix="screenshots-") as folder,
        surroundings(Path(folder)) as (_, airflow),
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


@contextmanager
def _signed_in(airflow: AirflowStack) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        page = browser.new_page(viewport={"width": 1280, "height": 1600})
        page.goto(airflow.url, wait_until="networkidle")
        page.get_by_label("Username").fill(airflow.user)
        page.locator("input[type=password]").fill(airflow.password)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_load_state("networkidle")
        yield page
        browser.close()


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
