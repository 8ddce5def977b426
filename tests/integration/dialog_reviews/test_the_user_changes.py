"""What is known of a review stays known, whatever becomes of its user in Dialog."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from airflow_provider_visma.exceptions import VismaRequestError, VismaUnknownOutcomeError
from tests.integration.dialog_reviews.review_filings import UPLOAD, Reviews, Task
from visma_sandbox.client import SandboxProcess


def relink(service: SandboxProcess, held: int, given: int) -> None:
    """Let the user of one employee be another's."""
    dialog = service.connections()["dialog_default"]
    headers = {"Authorization": f"Bearer {dialog['password']}", "Content-Type": "application/scim+json"}
    query = {"filter": f'externalId eq "{held}"'}
    found = requests.get(f"{dialog['host']}/Users", params=query, headers=headers, timeout=10).json()
    change = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "replace", "path": "externalId", "value": str(given)}],
    }
    address = f"{dialog['host']}/Users/{found['Resources'][0]['id']}"
    requests.patch(address, json=change, headers=headers, timeout=10).raise_for_status()


NEW_EMPLOYEE = 599_999


def test_a_user_who_is_linked_later_gets_the_review_then(
    service: SandboxProcess, reviews: Reviews, task: Task
) -> None:
    invited = reviews.employees[3]
    made = reviews.finish(employee_id=invited)
    assert task.run()["set_aside"] == {"not_linked": 1}
    service.move_user(invited, "linked")
    assert task.run("run-2")["filed_reviews"] == [made["id"]]
    assert reviews.filed == [(invited, made["sha256"])]


def test_a_review_that_was_filed_stays_with_whom_it_was_filed(
    service: SandboxProcess, reviews: Reviews, task: Task
) -> None:
    made = reviews.finish()
    task.run()
    relink(service, reviews.employees[0], NEW_EMPLOYEE)
    result = task.run("run-2")
    assert (result["filed"], result["filed_before"]) == (0, 1)
    assert task.report()[made["id"]]["employee_id"] == reviews.employees[0]
    assert reviews.sent == 1


@pytest.mark.parametrize("change", ["relinked", "unlinked"])
def test_a_review_in_doubt_stays_in_doubt_with_whom_it_was_sent_to(
    service: SandboxProcess, reviews: Reviews, task: Task, change: str
) -> None:
    made = reviews.finish()
    service.inject("nmbrs", UPLOAD, "act_then_reset")
    with pytest.raises(VismaUnknownOutcomeError):
        task.run()
    if change == "relinked":
        relink(service, reviews.employees[0], NEW_EMPLOYEE)
    else:
        service.move_user(reviews.employees[0], "imported")
    with pytest.raises(VismaUnknownOutcomeError, match="1 in doubt"):
        task.run("run-2")
    line = task.report()[made["id"]]
    assert (line["outcome"], line["employee_id"]) == ("in_doubt", reviews.employees[0])
    assert reviews.sent == 1
    assert task.run("run-3", settled={made["id"]: "filed"})["filed_before"] == 1


def test_a_review_that_was_refused_with_one_employee_is_tried_with_the_next(
    service: SandboxProcess, reviews: Reviews, task: Task
) -> None:
    made = reviews.finish()
    service.inject("nmbrs", UPLOAD, "soap_fault", code="2003")
    with pytest.raises(VismaRequestError, match="1 refused"):
        task.run()
    second = reviews.employees[1]
    relink(service, second, NEW_EMPLOYEE)
    relink(service, reviews.employees[0], second)
    assert task.run("run-2")["filed"] == 1
    assert reviews.filed == [(second, made["sha256"])]


def test_what_is_filed_already_asks_nothing_of_dialog_but_the_list(
    service: SandboxProcess, reviews: Reviews, task: Task
) -> None:
    reviews.finish()
    task.run()
    service.clear_journal()
    task.run("run-2")
    asked: list[Any] = service.journal("dialog")
    assert [each["operation"] for each in asked] == ["Reviews.list"]
