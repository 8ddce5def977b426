"""Nmbrs: one run's view of everybody, as files.

What leaves this module for XCom and logs is counts and ids; the people are in the files alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_visma.exceptions import VismaContentError, VismaRequestError
from airflow_provider_visma.operators.base import VismaOperator
from airflow_provider_visma.storage import Publication, place, stage_jsonl

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_visma.operators._nmbrs_snapshot import Snapshot

_ACTIVE_PAYROLL = 2
_SHOWN = 10


class NmbrsSnapshotOperator(VismaOperator):
    """Read the employees, departments and functions of Nmbrs once, and publish them as files.

    Only the fields that an import needs are read: name, work e-mail, employments, departments and
    functions. The BSN is never read; the connection extra ``personal_info_without_bsn`` keeps it off
    the wire too, with a call that the manual does not have opened.

    Files at *destination*: ``employees.jsonl`` in order of their ids, ``departments.jsonl`` and
    ``functions.jsonl`` as the debtors define them, ``unreadable.jsonl`` (ids and field names), and
    ``_manifest.json`` last.

    :param destination: folder, any address that ObjectStoragePath takes. (templated)
    :param nmbrs_conn_id: connection to Nmbrs.
    :param debtor_ids: debtors to read; all that the API user may see where None. (templated)
    :param company_ids: companies to read; all of those debtors where None. (templated)
    :param employee_types: whom to read: 2 is the active payroll, 4 those out of service. None for
        everybody in a company, former employees and applicants too. (templated)
    :param max_unreadable: how many rows may be unreadable before the task fails. Employees with one are
        left out of the snapshot.
    :return: the manifest: counts, ids and the files' addresses, nothing about a person.
    """

    template_fields: Sequence[str] = ("destination", "debtor_ids", "company_ids", "employee_types")

    def __init__(
        self,
        *,
        destination: str,
        nmbrs_conn_id: str = "nmbrs_default",
        debtor_ids: Iterable[int | str] | str | None = None,
        company_ids: Iterable[int | str] | str | None = None,
        employee_types: Iterable[int | str] | str | None = (_ACTIVE_PAYROLL,),
        max_unreadable: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.destination = destination
        self.nmbrs_conn_id = nmbrs_conn_id
        self.debtor_ids = debtor_ids
        self.company_ids = company_ids
        self.employee_types = employee_types
        self.max_unreadable = max_unreadable

    def execute(self, context: Context) -> dict[str, Any]:
        """Read, then publish."""
        from airflow_provider_visma.hooks.nmbrs import NmbrsHook
        from airflow_provider_visma.operators._nmbrs_snapshot import SnapshotReader

        destination = place(self.destination)
        read_at = datetime.now(UTC)
        hook = NmbrsHook(self.nmbrs_conn_id)
        snapshot = SnapshotReader(
            hook,
            debtor_ids=_numbers(self.debtor_ids),
            company_ids=_numbers(self.company_ids),
            employee_types=_numbers(self.employee_types),
        ).read()
        self._check(snapshot)
        counts = {
            "debtors": len(snapshot.debtor_ids),
            "companies": len(snapshot.company_ids),
            "employees": len(snapshot.employees),
            "departments": len(snapshot.departments),
            "functions": len(snapshot.functions),
            "unreadable": len(snapshot.unreadable),
        }
        with Publication(destination) as publication:
            stage_jsonl(publication, "employees.jsonl", (each.to_json() for each in snapshot.employees))
            stage_jsonl(publication, "departments.jsonl", map(asdict, snapshot.departments))
            stage_jsonl(publication, "functions.jsonl", map(asdict, snapshot.functions))
            stage_jsonl(publication, "unreadable.jsonl", snapshot.unreadable)
            manifest = publication.publish(
                {
                    "kind": "nmbrs-snapshot",
                    "read_at": read_at.isoformat(),
                    "domain": hook.domain,
                    **counts,
                    "unknown_elements": dict(snapshot.unknown),
                }
            )
        self.log.info("Published a snapshot: %s", counts)
        return manifest

    def _check(self, snapshot: Snapshot) -> None:
        if snapshot.unknown:
            self.log.warning(
                "Nmbrs sent elements that its WSDL does not know; they were ignored: %s",
                dict(snapshot.unknown),
            )
        if len(snapshot.unreadable) <= self.max_unreadable:
            return
        shown = "; ".join(
            f"employee {row['employee_id']}: {row['field']} of {row['operation']} is {row['reason']}"
            for row in snapshot.unreadable[:_SHOWN]
        )
        raise VismaContentError(
            f"{len(snapshot.unreadable)} rows cannot be read and {self.max_unreadable} may be: {shown}",
            system="Nmbrs",
            conn_id=self.nmbrs_conn_id,
            advice="Nothing was published. Mend them in Nmbrs, or allow as many with max_unreadable.",
        )


def _numbers(values: Iterable[int | str] | str | None) -> list[int] | None:
    if isinstance(values, str):
        # What a template makes of a number, a list or None.
        values = None if values.strip() in ("", "None") else values.strip(" []()").split(",")
    try:
        return None if values is None else [int(value) for value in values]
    except ValueError:
        raise VismaRequestError(
            f"{values!r:.60} are not ids", system="Nmbrs", advice="Give whole numbers, separated by commas."
        ) from None
