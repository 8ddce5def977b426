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

CONNECTION_TYPES = {"nmbrs": "Nmbrs", "dialog": "Dialog", "visma_hrm": "Visma.net HRM & Payroll"}


def take(pictures: Path) -> None:
    """Run the import once and take every picture.

    :param pictures: folder for the PNG files.
    """
    with (
        tempfile.TemporaryDirectory(prefix="screenshots-") as folder,
        surroundings(Path(folder)) as (_, airflow),
        _signed_in(airflow) as page,
    ):
        for name, label in CONNECTION_TYPES.items():
            _fill_in_connection(page, airflow.url, connection_id=f"{name}_default", label=label)
            page.get_by_role("dialog").screenshot(path=pictures / f"connection-{name}.png")
        run_id = airflow.api.run(IMPORT_DAG)
        airflow.api.wait_for_run(IMPORT_DAG, run_id, seconds=RUN_SECONDS)
        page.goto(f"{airflow.url}/dags/{IMPORT_DAG}/runs/{run_id}", wait_until="networkidle")
        page.get_by_text("Task Instances").last.wait_for()
        page.screenshot(path=pictures / f"run-{IMPORT_DAG}.png")


@contextmanager
def _signed_in(airflow: AirflowStack) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.goto(airflow.url, wait_until="networkidle")
        page.get_by_label("Username").fill(airflow.user)
        page.locator("input[type=password]").fill(airflow.password)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_load_state("networkidle")
        yield page
        browser.close()


def _fill_in_connection(page: Page, url: str, *, connection_id: str, label: str) -> None:
    page.goto(f"{url}/connections", wait_until="networkidle")
    page.get_by_role("button", name="Add Connection").first.click()
    page.get_by_role("dialog").locator("input").first.fill(connection_id)
    page.get_by_role("combobox").last.click()
    page.keyboard.type(label)
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Extra Fields", exact=True).click()
    page.wait_for_timeout(500)  # the section unfolds in an animation


if __name__ == "__main__":
    if shutil.which("chromium") is None:
        raise SystemExit("chromium is needed: apt-get install chromium")
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    take(target)
