"""What Severa's DAGs achieved, and whether the sandbox's own count agrees."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from demo.parquet_files import file_differences, published

FIRST_NIGHT: Final = {
    "hour_entries": "hour_entries",
    "cases": "cases",
    "users": "users",
    "invoices": "invoices_this_month",
}
NEXT_NIGHT: Final = {
    "hour_entries": "hour_entries_changed",
    "cases": "cases_changed",
    "users": "users_changed",
    "invoices": "invoices_this_month",
}
UPLOAD_FIGURES: Final = ("rows", "accepted", "rejected", "sent")


def night_outcome(state: str, manifests: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the summary of a nightly export.

    :param state: of the DAG run.
    :param manifests: what each export left in XCom.
    """
    return {"state": state, "files": [_file(manifest) for manifest in manifests]}


def upload_outcome(state: str, results: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the summary of an upload.

    :param results: what the upload of each file left in XCom.
    """
    return {"state": state, **{name: sum(one[name] for one in results) for name in UPLOAD_FIGURES}}


def severa_differences(
    night: dict[str, Any],
    upload: dict[str, Any],
    *,
    first: dict[str, int],
    second: dict[str, int],
) -> Iterator[str]:
    """Yield each figure of Severa's DAGs that the sandbox counts differently.

    :param night: the summary of the first night, with ``next_run`` of the second.
    :param upload: the summary of the upload between them, with ``again`` of the same file's second.
    :param first: the sandbox's counts before the first night.
    :param second: its counts after the second, with what changed since the first.
    """
    for name, run, figures, counts in (
        ("first night", night, FIRST_NIGHT, first),
        ("next night", night["next_run"], NEXT_NIGHT, second),
    ):
        found = {file["export"]: file["rows"] for file in run["files"]}
        for export, figure in figures.items():
            yield from _compare(f"{export} of the {name}", found.get(export), counts[figure])
        for file in run["files"]:
            yield from file_differences(file["export"], file)
    gone = {file["export"]: file["gone"] for file in night["next_run"]["files"] if file["gone"]}
    fewer = first["invoices_this_month"] - second["invoices_this_month"]
    yield from _compare("gone", gone, {"invoices": fewer} if fewer else {})

    added = second["hour_entries"] - first["hour_entries"]
    if not added:
        yield "no hours were uploaded"
    for what in ("rows", "accepted", "sent"):
        yield from _compare(f"hours {what}", upload[what], added)
    yield from _compare("hours accepted, the second time", upload["again"]["accepted"], added)
    yield from _compare("hours sent again", upload["again"]["sent"], 0)


def _file(manifest: dict[str, Any]) -> dict[str, Any]:
    return {
        "export": manifest["uri"].split("/")[-2],  # <destination>/<export>/run_id=<run id>
        "read": manifest["read"],
        "gone": manifest["gone"] and manifest["gone"]["rows"],  # None where nothing is known of it
        **published(manifest),
    }


def _compare(what: str, found: Any, expected: Any) -> Iterator[str]:
    if found != expected:
        yield f"{what}: {found}, and the sandbox says {expected}"
