"""What the screen reads of an import's files, and what it does where they are odd."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_visma.plugin import dialog_reports
from airflow_provider_visma.plugin.dialog_reports import SetAsideGroup


def manifest_of(folder: Path, **changes: Any) -> dict[str, Any]:
    files = [{"uri": (folder / name).as_uri()} for name in ("missing.json", "set_aside.jsonl")]
    return {"kind": "dialog-import", "set_aside": {"no_name": 2}, "files": files, **changes}


def set_aside(folder: Path, *reasons: str) -> None:
    lines = [json.dumps({"external_id": str(place), "reason": each}) for place, each in enumerate(reasons)]
    (folder / "set_aside.jsonl").write_text("\n".join(lines))


@pytest.mark.parametrize("counts", [None, 5, ["no_name"], {"no_name": "many"}, {"no_name": None}])
def test_counts_that_are_none_are_left_out(tmp_path: Path, counts: Any) -> None:
    assert dialog_reports.set_aside(manifest_of(tmp_path, set_aside=counts)) == ()


@pytest.mark.parametrize(
    "files",
    [
        None,
        5,
        ["no_file"],
        [{}],
        [{"uri": "nowhere://set_aside.jsonl"}, {"uri": "nowhere://missing.json"}],
        [{"uri": "nowhere://x/set_aside.jsonl"}, {"uri": "nowhere://x/missing.json"}],
        [{"uri": "http://127.0.0.1:1/?/set_aside.jsonl"}, {"uri": "http://127.0.0.1:1/?/missing.json"}],
    ],
)
def test_addresses_that_lead_nowhere_leave_the_counts(tmp_path: Path, files: Any) -> None:
    manifest = manifest_of(tmp_path, files=files)
    assert dialog_reports.set_aside(manifest) == (SetAsideGroup("no_name", 2, ()),)
    assert dialog_reports.missing(manifest) is None


def test_a_damaged_file_tells_what_it_still_holds(tmp_path: Path) -> None:
    set_aside(tmp_path, "no_name")
    with (tmp_path / "set_aside.jsonl").open("ab") as file:
        file.write(b'\n{"external_id": "7", "rea')
    assert dialog_reports.set_aside(manifest_of(tmp_path)) == (SetAsideGroup("no_name", 2, ("0",)),)


def test_a_rare_reason_is_found_behind_many_of_another(tmp_path: Path) -> None:
    set_aside(tmp_path, *["no_work_email"] * 20_000, "no_name")
    counts = {"no_work_email": 20_000, "no_name": 1}

    many, one = dialog_reports.set_aside(manifest_of(tmp_path, set_aside=counts))

    assert (many.count, len(many.employee_ids)) == (20_000, dialog_reports.SHOWN_PER_REASON)
    assert one == SetAsideGroup("no_name", 1, ("20000",))


def test_of_a_file_that_never_ends_the_beginning_is_read(tmp_path: Path) -> None:
    for name in ("set_aside.jsonl", "missing.json"):
        (tmp_path / name).symlink_to("/dev/zero")
    assert dialog_reports.set_aside(manifest_of(tmp_path)) == (SetAsideGroup("no_name", 2, ()),)
    assert dialog_reports.missing(manifest_of(tmp_path)) is None
