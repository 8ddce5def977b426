"""A task that is killed, and two at once: the ledger says what is known, and nothing is filed twice."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from airflow_provider_visma.exceptions import (
    VismaUnknownOutcomeError,
)
from sandbox.tests.waiting import PATIENCE, wait_until
from tests.integration.dialog_reviews.review_filings import UPLOAD, Reviews, Task, stop_before
from visma_sandbox.client import SandboxProcess


@pytest.mark.parametrize("part", ["sending", "the end"])
def test_an_upload_killed_before_or_while_it_is_sent_was_not_filed_and_is_filed_by_the_retry(
    service: SandboxProcess, reviews: Reviews, task: Task, part: str
) -> None:
    made = reviews.finish(size=2_000_000)
    reached, prepare = stop_before(part)
    process = task.start(prepare=prepare, nmbrs_conn_id="nmbrs_patient")
    try:
        assert reached.wait(PATIENCE)
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
    service.inject("nmbrs", UPLOAD, "act_then_hang")
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
    assert reached.wait(PATIENCE)
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
    assert reached.wait(PATIENCE)
    process.kill()
    process.wait()
    folder = Path(destination.removeprefix("file://"))
    assert list(folder.rglob("review.pdf"))
    task.states = {}
    task.run("run-2")
    assert not list(folder.rglob("review.pdf"))


_EVERY = 29  # a prime: a loop is not met at the same place each time


def killed_at(number: int, sent: signal.Signals) -> Callable[[], None]:
    """Return what lets a process have this signal at one of the lines that it executes in our own files."""
    left = number

    def traced(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal left
        if not {"dialog_reviews", "upload_ledger"} & set(Path(frame.f_code.co_filename).parts):
            return None
        left -= event == "line"
        if not left:
            os.kill(os.getpid(), sent)
        return traced

    return lambda: sys.settrace(traced)


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM])
def test_wherever_a_task_is_killed_its_retry_files_the_review_once_or_tells_that_it_is_in_doubt(
    service: SandboxProcess, reviews: Reviews, destination: str, sent: signal.Signals
) -> None:
    reviews.finish(size=300_000)
    outcomes = set()
    for number in range(1, 2000, _EVERY):
        task = Task(f"{destination}/{number}")
        before = len(reviews.filed)
        process = task.start(
            prepare=killed_at(number, sent), nmbrs_conn_id="nmbrs_patient", dialog_conn_id="dialog_patient"
        )
        ended = process.wait()
        try:
            outcomes.add("filed" if task.run()["filed"] else "filed before")
        except VismaUnknownOutcomeError:
            outcomes.add("in doubt")
            assert len(reviews.filed) - before <= 1
        else:
            assert len(reviews.filed) - before == 1
        assert not list(Path(destination.removeprefix("file://")).rglob("review.pdf"))
        if ended == 0:
            break
    assert (ended, outcomes) == (0, {"filed", "filed before", "in doubt"})


# Two at once


@pytest.mark.parametrize("known", [True, False])
def test_of_two_runs_at_once_one_files(
    service: SandboxProcess, reviews: Reviews, task: Task, known: bool
) -> None:
    made = reviews.finish(size=2_000_000)
    reached, prepare = stop_before("the end")
    process = task.start("run-1", prepare=prepare, nmbrs_conn_id="nmbrs_patient")
    try:
        assert reached.wait(PATIENCE)
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
