"""Visma Severa: files of working hours become hour entries when they arrive."""

from __future__ import annotations

import os
import time
from datetime import datetime

from airflow.sdk import Asset, AssetOrTimeSchedule, CronTriggerTimetable, ObjectStoragePath, Param, dag, task

from airflow_provider_visma.operators.severa_hours import SeveraHourEntriesOperator

ARRIVAL = Asset("visma://severa-hours/arrived")
SUFFIXES = (".csv", ".jsonl", ".ndjson", ".parquet")


@dag(
    # Who announces a file is served at once; the clock is for those who just put one there.
    schedule=AssetOrTimeSchedule(
        timetable=CronTriggerTimetable("*/15 * * * *", timezone="Europe/Amsterdam"), assets=ARRIVAL
    ),
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    params={
        "folder": Param(
            os.environ.get("VISMA_DESTINATION", "file:///tmp/visma") + "/severa_hours",
            type="string",
            description="Where `inbox`, `taken` and `ledger` are: any address that ObjectStoragePath takes.",
        ),
        "quiet_seconds": Param(
            60,
            type="integer",
            minimum=0,
            description="How long nobody has written to a file before it counts as complete.",
        ),
        "max_rejected": Param(
            0, type="integer", minimum=0, description="How many rows of a file Severa may reject."
        ),
        "files": Param(
            [],
            type="array",
            items={"type": "string"},
            description="Addresses of files to upload instead of what is in the inbox.",
        ),
        "settled": Param(
            {},
            type="object",
            description="What you found of rows in doubt: row number to GUID of its entry, or null.",
        ),
        "take_over": Param(
            False, type="boolean", description="Go on with a ledger whose owner Airflow does not know."
        ),
    },
    default_args={"retries": 5},
    tags=["visma", "severa"],
)
def severa_upload_hours():
    """
    ### Files of hours to Severa

    **take** moves what is complete in `<folder>/inbox` to `<folder>/taken/run_id=<run id>`, so that a file
    belongs to one run, also when its upload fails. **upload** checks all rows of a file, sends them, and
    keeps a ledger in `<folder>/ledger`: a retry, or the same file again, sends only what Severa has not
    accepted. Rejected rows are in the ledger's `result/rejected.csv`; correct that file and put it into the
    inbox.

    A file counts as complete when nobody has written to it for `quiet_seconds`, or when an event of the
    asset `visma://severa-hours/arrived` names it: `{"file": "hours-2026-11.csv"}` as the event's extra. Such
    an event starts a run at once; without one, the inbox is looked into every 15 minutes.

    To upload a file again, after looking up rows in doubt for instance, trigger a run with its address in
    `files`, and `settled`.

    **Connection:** `severa_default` (Visma Severa).
    """

    @task
    def take(params: dict, run_id: str, triggering_asset_events: dict) -> list[str]:
        if params["files"]:
            return params["files"]
        announced = {
            str(event.extra["file"])
            for events in triggering_asset_events.values()
            for event in events
            if event.extra.get("file")
        }
        folder = ObjectStoragePath(params["folder"])
        taken = folder / "taken" / f"run_id={run_id.replace(':', '-').replace('+', '-')}"
        for file in _files(folder / "inbox"):
            age = time.time() - file.fs.modified(file.path).timestamp()
            is_complete = file.name in announced or age >= params["quiet_seconds"]
            # Another file of a name that an earlier try took waits for the next run.
            if is_complete and not (taken / file.name).exists():
                taken.mkdir(parents=True, exist_ok=True)
                file.move(taken / file.name)
        # Not what this try moved: a try before it may have been killed half-way.
        return [str(file) for file in _files(taken)]

    SeveraHourEntriesOperator.partial(
        task_id="upload",
        ledger="{{ params.folder }}/ledger",
        max_rejected="{{ params.max_rejected }}",
        settled="{{ params.settled | tojson }}",
        take_over="{{ params.take_over }}",
        map_index_template="{{ task.path.rpartition('/')[2] }}",
    ).expand(path=take())


def _files(folder: ObjectStoragePath) -> list[ObjectStoragePath]:
    folder.fs.invalidate_cache(folder.path)  # a store's client may answer with an earlier listing
    if not folder.exists():  # an object store has no empty folders
        return []
    return sorted(
        file
        for file in folder.iterdir()
        if file.suffix.lower() in SUFFIXES and not file.name.startswith((".", "_")) and file.is_file()
    )


severa_upload_hours()
