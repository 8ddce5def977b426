"""Teamleader Orbit: every night the projects, companies and deals that changed."""

from __future__ import annotations

import os
from datetime import datetime, timedelta

from airflow.sdk import CronTriggerTimetable, Param, dag

from airflow_provider_visma.operators.orbit import OrbitExportOperator

WEEK = timedelta(days=7)


@dag(
    schedule=CronTriggerTimetable("30 2 * * *", timezone="Europe/Amsterdam"),
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    params={
        "destination": Param(
            os.environ.get("VISMA_DESTINATION", "file:///tmp/visma") + "/orbit",
            type="string",
            description="Any address that ObjectStoragePath takes.",
        ),
        "file_format": Param("parquet", enum=["parquet", "jsonl", "csv"]),
        "full_refresh": Param(
            False, type="boolean", description="Read everything, this once: what is gone shows by that alone."
        ),
        "on_drop": Param(
            "fail", enum=["fail", "warn"], description="`warn` publishes also when far fewer rows come."
        ),
        "on_column_change": Param(
            "warn", enum=["warn", "fail"], description="`fail` publishes nothing where columns changed."
        ),
    },
    default_args={"retries": 3},
    tags=["visma", "orbit"],
)
def orbit_projects():
    """
    ### Projects, companies and deals of Teamleader Orbit

    One task per list: everything at first, then what changed since the last run, by Orbit's own moments, and
    everything again once a week. Files land at `<destination>/<list>/run_id=<run id>/rows.<format>`, and
    `_manifest.json` last. Apply the rows by `id`. Orbit tells of no deletions: once a week `gone.jsonl` has
    the ids that no longer come.

    The watermarks are in the state of the asset `visma://orbit-watermarks/teamleader_orbit_default`, and each
    list's files are announced as an event of the asset `visma://orbit/teamleader_orbit_default/<list>`.

    **Connection:** `teamleader_orbit_default` (Teamleader Orbit), for which somebody has signed in: on the
    page *Orbit sign-in* of the menu *Admin*, or with `airflow visma orbit-login teamleader_orbit_default`.
    What that user may not see does not come.
    """
    OrbitExportOperator.partial(
        task_id="export",
        destination="{{ params.destination }}",
        file_format="{{ params.file_format }}",
        full_refresh="{{ params.full_refresh }}",
        full_refresh_every=WEEK,
        on_drop="{{ params.on_drop }}",
        on_column_change="{{ params.on_column_change }}",
        map_index_template="{{ task.resource }}",
    ).expand(resource=["projects", "companies", "deals"])


orbit_projects()
