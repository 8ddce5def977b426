"""The demonstration's own check: it has to notice every figure that is wrong."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from demo.outcome import differences, export_outcome, import_outcome

REPORT = {
    "created": 5,
    "updated": 2,
    "unchanged": 3,
    "frozen": 1,
    "set_aside": {"no_name": 2, "listed_twice": 0},
    "departments": 4,
    "functions": 6,
    "snapshot": "not part of the summary",
}
BEFORE = {"dialog": {"users": 6}}
AFTER = {
    "nmbrs_to_dialog": {
        "importable": 11,
        "set_aside": {"no_name": 2, "duplicate_email": 0},
        "departments": 4,
        "functions": 6,
    },
    "dialog": {"users": 11, "departments": 4, "functions": 6},
    "hrm": {"employees": 3},
}
CONTENT = b"id\r\n1\r\n2\r\n3\r\n"

Outcome = dict[str, Any]
Change = Callable[[Outcome, Outcome, Path], Any]


@pytest.fixture
def part(tmp_path: Path) -> Path:
    path = tmp_path / "part-0000.csv"
    path.write_bytes(CONTENT)
    return path


def summary_of(part: Path) -> Outcome:
    file = {
        "uri": f"file://{part}",
        "rows": 3,
        "bytes": len(CONTENT),
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
    }
    return {
        "nmbrs_to_dialog": import_outcome("success", REPORT),
        "hrm_csv_export": export_outcome("success", [{"dataset": "employees", "files": [file]}]),
    }


def test_the_summary_has_the_promised_shape(part: Path) -> None:
    summary = summary_of(part)

    assert list(summary["nmbrs_to_dialog"]) == [
        "state",
        "created",
        "updated",
        "unchanged",
        "frozen",
        "set_aside",
        "departments",
        "functions",
    ]
    assert list(summary["hrm_csv_export"]["files"][0]) == ["dataset", "uri", "rows", "bytes", "sha256"]


def test_equal_figures_differ_nowhere(part: Path) -> None:
    assert list(differences(summary_of(part), datasets=["employees"], before=BEFORE, after=AFTER)) == []


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda ours, theirs, part: ours["nmbrs_to_dialog"].update(unchanged=2), "known by the import"),
        (lambda ours, theirs, part: theirs["dialog"].update(users=12), "users that Dialog holds"),
        (lambda ours, theirs, part: ours["nmbrs_to_dialog"].update(created=4, updated=3), "users created"),
        (lambda ours, theirs, part: ours["nmbrs_to_dialog"].update(set_aside={}), "set aside"),
        (lambda ours, theirs, part: theirs["nmbrs_to_dialog"].update(departments=5), "departments"),
        (lambda ours, theirs, part: theirs["dialog"].update(functions=5), "functions that Dialog holds"),
        (lambda ours, theirs, part: theirs["hrm"].update(employees=4), "rows of employees"),
        (lambda ours, theirs, part: ours["hrm_csv_export"].update(files=[]), "rows of employees: 0"),
        (lambda ours, theirs, part: part.write_bytes(CONTENT[:-3]), "bytes of part-0000.csv"),
        (lambda ours, theirs, part: part.write_bytes(CONTENT[::-1]), "sha256 of part-0000.csv"),
    ],
)
def test_a_figure_that_differs_is_named(change: Change, named: str, part: Path) -> None:
    ours, theirs = summary_of(part), copy.deepcopy(AFTER)
    change(ours, theirs, part)

    assert named in "\n".join(differences(ours, datasets=["employees"], before=BEFORE, after=theirs))


def test_an_export_of_no_dataset_at_all_is_named(part: Path) -> None:
    ours = summary_of(part)
    ours["hrm_csv_export"]["files"] = []

    found = list(differences(ours, datasets=[], before=BEFORE, after=AFTER))

    assert found == ["hrm_csv_export exported nothing"]
