"""Who may read Orbit's reports, and what the journal tells of it."""

from __future__ import annotations

import pytest

from sandbox.tests.test_orbit_reporting import HOURS
from visma_sandbox import credentials


@pytest.mark.parametrize(
    "account",
    [
        None,
        ("", ""),
        (credentials.ORBIT_REPORTING_LOGIN, "wrong"),
        (credentials.ORBIT_REPORTING_LOGIN.upper(), credentials.ORBIT_REPORTING_PASSWORD),
    ],
)
@pytest.mark.parametrize("path", ["", "$metadata", HOURS, "nowhere"])
def test_without_the_right_name_and_password_everything_is_a_401_page(orbit, account, path) -> None:
    answer = orbit.get(path, auth=account)

    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, 'Basic realm="Orbit"')
    assert "<title>401 Unauthorized</title>" in answer.text
    (entry,) = orbit.sandbox.journal("orbit_reporting")
    assert (entry["authorized"], entry["authorization"]) == (False, None if account is None else "basic")


@pytest.mark.parametrize("header", ["Bearer x", "Basic", "Basic !!!", "Basic eDp5 eDp5"])
def test_a_header_that_is_no_basic_is_a_401(orbit, header: str) -> None:
    assert orbit.get(HOURS, auth=None, headers={"Authorization": header}).status_code == 401


def test_the_journal_tells_the_request_and_never_the_password(orbit) -> None:
    orbit.get(f"{HOURS}?$top=3", headers={"MaxDataServiceVersion": "3.0"})

    (entry,) = orbit.sandbox.journal("orbit_reporting", HOURS)
    assert (entry["authorized"], entry["status"], entry["authorization"]) == (True, 200, "basic")
    assert entry["note"] == {"options": ["$top"], "max_version": "3.0", "version": None}
    assert credentials.ORBIT_REPORTING_PASSWORD not in repr(entry)
