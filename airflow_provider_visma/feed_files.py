"""Rows whose columns show only while they come, to one file of the columns that they turn out to have.

A value is written as the kind of its whole column: no number becomes a text half-way down a file, and none a
float. Nothing is guessed from what a text looks like.

The file is written while the rows come in. Where a later row has a column, or a kind of value, that the
rows before it had not, what was written becomes a part and the next part begins; only then are all parts
written once more, as one file of the widest columns. A spool of all rows would need no parts, and would cost
every feed a second writing, where only a few feeds change on the way.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow_provider_visma.row_files import as_text, stage_rows

if TYPE_CHECKING:
    from airflow_provider_visma.staged_file import StagedFile
    from airflow_provider_visma.storage import Publication

MOMENT = "moment"  # a datetime with an offset; to the files it is a datetime

_BATCH = 5_000
_LONGEST_CSV_VALUE = 2**31 - 1
_KINDS: dict[type, str] = {
    str: "text",
    bool: "boolean",
    int: "integer",
    float: "double",
    Decimal: "decimal",
    datetime: "datetime",
    date: "date",
    bytes: "binary",
    dict: "json",
    list: "json",
}
_NONE = type(None)


class ColumnKinds:
    """The columns of rows and the kinds of their values, as far as seen.

    :param told: what the source says of its columns now, complete for every row it has handed out; it counts
        where a column has had no value yet.
    """

    def __init__(self, told: Callable[[], Mapping[str, str]]) -> None:
        self._told = told
        self._seen: dict[str, str] = {}
        self.kinds: dict[str, str] = {}

    def take(self, batch: list[dict[str, Any]]) -> bool:
        """Look at further rows; return whether a column came or became another kind."""
        before = dict(self.kinds)
        for column, told in self._told().items():
            found = kinds_of([row.get(column) for row in batch])
            if column in self._seen:
                found.add(self._seen[column])
            if found:
                self._seen[column] = widest(found)
            self.kinds[column] = self._seen.get(column, told)
        return self.kinds != before

    @property
    def with_values(self) -> dict[str, str]:
        """The columns that had a value, with its kind."""
        return {column: self.kinds[column] for column in self.kinds if column in self._seen}


def stage_feed(
    publication: Publication,
    name: str,
    rows: Iterable[dict[str, Any]],
    *,
    file_format: str,
    kinds: ColumnKinds,
) -> StagedFile:
    """Stage *rows* as they come; memory does not grow with their number.

    As :func:`~airflow_provider_visma.row_files.stage_rows` writes them; a moment with an offset goes into
    parquet in UTC.

    :param kinds: knows the file's columns afterwards.
    :raises VismaContentError: a value does not fit into parquet.
    """
    parts: list[_Part] = []
    batches = _Batches(rows, kinds)
    while not parts or batches.pending:
        # The last of them has the name that the file is published by: most often it is the only one.
        if parts:
            publication.rename(parts[-1].file, f"part-{len(parts)}.{file_format}")
        columns = dict(kinds.kinds)
        parts.append(_Part(_stage(publication, name, batches.alike(), file_format, columns), columns))
    if len(parts) == 1:
        return parts[0].file
    publication.rename(parts[-1].file, f"part-{len(parts)}.{file_format}")
    whole = _stage(publication, name, _rows_of(parts, file_format, kinds.kinds), file_format, kinds.kinds)
    for part in parts:
        publication.discard(part.file)
    return whole


@dataclass(frozen=True, slots=True)
class _Part:
    file: StagedFile
    kinds: dict[str, str]


class _Batches:
    """Rows in batches, one ahead: what is pending has been looked at and not been written."""

    def __init__(self, rows: Iterable[dict[str, Any]], kinds: ColumnKinds) -> None:
        self._rows = iter(rows)
        self._kinds = kinds
        self.pending: list[dict[str, Any]] = []
        self._next()

    def _next(self) -> bool:
        self.pending = list(islice(self._rows, _BATCH))
        return self._kinds.take(self.pending)

    def alike(self) -> Iterator[dict[str, Any]]:
        """Yield rows as long as the columns stay as they are."""
        changed = False
        while self.pending and not changed:
            yield from self.pending
            changed = self._next()


def kinds_of(values: list[Any]) -> set[str]:
    """Return the kinds of *values*; nulls have none."""
    types = set(map(type, values))
    types.discard(_NONE)
    kinds = {_KINDS[each] for each in types}
    if datetime in types:
        zones = {value.tzinfo is not None for value in values if type(value) is datetime}
        kinds -= {"datetime"}
        kinds |= {MOMENT if zone else "datetime" for zone in zones}
    return kinds


def widest(kinds: set[str]) -> str:
    """Return the kind that holds values of all *kinds* without changing one."""
    if len(kinds) == 1:
        return next(iter(kinds))
    return "decimal" if kinds == {"integer", "decimal"} else "text"


def converted(value: Any, kind: str) -> Any:
    """Return *value* as a value of the wider *kind*."""
    if value is None:
        return None
    if kind == "text":
        return as_text(value)
    if kind == "decimal" and type(value) is int:
        return Decimal(value)
    return value


def to_write(kinds: Mapping[str, str]) -> dict[str, str]:
    """Return columns with the kinds that the files know."""
    return {column: "datetime" if kind == MOMENT else kind for column, kind in kinds.items()}


def _stage(
    publication: Publication,
    name: str,
    rows: Iterator[dict[str, Any]],
    file_format: str,
    kinds: Mapping[str, str],
) -> StagedFile:
    in_utc = [column for column, kind in kinds.items() if kind == MOMENT and file_format == "parquet"]
    to_convert = {column: kind for column, kind in kinds.items() if kind in ("text", "decimal")}

    def fitting() -> Iterator[dict[str, Any]]:
        while batch := list(islice(rows, _BATCH)):
            for column, kind in to_convert.items():
                if kinds_of([row.get(column) for row in batch]) - {kind}:
                    for row in batch:
                        if column in row:
                            row[column] = converted(row[column], kind)
            for column in in_utc:
                # Beyond the years 1 and 9999 it keeps its offset, which is refused where it is written.
                with suppress(OverflowError):
                    for row in batch:
                        if (moment := row.get(column)) is not None:
                            row[column] = moment.astimezone(UTC)
            yield from batch

    return stage_rows(publication, name, fitting(), file_format=file_format, columns=to_write(kinds))


def _rows_of(parts: list[_Part], file_format: str, kinds: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Yield the rows of all parts, with values that :func:`_stage` writes as they were written before.

    csv has texts only. jsonl has texts for what JSON has no word for, which are written as they are.
    """
    for part in parts:
        if not part.kinds:  # a line or a batch without columns is none to those who read csv and parquet
            yield from ({} for _ in range(part.file.rows or 0))
            continue
        match file_format:
            case "csv":
                yield from _csv_rows(part.file)
            case "jsonl":
                yield from _jsonl_rows(part.file)
            case _:
                yield from _parquet_rows(part, kinds)


