"""File the PDFs of reviews that are finished in Dialog with the employees in Nmbrs, as they come."""

from __future__ import annotations

import os

from airflow.sdk import DAG, Asset, AssetWatcher, Param

from airflow_provider_visma.operators.dialog_reviews import DialogReviewsToNmbrsOperator
from airflow_provider_visma.triggers.dialog import DialogReviewsTrigger

DOC = """
### Finished reviews of Dialog to Nmbrs

Files the PDF of each finished review with the employee in Nmbrs whom it is about: only of users who are
*linked* in Dialog, only real PDFs without programs in them, and each once, whatever is retried, cleared or
run twice. `destination` holds a report per run (`reviews.jsonl`) and the ledger that all runs share
(`ledger`): keep it.

It runs when reviews are finished: a watcher asks Dialog every minute. Each run looks back `days_back` days,
so the review of somebody who is linked a week later is filed all the same, and what a watcher missed too. To
run by the clock instead, give the DAG a cron expression as `schedule`; nothing else changes.

A review whose upload got no answer is *in doubt* and fails the task in every run, until somebody looked in
Nmbrs and runs the DAG with `settled`, such as `{"<review>": "filed"}` or `{"<review>": "not filed"}`.

Connections: `dialog_default`, and `nmbrs_default` with the GUID of the document type.
"""

finished = Asset(
    name="dialog_finished_reviews",
    uri="visma://dialog/dialog_default/finished-reviews",
    watchers=[
        AssetWatcher(
            name="dialog_finished_reviews",
            trigger=DialogReviewsTrigger(
                conn_id="dialog_default",
                poll_interval=float(os.environ.get("VISMA_REVIEWS_POLL_SECONDS", "60")),
            ),
        )
    ],
)

with DAG(
    "dialog_reviews_to_nmbrs",
    schedule=[finished],
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3},
    params={
        "destination": Param(
            os.environ.get("VISMA_DESTINATION", "file:///tmp/visma"),
            type="string",
            description="Folder under which ledger and reports are kept.",
        ),
        "days_back": Param(
            92, type="integer", minimum=1, description="Reviews that were finished earlier are left out."
        ),
        "settled": Param(
            {}, type="object", description='Of reviews in doubt: {"<review>": "filed"} or "not filed".'
        ),
        "retry_refused": Param(
            False, type="boolean", description="Try again what an earlier run had refused."
        ),
        "max_failed": Param(
            0, type="integer", minimum=0, description="So many reviews may fail before the task does."
        ),
    },
    doc_md=DOC,
    tags=["visma", "nmbrs", "dialog"],
):
    folder = "{{ params.destination }}/dialog_reviews_to_nmbrs"

    DialogReviewsToNmbrsOperator(
        task_id="file_reviews",
        ledger=f"{folder}/ledger",
        destination=f"{folder}/run_id={{{{ run_id | replace(':', '-') | replace('+', '-') }}}}",
        since="{{ (dag_run.run_after - macros.timedelta(days=params.days_back)).isoformat() }}",
        settled="{{ params.settled | tojson }}",
        retry_refused="{{ params.retry_refused }}",
        max_failed="{{ params.max_failed }}",
    )
