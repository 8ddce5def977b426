"""Rows to files and back: every value as it was, and what cannot be kept refused."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_visma.exceptions import VismaContentError, VismaRequestError
from airflow_provider_visma.row_files import FORMATS, read_rows, stage_rows
from airflow_provider_visma.storage import Publication

COLUMNS = {
    "GUID": "text",
    "Number": "integer",
    "Quantity": "decimal",
    "Rate": "double",
    "IsBillable": "boolean",
    "Start": "datetime",
    "Day": "date",
    "Body": "binary",
    "Rows": "json",
}
FULL: dict[str, Any] = {
    "GUID": 'Zoë, "de" tester\r\nregel 2',
    "Number": 9_007_199_254_740_993,
    "Quantity": Decimal("7.2500"),
    "Rate": 0.1,
    "IsBillable": True,
    "Start": datetime(2026, 11, 1, 23, 59, 59, 123456),
    "Day": date(2026, 11, 1),
    "Body": b"\x00%PDF",
    "Rows": {"InvoiceRow": [{"Price": Decimal("1.10"), "Note": None}]},
}
NULLS: dict[str, Any] = dict.fromkeys(COLUMNS)


def written(
    tmp_path: Path, rows: list[dict[str, Any]], file_format: str, **columns: str
) -> ObjectStoragePath:
    folder = ObjectStoragePath(f"file://{tmp_path}/out")
    with Publication(folder) as publication:
        staged = stage_rows(
            publication,
            f"rows.{file_format}",
            iter(rows),
            file_format=file_format,
            columns=columns or COLUMNS,
        )
        assert staged.rows == len(rows)
        assert staged.header == tuple(columns or COLUMNS)
        publication.publish({})
    return folder / f"rows.{file_format}"


def test_csv_keeps_each_value_as_text(tmp_path: Path) -> None:
    first, second = read_rows(written(tmp_path, [FULL, NULLS], "csv"), "csv")
    assert first == {
        "GUID": FULL["GUID"],
        "Number": "9007199254740993",
        "Quantity": "7.2500",
        "Rate": "0.1",
        "IsBillable": "true",
        "Start": "2026-11-01T23:59:59.123456",
        "Day": "2026-11-01",
        "Body": "ACVQREY=",
        "Rows": '{"InvoiceRow":[{"Price":"1.10","Note":null}]}',
    }
    assert second == dict.fromkeys(COLUMNS, "")


def test_jsonl_tells_null_from_absent_and_never_makes_a_float_of_a_decimal(tmp_path: Path) -> None:
    path = written(tmp_path, [FULL, NULLS, {"GUID": "3"}, {}], "jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines[0]["Quantity"] == "7.2500"
    assert lines[0]["Rows"]["InvoiceRow"][0] == {"Price": "1.10", "Note": None}
    assert lines[0]["Number"] == FULL["Number"]
    assert lines[1:] == [NULLS, {"GUID": "3"}, {}]


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_json_has_no_word_for_is_a_text_in_it(tmp_path: Path, number: float) -> None:
    rows = [{"Rate": number, "Rows": {"Row": [{"Rate": number, "Day": date(2026, 11, 1)}]}}]
    columns = {"Rate": "double", "Rows": "json"}
    inner = {"Row": [{"Rate": str(number), "Day": "2026-11-01"}]}

    def refuse(word: str) -> Any:
        raise AssertionError(f"{word} is not JSON")

    line = written(tmp_path / "jsonl", rows, "jsonl", **columns).read_text()
    assert json.loads(line, parse_constant=refuse) == {"Rate": str(number), "Rows": inner}
    [row] = read_rows(written(tmp_path / "parquet", rows, "parquet", **columns), "parquet")
    assert repr(row["Rate"]) == repr(number)
    assert json.loads(row["Rows"], parse_constant=refuse) == inner


def test_parquet_has_types_and_the_values_come_back(tmp_path: Path) -> None:
    path = written(tmp_path, [FULL, NULLS, {"GUID": ""}], "parquet")
    first, second, third = read_rows(path, "parquet")
    assert {**first, "Rows": json.loads(first["Rows"])} == {
        **FULL,
        "Rows": {"InvoiceRow": [{"Price": "1.10", "Note": None}]},
    }
    assert second == NULLS
    assert third == {**NULLS, "GUID": ""}
    schema = pyarrow.parquet.read_schema(path.path)
    assert str(schema.field("Quantity").type) == "decimal128(38, 18)"
    assert str(schema.field("Start").type) == "timestamp[us]"


@pytest.mark.parametrize("file_format", FORMATS)
def test_no_rows_make_a_file_with_its_columns(tmp_path: Path, file_format: str) -> None:
    path = written(tmp_path, [], file_format)
    assert list(read_rows(path, file_format)) == []
    if file_format == "csv":
        assert next(csv.reader(io.StringIO(path.read_text()))) == list(COLUMNS)
    if file_format == "parquet":
        assert pyarrow.parquet.read_schema(path.path).names == list(COLUMNS)


@pytest.mark.parametrize("file_format", FORMATS)
def test_more_rows_than_one_batch_all_arrive_in_order(tmp_path: Path, file_format: str) -> None:
    rows = [{"Number": number, "Text": "x" * 60} for number in range(25_001)]
    path = written(tmp_path, rows, file_format, Number="integer", Text="text")
    assert [int(row["Number"]) for row in read_rows(path, file_format)] == list(range(25_001))


def test_a_moment_in_utc_is_written_to_parquet_without_its_zone(tmp_path: Path) -> None:
    moment = datetime(2026, 11, 1, tzinfo=UTC)
    [row] = read_rows(written(tmp_path, [{"At": moment}], "parquet", At="datetime"), "parquet")
    assert row == {"At": datetime(2026, 11, 1)}


@pytest.mark.parametrize(
    ("column", "kind", "value"),
    [
        ("EventDate", "datetime", datetime(2026, 11, 1, tzinfo=timezone(timedelta(hours=2)))),
        ("Quantity", "decimal", Decimal("0.1234567890123456789")),
        ("Quantity", "decimal", Decimal(10) ** 21),
        ("Number", "integer", 2**63),
        ("Number", "integer", "kanarie"),
    ],
)
def test_what_parquet_cannot_hold_is_refused_without_telling_it(
    tmp_path: Path, column: str, kind: str, value: Any
) -> None:
    with pytest.raises(VismaContentError, match=f"a value of {column} cannot be written") as error:
        written(tmp_path, [{column: value}], "parquet", **{column: kind})
    assert str(value) not in f"{error.value}{error.value.__cause__}{error.value.__context__}"
    assert not list(tmp_path.glob("out/*"))


@pytest.mark.parametrize(
    ("file_format", "content", "problem"),
    [
        ("csv", b"", "the file is empty"),
        ("csv", b"a,b\n1,2\n3\n", "row 2 has 1 values and the header 2"),
        ("csv", b"a,a\n1,2\n", "names a column twice"),
        ("csv", b"a;b\n1;2,5\n", "separated by ';' and not by commas"),
        ("csv", b"a\tb\n1\t2\n", "separated by '.t' and not by commas"),
        ("csv", b'a,b\n1,"2\n', "cannot be read after row"),
        ("csv", "a,b\n1,Zoë\n".encode("latin-1"), "cannot be read after row"),
        ("jsonl", b'{"a": 1}\n[1]\n', "line 2 is not a JSON object"),
        ("jsonl", b'{"a": 1}\n{"a"', "line 2 is not a JSON object"),
        ("jsonl", b'{"a": 1}\n{"a": ' + b"[" * 100_000, "line 2 is not a JSON object"),
        ("parquet", b"PAR1", "not readable parquet"),
        ("xlsx", b"", "'xlsx' is not one of"),
    ],
)
def test_an_unusable_file_is_refused_with_the_place(
    tmp_path: Path, file_format: str, content: bytes, problem: str
) -> None:
    file = tmp_path / "rows"
    file.write_bytes(content)
    with pytest.raises(VismaRequestError, match=problem):
        list(read_rows(ObjectStoragePath(f"file://{file}"), file_format))


def test_a_moment_finer_than_a_row_can_hold_is_refused_without_telling_it(tmp_path: Path) -> None:
    file = tmp_path / "rows"
    moment = 1762041600123456789
    pyarrow.parquet.write_table(pyarrow.table({"at": pyarrow.array([moment], pyarrow.timestamp("ns"))}), file)
    with pytest.raises(VismaRequestError, match="not readable parquet") as error:
        list(read_rows(ObjectStoragePath(f"file://{file}"), "parquet"))
    assert str(moment) not in f"{error.value}{error.value.__cause__}{error.value.__context__}"


def test_a_moment_in_nanoseconds_is_pythons_own_whatever_else_is_installed(tmp_path: Path) -> None:
    file = tmp_path / "rows"
    moments = pyarrow.array([1762041600123456000, None], pyarrow.timestamp("ns"))
    pyarrow.parquet.write_table(pyarrow.table({"at": moments}), file)

    first, second = read_rows(ObjectStoragePath(f"file://{file}"), "parquet")

    assert (type(first["at"]), first["at"]) == (datetime, datetime(2025, 11, 2, 0, 0, 0, 123456))
    assert second["at"] is None


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"at": pyarrow.array([2**62], pyarrow.timestamp("us"))}, "OverflowError"),
        (pyarrow.table([[1], [2]], names=["a", "a"]), "it names a column twice"),
    ],
    ids=["a moment after the year 9999", "a column twice"],
)
def test_parquet_that_rows_cannot_hold_is_refused(tmp_path: Path, columns: Any, problem: str) -> None:
    file = tmp_path / "rows"
    pyarrow.parquet.write_table(pyarrow.table(columns) if isinstance(columns, dict) else columns, file)
    with pytest.raises(VismaRequestError, match=f"not readable parquet \\({problem}\\)"):
        list(read_rows(ObjectStoragePath(f"file://{file}"), "parquet"))


def test_a_missing_file_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(VismaRequestError, match="there is no such file"):
        list(read_rows(ObjectStoragePath(f"file://{tmp_path}/none.csv"), "csv"))


def test_jsonl_numbers_are_read_exactly(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"Quantity": 7.10}\n\n')
    assert list(read_rows(ObjectStoragePath(f"file://{file}"), "jsonl")) == [{"Quantity": Decimal("7.10")}]
