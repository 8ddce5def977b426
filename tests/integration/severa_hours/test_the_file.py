"""Where a file of hours may be, and what is wrong with one."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import fsspec
import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import attach

from airflow_provider_visma.exceptions import (
    VismaAuthenticationError,
    VismaRequestError,
    VismaStorageError,
    VismaTransientError,
)
from airflow_provider_visma.staged_file import StagedFile
from airflow_provider_visma.upload_ledger.ledger import Ledger
from tests.integration.hour_uploads import ADD, NOWHERE, Hours, Row, Task, as_counter, write_csv
from visma_sandbox.client import SandboxProcess


@pytest.fixture
def store() -> Iterator[str]:
    memory = fsspec.filesystem("memory")
    attach(protocol="memory", fs=memory)
    yield "memory://bucket"
    memory.rm("/bucket", recursive=True)


def test_file_and_ledger_may_be_in_an_object_store(
    severa: SandboxProcess,
    hours: Hours,
    rows: list[Row],
    store: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    local = write_csv(tmp_path / "hours.csv", [*rows[:11], {**rows[11], "PhaseGUID": NOWHERE}])
    source = ObjectStoragePath(f"{store}/in/hours.csv")
    source.fs.pipe_file(source.path, local.read_bytes())
    severa.inject("severa", ADD, "act_then_reset", after=6)
    severa.inject("severa", ADD, "soap_fault", type="AuthenticationFailureException", after=8)
    task = Task(f"{store}/ledger", source)
    with pytest.raises(VismaAuthenticationError):
        task.run()
    # Nothing goes to the system's own place for temporary files, which may be small.
    monkeypatch.setattr(tempfile, "tempdir", str(local))
    result = task.run(max_rejected=1, staging_dir=str(tmp_path / "staging"))
    assert (result["accepted"], result["rejected"]) == (11, 1)
    rejected = ObjectStoragePath(result["rejected_file"])
    assert NOWHERE.encode() in rejected.fs.cat_file(rejected.path)
    assert hours.rows == as_counter(rows[:11])


def test_a_file_that_is_still_being_written_is_left_for_a_retry(
    hours: Hours, task: Task, rows: list[Row], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "hours.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:5]))
    write = StagedFile.write

    def while_another_writes(staged: StagedFile, piece: bytes) -> None:
        write(staged, piece)
        path.write_text("".join(lines))

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(StagedFile, "write", while_another_writes)
        with pytest.raises(VismaTransientError, match="was written to while it was read"):
            task.run()
    assert hours.sent == 0
    task.run()
    assert hours.rows == as_counter(rows)


def test_a_task_that_outlives_its_sigterm_is_retried(
    hours: Hours, task: Task, rows: list[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    load = Ledger.load

    def load_and_lose_the_copy(ledger: Ledger, **arguments: Any) -> None:
        load(ledger, **arguments)
        for copy in Path(ledger.folder.parent.path).glob(".visma-staging-*/rows"):
            copy.unlink()

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(Ledger, "load", load_and_lose_the_copy)
        with pytest.raises(VismaStorageError, match="the private copy of the file is gone"):
            task.run()
    assert task.run()["accepted"] == 12
    assert hours.rows == as_counter(rows)


def test_a_missing_file_is_a_permanent_error(task: Task) -> None:
    with pytest.raises(VismaRequestError, match="there is no such file"):
        task.run(path="file:///nowhere/hours.csv")


def test_a_file_that_is_no_table_is_named_and_nothing_is_sent(
    hours: Hours, task: Task, rows: list[Row], tmp_path: Path
) -> None:
    path = tmp_path / "hours.csv"
    path.write_text(path.read_text() + "one,two\n")
    with pytest.raises(
        VismaRequestError, match=rf"^Severa file://{path} .*: row 13 has 2 values and the header 7"
    ):
        task.run()
    assert hours.sent == 0


@pytest.mark.parametrize(
    "arguments",
    [
        {"in_doubt": "guess"},
        {"batch_size": 0},
        {"settled": {"first": None}},
        {"settled": "[1]"},
        {"max_rejected": "some"},
        {"columns": {"a": "Hours"}},
        {"file_format": "xls"},
    ],
)
def test_what_is_wrong_with_the_arguments_is_said_before_anything_is_written(
    task: Task, destination: str, arguments: dict[str, Any]
) -> None:
    with pytest.raises(VismaRequestError):
        task.run(**arguments)
    assert not Path(destination.removeprefix("file://")).exists()


def test_a_wait_is_kept_only_where_a_row_was_not_found(task: Task, severa: SandboxProcess) -> None:
    severa.inject("severa", ADD, "act_then_reset", after=2)
    assert task.run(settle_time=timedelta(days=1))["accepted"] == 12
