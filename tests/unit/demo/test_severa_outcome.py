"""The demonstration's check of Severa: it has to notice every figure that is wrong."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from demo.severa_outcome import FIRST_NIGHT, night_outcome, severa_differences, upload_outcome

FIRST_ROWS = {"hour_entries": 9, "cases": 4, "users": 3, "invoices": 5}
NEXT_ROWS = {"hour_entries": 2, "cases": 1, "users": 0, "invoices": 4}
BEFORE = {"hour_entries": 9, "cases": 4, "users": 3, "invoices": 50, "invoices_this_month": 5}
AFTER = {
    "hour_entries": 11,
    "cases": 4,
    "users": 3,
    "invoices": 49,
    "invoices_this_month": 4,
    "hour_entries_changed": 2,
    "cases_changed": 1,
    "users_changed": 0,
}

Outcome = dict[str, Any]
Counts = dict[str, int]
Change = Callable[[Outcome, Outcome, Counts, Counts], Any]


def manifest(folder: Path, export: str, rows: int, *, gone: int | None = None) -> Outcome:
    place = folder / export / "run_id=1"
    place.mkdir(parents=True)
    path = place / "rows.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"GUID": [str(number) for number in range(rows)]}), path)
    content = path.read_bytes()
    file = {
        "uri": f"file://{path}",
        "rows": rows,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    index = {"uri": f"file://{place}/index.tsv", "rows": None, "bytes": 1, "sha256": ""}
    return {
        "uri": f"file://{place}",
        "read": "changes",
        "rows": rows,
        "gone": None if gone is None else {"rows": gone, "first": []},
        "files": [file, index],
        "basis": "not part of the summary",
    }


@pytest.fixture
def night(tmp_path: Path) -> Outcome:
    first = [manifest(tmp_path / "first", name, rows) for name, rows in FIRST_ROWS.items()]
    then = [
        manifest(tmp_path / "then", name, rows, gone=1 if name == "invoices" else None)
        for name, rows in NEXT_ROWS.items()
    ]
    return {**night_outcome("success", first), "next_run": night_outcome("success", then)}


@pytest.fixture
def upload() -> Outcome:
    result = {"rows": 2, "accepted": 2, "rejected": 0, "sent": 2, "ledger": "not part of the summary"}
    return {
        **upload_outcome("success", [result]),
        "again": upload_outcome("success", [{**result, "sent": 0}]),
    }


def test_the_summary_has_the_promised_shape(night: Outcome, upload: Outcome) -> None:
    assert list(night) == ["state", "files", "next_run"]
    assert list(night["files"][0]) == ["export", "read", "gone", "uri", "rows", "bytes", "sha256"]
    assert [file["export"] for file in night["files"]] == list(FIRST_NIGHT)
    assert list(upload) == ["state", "rows", "accepted", "rejected", "sent", "again"]


def test_equal_figures_differ_nowhere(night: Outcome, upload: Outcome) -> None:
    assert list(severa_differences(night, upload, first=BEFORE, second=AFTER)) == []


def damage(file: Outcome) -> None:
    Path(file["uri"].removeprefix("file://")).write_bytes(b"")


def claim_rows(file: Outcome, counts: Counts, figure: str) -> None:
    """Let the manifest and the sandbox agree on a row that the file does not hold."""
    file["rows"] += 1
    counts[figure] += 1


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda night, upload, first, then: first.update(cases=5), "cases of the first night: 4"),
        (lambda night, upload, first, then: then.update(cases_changed=0), "cases of the next night: 1"),
        (lambda night, upload, first, then: night["files"].pop(0), "hour_entries of the first night: None"),
        (lambda night, upload, first, then: night["next_run"]["files"].pop(), "invoices of the next night"),
        (lambda night, upload, first, then: night["next_run"]["files"][3].update(gone=0), "gone: {}"),
        (lambda night, upload, first, then: night["next_run"]["files"][0].update(gone=2), "gone: {'hour"),
        (lambda night, upload, first, then: damage(night["files"][0]), "is not the file that was published"),
        (
            lambda night, upload, first, then: claim_rows(night["files"][2], first, "users"),
            "users/rows.parquet holds 3 rows, and its manifest says 4",
        ),
        (lambda night, upload, first, then: upload.update(rows=3), "hours rows"),
        (lambda night, upload, first, then: upload.update(accepted=1), "hours accepted"),
        (lambda night, upload, first, then: upload.update(sent=3), "hours sent: 3"),
        (lambda night, upload, first, then: then.update(hour_entries=13), "hours accepted: 2"),
        (lambda night, upload, first, then: then.update(hour_entries=9), "no hours were uploaded"),
        (lambda night, upload, first, then: upload["again"].update(sent=1), "hours sent again"),
        (lambda night, upload, first, then: upload["again"].update(accepted=1), "the second time"),
    ],
)
def test_a_figure_that_differs_is_named(change: Change, named: str, night: Outcome, upload: Outcome) -> None:
    first, then = copy.deepcopy(BEFORE), copy.deepcopy(AFTER)
    change(night, upload, first, then)

    assert named in "\n".join(severa_differences(night, upload, first=first, second=then))
