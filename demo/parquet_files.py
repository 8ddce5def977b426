"""Published parquet files: what a manifest says of one, and what the file itself says."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet


def published(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return what a manifest says of its rows: ``uri``, ``rows``, ``bytes`` and ``sha256``."""
    (rows,) = (file for file in manifest["files"] if file["uri"].endswith("/rows.parquet"))
    return {name: rows[name] for name in ("uri", "rows", "bytes", "sha256")}


def path_of(file: dict[str, Any]) -> Path:
    """Return where a file of a summary is."""
    return Path(file["uri"].removeprefix("file://"))


def file_differences(folder: str, file: dict[str, Any]) -> Iterator[str]:
    """Yield what the file holds otherwise than its manifest says.

    :param folder: that it is in, for the message.
    """
    path = path_of(file)
    content = path.read_bytes()
    name = f"{folder}/{path.name}"
    digest = hashlib.sha256(content).hexdigest()
    if (len(content), digest) != (file["bytes"], file["sha256"]):
        yield f"{name} is not the file that was published"
        return
    held = pyarrow.parquet.ParquetFile(path).metadata.num_rows
    if held != file["rows"]:
        yield f"{name} holds {held} rows, and its manifest says {file['rows']}"
