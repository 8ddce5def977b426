"""Bring the users, departments and functions of Nmbrs into Dialog, every night and by hand."""

from __future__ import annotations

import os

from airflow.sdk import DAG, CronTriggerTimetable, Param

from airflow_provider_visma.operators.dialog import DialogImportApprovalOperator, DialogImportOperator
from airflow_provider_visma.operators.nmbrs import NmbrsSnapshotOperator

DOC = """
### Nmbrs to Dialog

Reads the employees, departments and functions of Nmbrs once (**snapshot**), works out what would change
in Dialog (**plan**), asks for approval under *Required actions* where more than a fifth of the users would
change or many would lose a field (**approve**), and writes it (**import**). The files of a run, the report
of who was set aside and why among them, are under `destination`, one folder per run.

Importing makes a user known to Dialog, not ready to use it: inviting or linking is done on the screen
*Dialog* in Airflow's navigation, and from then on changes in Nmbrs no longer reach the user. Nobody is ever
removed.

Connections: `nmbrs_default`, `dialog_default`. Running it twice changes nobody.
"""

with DAG(
    "nmbrs_to_dialog",
    schedule=CronTriggerTimetable("0 2 * * *", timezone="Europe/Amsterdam"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3},
    params={
        "destination": Param(
            os.environ.get("VISMA_DESTINATION", "file:///tmp/visma"),
            type="string",
            description="Folder under which each run gets its own.",
        ),
        "guard": Param(
            "stop", enum=["stop", "off"], description="`off` lets any number of changes through, unasked."
        ),
    },
    doc_md=DOC,
    tags=["visma", "nmbrs", "dialog"],
):
    folder = (
        "{{ params.destination }}/nmbrs_to_dialog/run_id={{ run_id | replace(':', '-') | replace('+', '-') }}"
    )
    guard = "{{ params.guard }}"

    snapshot = NmbrsSnapshotOperator(task_id="snapshot", destination=f"{folder}/snapshot")
    plan = DialogImportOperator(
        task_id="plan", snapshot=snapshot.output, destination=f"{folder}/plan", guard=guard, dry_run=True
    )
    approve = DialogImportApprovalOperator(task_id="approve", plan=plan.output)
    DialogImportOperator(
        task_id="import",
        snapshot=snapshot.output,
        destination=f"{folder}/import",
        guard=guard,
        approved=approve.output,
    )
