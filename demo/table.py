"""The outcome as a person reads it: plain text of at most 100 columns."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

WIDTH = 100


def show(summary: dict[str, Any]) -> None:
    """Print the outcome of both DAGs."""
    console = Console(width=WIDTH, color_system=None, highlight=False)
    console.print(_import_table(summary["nmbrs_to_dialog"]))
    console.print(_export_table(summary["hrm_csv_export"]))


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
