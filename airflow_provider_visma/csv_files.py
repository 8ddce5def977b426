"""CSV files as bytes: counted while they pass, and turned into parquet without changing a value.

Values are text and stay text: a citizen service number keeps its leading zero, ``NA`` is a name and
``1E5`` a room. A type is given to a column only where somebody asked for it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from airflow_provider_visma.exceptions import (
    VismaContentError,
    VismaIncompleteAnswerError,
    VismaRequestError,
)

if TYPE_CHECKING:
    from airflow_provider_visma.staged_file import StagedFile
    from airflow_provider_visma.storage import Publication

_NEITHER_QUOTE_NOR_LINE_END = bytes(byte for byte in range(256) if byte not in b'"\n')
_LONGEST_HEADER = 1024 * 1024
_BLOCK = 16 * 1024 * 1024


class CsvCounter:
    """Counts the records of a CSV file (RFC 4180) from its bytes, in pieces of any size.

    A line end inside quotes is part of a value. Nothing is parsed: of each piece only quotes and line
    ends are kept, which runs at over a gigabyte a second where a CSV parser reads 70 MB.
    """

    def __init__(self) -> None:
        self.header: tuple[str, ...] = ()
        self._line_ends = 0
        self._inside_quotes = False
        self._last = b""
        self._head = bytearray()

    def feed(self, chunk: bytes) -> None:
        """Take the next piece."""
        if self._inside_quotes or b'"' in chunk:
            self._take_quoted(chunk)
        else:
            # Taking a byte out goes by memchr, which is several times as fast as bytes.count.
            self._line_ends += len(chunk) - len(chunk.replace(b"\n", b""))
        self._last = chunk[-1:] or self._last
        if not self.header:
            self._read_header(chunk)

    def _take_quoted(self, chunk: bytes) -> None:
        marks = chunk.translate(None, _NEITHER_QUOTE_NOR_LINE_END)
        if self._inside_quotes:
            marks = b'"' + marks
        # Two quotes next to each other open and close, or close and open again: nothing changes.
        parts = marks.replace(b'""', b"").split(b'"')
        self._line_ends += sum(part.count(b"\n") for part in parts[::2])
        self._inside_quotes = len(parts) % 2 == 0

    def finish(self) -> int:
        """Return the number of records after the header.

        :raises VismaIncompleteAnswerError: the file ends inside a value, or before its header does.
        """
        if self._inside_quotes:
            raise VismaIncompleteAnswerError("the CSV file ends inside a quoted value")
        lines = self._line_ends + (self._last not in (b"", b"\n"))
        if not self.header and lines:
            self._line_ends = max(self._line_ends, 1)
            self._read_header(b"")
        if not self.header:
            raise VismaIncompleteAnswerError("the CSV file is empty, without even a header")
        return lines - 1

    def _read_header(self, chunk: bytes) -> None:
        self._head += chunk
        if self._line_ends:
            text = self._head.decode("utf-8-sig", errors="backslashreplace")
            self.header = tuple(next(csv.reader(io.StringIO(text, newline="")), ()))
            self._head.clear()
        elif len(self._head) > _LONGEST_HEADER:
            raise VismaContentError("the file has no CSV header within its first MiB")


class CsvSink:
    """A staged CSV file that knows its header and its number of records when it is finished."""

    def __init__(self, staged: StagedFile) -> None:
        self._staged = staged
        self._counter = CsvCounter()

    def write(self, chunk: bytes) -> None:
        """Append *chunk*, untouched."""
        self._staged.write(chunk)
        self._counter.feed(chunk)

    def restart(self) -> None:
        """Forget everything written so far."""
        self._staged.restart()
        self._counter = CsvCounter()

    def finish(self) -> None:
        """Note rows and header in the staged file."""
        self._staged.rows = self._counter.finish()
        self._staged.header = self._counter.header


def require_parquet(schema: Mapping[str, str] | None = None) -> None:
    """Check that parquet can be written, before anything costly is done.

    :param schema: as for :func:`stage_parquet`.
    :raises VismaRequestError: it cannot.
    """
    if find_spec("pyarrow") is None:
        raise VismaRequestError(
            "parquet files need pyarrow", advice="Install airflow-provider-visma[parquet] on the workers."
        )
    import pyarrow

    for column, kind in (schema or {}).items():
        try:
            pyarrow.type_for_alias(kind)
        except ValueError:
            raise VismaRequestError(
                f"the schema gives {column} the type {kind!r}, which pyarrow has no such name for",
                advice="Give a name such as int64, double, date32 or timestamp[ms].",
            ) from None


def stage_parquet(
    publication: Publication, csv_file: StagedFile, name: str, *, schema: Mapping[str, str] | None = None
) -> StagedFile:
    """Stage the records of a staged CSV file as parquet, in constant memory.

    :param schema: pyarrow's type name by column, e.g. ``{"dateofbirth": "date32"}``; an empty value is
        null there. Columns without one are text, and an empty value is an empty text.
    :raises VismaContentError: a record has another number of values than the header, or a value is not of
        its column's type.
    """
    import pyarrow
    import pyarrow.parquet

    with publication.stage(name) as staged:
        problem = ""
        try:
            with (
                _open_csv(csv_file, schema or {}) as batches,
                pyarrow.parquet.ParquetWriter(
                    WritableStage(staged), batches.schema, compression="zstd"
                ) as file,
            ):
                rows = 0
                for batch in batches:
                    file.write_batch(batch)
                    rows += batch.num_rows
        except pyarrow.ArrowException as error:
            problem = type(error).__name__
        # Raised here, not above: pyarrow's message quotes the record, and so would the chain.
        if problem:
            raise VismaContentError(f"{csv_file.name} does not fit its header or the schema ({problem})")
        if rows != csv_file.rows:
            raise VismaContentError(f"{csv_file.name} has {csv_file.rows} records, of which {rows} were read")
        staged.rows, staged.header = rows, csv_file.header
    return staged


def _open_csv(csv_file: StagedFile, schema: Mapping[str, str]) -> Any:
    import pyarrow
    import pyarrow.csv

    header = csv_file.header or ()
    if unknown := sorted(set(schema) - set(header)):
        raise VismaContentError(
            f"the schema names columns the file does not have: {', '.join(unknown)[:200]}"
        )
    types = {
        column: pyarrow.type_for_alias(schema[column]) if column in schema else pyarrow.string()
        for column in header
    }
    if not csv_file.rows:  # pyarrow takes a header without a line end for an empty file
        return pyarrow.RecordBatchReader.from_batches(pyarrow.schema(types), [])
    return pyarrow.csv.open_csv(
        csv_file.path,
        read_options=pyarrow.csv.ReadOptions(use_threads=False, block_size=_BLOCK),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=types, null_values=[""], strings_can_be_null=False
        ),
    )


class WritableStage(io.RawIOBase):
    """A staged file as pyarrow wants to write to it."""

    def __init__(self, staged: StagedFile) -> None:
        self._staged = staged

    def writable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return how many bytes were written."""
        return self._staged.size

    def write(self, chunk: Any) -> int:
        """Append *chunk*, anything that has a buffer."""
        piece = bytes(chunk)
        self._staged.write(piece)
        return len(piece)
