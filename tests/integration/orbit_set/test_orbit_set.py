"""Rows from a file to Orbit, against the sandbox: what is sent, what is refused, what is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from airflow_provider_visma.exceptions import (
    VismaAuthenticationError,
    VismaNotFoundError,
    VismaRequestError,
)
from airflow_provider_visma.hooks import _orbit_settings
from tests.integration.orbit_set.uploads import (
    NAMES,
    ROWS,
    SET,
    Companies,
    Row,
    Task,
    read_csv,
    write_csv,
    write_jsonl,
)
from tests.integration.orbit_world import Orbit
from visma_sandbox.client import SandboxProcess

UNIQUE = {"look_up_by": "vatcode"}


def test_every_row_without_an_id_is_made(companies: Companies, task: Task) -> None:
    result = task.run()

    assert companies.names == NAMES
    assert {**result, "ledger": ""} == {
        "rows": 12,
        "accepted": 12,
        "rejected": 0,
        "sent": 12,
        "ledger": "",
        "rejected_file": None,
    }


def test_a_row_with_an_id_changes_what_it_says_and_empties_nothing(
    companies: Companies, destination: str, tmp_path: Path
) -> None:
    row_id, before = next(
        (key, row) for key, row in companies.before.items() if row["phone"] and row["email"]
    )
    rows = [{"id": row_id, "city": "Elders", "phone": "", "email": None}]

    Task(destination, write_jsonl(tmp_path / "changes.jsonl", rows)).run()

    after = companies.now(row_id)
    assert after == {**before, "city": "Elders", "updated_at": after["updated_at"]}
    assert companies.notes[0]["fields"] == ["city", "id"]
    assert companies.names == []


def test_values_arrive_with_the_types_that_orbit_wants(
    orbit: SandboxProcess, destination: str, tmp_path: Path
) -> None:
    rows = [
        {
            "name": "Vestiging",
            "enabled": "1",
            "porequired": "true",
            "custfields": '[{"name": "a", "value": 0.1}]',
        }
    ]
    Task(destination, write_csv(tmp_path / "entities.csv", rows), resource="entities").run()

    made = orbit.orbit_rows("entities")[-1]
    assert (made["enabled"], made["porequired"], made["custfields"]) == (
        1,
        True,
        [{"name": "a", "value": 0.1}],
    )


def test_rows_come_from_parquet_too(companies: Companies, destination: str, tmp_path: Path) -> None:
    path = tmp_path / "companies.parquet"
    rows = [{**row, "housenumber": number, "custfields": [{"name": "a"}]} for number, row in enumerate(ROWS)]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)

    assert Task(destination, path).run()["accepted"] == 12
    assert {row["housenumber"] for row in companies.made} == {str(number) for number in range(12)}


def test_the_same_file_again_sends_nothing(companies: Companies, task: Task) -> None:
    task.run()
    for run_id in ("run-1", "run-2"):
        assert task.run(run_id)["sent"] == 0
    assert (companies.sent, companies.names) == (12, NAMES)


def test_neither_log_nor_xcom_says_anything_of_the_rows(
    orbit: SandboxProcess, destination: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    wrong = [*ROWS[:4], {**ROWS[4], "vatcode": "NL-kanarie", "city": ""}, *ROWS[5:]]
    orbit.inject("orbit", SET, "status", status=400, after=3, body='{"errors": [{"title": "kanarie"}]}')
    task = Task(destination, write_csv(tmp_path / "companies.csv", wrong))

    told = json.dumps(task.run(max_rejected=1)) + "".join(capfd.readouterr())

    assert "Sent a batch" in told
    for value in ("kanarie", "Testdam", *NAMES):
        assert value not in told


# Refused


@pytest.mark.parametrize("errors", ["json", "html"])
def test_a_rejected_row_is_told_with_its_reason_and_the_rest_goes_on(
    orbit: SandboxProcess, companies: Companies, destination: str, tmp_path: Path, errors: str
) -> None:
    orbit.settings(orbit_errors=errors)
    wrong = [*ROWS[:4], {**ROWS[4], "name": ""}, *ROWS[5:]]
    task = Task(destination, write_csv(tmp_path / "companies.csv", wrong))
    with pytest.raises(VismaRequestError, match="1 of 12 rows were rejected, 11 accepted; 0 may"):
        task.run()
    assert companies.names == sorted({*NAMES} - {"Nieuw 5"})

    result = task.run(max_rejected="1")
    assert (result["accepted"], result["rejected"], result["sent"]) == (11, 1, 1)
    (told,) = read_csv(result["rejected_file"])
    assert (told["rejected_row"], told["rejected_code"]) == ("5", "HTTP 400")
    assert ("name is needed" if errors == "json" else "400 Bad Request") in told["rejected_reason"]
    corrected = write_csv(tmp_path / "corrected.csv", [{**told, "name": "Nieuw 5"}])
    assert Task(destination, corrected).run()["accepted"] == 1
    assert companies.names == NAMES


def test_an_id_that_orbit_does_not_know_is_a_rejected_row(
    companies: Companies, changes: list[Row], destination: str, tmp_path: Path
) -> None:
    rows = [*changes[:2], {"id": "CPZZZZZZZZZZZZZ", "city": "Nergens"}]
    result = Task(destination, write_csv(tmp_path / "changes.csv", rows)).run(max_rejected=1)

    (told,) = read_csv(result["rejected_file"])
    assert (told["id"], told["rejected_code"]) == ("CPZZZZZZZZZZZZZ", "HTTP 404")


def test_a_resource_that_does_not_exist_stops_the_upload_at_its_first_row(
    orbit: SandboxProcess, task: Task
) -> None:
    with pytest.raises(VismaNotFoundError):
        task.run(resource="planets")
    assert len(orbit.journal("orbit", "unknown")) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"resource": "companies.set"},
        {"columns": "{'name': 'naam'}"},
        {"defaults": "city"},
        {"types": "text"},
        {"required": "name"},
        {"look_up_by": "id"},
        {"max_rejected": "all"},
        {"file_format": "xlsx"},
        {"settled": "{1:"},
    ],
)
def test_a_wrong_parameter_is_refused_by_name_before_anything_is_sent(
    companies: Companies, task: Task, wrong: dict[str, Any]
) -> None:
    with pytest.raises(
        VismaRequestError, match=r"^Teamleader Orbit .*\(connection teamleader_orbit_default\): "
    ) as caught:
        task.run(**wrong)
    assert next(iter(wrong)) in str(caught.value)
    assert companies.sent == 0


def test_no_row_is_sent_while_one_is_wrong_and_all_that_is_wrong_is_told(
    companies: Companies, destination: str, tmp_path: Path
) -> None:
    row_id = next(iter(companies.before))
    rows = [
        *({"id": "", **row} for row in ROWS),
        {"id": "Jansen", "name": "A", "city": "", "vatcode": ""},
        {"id": row_id, "name": "", "city": "", "vatcode": ""},
    ]
    with pytest.raises(VismaRequestError) as caught:
        Task(destination, write_csv(tmp_path / "companies.csv", rows)).run()

    message = str(caught.value)
    assert "row 13: id is no id of Orbit" in message
    assert "row 14: id stands alone" in message
    assert "Jansen" not in message
    assert companies.sent == 0
    (report,) = Path(destination.removeprefix("file://")).glob("*/problems/problems.csv")
    assert [line["row"] for line in read_csv(str(report))] == ["13", "14"]


def test_a_wait_that_orbit_asks_for_is_kept_and_the_row_sent_once_more(
    orbit: SandboxProcess, companies: Companies, task: Task
) -> None:
    orbit.inject("orbit", SET, "status", status=429, retry_after=2, after=5, count=2)

    assert task.run()["accepted"] == 12
    assert companies.names == NAMES


def test_an_access_token_that_ends_midway_is_renewed(
    orbit: SandboxProcess, companies: Companies, task: Task
) -> None:
    orbit.inject("orbit", SET, "expired_token", after=5)

    assert task.run()["accepted"] == 12
    assert companies.names == NAMES
    assert len(orbit.journal("orbit", "token")) == 1


def test_a_session_that_ended_stops_the_upload_and_the_next_try_goes_on(
    orbit: SandboxProcess, companies: Companies, task: Task
) -> None:
    orbit.inject("orbit", SET, "expired_token", after=5)
    orbit.inject("orbit", "token", "oauth_error", error="invalid_grant")
    with pytest.raises(VismaAuthenticationError):
        task.run()
    Orbit(orbit).sign_in()
    _orbit_settings._cached_source.cache_clear()  # the next try is another process

    assert task.run()["accepted"] == 12
    assert companies.names == NAMES


def test_the_same_file_is_not_sent_to_another_resource_by_mistake(companies: Companies, task: Task) -> None:
    task.run()
    with pytest.raises(VismaRequestError, match="uploaded before with another resource"):
        task.run(resource="entities")