def _csv_rows(file: StagedFile) -> Iterator[dict[str, Any]]:
    csv.field_size_limit(_LONGEST_CSV_VALUE)  # 128 KiB otherwise
    with open(file.path, encoding="utf-8", newline="") as lines:
        yield from csv.DictReader(lines)


def _jsonl_rows(file: StagedFile) -> Iterator[dict[str, Any]]:
    with open(file.path, encoding="utf-8", newline="\n") as lines:
        for line in lines:
            yield json.loads(line)


def _parquet_rows(part: _Part, kinds: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    import pyarrow.parquet

    restore: dict[str, Callable[[Any], Any]] = {}
    for column, kind in part.kinds.items():
        if kind == MOMENT:
            restore[column] = _in_utc
        elif kind == "json" and kinds[column] == "json":
            restore[column] = json.loads
        elif kind == "decimal" and kinds[column] == "text":
            restore[column] = _without_added_zeros
    for batch in pyarrow.parquet.ParquetFile(part.file.path).iter_batches(batch_size=_BATCH):
        rows = batch.to_pylist()
        for column, restored in restore.items():
            for row in rows:
                if row[column] is not None:
                    row[column] = restored(row[column])
        yield from rows


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)


def _without_added_zeros(value: Decimal) -> str:
    """Return a decimal without the zeros that parquet filled it up with, nor any that it had itself."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
