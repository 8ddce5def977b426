"""Hours that Severa refuses: told, corrected, sent once more."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from airflow_provider_visma.exceptions import VismaAuthenticationError, VismaQuotaError, VismaRequestError
from airflow_provider_visma.hooks._severa_quota import QuotaWatch
from tests.integration.hour_uploads import ADD, NOWHERE, Hours, Row, Task, as_counter, read_csv, write_csv
from visma_sandbox.client import SandboxProcess


def test_a_rejected_row_is_told_with_its_reason_and_the_rest_goes_on(
    hours: Hours, rows: list[Row], destination: str, tmp_path: Path
) -> None:
    wrong = [*rows[:4], {**rows[4], "PhaseGUID": NOWHERE}, *rows[5:]]
    task = Task(destination, write_csv(tmp_path / "hours.csv", wrong))
    with pytest.raises(VismaRequestError, match="1 of 12 rows were rejected, 11 accepted; 0 may") as caught:
        task.run()
    assert NOWHERE not in str(caught.value)
    assert hours.rows == as_counter([*rows[:4], *rows[5:]])
    result = task.run(max_rejected="1")
    assert (result["accepted"], result["rejected"], result["sent"]) == (11, 1, 1)
    (told,) = read_csv(result["rejected_file"])
    assert {name: told[name] for name in rows[0]} == wrong[4]
    assert (told["rejected_row"], told["rejected_code"]) == ("5", "ValidationException")
    assert told["rejected_reason"] == "HourEntry.PhaseGUID: unknown", "the service's own words"
    corrected = write_csv(tmp_path / "corrected.csv", [{**told, "PhaseGUID": rows[4]["PhaseGUID"]}])
    assert Task(destination, corrected).run()["accepted"] == 1
    assert hours.rows == as_counter(rows)


def test_a_rejected_row_of_a_parquet_file_can_be_corrected_too(
    hours: Hours, rows: list[Row], destination: str, tmp_path: Path
) -> None:
    free = pyarrow.array([Decimal(0)] * 2, pyarrow.decimal128(38, 18))
    days = pyarrow.array([datetime.fromisoformat(rows[0]["EventDate"])] * 2, pyarrow.timestamp("us"))
    table = pyarrow.Table.from_pylist([{**rows[0], "PhaseGUID": NOWHERE}, rows[1]])
    table = table.set_column(table.column_names.index("EventDate"), "EventDate", days)
    path = tmp_path / "hours.parquet"
    pyarrow.parquet.write_table(table.append_column("UnitPrice", free), path)
    result = Task(destination, path).run(max_rejected=1)
    told = Path(result["rejected_file"].removeprefix("file://")).read_text()
    assert json.loads(told)["rejected_row"] == 1
    corrected = tmp_path / "corrected.jsonl"
    corrected.write_text(told.replace(NOWHERE, rows[0]["PhaseGUID"]))
    assert Task(destination, corrected).run()["accepted"] == 1
    assert hours.rows == as_counter(rows[:2])


def test_a_task_that_is_cleared_sends_what_was_rejected_once_more(
    severa: SandboxProcess, hours: Hours, task: Task, rows: list[Row]
) -> None:
    severa.settings(severa_denied_operations=[ADD])
    with pytest.raises(VismaRequestError, match="12 of 12 rows were rejected, 0 accepted"):
        task.run()
    assert hours.rows == as_counter([])
    severa.settings(severa_denied_operations=[])
    result = task.run()
    assert (result["accepted"], result["rejected"], result["rejected_file"]) == (12, 0, None)
    assert hours.rows == as_counter(rows)


def test_no_row_is_sent_while_one_is_wrong_and_all_that_is_wrong_is_told(
    severa: SandboxProcess, hours: Hours, rows: list[Row], destination: str, tmp_path: Path
) -> None:
    wrong = [*rows, {**rows[0], "Quantity": "7,5", "UserGUID": "Jansen"}, {**rows[0], "EventDate": ""}]
    with pytest.raises(VismaRequestError) as caught:
        Task(destination, write_csv(tmp_path / "hours.csv", wrong)).run()
    message = str(caught.value)
    assert "row 13: UserGUID is not a GUID" in message
    assert "row 13: Quantity needs a decimal point" in message
    assert "row 14: EventDate is empty" in message
    assert "Jansen" not in message
    assert severa.journal("severa", "IHourEntry.Get*") == severa.journal(
        "severa", "IHourEntry.GetHourEntriesByDate"
    )
    assert hours.sent == 0
    (report,) = Path(destination.removeprefix("file://")).glob("*/problems/problems.csv")
    assert [(line["row"], line["column"]) for line in read_csv(str(report))] == [
        ("13", "UserGUID"),
        ("13", "Quantity"),
        ("14", "EventDate"),
    ]


def test_a_message_names_a_hundred_problems_and_the_report_all(
    hours: Hours, rows: list[Row], destination: str, tmp_path: Path
) -> None:
    wrong = [{**rows[0], "Quantity": "0"} for _ in range(250)]
    with pytest.raises(VismaRequestError, match=r"row 100: .*; and 150 more"):
        Task(destination, write_csv(tmp_path / "hours.csv", wrong)).run()
    (report,) = Path(destination.removeprefix("file://")).glob("*/problems/problems.csv")
    assert len(read_csv(str(report))) == 250
    assert hours.sent == 0


def test_a_refused_key_stops_the_upload_at_once(
    severa: SandboxProcess, hours: Hours, task: Task, rows: list[Row]
) -> None:
    severa.inject("severa", ADD, "soap_fault", type="AuthenticationFailureException", after=5)
    with pytest.raises(VismaAuthenticationError):
        task.run()
    assert hours.sent == 6
    assert task.run()["accepted"] == 12
    assert hours.rows == as_counter(rows)
    assert hours.sent == 13


def test_the_quota_ends_a_try_and_the_next_goes_on(
    severa: SandboxProcess, hours: Hours, task: Task, rows: list[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    # In the first minute of a UTC day the quota is still the day before's, and is waited for.
    monkeypatch.setattr(QuotaWatch, "_now", lambda watch: datetime(2026, 3, 14, 12, tzinfo=UTC))
    severa.settings(severa_quota=1000, severa_used_quota=990)
    with pytest.raises(VismaQuotaError) as caught:
        task.run()
    assert caught.value.retry_after == 12 * 3600 + 60
    severa.settings(severa_quota=100_000, severa_used_quota=0)
    stored = hours.stored
    assert 0 < stored < 12
    assert task.run()["sent"] == 12 - stored
    assert hours.rows == as_counter(rows)
