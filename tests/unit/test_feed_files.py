"""Rows to a file whose columns show only while they come: one kind a column, every value as it was."""

from __future__ import annotations

import csv
import json
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_visma import feed_files, row_files
from airflow_provider_visma.exceptions import VismaContentError, VismaIncompleteAnswerError, VismaStorageError
from airflow_provider_visma.feed_files import ColumnKinds, kinds_of, stage_feed, widest
from airflow_provider_visma.row_files import FORMATS
from airflow_provider_visma.storage import Publication

NAIVE = datetime(2026, 11, 1, 12, 30)
SUMMER = datetime(2026, 7, 1, 12, 30, tzinfo=timezone(timedelta(hours=2)))


class Feed:
    """Rows that tell their columns as they are handed out."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self._rows = rows
        self.columns: dict[str, str] = {}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for row in self._rows:
            for column in row:
                self.columns.setdefault(column, "text")
            yield dict(row)


@pytest.fixture(autouse=True)
def _two_rows_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_files, "_BATCH", 2)


def staged(tmp_path: Path, rows: list[dict[str, Any]], file_format: str) -> tuple[Path, ColumnKinds]:
    feed = Feed(rows)
    kinds = ColumnKinds(lambda: feed.columns)
    with Publication(ObjectStoragePath(f"file://{tmp_path}/out")) as publication:
        file = stage_feed(publication, f"rows.{file_format}", feed, file_format=file_format, kinds=kinds)
        assert file.rows == len(rows)
        assert file.header == tuple(kinds.kinds)
        manifest = publication.publish({})
    assert [Path(each["uri"]).name for each in manifest["files"]] == [f"rows.{file_format}"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "_manifest.json",
        f"rows.{file_format}",
    ]
    return tmp_path / "out" / f"rows.{file_format}", kinds


def parquet(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pyarrow.parquet.read_table(path).to_pylist()
    return rows


def jsonl(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def texts(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


ALIKE = [{"A": number, "B": f"tekst {number}", "C": Decimal("1.50")} for number in range(5)]
GROWING = [{"A": 1}, {"A": 2}, {"A": 3}, {"A": 4, "B": "nieuw"}, {"A": 5}, {"C": True}, {"A": 7}]


@pytest.mark.parametrize("rows", [ALIKE, GROWING], ids=["alike", "growing"])
def test_every_format_holds_the_same_rows(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    path, _ = staged(tmp_path / "1", rows, "parquet")
    assert parquet(path) == [{column: row.get(column) for column in columns} for row in rows]
    path, _ = staged(tmp_path / "2", rows, "jsonl")
    assert jsonl(path) == json.loads(json.dumps(rows, default=str))
    path, _ = staged(tmp_path / "3", rows, "csv")
    assert texts(path) == [
        {
            column: {None: "", True: "true"}.get(row.get(column), str(row.get(column)))
            if not isinstance(row.get(column), int) or isinstance(row.get(column), bool)
            else str(row[column])
            for column in columns
        }
        for row in rows
    ]


@pytest.mark.parametrize(
    ("values", "kind", "in_parquet", "in_jsonl"),
    [
        ([1, 2, Decimal("2.50"), None], "decimal", [1, 2, Decimal("2.50"), None], ["1", "2", "2.50", None]),
        ([1, Decimal("2.50")], "decimal", [1, Decimal("2.50")], ["1", "2.50"]),
        ([1, 2, "x", 3], "text", ["1", "2", "x", "3"], ["1", "2", "x", "3"]),
        (["x", None, 3, 4], "text", ["x", None, "3", "4"], ["x", None, "3", "4"]),
        ([2**53 + 1, None, 0.5], "text", [str(2**53 + 1), None, "0.5"], [str(2**53 + 1), None, "0.5"]),
        ([True, False, "ja"], "text", ["true", "false", "ja"], ["true", "false", "ja"]),
        ([{"a": 1}, None, "x"], "text", ['{"a":1}', None, "x"], ['{"a":1}', None, "x"]),
        ([{"a": "1"}, [], {"b": None}], "json", ['{"a":"1"}', "[]", '{"b":null}'], None),
        ([b"\x00", None, "x"], "text", ["AA==", None, "x"], ["AA==", None, "x"]),
        ([None, None, None, 7], "integer", [None, None, None, 7], [None, None, None, 7]),
        ([None, None, NAIVE], "datetime", [None, None, NAIVE], [None, None, "2026-11-01T12:30:00"]),
        (
            [SUMMER, SUMMER, None],
            "moment",
            [datetime(2026, 7, 1, 10, 30)] * 2 + [None],
            ["2026-07-01T12:30:00+02:00"] * 2 + [None],
        ),
        (
            [NAIVE, NAIVE, SUMMER],
            "text",
            ["2026-11-01T12:30:00", "2026-11-01T12:30:00", "2026-07-01T12:30:00+02:00"],
            ["2026-11-01T12:30:00", "2026-11-01T12:30:00", "2026-07-01T12:30:00+02:00"],
        ),
    ],
)
def test_a_column_is_of_the_widest_kind_of_its_values(
    tmp_path: Path, values: list[Any], kind: str, in_parquet: list[Any], in_jsonl: list[Any] | None
) -> None:
    rows = [{"V": value, "N": number} for number, value in enumerate(values)]
    for file_format, read, expected in (("parquet", parquet, in_parquet), ("jsonl", jsonl, in_jsonl)):
        path, kinds = staged(tmp_path / file_format, rows, file_format)
        assert kinds.kinds == {"V": kind, "N": "integer"}
        assert [row["V"] for row in read(path)] == (values if expected is None else expected)
        assert [row["N"] for row in read(path)] == list(range(len(values)))


def test_what_was_written_in_parts_keeps_its_moments_decimals_and_entities(tmp_path: Path) -> None:
    entity = {"a": [1, {"b": None}], "c": 0.1}
    first: dict[str, Any] = {
        "At": SUMMER,
        "D": Decimal("1.10"),
        "E": entity,
        "X": 1,
        "Y": Decimal("2.50"),
        "Z": SUMMER,
    }
    rows = [first, first, {"X": "later", "Y": "ook", "Z": "nooit"}]
    path, kinds = staged(tmp_path, rows, "parquet")
    found = parquet(path)
    assert found[0]["At"] == datetime(2026, 7, 1, 10, 30)
    assert found[0]["D"] == Decimal("1.10")
    assert json.loads(found[0]["E"]) == entity
    assert [row["X"] for row in found] == ["1", "1", "later"]
    assert [row["Y"] for row in found] == ["2.5", "2.5", "ook"]
    assert [row["Z"] for row in found] == ["2026-07-01T10:30:00+00:00"] * 2 + ["nooit"]
    assert kinds.kinds["At"] == "moment"


def test_long_and_awkward_texts_survive_parts_in_csv(tmp_path: Path) -> None:
    awkward = 'a "quoted"\r\nline;' + "x" * 200_000
    rows: list[dict[str, Any]] = [{"A": awkward}, {"A": None}, {"A": "", "B": "b"}]
    path, _ = staged(tmp_path, rows, "csv")
    csv.field_size_limit(2**31 - 1)
    assert texts(path) == [{"A": awkward, "B": ""}, {"A": "", "B": ""}, {"A": "", "B": "b"}]


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_feed_without_rows_is_a_file_without_rows(tmp_path: Path, file_format: str) -> None:
    staged(tmp_path, [], file_format)


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_feed_that_breaks_off_leaves_nothing(tmp_path: Path, file_format: str) -> None:
    def rows() -> Iterator[dict[str, Any]]:
        yield from ({"A": value} for value in (1, 2, "x", 4, 5))
        raise VismaIncompleteAnswerError("broke off")

    kinds = ColumnKinds(lambda: {"A": "text"})
    with Publication(ObjectStoragePath(f"file://{tmp_path}/out")) as publication:
        with pytest.raises(VismaIncompleteAnswerError):
            stage_feed(publication, f"rows.{file_format}", rows(), file_format=file_format, kinds=kinds)
        with pytest.raises(VismaStorageError):
            publication.publish({})
    assert list((tmp_path / "out").iterdir()) == []


def test_what_the_source_tells_counts_until_there_is_a_value(tmp_path: Path) -> None:
    kinds = ColumnKinds(lambda: {"A": "integer", "B": "text"})
    assert kinds.take([{"A": None, "B": None}])
    assert (kinds.kinds, kinds.with_values) == ({"A": "integer", "B": "text"}, {})
    assert kinds.take([{"B": 1}])
    assert (kinds.kinds, kinds.with_values) == ({"A": "integer", "B": "integer"}, {"B": "integer"})
    assert not kinds.take([{"A": 5, "B": None}])
    assert kinds.take([{"A": 5, "B": "x"}])
    assert kinds.kinds == {"A": "integer", "B": "text"}
    assert not kinds.take([])


def test_booleans_are_no_numbers_and_moments_no_days() -> None:
    assert kinds_of([True, 1]) == {"boolean", "integer"}
    assert kinds_of([NAIVE, SUMMER.astimezone(UTC), NAIVE.date(), None]) == {"datetime", "moment", "date"}
    assert widest({"boolean", "integer"}) == "text"


@pytest.mark.parametrize("file_format", FORMATS)
def test_memory_does_not_grow_with_the_rows(
    tmp_path: Path, file_format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_files, "_BATCH", 500)
    monkeypatch.setattr(row_files, "_BATCH", 500)
    monkeypatch.setattr(row_files, "_WRITTEN_AT_ONCE", 10_000)

    def peak(count: int) -> int:
        def rows() -> Iterator[dict[str, Any]]:
            for number in range(count):
                # One column comes late, so that everything is written twice.
                yield {"A": number, "B": f"waarde {number}"} | ({"C": 1} if number > count - 10 else {})

        kinds = ColumnKinds(lambda: {"A": "text", "B": "text", "C": "text"})
        tracemalloc.start()
        with Publication(ObjectStoragePath(f"file://{tmp_path}/{count}")) as publication:
            stage_feed(publication, f"rows.{file_format}", rows(), file_format=file_format, kinds=kinds)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(2_000)  # imports
    assert peak(40_000) < 1.3 * peak(10_000)


def test_what_a_row_lacks_its_line_lacks(tmp_path: Path) -> None:
    path, _ = staged(tmp_path, [{"A": 1}, {"B": 2}, {"A": "x"}, {"A": None}], "jsonl")
    assert jsonl(path) == [{"A": "1"}, {"B": 2}, {"A": "x"}, {"A": None}]


@pytest.mark.parametrize("file_format", FORMATS)
def test_rows_before_the_first_column_are_rows(tmp_path: Path, file_format: str) -> None:
    path, _ = staged(tmp_path, [{}, {}, {}, {"A": "x"}, {}], file_format)
    read = {"csv": texts, "jsonl": jsonl, "parquet": parquet}[file_format]
    lacking: dict[str, Any] = {"csv": {"A": ""}, "jsonl": {}, "parquet": {"A": None}}[file_format]
    assert read(path) == [lacking] * 3 + [{"A": "x"}] + [lacking]


@pytest.mark.parametrize("moment", [datetime.min, datetime.max])
def test_a_moment_that_utc_has_no_year_for_is_told(tmp_path: Path, moment: datetime) -> None:
    zone = timezone(timedelta(hours=2 if moment == datetime.min else -2))
    rows = [{"Since": moment.replace(tzinfo=zone)}]
    with pytest.raises(VismaContentError, match="Since") as caught:
        staged(tmp_path, rows, "parquet")
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert jsonl(staged(tmp_path / "as", rows, "jsonl")[0]) == [{"Since": rows[0]["Since"].isoformat()}]
