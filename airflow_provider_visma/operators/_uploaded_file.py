"""The file of an upload: a private copy of it, and what is written about its rows."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_provider_visma.exceptions import VismaContentError, VismaRequestError, VismaTransientError
from airflow_provider_visma.storage import read_manifest
from airflow_provider_visma.stores import as_now, lacks_container, opened, store_errors

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_visma.staged_file import StagedFile
    from airflow_provider_visma.storage import Publication

_PIECE = 1024 * 1024


def copied(staging: Publication, source: ObjectStoragePath, *, system: str) -> StagedFile:
    """Return a private copy of a file, hashed.

    :raises VismaRequestError: there is no such file.
    :raises VismaError: the store failed or refuses.
    :raises VismaTransientError: somebody is writing to it: as another file its rows would be sent again.
    """
    advice = "Nothing was sent; a retry reads it again."
    with store_errors(source, problem="the file could not be read", advice=advice):
        try:
            before = _as_stored(source)
            with opened(source) as file, staging.stage("rows") as copy:
                while piece := file.read(_PIECE):
                    copy.write(piece)
            after = _as_stored(source)
        except FileNotFoundError as error:
            if lacks_container(error):
                raise
            raise VismaRequestError("there is no such file", system=system, operation=str(source)) from None
    if after != before:
        raise VismaTransientError(
            "the file was written to while it was read",
            system=system,
            operation=str(source),
            advice="Nothing was sent. A retry reads it again; bring files under another name and rename "
            "them when they are whole.",
        )
    return copy


def _as_stored(file: ObjectStoragePath) -> dict[str, Any]:
    """Return what the store tells of a file: its size, when it was written and, in most, its version."""
    told = dict(as_now(file).info(file.path))
    told.pop("last_accessed_on", None)  # Azure's, where it follows that: reading a file changes it
    return told


def finished_until(folder: ObjectStoragePath) -> int:
    """Return the last batch of the last try that came to its end, 0 where none did."""
    with suppress(VismaContentError):  # damaged, and about to be written anew
        return int((read_manifest(folder) or {}).get("last_batch", 0))
    return 0


def csv_line(values: Iterable[Any]) -> bytes:
    """Return *values* as a record of a CSV file."""
    line = io.StringIO(newline="")
    csv.writer(line).writerow(values)
    return line.getvalue().encode()


def as_written(value: Any) -> str:
    """Return a value for which JSON has no word, as a row of an upload may hold it."""
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def settled_rows(values: Mapping[int | str, str | None] | str | None) -> dict[int, str | None]:
    """Return what a person found of rows in doubt, by row."""
    try:
        # Text is what a template makes of a parameter of the run.
        told = json.loads(values or "{}") if isinstance(values, str) else values or {}
        return {int(row): str(guid).strip() if guid else None for row, guid in told.items()}
    except (ValueError, AttributeError):
        raise VismaRequestError("settled takes row numbers, each with an id or None") from None
