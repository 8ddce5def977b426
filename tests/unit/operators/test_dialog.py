"""What the import's operators do before and after Dialog: snapshot, approval, DAG."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.standard.operators import hitl
from airflow.sdk import DAG, ObjectStoragePath
from airflow.sdk.exceptions import TaskAwaitingInput

from airflow_provider_visma.exceptions import VismaContentError, VismaNotFoundError, VismaRequestError
from airflow_provider_visma.operators.dialog import (
    DialogImportApprovalOperator,
    DialogImportOperator,
    _Snapshot,
)
from airflow_provider_visma.storage import Publication, stage_jsonl

PLAN: dict[str, Any] = {
    "kind": "dialog-plan",
    "uri": "file:///tmp/visma/plan",
    "employees": 60,
    "created": 2,
    "updated": 30,
    "unchanged": 20,
    "frozen": 5,
    "gone": 1,
    "set_aside": {"no_name": 0, "no_work_email": 3, "duplicate_email": 0},
    "guard": {"reasons": ["30 of the 50 users in Dialog would change (60%); the limit is 20%"]},
    "files": [
        {"uri": "file:///tmp/visma/plan/plan.jsonl", "sha256": "ab" * 32},
        {"uri": "file:///tmp/visma/plan/plan.txt", "sha256": "cd" * 32},
    ],
}
QUIET = {**PLAN, "guard": {"reasons": []}}


def test_an_import_whose_folder_is_another_on_each_worker_asks_dialog_nothing() -> None:
    operator = DialogImportOperator(task_id="import", snapshot="file:///tmp/none", destination="reports")
    with pytest.raises(VismaRequestError, match="relative to wherever the worker runs"):
        operator.execute({})


def approval(plan: dict[str, Any], **options: Any) -> DialogImportApprovalOperator:
    with DAG("approvals", schedule=None):
        return DialogImportApprovalOperator(task_id="approve", plan=plan, **options)


class TaskInstance:
    id = "0190-0000"


def event(choice: str) -> dict[str, Any]:
    return {
        "chosen_options": [choice],
        "params_input": {},
        "responded_at": datetime(2026, 11, 21, tzinfo=UTC),
        "responded_by_user": {"id": "1", "name": "beheerder"},
    }


def test_nobody_is_asked_where_the_guard_has_nothing_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **form: asked.append(form))

    assert approval(QUIET).execute({"task_instance": TaskInstance()}) == {"asked": False}  # type: ignore[typeddict-item]
    assert asked == []


def test_the_form_shows_reasons_and_counts_and_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    forms: list[dict[str, Any]] = []
    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **form: forms.append(form))

    with pytest.raises(TaskAwaitingInput):
        approval(PLAN).execute({"task_instance": TaskInstance()})  # type: ignore[typeddict-item]

    (form,) = forms
    assert form["options"] == ["Approve", "Reject"]
    assert form["body"] == (
        "The guard stopped the import before anything was written:\n\n"
        "- 30 of the 50 users in Dialog would change (60%); the limit is 20%\n\n"
        "| | users |\n| --- | ---: |\n"
        "| employees | 60 |\n| created | 2 |\n| updated | 30 |\n| unchanged | 20 |\n"
        "| frozen | 5 |\n| gone | 1 |\n"
        "| set aside: no_name | 0 |\n| set aside: no_work_email | 3 |\n| set aside: duplicate_email | 0 |\n\n"
        "The plan, line by line: `file:///tmp/visma/plan/plan.txt`"
    )


def test_an_approval_names_the_plan_file_that_was_shown() -> None:
    answer = approval(PLAN).execute_complete({}, event("Approve"))

    assert answer == {
        "asked": True,
        "approved_plan": {"uri": "file:///tmp/visma/plan/plan.jsonl", "sha256": "ab" * 32},
    }


def test_a_rejection_approves_nothing() -> None:
    assert approval(PLAN).execute_complete({}, event("Reject")) == {"asked": True}


def publish(folder: Path, *, employees: int, kind: str = "nmbrs-snapshot") -> str:
    with Publication(ObjectStoragePath(folder.as_uri())) as publication:
        for name in ("employees.jsonl", "departments.jsonl", "functions.jsonl"):
            stage_jsonl(publication, name, [])
        publication.publish({"kind": kind, "read_at": "2026-11-21T23:30:00+00:00", "employees": employees})
    return folder.as_uri()


def test_a_snapshot_is_taken_by_its_folder_or_by_what_the_snapshot_task_returned(tmp_path: Path) -> None:
    uri = publish(tmp_path, employees=0)

    assert _Snapshot(uri).uri == _Snapshot({"uri": uri, "employees": 0}).uri == uri


def test_the_day_of_a_snapshot_is_the_day_in_the_netherlands(tmp_path: Path) -> None:
    assert _Snapshot(publish(tmp_path, employees=0)).day.isoformat() == "2026-11-22"


@pytest.mark.parametrize("kind", ["dialog-plan", None])
def test_a_folder_without_a_whole_snapshot_is_refused(tmp_path: Path, kind: str | None) -> None:
    if kind is not None:
        publish(tmp_path, employees=0, kind=kind)

    with pytest.raises(VismaNotFoundError, match="no whole snapshot"):
        _Snapshot(tmp_path.as_uri())


def test_a_snapshot_with_fewer_employees_than_its_manifest_says_is_refused(tmp_path: Path) -> None:
    snapshot = _Snapshot(publish(tmp_path, employees=3))

    with pytest.raises(VismaContentError, match="holds 0 employees, and its manifest says 3"):
        list(snapshot.employees())


def test_a_guard_that_is_neither_stop_nor_off_is_refused() -> None:
    with pytest.raises(ValueError, match="stop or off"):
        DialogImportOperator(task_id="import", snapshot="s", destination="d", guard="maybe")._reasons(None)  # type: ignore[arg-type]


def test_the_operators_module_loads_nothing_heavy() -> None:
    program = (
        "import sys; import airflow_provider_visma.operators.dialog;"
        " import airflow_provider_visma.hooks.dialog; import json;"
        " print(json.dumps([m for m in ('scim2_models', 'scim2_client', 'zeep', 'lxml', 'pyarrow', 'pandas')"
        " if m in sys.modules]))"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert json.loads(loaded.stdout.splitlines()[-1]) == []
