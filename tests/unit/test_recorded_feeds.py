"""Feeds that public services really sent, as files: of every format the same rows and columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_visma import feed_files
from airflow_provider_visma.exceptions import VismaError
from airflow_provider_visma.feed_files import ColumnKinds, stage_feed, to_write
from airflow_provider_visma.protocols.odata3 import FeedReader
from airflow_provider_visma.row_files import FORMATS, as_text, read_rows
from airflow_provider_visma.storage import Publication

# Beside the repository and no part of it.
RECORDED = Path(__file__).parents[3] / "shared/contracts/data/odata3"
DOCUMENTS = sorted(RECORDED.glob("*/*.xml"))


def exported(
    document: Path, folder: Path, file_format: str
) -> tuple[FeedReader, ColumnKinds, list[dict[str, Any]]]:
    reader = FeedReader()
    kinds = ColumnKinds(lambda: reader.columns)
    path = ObjectStoragePath(f"file://{folder}/{file_format}")
    with Publication(path) as publication:
        rows = reader.rows(iter([document.read_bytes()]), base="https://tenant.example/odata.svc/x")
        stage_feed(publication, f"rows.{file_format}", rows, file_format=file_format, kinds=kinds)
        publication.publish({})
    return reader, kinds, list(read_rows(path / f"rows.{file_format}", file_format))


@pytest.mark.skipif(not DOCUMENTS, reason=f"the recorded feeds are not there: {RECORDED}")
@pytest.mark.parametrize("rows_at_once", [1, 5000])
def test_what_can_be_read_can_be_written(
    tmp_path: Path, rows_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_files, "_BATCH", rows_at_once)
    written = 0
    for document in DOCUMENTS:
        try:
            given = list(FeedReader().rows(iter([document.read_bytes()]), base="https://tenant.example/x"))
        except VismaError:
            continue  # an error, or another document; the reader's own tests tell them apart
        for file_format in FORMATS:
            if not any(given):
                continue  # nothing to write: no row, or rows of which $select left no property
            reader, kinds, rows = exported(document, tmp_path / document.stem, file_format)
            assert len(rows) == len(given), document.name
            assert to_write(kinds.kinds) == reader.columns, document.name
            for row, expected in zip(rows, given, strict=True):
                for column, value in expected.items():
                    if isinstance(value, str | int) or value is None:
                        same = (as_text(row[column]) or "") == (as_text(value) or "")
                        assert same, (document.name, column)
            written += 1
    assert written > 200
