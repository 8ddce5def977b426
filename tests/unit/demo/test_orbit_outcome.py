"""The demonstration's check of Orbit's reports: it has to notice every figure that is wrong."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from demo.orbit_outcome import orbit_differences, orbit_outcome

HOURS, EMPTY = "RP7K2M9XW4H1TQZ", "RPD1A5S8F3G7HKJ"
COUNTED = {
    HOURS: {"title": "Uren", "rows": 9, "columns": {"RowID": "Edm.Int64", "Name": "Edm.String"}},
    EMPTY: {"title": "Leeg", "rows": 0, "columns": {"Key": "Edm.Int32"}},
}

Outcome = dict[str, Any]


def manifest(folder: Path, report: str, rows: int, types: dict[str, list[str]]) -> Outcome:
    path = folder / report / "run_id=1" / "rows.parquet"
    path.parent.mkdir(parents=True)
    pyarrow.parquet.write_table(pyarrow.table({"RowID": list(range(rows))}), path)
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    file = {"uri": f"file://{path}", "rows": rows, "bytes": len(content), "sha256": digest}
    return {"report": report, "types": types, "rows": rows, "files": [file], "scope": "not in the summary"}


@pytest.fixture
def outcome(tmp_path: Path) -> Outcome:
    types = {"RowID": ["Edm.Int64"], "Name": ["Edm.String"]}
    return orbit_outcome("success", [manifest(tmp_path, HOURS, 9, types), manifest(tmp_path, EMPTY, 0, {})])


def test_the_summary_has_the_promised_shape(outcome: Outcome) -> None:
    assert list(outcome) == ["state", "reports"]
    assert list(outcome["reports"][0]) == ["report", "types", "uri", "rows", "bytes", "sha256"]


def test_equal_figures_differ_nowhere(outcome: Outcome) -> None:
    assert list(orbit_differences(outcome, COUNTED)) == []


def damage(report: Outcome) -> None:
    Path(report["uri"].removeprefix("file://")).write_bytes(b"")


def claim_a_row(report: Outcome, counted: Outcome) -> None:
    """Let the manifest and the sandbox agree on a row that the file does not hold."""
    report["rows"] += 1
    counted["rows"] += 1


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda reports, counted: counted[HOURS].update(rows=8), f"rows of {HOURS}: 9"),
        (lambda reports, counted: reports.pop(), f"{EMPTY} was not exported"),
        (lambda reports, counted: counted.pop(EMPTY), f"{EMPTY} was exported"),
        (lambda reports, counted: counted.clear(), "no report with rows"),
        (lambda reports, counted: reports[0]["types"].pop("Name"), f"columns of {HOURS}"),
        (lambda reports, counted: reports[0]["types"]["Name"].append("Edm.Int32"), f"columns of {HOURS}"),
        (lambda reports, counted: damage(reports[0]), f"{HOURS}/rows.parquet is not the file"),
        (
            lambda reports, counted: claim_a_row(reports[0], counted[HOURS]),
            "holds 9 rows, and its manifest says 10",
        ),
    ],
)
def test_a_figure_that_differs_is_named(
    change: Callable[[list[Outcome], Outcome], Any], named: str, outcome: Outcome
) -> None:
    counted = copy.deepcopy(COUNTED)
    change(outcome["reports"], counted)

    assert named in "\n".join(orbit_differences(outcome, counted))
