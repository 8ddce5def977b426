"""What an upload of hours needs of Airflow, of Severa and of its file; the operator puts them together."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow.sdk import TaskInstanceState

from airflow_provider_visma.exceptions import VismaContentError, VismaRequestError, VismaTransientError
from airflow_provider_visma.hour_entries.ledger import Owner
from airflow_provider_visma.hour_entries.rows import MEMBERS
from airflow_provider_visma.storage import read_manifest

if TYPE_CHECKING:
    from airflow.sdk import Context, ObjectStoragePath

    from airflow_provider_visma.hooks.severa import SeveraHook
    from airflow_provider_visma.hour_entries.doubt import Entry
    from airflow_provider_visma.hour_entries.rows import Members
    from airflow_provider_visma.staged_file import StagedFile
    from airflow_provider_visma.storage import Publication

_PIECE = 1024 * 1024
_AT_WORK = frozenset(
    state.value
    for state in (
        TaskInstanceState.SCHEDULED,
        TaskInstanceState.QUEUED,
        TaskInstanceState.RUNNING,
        TaskInstanceState.RESTARTING,
        TaskInstanceState.UP_FOR_RETRY,
        TaskInstanceState.UP_FOR_RESCHEDULE,
        TaskInstanceState.DEFERRED,
        TaskInstanceState.AWAITING_INPUT,
    )
)


class SeveraHourEntries:
    """IHourEntry, as an upload needs it."""

    def __init__(self, hook: SeveraHook) -> None:
        self._hook = hook

    def add(self, members: Members) -> str | None:
        """Add one entry and return its GUID."""
        entry = self._hook.call("IHourEntry", "AddNewHourEntry", hourEntryInfo=members)
        return str(entry["GUID"]) if isinstance(entry, dict) and entry.get("GUID") else None

    def of_user(self, user_guid: str, first: date, last: date) -> list[Entry]:
        """Return the entries of one user from one day to another, both included."""
        # Whether the service counts the last day is not documented: one more, on both sides.
        rows = self._hook.rows(
            "IHourEntry",
            "GetHourEntriesByDateAndUserGUID",
            fields=("GUID", *MEMBERS),
            startdate=first - timedelta(days=1),
            enddate=last + timedelta(days=1),
            userGUID=user_guid,
        )
        return [row for row in rows if (day := row.get("EventDate")) and first <= day.date() <= last]


def copied(staging: Publication, source: ObjectStoragePath) -> StagedFile:
    """Return a private copy of a file, hashed.

    :raises VismaRequestError: there is no such file.
    :raises VismaTransientError: somebody is writing to it: as another file its rows would be sent again.
    """
    try:
        before = _as_stored(source)
        with (
            source.fs.open(source.path, "rb") as file,
            staging.stage("rows") as copy,
        ):
            while piece := file.read(_PIECE):
                copy.write(piece)
        if _as_stored(source) != before:
            raise VismaTransientError(
                "the file was written to while it was read",
                system="Severa",
                operation=str(source),
                advice="Nothing was sent. A retry reads it again; bring files under another name and rename "
                "them when they are whole.",
            )
    except FileNotFoundError:
        raise VismaRequestError("there is no such file", system="Severa", operation=str(source)) from None
    return copy


def _as_stored(file: ObjectStoragePath) -> dict[str, Any]:
    """Return what the store tells of a file: its size, when it was written and, in most, its version."""
    file.fs.invalidate_cache(file.parent.path)
    return dict(file.fs.info(file.path))


def finished_until(folder: ObjectStoragePath) -> int:
    """Return the last batch of the last try that came to its end, 0 where none did."""
    with suppress(VismaContentError):  # damaged, and about to be written anew
        return int((read_manifest(folder) or {}).get("last_batch", 0))
    return 0


def csv_line(values: Iterable[Any]) -> bytes:
    """Return *values* as a record of a CSV file."""
    line = io.StringIO(newline="")
    csv.writer(line).writerow(values)
    return line.getvalue().encode()


def as_written(value: Any) -> str:
    """Return a value for which JSON has no word, as a row of an upload may hold it."""
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def owner_of(context: Context) -> Owner:
    """Return this task instance, as it owns a ledger."""
    ti = context["ti"]
    map_index = getattr(ti, "map_index", None)
    return Owner(
        dag_id=ti.dag_id,
        task_id=ti.task_id,
        run_id=ti.run_id,
        map_index=-1 if map_index is None else map_index,
        try_number=getattr(ti, "try_number", 0),
    )


def asking_airflow(context: Context) -> Callable[[Owner], bool | None]:
    """Return what tells whether another task instance has ended, None where Airflow does not know it."""

    def is_over(owner: Owner) -> bool | None:
        try:
            states = context["ti"].get_task_states(
                dag_id=owner.dag_id, task_ids=[owner.task_id], run_ids=[owner.run_id]
            )
        except Exception:  # whatever kept Airflow from answering, nobody knows then
            return None
        name = owner.task_id if owner.map_index < 0 else f"{owner.task_id}_{owner.map_index}"
        run = states.get(owner.run_id, {})
        return run[name] not in _AT_WORK if name in run else None

    return is_over


def settled_rows(values: Mapping[int | str, str | None] | str | None) -> dict[int, str | None]:
    """Return what a person found of rows in doubt, by row."""
    try:
        # Text is what a template makes of a parameter of the run.
        told = json.loads(values or "{}") if isinstance(values, str) else values or {}
        return {int(row): str(guid).strip() if guid else None for row, guid in told.items()}
    except (ValueError, AttributeError):
        raise VismaRequestError("settled takes row numbers, each with a GUID or None") from None


def is_true(value: bool | str) -> bool:
    """Return whether a switch is on, which a template may have turned into text."""
    return str(value).strip().lower() == "true"
