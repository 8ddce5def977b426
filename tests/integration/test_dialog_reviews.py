"""Finished reviews from Dialog to Nmbrs, against the sandbox: killed, cut off, refused; none filed twice."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fsspec
import pytest
import requests
from airflow.sdk.io import attach

from airflow_provider_visma.exceptions import (
    VismaAuthenticationError,
    VismaConnectionConfigError,
    VismaNotFoundError,
    VismaPermissionError,
    VismaRequestError,
    VismaTransientError,
    VismaUnavailableError,
    VismaUnknownOutcomeError,
)
from airflow_provider_visma.hooks.nmbrs import NmbrsHook
from tests.integration.review_filings import UPLOAD, Reviews, Task, wait_until
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


@pytest.fixture
def service(sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> SandboxProcess:
    """A sandbox that hears little of patience: a request without an answer is given up after a second."""
    for system in ("nmbrs", "dialog"):
        connection = sandbox.connections()[f"{system}_default"]
        monkeypatch.setenv(f"AIRFLOW_CONN_{system.upper()}_PATIENT", json.dumps(connection))
        connection["extra"] = {**connection.get("extra", {}), "timeout": 1}
        monkeypatch.setenv(f"AIRFLOW_CONN_{system.upper()}_DEFAULT", json.dumps(connection))
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    return sandbox


@pytest.fixture
def reviews(service: SandboxProcess) -> Reviews:
    """Three linked people, one invited and one imported, all of them in Nmbrs."""
    hook = NmbrsHook()
    company = next(hook.companies()).id
    employees = [employee.id for employee in hook.employees(company, 2)][:5]
    dialog = service.connections()["dialog_default"]
    headers = {"Authorization": f"Bearer {dialog['password']}", "Content-Type": "application/scim+json"}
    for number, state in zip(employees, ["linked"] * 3 + ["invited", "imported"], strict=True):
        requests.post(
            f"{dialog['host']}/Users",
            headers=headers,
            json={
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
                "userName": f"{number}@example.com",
                "externalId": str(number),
            },
            timeout=10,
        ).raise_for_status()
        if state != "imported":
            service.move_user(number, state)
    service.clear_journal()
    return Reviews(service, employees)


@pytest.fixture
def memory() -> Iterator[str]:
    """A folder in a store that is none of files."""
    store = fsspec.filesystem("memory")
    attach(protocol="memory", fs=store)
    yield "memory://bucket/reviews"
    store.rm("/bucket", recursive=True)


@pytest.fixture
def task(destination: str) -> Task:
    return Task(destination)


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


# Cut off


@pytest.mark.parametrize(("fault", "kept"), [("act_then_hang", 1), ("act_then_reset", 1), ("hang", 0)])
def test_an_upload_without_an_answer_is_in_doubt_until_a_person_says_what_they_found(
    service: SandboxProcess, reviews: Reviews, task: Task, fault: str, kept: int
) -> None:
    made = reviews.finish()
    service.inject("nmbrs", UPLOAD, fault, seconds=60)
    for run_id in ("run-1", "run-1", "run-2"):
        with pytest.raises(VismaUnknownOutcomeError, match="1 in doubt"):
            task.run(run_id)
    assert (reviews.sent, len(reviews.filed)) == (1, kept)
    assert task.report()[made["id"]]["document"].endswith(".pdf")
    found = json.dumps({made["id"]: "filed" if kept else "not filed"})
    result = task.run("run-2", settled=found)
    assert (result["settled"], result["filed"], result["filed_before"]) == (1, 1 - kept, kept)
    assert task.run("run-3", settled=found)["filed_before"] == 1
    assert reviews.filed == [(reviews.employees[0], made["sha256"])]


def test_an_answer_of_the_service_itself_that_it_failed_leaves_doubt(
    service: SandboxProcess, reviews: Reviews, task: Task
) -> None:
    reviews.finish()
    service.inject("nmbrs", UPLOAD, "soap_fault", code="9999")
    with pytest.raises(VismaUnknownOutcomeError, match="1 in doubt"):
        task.run()


def test_a_nmbrs_that_does_not_answer_the_door_fails_the_try_and_a_retry_files(
    service: SandboxProcess, reviews: Reviews, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    reviews.finish(size=2_000_000)

    def broken(self: Any) -> Any:
        yield b"AAAA"
        raise ConnectionResetError

    with monkeypatch.context() as patched:
        patched.setattr("airflow_provider_visma.protocols.soap.Octets.encoded", broken)
        with pytest.raises(VismaTransientError, match="1 failed, 0 in doubt"):
            task.run()
    assert task.run()["filed"] == 1
    assert len(reviews.filed) == 1


@pytest.mark.parametrize("fault", ["truncated", "reset_body", "hang", "status", "other_document"])
def test_a_document_that_does_not_come_whole_is_failed_and_a_retry_files_it(
    service: SandboxProcess, reviews: Reviews, task: Task, fault: str
) -> None:
    reviews.finish(size=500_000)
    service.inject("dialog", "Reviews.document", fault)
    with pytest.raises(VismaTransientError, match="0 reviews were filed, 0 refused, 1 failed"):
        task.run()
    assert (reviews.filed, task.ledger()) == ([], [])
    assert task.run()["filed"] == 1


def test_a_dialog_that_is_down_is_not_asked_for_every_review(
    service: SandboxProcess, reviews: Reviews, task: Task
) -> None:
    for _ in range(8):
        reviews.finish()
    service.inject("dialog", "Reviews.document", "status", count=None)
    with pytest.raises(VismaUnavailableError):
        task.run()
    assert reviews.downloaded == 5
    service.clear_faults()
    assert task.run()["filed"] == 8


def test_a_dialog_without_reviews_is_an_error_that_says_so(
    service: SandboxProcess, reviews: Reviews, task: Task
) -> None:
    service.settings(dialog_reviews=False)
    with pytest.raises(VismaNotFoundError, match="offers finished reviews"):
        task.run()


# Killed


def stop_before(part: str) -> Any:
    """Return what lets a process say that it came so far, and wait there until it is killed."""
    import multiprocessing
    import threading

    reached = multiprocessing.get_context("fork").Event()

    def stay(*arguments: Any) -> Any:
        reached.set()
        threading.Event().wait()

    def prepare() -> None:
        if part == "sending":
            NmbrsHook.upload_document = stay  # type: ignore[method-assign]
            return
        from airflow_provider_visma.protocols.soap import Octets

        whole = Octets.encoded

        def half(self: Octets) -> Any:
            pieces = whole(self)
            yield next(pieces)
            stay()

        Octets.encoded = half  # type: ignore[method-assign]

    return reached, prepare


@pytest.mark.parametrize("part", ["sending", "the end"])
def test_an_upload_killed_before_or_while_it_is_sent_was_not_filed_and_is_filed_by_the_retry(
    service: SandboxProcess, reviews: Reviews, task: Task, part: str
) -> None:
    made = reviews.finish(size=2_000_000)
    reached, prepare = stop_before(part)
    process = task.start(prepare=prepare, nmbrs_conn_id="nmbrs_patient")
    try:
        assert reached.wait(60)
    finally:
        process.kill()
    assert process.wait() == -signal.SIGKILL
    assert task.ledger() == ["001.intent.json"]
    assert task.run()["filed_reviews"] == [made["id"]]
    assert reviews.filed == [(reviews.employees[0], made["sha256"])]
    assert task.ledger() == [
        "001.decision.json",
        "001.intent.json",
        "002.decision.json",
        "002.intent.json",
        "002.outcome.json",
    ]


def test_an_upload_killed_after_it_was_stored_is_in_doubt_and_never_sent_again_by_itself(
    service: SandboxProcess, reviews: Reviews, task: Task
) -> None:
    made = reviews.finish(size=2_000_000)
    service.inject("nmbrs", UPLOAD, "act_then_hang", seconds=60)
    process = task.start(nmbrs_conn_id="nmbrs_patient")
    try:
        wait_until(lambda: len(reviews.filed) == 1)
    finally:
        process.kill()
    assert process.wait() == -signal.SIGKILL
    service.clear_faults()
    assert task.ledger() == ["001.decision.json", "001.intent.json"]
    for run_id in ("run-1", "run-2"):
        with pytest.raises(VismaUnknownOutcomeError, match="1 in doubt"):
            task.run(run_id)
    assert task.run(settled={made["id"]: "filed"})["filed_before"] == 1
    assert reviews.filed == [(reviews.employees[0], made["sha256"])]


def test_a_task_that_is_told_to_end_leaves_no_copy_of_a_review(
    service: SandboxProcess, reviews: Reviews, task: Task, destination: str
) -> None:
    reviews.finish(size=2_000_000)
    reached, prepare = stop_before("the end")
    process = task.start(prepare=prepare, nmbrs_conn_id="nmbrs_patient")
    assert reached.wait(60)
    assert list(Path(destination.removeprefix("file://")).rglob("review.pdf"))
    process.terminate()
    assert process.wait() == 128 + signal.SIGTERM
    assert not list(Path(destination.removeprefix("file://")).rglob("review.pdf"))
    assert task.run()["filed"] == 1


def test_a_copy_that_a_kill_left_behind_is_removed_by_any_later_run(
    service: SandboxProcess, reviews: Reviews, task: Task, destination: str
) -> None:
    reviews.finish(size=2_000_000)
    reached, prepare = stop_before("the end")
    process = task.start(prepare=prepare, nmbrs_conn_id="nmbrs_patient")
    assert reached.wait(60)
    process.kill()
    process.wait()
    folder = Path(destination.removeprefix("file://"))
    assert list(folder.rglob("review.pdf"))
    task.states = {}
    task.run("run-2")
    assert not list(folder.rglob("review.pdf"))


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


# Two at once


@pytest.mark.parametrize("known", [True, False])
def test_of_two_runs_at_once_one_files(
    service: SandboxProcess, reviews: Reviews, task: Task, known: bool
) -> None:
    made = reviews.finish(size=2_000_000)
    reached, prepare = stop_before("the end")
    process = task.start("run-1", prepare=prepare, nmbrs_conn_id="nmbrs_patient")
    try:
        assert reached.wait(60)
        task.states = {"run-1": {"file": "running"}} if known else {}
        result = task.run("run-2")
    finally:
        process.kill()
    process.wait()
    # Whoever is known to be at work is left to it. Of one that nobody knows the attempt is given up, and
    # should it be alive after all it is refused the decision to send the rest.
    assert (result["elsewhere"], result["filed"]) == ((1, 0) if known else (0, 1))
    task.states = {}
    assert task.run("run-3")["filed_before" if not known else "filed"] == 1
    assert reviews.filed == [(reviews.employees[0], made["sha256"])]


def test_a_process_that_was_given_up_and_lives_ends_before_the_last_piece(
    service: SandboxProcess, reviews: Reviews, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider_visma.protocols.soap import Octets

    made = reviews.finish(size=2_000_000)
    whole = Octets.encoded
    other: list[dict[str, Any]] = []

    def overtaken(self: Octets) -> Any:
        pieces = whole(self)
        yield next(pieces)
        if not other:
            other.append({})
            with monkeypatch.context() as patched:
                patched.setattr(Octets, "encoded", whole)
                other[0] = Task(task.folder, destination=f"{task.folder}/other").run("run-2")
        yield from pieces

    monkeypatch.setattr(Octets, "encoded", overtaken)
    assert task.run("run-1")["elsewhere"] == 1
    assert other[0]["filed"] == 1
    assert reviews.filed == [(reviews.employees[0], made["sha256"])]


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
