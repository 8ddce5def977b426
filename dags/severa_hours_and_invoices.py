"""Visma Severa: every night the hours, cases and users that changed, and the month's invoices."""

from __future__ import annotations

import os
from datetime import datetime, timedelta

from airflow.sdk import CronDataIntervalTimetable, Param, dag

from airflow_provider_visma.operators.severa import SeveraExportOperator

INACTIVE_TOO = 2  # bit of `options`: without it, who becomes inactive would look as if nothing had changed
WEEK = timedelta(days=7)

EXPORTS = [
    {
        "export_name": "hour_entries",
        "contract": "IHourEntry",
        "operation": "GetHourEntriesChangedSince",
        "full_refresh_every": WEEK,
    },
    {
        "export_name": "cases",
        "contract": "ICase",
        "operation": "GetCasesChangedSince",
        "arguments": {"businessUnitGUID": "", "options": INACTIVE_TOO},
        "full_refresh_every": WEEK,
    },
    {
        "export_name": "users",
        "contract": "IUser",
        "operation": "GetUsersChangedSince",
        "arguments": {"businessUnitGUID": "", "options": INACTIVE_TOO},
        "full_refresh_every": WEEK,
    },
    {
        "export_name": "invoices",
        "contract": "IInvoice",
        "operation": "GetInvoicesByDate",
        "arguments": {"businessUnitGUID": "", "options": 0},
    },
]


@dag(
    # A run is about the day before it, so the first night of a month still reads the month that ended.
    schedule=CronDataIntervalTimetable("0 2 * * *", timezone="Europe/Amsterdam"),
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    params={
        "destination": Param(
            os.environ.get("VISMA_DESTINATION", "file:///tmp/visma") + "/severa",
            type="string",
            description="Any address that ObjectStoragePath takes.",
        ),
        "invoices": Param(
            "month",
            type="string",
            description="Which invoices: `month`, or a first and a last day, as in 2026-10-01/2026-10-31.",
        ),
        "initial_start": Param(
            "1998-04-30",
            type="string",
            format="date",
            description="Where everything begins, for the first run and each full one.",
        ),
        "full_refresh": Param(False, type="boolean", description="Read everything, this once."),
        "on_drop": Param(
            "fail", enum=["fail", "warn"], description="`warn` publishes also when far fewer rows come."
        ),
    },
    default_args={"retries": 3},
    tags=["visma", "severa"],
)
def severa_hours_and_invoices():
    """
    ### Hours, cases, users and invoices of Severa

    One task per export, to parquet. Hour entries, cases and users: everything at first, then what changed
    since the last run, and everything again once a week. Invoices: all of the month, every night, because
    Severa tells no changes of them; the run of the first night of a month reads the month before.

    Files land at `<destination>/<export>/run_id=<run id>/rows.parquet`, and `_manifest.json` last. Severa
    reports no deletions: what is gone since an earlier read is in `gone.jsonl`, for invoices every night
    and for the others once a week. Apply the rows by GUID.

    The watermarks are in the state of the asset `visma://severa-watermarks/severa_default`, and each
    export's files are announced as an event of the asset `visma://severa/severa_default/<export>`.

    **Connection:** `severa_default` (Visma Severa), with the key of a user who may see everything: a
    narrower one gets fewer rows, without an error.
    """
    SeveraExportOperator.partial(
        task_id="export",
        destination="{{ params.destination }}",
        file_format="parquet",
        window="{{ params.invoices if task.export_name == 'invoices' else '' }}",
        initial_start="{{ params.initial_start }}",
        full_refresh="{{ params.full_refresh }}",
        on_drop="{{ params.on_drop }}",
        map_index_template="{{ task.export_name }}",
    ).expand_kwargs(EXPORTS)


severa_hours_and_invoices()
