"""What was published before and what comes now, by key."""

from __future__ import annotations

import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_visma.exceptions import VismaStorageError
from airflow_provider_visma.published_rows.index import RowIndex

SECRET = b"secret"


def row(guid: str | None, value: Any = 1) -> dict[str, Any]:
    return {"GUID": guid, "Quantity": value}


def read(
    rows: list[dict[str, Any]],
    *before: list[bytes],
    drop_repeats: bool = True,
    carry: bool = False,
    key: tuple[str, ...] = ("GUID",),
    secret: bytes = SECRET,
) -> tuple[list[Any], list[bytes], list[dict[str, Any]], RowIndex]:
    """Return what a read passes on, its index, what is gone, and the counts."""
    with RowIndex(key, secret=secret) as index:
        for lines in before:
            index.remember(lines)
        passed = list(index.new_rows(rows, drop_repeats=drop_repeats))
        return passed, list(index.lines(carry=carry)), list(index.gone()), index


def test_only_a_row_that_is_still_the_same_is_left_out() -> None:
    _, lines, _, _ = read([row("a"), row("b")])
    passed, lines, gone, index = read([row("a"), row("b", 2), row("c")], lines)
    assert passed == [row("b", 2), row("c")]
    assert (index.received, index.repeated, gone) == (3, 1, [])
    passed, _, gone, _ = read([row("a"), row("b"), row("c")], lines)
    assert passed == [row("b")]


def test_a_row_left_out_is_still_in_the_index() -> None:
    _, first, _, _ = read([row("a")])
    _, second, _, _ = read([row("a")], first)
    assert second == first


def test_a_read_of_everything_passes_on_all_and_names_what_is_gone() -> None:
    _, lines, _, _ = read([row("a"), row("b"), row("c")])
    passed, _, gone, index = read([row("b")], lines, drop_repeats=False)
    assert passed == [row("b")]
    assert gone == [{"GUID": "a"}, {"GUID": "c"}]
    assert index.repeated == 0


@pytest.mark.parametrize("kept", [5, 37])
def test_an_index_that_breaks_off_is_refused(kept: int) -> None:
    _, (line,), _, _ = read([row("a")])
    with pytest.raises(ValueError, match=r"breaks off|hexadecimal"):
        read([row("a")], [line[:kept]])


def test_what_did_not_come_is_carried_on_where_asked() -> None:
    _, before, _, _ = read([row("a"), row("b")])
    _, carried, _, _ = read([row("b", 2)], before, carry=True)
    _, dropped, _, _ = read([row("b", 2)], before)
    assert len(carried) == 2
    assert carried[0] == before[0]
    assert dropped == carried[1:]


def test_the_same_row_twice_passes_once_and_another_of_its_name_passes_later() -> None:
    passed, lines, _, index = read([row("a"), row("a"), row("a", 2), row("a", 2)])
    assert passed == [row("a"), row("a", 2)]
    assert (index.duplicates, index.conflicting) == (2, 1)
    assert read([row("a", 2)], lines)[0] == []


def test_a_repeat_that_is_followed_by_another_version_does_not_hide_it() -> None:
    _, lines, _, _ = read([row("a")])
    assert read([row("a"), row("a", 2)], lines)[0] == [row("a", 2)]
    assert read([row("a", 2), row("a")], lines)[0] == [row("a", 2), row("a")]


def test_rows_without_a_key_are_passed_on() -> None:
    passed, lines, _, index = read([row(None), row(None), {"Quantity": 1}])
    assert len(passed) == 3
    assert (lines, index.without_key) == ([], 3)
    passed, lines, _, index = read([row("a"), row("a")], key=())
    assert (len(passed), lines, index.without_key) == (2, [], 0)


def test_several_columns_may_be_the_key() -> None:
    _, lines, _, _ = read([row("a", 1), row("a", 2)], key=("GUID", "Quantity"))
    _, _, gone, _ = read([row("a", 1)], lines, drop_repeats=False, key=("GUID", "Quantity"))
    assert gone == [{"GUID": "a", "Quantity": 2}]


def test_null_and_absent_are_the_same_and_values_of_every_kind_are_told_apart() -> None:
    rows = [
        {"GUID": "a", "x": value}
        for value in (Decimal("1.5"), Decimal("1.50"), "1", 1, True, b"1", {"y": 1}, {"y": [1]}, ["1"])
    ]
    _, lines, _, _ = read([{"GUID": "a"}])
    assert read([{"GUID": "a", "x": None}], lines)[0] == []
    for before in rows:
        _, lines, _, _ = read([before])
        assert [each for each in rows if not read([each], lines)[0]] == [before]


def test_an_index_tells_nothing_without_its_key() -> None:
    _, lines, _, _ = read([row("a")])
    _, others, _, _ = read([row("a")], secret=b"another")
    assert lines != others
    assert read([row("a")], others)[0] == [row("a")]


def test_a_key_may_hold_any_text() -> None:
    odd = 'a\tb\n"c'
    _, lines, _, _ = read([row(odd)])
    assert all(line.count(b"\n") == 1 for line in lines)
    assert read([], lines)[2] == [{"GUID": odd}]


def test_the_first_of_two_indexes_counts_and_both_are_known() -> None:
    _, first, _, _ = read([row("a", 1)])
    _, second, _, _ = read([row("a", 2), row("b")])
    passed, _, gone, _ = read([row("a", 1)], first, second)
    assert (passed, gone) == ([], [{"GUID": "b"}])


def test_a_second_reading_brings_what_the_first_missed_and_nothing_twice() -> None:
    _, lines, _, _ = read([row("a"), row("b"), row("c")])
    with RowIndex(("GUID",), secret=SECRET) as index:
        index.remember(lines)
        assert list(index.new_rows([row("a"), row("d")], drop_repeats=False)) == [row("a"), row("d")]
        assert index.missing() == 2
        again = [row("a", 2), row("b"), row("b"), row("c"), row("d"), row("e")]
        assert list(index.missed(again)) == [row("b"), row("c"), row("e")]
        assert index.missing() == 0
        assert len(list(index.lines(carry=False))) == 5


def test_a_disk_that_is_full_is_an_error_that_says_where_room_is_missing() -> None:
    def read_too_much() -> None:
        with RowIndex(("GUID",), secret=SECRET) as index:
            index._file.execute("PRAGMA max_page_count=3")
            list(index.new_rows((row(str(number)) for number in range(1000)), drop_repeats=False))

    with pytest.raises(VismaStorageError, match=r"full\)\. Nothing was published.*SQLITE_TMPDIR"):
        read_too_much()


def test_its_file_has_no_name_that_could_be_left_behind(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("SQLITE_TMPDIR", str(tmp_path))
    with RowIndex(("GUID",), secret=SECRET) as index:
        for _ in index.new_rows((row(f"{number:064}") for number in range(40_000)), drop_repeats=True):
            pass
        opened = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if _is_link(fd)]
        assert [name for name in opened if "etilqs" in name and name.endswith("(deleted)")]
        assert list(tmp_path.iterdir()) == []


def _is_link(descriptor: str) -> bool:
    return os.path.islink(f"/proc/self/fd/{descriptor}")


def test_an_index_is_text_with_a_row_on_each_line() -> None:
    _, lines, _, _ = read([row("b"), row("a")])
    assert [json.loads(line.split(b"\t")[0]) for line in lines] == [["a"], ["b"]]
