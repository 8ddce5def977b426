"""What keeps rows from being published, and what is said of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_visma.exceptions import (
    VismaContentError,
    VismaGuardError,
    VismaQuotaError,
    VismaRequestError,
    VismaStorageError,
)
from airflow_provider_visma.hooks._severa_quota import QuotaWatch
from airflow_provider_visma.hooks.severa import SeveraHook
from airflow_provider_visma.storage import read_manifest
from tests.integration.severa_export.exporting import HOURS, NARROW_KEY, WEEK, Task, rows, staged
from visma_sandbox.client import SandboxProcess


def test_far_fewer_rows_than_before_are_not_published(
    service: SandboxProcess, hours: Task, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = hours.run("run-1", max_drop=0.1)
    connection = service.connections()["severa_default"]
    monkeypatch.setenv("AIRFLOW_CONN_SEVERA_DEFAULT", json.dumps({**connection, "password": NARROW_KEY}))
    with pytest.raises(VismaGuardError, match=r"brought \d+; 10% .* API user's rights") as caught:
        hours.run("run-2", max_drop=0.1)
    assert "severa_default" in str(caught.value)
    assert read_manifest(ObjectStoragePath(first["uri"].replace("run-1", "run-2"))) is None
    assert staged(tmp_path) == []
    assert hours.watermarks[next(iter(hours.watermarks))]["reads"][0]["rows"] == first["rows"]
    accepted = hours.run("run-2", max_drop=0.1, on_drop="warn")
    assert 0 < accepted["rows"] < first["rows"] * 0.9
    assert accepted["previous"]["rows"] == first["rows"]
    assert hours.run("run-3", max_drop=0.1)["previous"]["rows"] == accepted["rows"]


def test_changes_are_not_compared_and_a_full_refresh_of_them_is(
    service: SandboxProcess, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = task.run("run-1", at="02:00:30", full_refresh_every=WEEK, max_drop=0.1)
    second = task.run("run-2", at="02:10:00", full_refresh_every=WEEK, max_drop=0.1)
    assert second["previous"] == {"uri": first["uri"], "rows": first["rows"], "comparable": False}
    connection = service.connections()["severa_default"]
    monkeypatch.setenv("AIRFLOW_CONN_SEVERA_DEFAULT", json.dumps({**connection, "password": NARROW_KEY}))
    with pytest.raises(VismaGuardError):
        task.run("run-3", at="2026-11-28T02:00:30", full_refresh_every=WEEK, max_drop=0.1)
    assert task.watermark == second["started_at"]


def test_a_new_version_of_the_entities_is_told_once(
    service: SandboxProcess, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    warnings: list[dict[str, Any]] = []
    first = task.run("run-1", at="02:00:30")
    service.settings(severa_entity_schema_version="2027.1")
    for run_id in ("run-2", "run-3"):
        operator = task.operator()
        monkeypatch.setattr(
            type(operator), "log", _Log(lambda _, values: warnings.append(values)), raising=False
        )
        manifest = operator.execute(task.runs.context(operator, run_id))
    assert [(each["before"], each["now"]) for each in warnings if "now" in each] == [
        (first["schema_version"], "2027.1")
    ]
    assert manifest["schema_version"] == "2027.1"
    assert len(service.journal("severa", "IAPI.GetEntitySchemaVersion")) == 3


class _Log:
    """A log that tells its warnings."""

    def __init__(self, warn: Callable[[str, dict[str, Any]], None]) -> None:
        self._warn = warn

    def warning(self, text: str, *_: Any, **values: Any) -> None:
        self._warn(text, values)

    def info(self, *_: Any, **__: Any) -> None:
        pass

    debug = error = info


def test_members_newer_than_the_wsdl_are_counted_and_left_out(service: SandboxProcess, task: Task) -> None:
    service.settings(severa_newer_members=True)
    manifest = task.run()
    assert manifest["unknown_members"]["CaseName"] == manifest["rows"]
    assert "CaseName" not in rows(manifest)[0]


def test_rows_that_cannot_be_read_are_not_published_unless_allowed(
    service: SandboxProcess, hours: Task, tmp_path: Path
) -> None:
    name = "*.GetHourEntriesByDate"
    service.inject("severa", name, "huge_text", count=None, element="IsBillable", size=9)
    with pytest.raises(VismaContentError, match=r"row 1: IsBillable is unreadable") as caught:
        hours.run()
    assert "A" * 9 not in str(caught.value)
    assert staged(tmp_path) == []
    first = hours.run(max_unreadable=1)
    assert (first["unreadable"], first["received"]) == (1, first["rows"])
    assert hours.run("run-2", max_unreadable=1)["gone"] is None


def test_rows_that_come_twice_in_one_answer_are_published_once(
    service: SandboxProcess, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = SeveraHook.rows

    def twice(self: SeveraHook, *names: str, **arguments: Any) -> Iterator[dict[str, Any]]:
        found = list(read(self, *names, **arguments))
        yield from found
        yield from found
        yield {**found[0], "Description": "changed while it was read"}

    count = service.counts()["severa"]["hour_entries"]
    monkeypatch.setattr(SeveraHook, "rows", twice)
    manifest = task.run()
    assert (manifest["received"], manifest["duplicates"], manifest["conflicting"]) == (
        2 * count + 1,
        count,
        1,
    )
    assert manifest["rows"] == count + 1
    assert rows(manifest)[-1]["Description"] == "changed while it was read", "who reads on takes the last"


def test_a_quota_that_is_used_up_tells_when_to_come_back(
    service: SandboxProcess, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In the first minute of a UTC day the quota is still the day before's, and is waited for.
    monkeypatch.setattr(QuotaWatch, "_now", lambda watch: datetime(2026, 3, 14, 12, tzinfo=UTC))
    first = task.run("run-1", at="02:00:30")
    assert first["quota"]["used"] > 0
    service.settings(severa_quota=1)
    with pytest.raises(VismaQuotaError) as caught:
        task.run("run-2", at="02:10:00")
    assert caught.value.retry_after == 12 * 3600 + 60
    assert task.watermark == first["started_at"]


def test_a_destination_that_fails_leaves_the_watermark(
    service: SandboxProcess, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = task.run("run-1", at="02:00:30")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(VismaStorageError):
            task.run("run-2", at="02:10:00")
    assert task.watermark == first["started_at"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"file_format": "xml"}, "file format"),
        ({"on_drop": "shrug"}, "on_drop"),
        ({"max_drop": 2.0}, "max_drop"),
        ({"export_name": "../x"}, "name of an export"),
        ({"contract": "IHours"}, "IHours"),
        ({"operation": "GetHourEntriesChanged"}, "GetHourEntriesChanged"),
        ({"arguments": {"startDate": "2026-01-01"}}, "startDate is not yours"),
        ({"arguments": {"colour": "red"}}, "colour"),
        ({"window": "month"}, "no window"),
        ({"initial_start": "long ago"}, "initial_start"),
        ({"key": "Guid"}, "no Guid"),
        ({**HOURS}, "start to an end"),
        ({**HOURS, "window": "2026-11"}, "not a window"),
        ({**HOURS, "window": "month", "arguments": {"startdate": None}}, "both window and startdate"),
        ({**HOURS, "window": "month", "changed_since": "2026-11-01"}, "does not tell what changed"),
    ],
)
def test_what_is_wrong_with_the_arguments_is_said_before_anything_is_asked(
    service: SandboxProcess, task: Task, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(VismaRequestError, match=message):
        task.run(**arguments)
    assert service.journal("severa", "IHourEntry.*") == []


def test_bounds_among_the_arguments_are_the_authors_own(service: SandboxProcess, destination: str) -> None:
    arguments = {"businessUnitGUID": "", "startdate": None, "enddate": None}
    manifest = Task(destination, **{**HOURS, "arguments": arguments}).run()
    assert (manifest["read"], manifest["rows"]) == ("list", service.counts()["severa"]["hour_entries"])
