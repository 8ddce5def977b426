"""What an import published about those whom it set aside, and about what Dialog lacks.

The files are about people: only numbers are read from them. Where the API server cannot reach them, the
counts in the manifest remain.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from airflow.sdk import ObjectStoragePath

from airflow_provider_visma.stores import opened

_log = logging.getLogger(__name__)

SHOWN_PER_REASON: Final = 200
_LARGEST: Final = 4 * 1024 * 1024


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
    found = manifest.get("set_aside")
    reasons = found.items() if isinstance(found, dict) else ()
    counts = {reason: count for reason, count in reasons if isinstance(count, int) and count > 0}
    ids: dict[str, list[str]] = {reason: [] for reason in counts}
    try:
        for line in _read(manifest, "set_aside.jsonl").splitlines():
            aside = json.loads(line)
            group = ids.get(aside["reason"])
            if group is not None and len(group) < SHOWN_PER_REASON:
                group.append(str(aside["external_id"]))
    except Exception as error:  # whatever a storage raises; the page says whom it cannot name
        _log.info("The last import's set_aside.jsonl cannot be read: %s", type(error).__name__)
    ranked = sorted(counts, key=lambda reason: (-counts[reason], reason))
    return tuple(SetAsideGroup(reason, counts[reason], tuple(ids[reason])) for reason in ranked)


def missing(manifest: Mapping[str, Any]) -> dict[str, dict[str, int]] | None:
    """Return the departments and functions that Dialog lacks, by number; None where that cannot be read."""
    try:
        found = json.loads(_read(manifest, "missing.json"))
        return {
            kind: {str(number): int(count) for number, count in found[kind].items()}
            for kind in ("department", "function")
        }
    except Exception as error:  # as above
        _log.info("The last import's missing.json cannot be read: %s", type(error).__name__)
        return None


def _read(manifest: Mapping[str, Any], name: str) -> bytes:
    """Return what the file of an import holds, or its beginning where it is larger than any import's is."""
    addresses = (str(file["uri"]) for file in manifest["files"])
    path = ObjectStoragePath(next(each for each in addresses if each.endswith(f"/{name}")))
    with opened(path) as file:
        content: bytes = file.read(_LARGEST)
    return content
