"""Debian's Chromium, and people who sign in to Airflow with it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, sync_playwright

from demo.airflow_stack import AirflowStack


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start a browser without a screen, and end it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        try:
            yield browser
        finally:
            browser.close()


def sign_in(page: Page, airflow: AirflowStack, user: str) -> None:
    """Sign in to Airflow as a person does, and see its home page.

    :param user: one of those in ``airflow.passwords``.
    """
    page.goto(airflow.url)
    page.get_by_label("Username").fill(user)
    page.locator("input[type=password]").fill(airflow.passwords[user])
    page.get_by_role("button", name="Sign in").click()
    page.get_by_test_id("nav-home-link").wait_for()


def open_from_navigation(page: Page, menu: str, name: str) -> Page:
    """Choose an entry in a menu of Airflow's navigation, and return the tab that opens for it."""
    page.get_by_role("button", name=menu).click()
    with page.context.expect_page() as opened:
        page.get_by_role("menuitem", name=name).click()
    opened.value.wait_for_load_state()
    return opened.value
