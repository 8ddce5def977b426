"""Bulk requests of SCIM (RFC 7644, 3.7): what goes into one, and what its answer says.

A batch never passes the limits that the service gave, and an operation whose result the answer does not
name has no result: whoever sent it has to look.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from scim2_models import BulkRequest


@dataclass(frozen=True, slots=True)
class BulkLimits:
    """How much one Bulk request may hold (RFC 7644, 3.7.4)."""

    max_operations: int
    max_bytes: int


@dataclass(frozen=True, slots=True)
class BulkItem:
    """One operation of a Bulk request.

    :param key: our name for it, returned with its result.
    """

    key: str
    method: str
    path: str
    body: dict[str, Any]
    version: str | None = None

    def operation(self) -> dict[str, Any]:
        """Return the operation as SCIM writes it."""
        told = {"method": self.method, "bulkId": self.key, "path": self.path, "data": self.body}
        return told if self.version is None else {**told, "version": self.version}


def message(items: Iterable[BulkItem]) -> dict[str, Any]:
    """Return the Bulk request of *items*."""
    return {
        "schemas": [str(BulkRequest.__schema__)],
        "Operations": [item.operation() for item in items],
    }


def batches(items: Iterable[BulkItem], limits: BulkLimits) -> Iterator[list[BulkItem]]:
    """Group *items* so that no Bulk request passes the service's limits."""
    envelope = len(json.dumps(message([])))
    batch: list[BulkItem] = []
    size = envelope
    for item in items:
        # No HTTP library writes JSON longer than this: ASCII escapes, separators of two characters.
        cost = len(json.dumps(item.operation())) + 2
        if batch and (len(batch) == limits.max_operations or size + cost > limits.max_bytes):
            yield batch
            batch, size = [], envelope
        batch.append(item)
        size += cost
    if batch:
        yield batch


def statuses(answer: Any, items: Sequence[BulkItem]) -> dict[str, int]:
    """Return the status of each of *items* that *answer* names, by key."""
    keys = {item.key for item in items}
    by_path = {item.path: item.key for item in items if item.method == "PATCH"}
    found: dict[str, int] = {}
    results = answer.get("Operations") if isinstance(answer, dict) else None
    for result in results if isinstance(results, list) else []:
        if not isinstance(result, dict):
            continue
        # The standard asks for bulkId after POST only; a changed resource is known by its place.
        place = "/" + "/".join(str(result.get("location", "")).split("/")[-2:])
        key = str(result.get("bulkId") or by_path.get(place))
        status = str(result.get("status", ""))
        if key in keys and status.isdigit():
            found[key] = int(status)
    return found
