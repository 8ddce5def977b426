"""Finished reviews from Dialog to Nmbrs: which are filed, which are refused, and what is told of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_visma.exceptions import (
    VismaAuthenticationError,
    VismaConnectionConfigError,
    VismaPermissionError,
    VismaRequestError,
    VismaTransientError,
    VismaUnknownOutcomeError,
)
from tests.integration.dialog_reviews.review_filings import UPLOAD, Reviews, Task
from visma_sandbox.client import SandboxProcess

NOTHING = {
    "filed": 0,
    "filed_before": 0,
    "refused": 0,
    "refused_before": 0,
    "failed": 0,
    "in_doubt": 0,
    "elsewhere": 0,
    "settled": 0,
    "not_tried": 0,
}


def test_the_reviews_of_linked_users_are_filed_and_the_others_are_named(
    service: SandboxProcess, reviews: Reviews, task: Task
) -> None:
    linked, _, _, invited, imported = reviews.employees
    filed = reviews.finish(title="Jaargesprek", finished_at="2026-11-01T10:00:00Z")
    others = [reviews.finish(employee_id=each)["id"] for each in (invited, imported, None)]
    result = task.run()
    assert reviews.filed == [(linked, filed["sha256"])]
    assert {name: result[name] for name in NOTHING} == {**NOTHING, "filed": 1}
    assert (result["reviews"], result["filed_reviews"]) == (4, [filed["id"]])
    assert result["set_aside"] == {"not_linked": 2, "unknown_user": 1}
    lines = task.report()
    assert [lines[each]["why"][0] for each in others] == ["not_linked", "not_linked", "unknown_user"]
    (document,) = service.documents()
    assert document["name"] == lines[filed["id"]]["document"] == "Jaargesprek 2026-11-01.pdf"


def test_who_counts_as_linked_is_the_authors_choice(reviews: Reviews, task: Task) -> None:
    made = reviews.finish(employee_id=reviews.employees[3])
    assert task.run(user_states=["linked", "invited"])["filed"] == 1
    assert reviews.filed == [(reviews.employees[3], made["sha256"])]


def test_a_second_run_files_and_downloads_nothing_and_new_reviews_only_later(
    reviews: Reviews, task: Task
) -> None:
    reviews.finish()
    task.run()
    second = reviews.finish()
    assert task.run("run-2")["filed_reviews"] == [second["id"]]
    for run_id in ("run-2", "run-3"):
        result = task.run(run_id)
        assert (result["filed"], result["filed_before"]) == (0, 2)
    assert (reviews.sent, reviews.downloaded) == (2, 2)


def test_reviews_finished_before_are_left_out(reviews: Reviews, task: Task) -> None:
    now = datetime.now(UTC)
    reviews.finish(finished_at=(now - timedelta(days=40)).isoformat())
    made = reviews.finish(finished_at=now.isoformat())
    since = (now - timedelta(days=31)).replace(tzinfo=None).isoformat()
    assert task.run(since=since)["filed_reviews"] == [made["id"]]


def test_a_list_of_several_pages_is_read_to_its_end(
    service: SandboxProcess, reviews: Reviews, task: Task
) -> None:
    service.settings(dialog_max_results=2)
    for _ in range(5):
        reviews.finish()
    assert task.run()["filed"] == 5


@pytest.mark.parametrize("digests", [True, False])
def test_files_that_are_no_good_pdf_are_refused_once_and_do_not_stop_the_rest(
    service: SandboxProcess, reviews: Reviews, task: Task, digests: bool
) -> None:
    service.settings(dialog_review_digests=digests)
    wrong = {
        "executable": "not_a_pdf",
        "html": "not_a_pdf",
        "empty": "empty",
        "truncated": "truncated",
        "javascript": "javascript",
        "packed_javascript": "javascript",
        "launch": "launch",
        "attachment": "attachment",
        "encrypted": "encrypted",
    }
    made = {reviews.finish(kind=kind)["id"]: why for kind, why in wrong.items()}
    made[reviews.finish(size=60 << 20)["id"]] = "too_large"
    good = reviews.finish(size=300_000)
    with pytest.raises(VismaRequestError, match="1 reviews were filed, 10 refused, 0 failed"):
        task.run()
    assert {each: line["why"][0] for each, line in task.report().items() if line["why"]} == made
    assert reviews.filed == [(reviews.employees[0], good["sha256"])]
    downloads = reviews.downloaded
    result = task.run("run-2")
    assert (result["refused"], result["refused_before"], result["filed_before"]) == (0, 10, 1)
    assert reviews.downloaded == downloads
    assert task.run("run-3", max_failed="10", retry_refused="true")["refused"] == 10


def test_other_terms_let_a_refused_review_be_tried_again(reviews: Reviews, task: Task) -> None:
    made = reviews.finish(kind="javascript")
    assert task.run(max_failed=1)["refused"] == 1
    assert task.run("run-2", allow_active=True)["filed_reviews"] == [made["id"]]


def test_a_review_whose_pdf_changed_after_it_was_filed_is_told_and_not_filed_again(
    service: SandboxProcess, reviews: Reviews, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    reviews.finish()
    task.run()
    from airflow_provider_visma.hooks import _dialog_reviews

    read = _dialog_reviews.read_review
    monkeypatch.setattr(
        _dialog_reviews,
        "read_review",
        lambda row: read({**row, "document": {**row["document"], "sha256": "0" * 64}}),
    )
    result = task.run("run-2")
    assert result["set_aside"] == {"changed_since_it_was_filed": 1}
    assert reviews.sent == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"user": None},
        {"finishedAt": "gisteren"},
        {"document": {"size": float("inf")}},
        {"document": {"size": -1}},
    ],
)
def test_a_review_that_cannot_be_read_is_told_and_does_not_stop_the_rest(
    reviews: Reviews, task: Task, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    from airflow_provider_visma.hooks import _dialog_reviews

    broken, good = reviews.finish(), reviews.finish()
    read = _dialog_reviews.read_review
    monkeypatch.setattr(
        _dialog_reviews,
        "read_review",
        lambda row: read({**row, **changes} if row["id"] == broken["id"] else row),
    )
    with pytest.raises(VismaRequestError, match="1 reviews were filed, 1 refused"):
        task.run()
    assert (task.report()[broken["id"]]["outcome"], task.report()[broken["id"]]["why"]) == (
        "refused",
        ["unreadable"],
    )
    assert reviews.filed == [(reviews.employees[0], good["sha256"])]


def test_a_document_of_another_size_than_announced_is_not_filed(
    service: SandboxProcess, reviews: Reviews, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_visma.hooks import _dialog_reviews

    reviews.finish()
    read = _dialog_reviews.read_review
    monkeypatch.setattr(
        _dialog_reviews, "read_review", lambda row: read({**row, "document": {"size": 20_000}})
    )
    with pytest.raises(VismaTransientError, match="1 failed"):
        task.run()
    assert reviews.sent == 0


def test_ledger_and_report_may_be_in_an_object_store(
    service: SandboxProcess, reviews: Reviews, memory: str
) -> None:
    made = reviews.finish()
    task = Task(memory)
    service.inject("nmbrs", UPLOAD, "act_then_reset")
    with pytest.raises(VismaUnknownOutcomeError):
        task.run()
    result = task.run(settled={made["id"]: "filed"})
    assert (result["filed_before"], result["ledger"]) == (1, f"{memory}/ledger/domain=sandbox")
    assert (task.run("run-2")["filed_before"], reviews.sent) == (1, 1)


# Nmbrs refuses


@pytest.mark.parametrize("code", ["2003", "2040", "2041", "2047", "1003"])
def test_what_nmbrs_refuses_is_told_by_its_code_and_the_rest_goes_on(
    service: SandboxProcess, reviews: Reviews, task: Task, code: str
) -> None:
    first, second = reviews.finish(), reviews.finish(employee_id=reviews.employees[1])
    service.inject("nmbrs", UPLOAD, "soap_fault", code=code)
    with pytest.raises(VismaRequestError, match="1 reviews were filed, 1 refused"):
        task.run()
    assert task.report()[first["id"]]["why"] == [code]
    assert reviews.filed == [(reviews.employees[1], second["sha256"])]
    assert task.run("run-2")["refused_before"] == 1, "a later run leaves it alone"
    assert task.run("run-1")["filed_reviews"] == [first["id"]], "and the same one, cleared, tries again"


@pytest.mark.parametrize(
    ("setting", "code"),
    [({"nmbrs_document_limit": 5_000}, "2041"), ({"nmbrs_document_types": ["x"]}, "2047")],
)
def test_the_services_own_rules_come_to_the_report(
    service: SandboxProcess, reviews: Reviews, task: Task, setting: dict[str, Any], code: str
) -> None:
    made = reviews.finish()
    service.settings(**setting)
    assert task.run(max_failed=1)["refused"] == 1
    assert task.report()[made["id"]]["why"] == [code]
    assert reviews.filed == []


@pytest.mark.parametrize(
    ("code", "error"), [("1001", VismaAuthenticationError), ("1002", VismaPermissionError)]
)
def test_a_refused_caller_stops_the_run_and_nothing_is_held_against_the_reviews(
    service: SandboxProcess, reviews: Reviews, task: Task, code: str, error: type[Exception]
) -> None:
    for _ in range(3):
        reviews.finish()
    service.inject("nmbrs", UPLOAD, "soap_fault", code=code)
    with pytest.raises(error):
        task.run()
    assert (reviews.sent, reviews.filed) == (1, [])
    assert task.run("run-2")["filed"] == 3


# What is told, and what is asked for


def test_neither_log_nor_xcom_nor_ledger_says_anything_of_people(
    service: SandboxProcess,
    reviews: Reviews,
    task: Task,
    destination: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    reviews.finish(title="Gesprek met Testpersoon Zeldzaam")
    service.inject("nmbrs", UPLOAD, "soap_fault", code="2003", text="Testpersoon Zeldzaam")
    told = json.dumps(task.run(max_failed=1)) + json.dumps(task.run())
    told += "".join(path.read_text() for path in Path(f"{destination}/ledger"[7:]).rglob("*.json"))
    told += "".join(capfd.readouterr())
    assert "Filed reviews" in told
    assert "Zeldzaam" not in told


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"document_type": "geen"}, VismaConnectionConfigError, "not a GUID"),
        ({"document_type": None}, VismaConnectionConfigError, "not a GUID"),
        ({"since": "gisteren"}, VismaRequestError, "since"),
        ({"max_failed": "veel"}, VismaRequestError, "max_failed"),
        ({"ledger": "reviews/ledger"}, VismaRequestError, "relative to wherever"),
        ({"settled": {"x": "maybe"}}, VismaRequestError, "'filed' or 'not filed'"),
        ({"settled": "[1]"}, VismaRequestError, "'filed' or 'not filed'"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_asked(
    service: SandboxProcess,
    reviews: Reviews,
    task: Task,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    connection = service.connections()["nmbrs_default"]
    connection["extra"].pop("document_type", None)
    monkeypatch.setenv("AIRFLOW_CONN_NMBRS_DEFAULT", json.dumps(connection))
    with pytest.raises(error, match=message):
        task.run(**changes)
    assert service.journal("dialog") == []


def test_the_connection_names_the_document_type_where_the_task_does_not(
    service: SandboxProcess, reviews: Reviews, task: Task
) -> None:
    reviews.finish()
    assert task.run(document_type=None)["filed"] == 1
