"""Rows to files and back, a row at a time: csv, jsonl and parquet, no value changed on the way.

A decimal never becomes a float, and a moment keeps its offset or is refused: parquet knows one zone for a
column, and a calendar day must not slip into the day before.
"""

from __future__ import annotations

import csv
import io
import json
import math
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from airflow_provider_visma.csv_files import WritableStage, require_parquet
from airflow_provider_visma.exceptions import VismaContentError, VismaRequestError
from airflow_provider_visma.stores import opened

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_visma.staged_file import StagedFile
    from airflow_provider_visma.storage import Publication

FORMATS = ("csv", "jsonl", "parquet")

_BATCH = 5_000  # rows; a row group of a parquet file
_WRITTEN_AT_ONCE = 1024 * 1024


def check_format(file_format: str, wrong: Callable[[str, str], VismaRequestError]) -> None:
    """Check that a format is known and can be written here.

    :param wrong: makes the error of a message and an advice.
    """
    if file_format not in FORMATS:
        raise wrong(f"{file_format!r} is not a file format", f"Give one of {', '.join(FORMATS)}.")
    if file_format == "parquet":
        require_parquet()


def stage_rows(
    publication: Publication,
    name: str,
    rows: Iterable[Mapping[str, Any]],
    *,
    file_format: str,
    columns: Mapping[str, str],
) -> StagedFile:
    """Stage *rows* as they come; memory does not grow with their number.

    csv: null is an empty value, an entity or a list is JSON. jsonl: what a row lacks its line lacks.
    Both: decimals, moments and NaN as text, bytes as base64. parquet: decimal128(38, 18), timestamps in
    microseconds without a zone, entities and lists as JSON text.

    :param columns: kind by column, in the order of the file: ``text``, ``integer``, ``decimal``,
        ``double``, ``boolean``, ``datetime``, ``date``, ``binary`` or ``json``.
    :raises VismaContentError: a value does not fit its column's type in parquet.
    """
    write = {"csv": _write_csv, "jsonl": _write_jsonl, "parquet": _write_parquet}[file_format]
    with publication.stage(name) as staged:
        staged.rows = write(staged, rows, columns)
        staged.header = tuple(columns)
    return staged


def _write_csv(staged: StagedFile, rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str]) -> int:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(columns)
    count = 0
    for row in rows:
        writer.writerow([as_text(row.get(column)) for column in columns])
        count += 1
        if text.tell() > _WRITTEN_AT_ONCE:
            staged.write(text.getvalue().encode())
            text.seek(0)
            text.truncate()
    staged.write(text.getvalue().encode())
    return count


def as_text(value: Any) -> str | None:
    """Return a value as csv has it; None, which csv has as an empty value, as None."""
    match value:
        case None | str():
            return value
        case bool():
            return "true" if value else "false"
        case dict() | list():
            return _as_json(value)
        case _:
            return str(_plain(value))


def _write_jsonl(staged: StagedFile, rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str]) -> int:
    count = 0
    while batch := list(islice(rows := iter(rows), 1000)):
        lines = (_as_json({column: row[column] for column in columns if column in row}) for row in batch)
        staged.write("".join(f"{line}\n" for line in lines).encode())
        count += len(batch)
    return count


def _as_json(value: Any) -> str:
    try:
        return _ENCODE(value)
    except ValueError:
        return _ENCODE(_without_nan(value))


def _without_nan(value: Any) -> Any:
    """Return *value* with words for the numbers that JSON lacks: not a number and the infinities."""
    match value:
        case dict():
            return {name: _without_nan(inner) for name, inner in value.items()}
        case list():
            return [_without_nan(inner) for inner in value]
        case float() if not math.isfinite(value):
            return str(value)
    return value


def _plain(value: Any) -> Any:
    """Return a value that JSON has no word for as text, or a number as it is."""
    match value:
        case Decimal():
            return f"{value:f}"
        case date():  # a datetime too
            return value.isoformat()
        case bytes():
            return b64encode(value).decode()
        case int() | float():
            return value
    raise TypeError(f"a value of type {type(value).__name__} cannot be written")


_ENCODE = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain).encode


def _write_parquet(staged: StagedFile, rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str]) -> int:
    import pyarrow
    import pyarrow.parquet

    types: dict[str, Any] = {
        "text": pyarrow.string(),
        "integer": pyarrow.int64(),
        "decimal": pyarrow.decimal128(38, 18),
        "double": pyarrow.float64(),
        "boolean": pyarrow.bool_(),
        "datetime": pyarrow.timestamp("us"),
        "date": pyarrow.date32(),
        "binary": pyarrow.binary(),
        "json": pyarrow.string(),
    }
    prepare: dict[str, Callable[[Any], Sequence[Any]]] = {"datetime": _without_zone, "json": _json_texts}
    schema = pyarrow.schema([(column, types[kind]) for column, kind in columns.items()])
    count = 0
    with pyarrow.parquet.ParquetWriter(WritableStage(staged), schema, compression="zstd") as file:
        while batch := list(islice(rows := iter(rows), _BATCH)):
            arrays = []
            for (column, kind), values in zip(columns.items(), _by_column(batch, columns), strict=True):
                try:
                    prepared = prepare[kind](values) if kind in prepare else values
                    arrays.append(pyarrow.array(prepared, types[kind]))
                except (pyarrow.ArrowException, ValueError, OverflowError, TypeError):
                    problem = f"a value of {column} cannot be written to parquet as {types[kind]}"
                else:
                    continue
                # Raised here, not above: pyarrow's message quotes the value, and so would the chain.
                raise VismaContentError(problem, advice="Write jsonl, which takes any value as it is.")
            file.write_batch(pyarrow.RecordBatch.from_arrays(arrays, schema=schema))
            count += len(batch)
    return count


