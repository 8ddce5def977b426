"""What the two DAGs achieved, and whether the sandbox's own count agrees."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

IMPORT_FIGURES = ("created", "updated", "unchanged", "frozen", "set_aside", "departments", "functions")
FILE_FIGURES = ("uri", "rows", "bytes", "sha256")


def import_outcome(state: str, report: dict[str, Any]) -> dict[str, Any]:
    """Return the summary of an import.

    :param state: of the DAG run.
    :param report: what the import left in XCom.
    """
    return {"state": state, **{name: report[name] for name in IMPORT_FIGURES}}


def export_outcome(state: str, manifests: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the summary of an export.

    :param manifests: what each download left in XCom.
    """
    files = [
        {"dataset": manifest["dataset"], **{name: file[name] for name in FILE_FIGURES}}
        for manifest in manifests
        for file in manifest["files"]
    ]
    return {"state": state, "files": files}


def differences(
    summary: dict[str, Any], *, datasets: Iterable[str], before: dict[str, Any], after: dict[str, Any]
) -> Iterator[str]:
    """Yield each figure that the sandbox counts differently.

    :param datasets: those that were to be exported; one without any file has no rows.
    :param before: the sandbox's counts when nothing had run yet.
    :param after: its counts now.
    """
    imported = summary["nmbrs_to_dialog"]
    expected = after["nmbrs_to_dialog"]
    known = imported["created"] + imported["updated"] + imported["unchanged"] + imported["frozen"]
    users = after["dialog"]["users"]
    yield from _compare("users known by the import", known, expected["importable"])
    yield from _compare("users that Dialog holds", users, expected["importable"])
    yield from _compare("users created", imported["created"], users - before["dialog"]["users"])
    yield from _compare("set aside", _present(imported["set_aside"]), _present(expected["set_aside"]))
    for name in ("departments", "functions"):
        yield from _compare(name, imported[name], expected[name])
        yield from _compare(f"{name} that Dialog holds", after["dialog"][name], expected[name])

    rows = dict.fromkeys(datasets, 0)
    for file in summary["hrm_csv_export"]["files"]:
        rows[file["dataset"]] += file["rows"]
        yield from _file_differences(file)
    if not rows:
        yield "hrm_csv_export exported nothing"
    for dataset, found in rows.items():
        yield from _compare(f"rows of {dataset}", found, after["hrm"].get(dataset))


def _file_differences(file: dict[str, Any]) -> Iterator[str]:
    path = Path(file["uri"].removeprefix("file://"))
    content = path.read_bytes()
    yield from _compare(f"bytes of {path.name}", file["bytes"], len(content))
    yield from _compare(f"sha256 of {path.name}", file["sha256"], hashlib.sha256(content).hexdigest())


def _present(counts: dict[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}


def _compare(what: str, found: Any, expected: Any) -> Iterator[str]:
    if found != expected:
        yield f"{what}: {found}, and the sandbox says {expected}"
