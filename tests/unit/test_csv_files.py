"""Counting and converting CSV without changing a value."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pyarrow.parquet
import pytest
from airflow.sdk import ObjectStoragePath
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_visma.csv_files import CsvCounter, CsvSink, stage_parquet
from airflow_provider_visma.exceptions import VismaContentError, VismaIncompleteAnswerError
from airflow_provider_visma.staged_file import StagedFile
from airflow_provider_visma.storage import Publication

# What people's records really hold, and what CSV readers that guess types turn into something else.
NASTY = (
    "012345678", "+31612345678", "NA", "N/A", "None", "null", "NaN", "nan", "inf", "-inf", "1E5",
    "0x1F", "1_000", "true", "False", "2020-01-01", "01-02-2020", "12:30", "1,5", "1.50", "007", "-0",
    "=1+1", "@cmd", "\t", " ", "", '"', '""', 'Jan "de" Test', "regel 1\nregel 2",
    "regel 1\r\nregel 2", "Zoë", "\u00a0", "𝔗est", ";", "'",
)  # fmt: skip


def in_pieces(body: bytes, size: int) -> list[bytes]:
    return [body[start : start + size] for start in range(0, len(body), size)]


def counted(body: bytes, *, size: int = 1 << 20) -> tuple[int, tuple[str, ...]]:
    counter = CsvCounter()
    for piece in in_pieces(body, size):
        counter.feed(piece)
    return counter.finish(), counter.header


@pytest.mark.parametrize(
    ("body", "rows", "header"),
    [
        (b"a,b\n1,2\n3,4\n", 2, ("a", "b")),
        (b"a,b\n1,2\n3,4", 2, ("a", "b")),
        (b"a,b\r\n1,2\r\n", 1, ("a", "b")),
        (b"\xef\xbb\xbfa,b\n1,2\n", 1, ("a", "b")),
        (b"a,b\n", 0, ("a", "b")),
        (b"a,b", 0, ("a", "b")),
        (b'a,"b\nc"\n1,2\n', 1, ("a", "b\nc")),
        (b'a\n"1\r\n2"\n', 1, ("a",)),
        (b'a\n"1""\n""2"\n3\n', 2, ("a",)),
        (b'a\n""\n""""\n"\n"\n', 3, ("a",)),
        ('naam\nZoë "\n"\n'.encode(), 1, ("naam",)),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 1024])
def test_records_are_counted_wherever_the_pieces_are_cut(
    body: bytes, rows: int, header: tuple[str, ...], size: int
) -> None:
    assert counted(body, size=size) == (rows, header)


@given(
    rows=st.lists(st.lists(st.text(alphabet='ab",\n\r é'), min_size=2, max_size=3), min_size=1, max_size=8),
    end=st.sampled_from(["\n", "\r\n"]),
    size=st.integers(1, 50),
)
def test_the_count_is_that_of_a_csv_parser(rows: list[list[str]], end: str, size: int) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=end, quoting=csv.QUOTE_ALL).writerows([["x", "y"], *rows])
    assert counted(text.getvalue().encode(), size=size) == (len(rows), ("x", "y"))


@pytest.mark.parametrize("body", [b"", b'a,b\n1,"2', b'a,b\n1,"2\n3,4\n', b'"a'])
def test_a_file_that_ends_too_early_is_an_error(body: bytes) -> None:
    with pytest.raises(VismaIncompleteAnswerError):
        counted(body)


def test_something_without_line_ends_is_not_held_in_memory_for_its_header() -> None:
    counter = CsvCounter()
    for _ in range(2):
        counter.feed(b"x" * 400_000)
    with pytest.raises(VismaContentError, match="no CSV header"):
        counter.feed(b"x" * 400_000)


def staged_csv(publication: Publication, body: bytes, *, size: int = 1 << 20) -> StagedFile:
    with publication.stage("part-0000.csv") as staged:
        sink = CsvSink(staged)
        for piece in in_pieces(body, size):
            sink.write(piece)
        sink.finish()
    return staged


@pytest.fixture
def folder(tmp_path: Path) -> ObjectStoragePath:
    return ObjectStoragePath(f"file://{tmp_path}/out")


def test_restarting_forgets_what_was_counted(folder: ObjectStoragePath) -> None:
    with Publication(folder) as publication, publication.stage("part.csv") as staged:
        sink = CsvSink(staged)
        sink.write(b'old\n1\n2\n"')
        sink.restart()
        sink.write(b"new\n1\n")
        sink.finish()
        assert (staged.rows, staged.header, staged.size) == (1, ("new",), 6)


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_parquet_holds_every_value_as_it_was_written(
    folder: ObjectStoragePath, line_end: str, mark: str
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=line_end)
    writer.writerows([["id", "value", "other"], *([str(i), value, value] for i, value in enumerate(NASTY))])
    with Publication(folder) as publication:
        source = staged_csv(publication, (mark + text.getvalue()).encode())
        staged = stage_parquet(publication, source, "part-0000.parquet")
        table = pyarrow.parquet.read_table(staged.path)
    assert table.column_names == ["id", "value", "other"]
    assert table.column("value").to_pylist() == list(NASTY)
    assert table.column("other").to_pylist() == list(NASTY)
    assert staged.rows == len(NASTY)


@pytest.mark.parametrize("body", [b"a,b\n", b"a,b"])
def test_a_header_without_records_becomes_an_empty_table(folder: ObjectStoragePath, body: bytes) -> None:
    with Publication(folder) as publication:
        staged = stage_parquet(publication, staged_csv(publication, body), "part.parquet")
        assert pyarrow.parquet.read_table(staged.path).to_pydict() == {"a": [], "b": []}


def test_a_column_has_a_type_only_when_asked(folder: ObjectStoragePath) -> None:
    body = b"born,hours,code\n1980-02-03,36.5,007\n,,\n"
    with Publication(folder) as publication:
        source = staged_csv(publication, body)
        staged = stage_parquet(publication, source, "p", schema={"born": "date32", "hours": "float64"})
        table = pyarrow.parquet.read_table(staged.path)
    assert [str(field.type) for field in table.schema] == ["date32[day]", "double", "string"]
    assert table.column("born").to_pylist()[1] is None
    assert table.column("code").to_pylist() == ["007", ""]


@pytest.mark.parametrize(
    ("body", "schema"),
    [
        (b"a,b\n1,2,canary\n", {}),
        (b"a,b\ncanary\n", {}),
        (b"a,b\ncanary,2\n", {"a": "date32"}),
        (b"a,b\n1,2\n", {"canary": "date32"}),
        (b"a,b\ncan\xffary,2\n", {}),
    ],
)
def test_a_record_that_does_not_fit_is_an_error_that_does_not_quote_it(
    folder: ObjectStoragePath, body: bytes, schema: dict[str, str]
) -> None:
    with Publication(folder) as publication:
        source = staged_csv(publication, body)
        with pytest.raises(VismaContentError) as caught:
            stage_parquet(publication, source, "part.parquet", schema=schema)
    if not schema.get("canary"):
        assert "canary" not in str(caught.value)
    assert caught.value.__context__ is None