def _by_column(batch: list[Mapping[str, Any]], columns: Iterable[str]) -> Iterable[Sequence[Any]]:
    """Return the values of each column, None where a row lacks it; quicker where none does."""
    names = list(columns)
    try:
        # The first name twice: of one name alone itemgetter makes no tuple.
        return list(zip(*map(itemgetter(*names, names[0]), batch), strict=True))[:-1]
    except (KeyError, IndexError):
        return [[row.get(name) for row in batch] for name in names]


def _without_zone(values: Sequence[datetime | None]) -> Sequence[datetime | None]:
    if not any(value is not None and value.tzinfo for value in values):
        return values
    if any(value is not None and value.utcoffset() not in (None, timedelta(0)) for value in values):
        raise ValueError("a moment with an offset")
    return [None if value is None else value.replace(tzinfo=None) for value in values]


def _json_texts(values: Sequence[Any]) -> list[str | None]:
    return [None if value is None else _as_json(value) for value in values]


def read_rows(path: ObjectStoragePath, file_format: str) -> Iterator[dict[str, Any]]:
    """Iterate over the rows of a file, a few in memory at a time.

    csv: UTF-8 with a header, all values texts. jsonl: an object per line.

    :raises VismaRequestError: the file is not what *file_format* says; names the row.
    """
    if file_format not in FORMATS:
        raise VismaRequestError(f"{file_format!r} is not one of {', '.join(FORMATS)}", operation=str(path))
    read = {"csv": _read_csv, "jsonl": _read_jsonl, "parquet": _read_parquet}[file_format]
    try:
        file = opened(path)
    except FileNotFoundError:
        raise VismaRequestError("there is no such file", operation=str(path)) from None
    with file:
        yield from read(file, str(path))


def _read_csv(file: Any, where: str) -> Iterator[dict[str, Any]]:
    number = 0
    problem = ""
    lines = csv.reader(io.TextIOWrapper(file, encoding="utf-8-sig", newline=""), strict=True)
    try:
        header = next(lines, [])
        if not header:
            problem = "the file is empty, without even a header"
        elif len(header) == 1 and (separator := next((mark for mark in ";\t" if mark in header[0]), "")):
            problem = f"the values are separated by {separator!r} and not by commas"
        elif len(set(header)) < len(header):
            problem = "the header names a column twice"
        else:
            for number, values in enumerate(lines, 1):
                if not values:  # an empty line
                    continue
                if len(values) != len(header):
                    problem = f"row {number} has {len(values)} values and the header {len(header)}"
                    break
                yield dict(zip(header, values, strict=True))
    except (csv.Error, UnicodeDecodeError) as error:
        problem = f"the file cannot be read after row {number} ({type(error).__name__})"
    if problem:
        raise VismaRequestError(problem, operation=where, advice="It must be CSV in UTF-8 with a header.")


def _read_jsonl(file: Any, where: str) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line, parse_float=Decimal)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            raise VismaRequestError(f"line {number} is not a JSON object", operation=where)
        yield row


def _in_microseconds(batch: Any) -> Any:
    """Return the rows with moments that Python can hold; finer ones are an error.

    Left to itself pyarrow makes pandas' own type of them, but only where pandas is installed.
    """
    import pyarrow

    for place, column in enumerate(batch.schema):
        if pyarrow.types.is_timestamp(column.type) and column.type.unit == "ns":
            moments = batch.column(place).cast(pyarrow.timestamp("us", column.type.tz))
            batch = batch.set_column(place, column.name, moments)
    return batch


def _read_parquet(file: Any, where: str) -> Iterator[dict[str, Any]]:
    import pyarrow
    import pyarrow.parquet

    problem = ""
    try:
        parquet = pyarrow.parquet.ParquetFile(file)
        names = parquet.schema_arrow.names
        if len(set(names)) < len(names):
            problem = "it names a column twice"
        else:
            for batch in parquet.iter_batches(batch_size=1000):
                yield from _in_microseconds(batch).to_pylist()
    # The message may quote a value.
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        problem = type(error).__name__
    if problem:
        raise VismaRequestError(f"the file is not readable parquet ({problem})", operation=where)
