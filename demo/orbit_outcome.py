"""What the export of Orbit's reports achieved, and whether the sandbox's own count agrees."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from demo.parquet_files import file_differences, published


def orbit_outcome(state: str, manifests: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the summary of an export of reports.

    :param state: of the DAG run.
    :param manifests: what the export of each report left in XCom.
    """
    return {
        "state": state,
        "reports": [{"report": one["report"], "types": one["types"], **published(one)} for one in manifests],
    }


def orbit_differences(outcome: dict[str, Any], counted: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Yield each figure that the sandbox counts differently.

    :param counted: the sandbox's own count of each report, with the types of its columns.
    """
    found = {one["report"]: one for one in outcome["reports"]}
    if not any(report["rows"] for report in counted.values()):
        yield "the sandbox has no report with rows"
    for name in sorted(found.keys() - counted):
        yield f"{name} was exported, and the sandbox has no such report"
    for name, report in counted.items():
        if name not in found:
            yield f"{name} was not exported"
            continue
        rows, types = found[name]["rows"], found[name]["types"]
        if rows != report["rows"]:
            yield f"rows of {name}: {rows}, and the sandbox says {report['rows']}"
        # Without a row, a feed does not tell its columns.
        expected = {column: [kind] for column, kind in report["columns"].items()} if report["rows"] else {}
        if types != expected:
            yield f"columns of {name}: {types}, and the sandbox says {expected}"
        yield from file_differences(name, found[name])
