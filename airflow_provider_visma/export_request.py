"""What an export is asked to hold, checked before anything is sent.

Nothing that a DAG author or a parameter puts into a dataset, a job id or a field list may reach another
address than the one it stands for.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_provider_visma.exceptions import VismaRequestError

SYSTEM = "Visma.net HRM"
_DATASET = re.compile(r"[a-z0-9-]+(/[a-z0-9-]+)*")
_JOB_ID = re.compile(r"[0-9A-Za-z-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """What an export is asked to hold.

    :param dataset: path of the dataset, e.g. ``employees`` or ``metadata/cost-centers``.
    :param changed_after: ``changeTimestampBefore`` of the previous export, as the service wrote it; None
        for everything.
    :param fields: columns to include; empty for all.
    :param exclude_fields: columns to leave out; not together with *fields*.
    :param callback_address: address that the service may post the result to.
    :raises VismaRequestError: the dataset, the time or the field lists are unusable.
    """

    dataset: str
    changed_after: str | None = None
    fields: tuple[str, ...] = ()
    exclude_fields: tuple[str, ...] = ()
    callback_address: str | None = None

    def __post_init__(self) -> None:
        checked_dataset(self.dataset)
        if self.fields and self.exclude_fields:
            raise self._refused("fields and exclude_fields contradict each other", "Give one of the two.")
        if any(not re.fullmatch(r"\w+", name) for name in (*self.fields, *self.exclude_fields)):
            raise self._refused(
                "a field name holds something other than letters, digits and _",
                "Give names without commas or an exclamation mark: `exclude_fields` adds that itself.",
            )
        if self.changed_after is not None:
            try:
                datetime.fromisoformat(self.changed_after)
            except ValueError:
                raise self._refused(
                    f"changed_after {self.changed_after[:40]!r} is not a timestamp",
                    "Give the watermark of the previous export, or nothing for everything.",
                ) from None

    def query(self) -> dict[str, str]:
        """Return the query parameters that ask for it."""
        query = {}
        if self.changed_after is not None:
            query["changeTimestampAfter"] = self.changed_after
        if self.fields:
            query["fields"] = ",".join(self.fields)
        if self.exclude_fields:
            # One exclamation mark in front of the whole list excludes all of it (contract, 1.1).
            query["fields"] = "!" + ",".join(self.exclude_fields)
        return query

    def fingerprint(self, *, tenant_id: str | None) -> str:
        """Return what tells this request from another one, for :func:`decide_attachment`."""
        asked = [self.dataset, self.query(), self.callback_address, tenant_id]
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()

    def _refused(self, message: str, advice: str) -> VismaRequestError:
        return VismaRequestError(message, system=SYSTEM, operation=self.dataset, advice=advice)


def column_names(names: str | Iterable[str] | None) -> tuple[str, ...]:
    """Return *names* as :class:`ExportRequest` takes them; a template makes text of them, with commas."""
    if isinstance(names, str):
        return tuple(name.strip() for name in names.split(",") if name.strip())
    return tuple(names or ())


def checked_dataset(dataset: str) -> str:
    """Return *dataset* if it is a plain path: segments of a-z, 0-9 and ``-``, so nothing can leave it.

    :raises VismaRequestError: it is not.
    """
    if not _DATASET.fullmatch(dataset):
        raise VismaRequestError(
            f"{dataset[:60]!r} is not the path of a dataset",
            system=SYSTEM,
            advice="Write it as in the API's own documentation, e.g. `employees` or `metadata/cost-centers`.",
        )
    return dataset


def checked_job_id(job_id: Any) -> str:
    """Return *job_id* if it can be one.

    :raises VismaRequestError: it cannot.
    """
    if not isinstance(job_id, str) or not _JOB_ID.fullmatch(job_id):
        raise VismaRequestError(
            f"{str(job_id)[:60]!r} is not a job id",
            system=SYSTEM,
            advice="Pass on the id that starting the export returned.",
        )
    return job_id
