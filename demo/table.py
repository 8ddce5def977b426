"""The outcome as a person reads it: plain text of at most 100 columns."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from demo.severa_outcome import FIRST_NIGHT, NEXT_NIGHT

WIDTH = 100


def show(
    summary: dict[str, Any],
    *,
    before: dict[str, int],
    after: dict[str, int],
    reports: dict[str, dict[str, Any]],
) -> None:
    """Print the outcome of all DAGs.

    :param before: the sandbox's own counts of Severa before the first night.
    :param after: the same after the second one.
    :param reports: its count of each of Orbit's reports.
    """
    console = Console(width=WIDTH, color_system=None, highlight=False)
    console.print(_import_table(summary["nmbrs_to_dialog"]))
    console.print(_export_table(summary["hrm_csv_export"]))
    console.print(_nights_table(summary["severa_hours_and_invoices"], before, after))
    console.print(_upload_table(summary["severa_upload_hours"]))
    console.print(_reports_table(summary["orbit_reports_to_parquet"], reports))


def _import_table(outcome: dict[str, Any]) -> Table:
    table = Table(title=f"nmbrs_to_dialog: {outcome['state']}", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("users")
    table.add_column("", justify="right")
    for name in ("created", "updated", "unchanged", "frozen"):
        table.add_row(name, str(outcome[name]))
    for reason, count in outcome["set_aside"].items():
        table.add_row(f"set aside: {reason.replace('_', ' ')}", str(count))
    table.add_section()
    for name in ("departments", "functions"):
        table.add_row(name, str(outcome[name]))
    return table


def _export_table(outcome: dict[str, Any]) -> Table:
    table = Table(title=f"hrm_csv_export: {outcome['state']}", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("rows", justify="right")
    table.add_column("bytes", justify="right")
    table.add_column("file, and its sha256")
    for file in outcome["files"]:
        name = f"{file['dataset']}/{file['uri'].rsplit('/', 1)[-1]}"
        table.add_row(str(file["rows"]), str(file["bytes"]), f"{name}\n{file['sha256']}")
    return table


def _nights_table(outcome: dict[str, Any], before: dict[str, int], after: dict[str, int]) -> Table:
    title = f"severa_hours_and_invoices: {outcome['state']}, and then {outcome['next_run']['state']}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("rows of")
    for heading in ("first run", "sandbox", "next run", "sandbox", "gone"):
        table.add_column(heading, justify="right")
    first, then = ({file["export"]: file for file in run["files"]} for run in (outcome, outcome["next_run"]))
    for name, file in first.items():
        figures = (
            file["rows"],
            before[FIRST_NIGHT[name]],
            then[name]["rows"],
            after[NEXT_NIGHT[name]],
            "not known" if then[name]["gone"] is None else then[name]["gone"],
        )
        table.add_row(name, *map(str, figures))
    return table


def _upload_table(outcome: dict[str, Any]) -> Table:
    title = f"severa_upload_hours: {outcome['state']}, and then {outcome['again']['state']}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("")
    for heading in ("rows", "accepted", "rejected", "sent"):
        table.add_column(heading, justify="right")
    for name, run in (("the file", outcome), ("the same file again", outcome["again"])):
        table.add_row(name, *(str(run[figure]) for figure in ("rows", "accepted", "rejected", "sent")))
    return table


def _reports_table(outcome: dict[str, Any], counted: dict[str, dict[str, Any]]) -> Table:
    title = f"orbit_reports_to_parquet: {outcome['state']}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("report")
    table.add_column("")
    for heading in ("columns", "rows", "sandbox"):
        table.add_column(heading, justify="right")
    for one in outcome["reports"]:
        known = counted.get(one["report"], {"title": "", "rows": "none"})
        figures = (len(one["types"]), one["rows"], known["rows"])
        table.add_row(one["report"], known["title"], *map(str, figures))
    return table
