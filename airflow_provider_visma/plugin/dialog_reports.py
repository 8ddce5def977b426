"""What an import published about those whom it set aside, and about what Dialog lacks.

The files are about people: only numbers are read from them. Where the API server cannot reach them, the
counts in the manifest remain.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from airflow.sdk import ObjectStoragePath

from airflow_provider_visma.storage import read_jsonl

_log = logging.getLogger(__name__)
_LISTED: Final = 5_000
SHOWN_PER_REASON: Final = 200
_LARGEST: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class SetAsideGroup:
    """The employees whom an import set aside for one reason.

    :param employee_ids: some of them; all where there are as many as *count*.
    """

    reason: str
    count: int
    employee_ids: tuple[str, ...]


def set_aside(manifest: Mapping[str, Any]) -> tuple[SetAsideGroup, ...]:
    """Return who was set aside, by reason, the most frequent reason first."""
    counts = {str(reason): int(count) for reason, count in manifest.get("set_aside", {}).items() if count}
    ids: dict[str, list[str]] = {reason: [] for reason in counts}
    for line in _lines(manifest, "set_aside.jsonl"):
        group = ids.get(str(line.get("reason")))
        if group is not None and len(group) < SHOWN_PER_REASON:
            group.append(str(line.get("external_id")))
    ranked = sorted(counts, key=lambda reason: (-counts[reason], reason))
    return tuple(SetAsideGroup(reason, counts[reason], tuple(ids[reason])) for reason in ranked)


def missing(manifest: Mapping[str, Any]) -> dict[str, dict[str, int]] | None:
    """Return the departments and functions that Dialog lacks, by number; None where that cannot be read."""
    path = _path(manifest, "missing.json")
    if path is None:
        return None
    try:
        with path.fs.open(path.path, "rb") as file:
            found = json.loads(file.read(_LARGEST))
        return {
            kind: {str(number): int(count) for number, count in found[kind].items()}
            for kind in ("department", "function")
        }
    except Exception as error:  # whatever a storage raises; the page says that it cannot be read
        _log.info("The last import's missing.json cannot be read: %s", type(error).__name__)
        return None


def _lines(manifest: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    path = _path(manifest, name)
    if path is None:
        return []
    try:
        return list(islice(read_jsonl(path), _LISTED))
    except Exception as error:  # as above
        _log.info("The last import's %s cannot be read: %s", name, type(error).__name__)
        return []


def _path(manifest: Mapping[str, Any], name: str) -> ObjectStoragePath | None:
    addresses = (str(file.get("uri", "")) for file in manifest.get("files", ()))
    address = next((each for each in addresses if each.endswith(f"/{name}")), None)
    return ObjectStoragePath(address) if address else None
