"""The rows of a Severa operation, landed at a destination: read, compared with earlier reads, published.

Whatever is wrong is found before anything is published: an answer that breaks off, rows that cannot be
read, and a read that brought far fewer rows than the one before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_visma.exceptions import VismaContentError, VismaRequestError
from airflow_provider_visma.published_rows.files import remember_run, stage_gone, stage_index
from airflow_provider_visma.published_rows.index import RowIndex
from airflow_provider_visma.published_rows.refresh import DropGuard
from airflow_provider_visma.row_files import check_format, stage_rows
from airflow_provider_visma.severa_export.asking import SYSTEM, Plan, Read, Times
from airflow_provider_visma.severa_export.state import ExportState, PastRead
from airflow_provider_visma.storage import Publication, published_earlier

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_visma.hooks.severa import SeveraHook
    from airflow_provider_visma.protocols.soap import ReadReport

_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """An operation and what is asked of it, checked against the contract.

    :param arguments: all but the parameters of time.
    :param fields: paths of what to read; nothing for all.
    :param key: columns that together tell rows apart; nothing where nothing does.
    :param columns: of the files, with their kinds.
    :param scope: digest of all this.
    """

    contract: str
    operation: str
    arguments: Mapping[str, Any]
    fields: tuple[str, ...]
    key: tuple[str, ...]
    columns: Mapping[str, str]
    times: Times
    scope: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SeveraLanding:
    """Where the rows of one run go, as what, and what keeps them from being published.

    :param folder: the folder of this run and export.
    :param task: which task lands there, ``<dag id>.<task id>``.
    :param map_index: which instance of a mapped task; -1 for one that is not mapped.
    :param secret: key of the digests in the index.
    :param remembers_all: whether the index shall name all that was published since everything was read.
    """

    folder: ObjectStoragePath
    task: str
    map_index: int
    conn_id: str
    file_format: str
    staging_dir: Path | None
    max_unreadable: int
    drop_guard: DropGuard
    secret: bytes
    remembers_all: bool
    log: Any

    def check(self) -> None:
        """Check what can be checked before anything is asked.

        :raises VismaRequestError: the format is unknown or cannot be written here; or a share is none.
        """
        check_format(self.file_format, _wrong)
        self.drop_guard.check(_wrong)

    def published(self, query: Query) -> dict[str, Any] | None:
        """Return the manifest of what an earlier try landed, None where there is none (whole).

        :raises VismaRequestError: somebody else landed something here in a run of the same name.
        """
        manifest = published_earlier(self.folder, task=self.task, system=SYSTEM)
        if manifest is None or manifest.get("scope") == query.scope:
            return manifest
        if manifest.get("map_index") != self.map_index:
            raise VismaRequestError(
                "another instance of this mapped task landed here",
                system=SYSTEM,
                operation=str(self.folder),
                advice="Give each a name of its own: several exports of one operation need one each.",
            )
        return None

    def land(
        self,
        hook: SeveraHook,
        query: Query,
        plan: Plan,
        *,
        basis: ExportState | None,
        started_at: datetime,
        schema_version: str,
    ) -> dict[str, Any]:
        """Read, verify and publish; return the manifest.

        :param basis: what was known of the export when this run was started.
        :param started_at: UTC, just now.
        """
        from airflow_provider_visma.protocols.soap import ReadReport

        report = ReadReport()
        with (
            Publication(self.folder, staging_dir=self.staging_dir) as publication,
            RowIndex(query.key, secret=self.secret) as index,
        ):
            knows_before = self._remember(index, query, plan, basis)
            rows = hook.rows(
                query.contract,
                query.operation,
                fields=query.fields or None,
                report=report,
                **query.arguments,
                **plan.arguments,
            )
            staged = stage_rows(
                publication,
                f"rows.{self.file_format}",
                index.new_rows(rows, drop_repeats=plan.drop_repeats),
                file_format=self.file_format,
                columns=query.columns,
            )
            published_rows = staged.rows or 0
            self._check_readable(query, report)
            previous = self._check_drop(query, plan, basis, published_rows)
            # A row that cannot be read is still there.
            finds_gone = bool(knows_before and plan.window and not report.unreadable_rows)
            gone = stage_gone(publication, index) if finds_gone else None
            carries = bool(report.unreadable_rows) if plan.window else self.remembers_all and knows_before
            if query.key and plan.moves_watermark:
                stage_index(publication, index, carry=carries)
            if index.conflicting:
                self.log.warning("Rows came more than once, with other values", rows=index.conflicting)
            return publication.publish(
                {
                    "kind": "severa-export",
                    "task": self.task,
                    "map_index": self.map_index,
                    "contract": query.contract,
                    "operation": query.operation,
                    "scope": query.scope,
                    "read": str(plan.read),
                    "started_at": started_at.isoformat(),
                    "asked": {name: moment.isoformat() for name, moment in plan.arguments.items()},
                    "schema_version": schema_version,
                    "quota": {"limit": hook.quota.limit, "used": hook.quota.used} if hook.quota else None,
                    "format": self.file_format,
                    "header": list(query.columns),
                    "rows": published_rows,
                    "previous": previous,
                    "received": index.received,
                    "repeated": index.repeated,
                    "duplicates": index.duplicates,
                    "conflicting": index.conflicting,
                    "without_key": index.without_key,
                    "unreadable": report.unreadable_rows,
                    "unknown_members": dict(report.unknown.most_common(_SHOWN)),
                    "gone": gone,
                    "knows_all": bool(query.key) and (plan.window is not None or carries),
                    "basis": basis.about(plan.window).to_json() if basis else None,
                }
            )

    def _remember(self, index: RowIndex, query: Query, plan: Plan, basis: ExportState | None) -> bool:
        """Take the earlier indexes; return whether they name all that can be gone."""
        if basis is None or not query.key or not plan.moves_watermark:
            return False
        covered = basis.covered_by(plan.window) if plan.window else ()
        if query.times.tells_changes:
            named_all = self._remember_run(index, query, basis.folder)
            # The index names rows from the last read of everything on: one that begins later misses some.
            return named_all and (plan.window is None or len(covered) == len(basis.reads))
        named = [self._remember_run(index, query, read.folder, of=read) for read in covered]
        return bool(named) and all(named)

    def _remember_run(
        self, index: RowIndex, query: Query, folder: str, *, of: PastRead | None = None
    ) -> bool:
        """Take the index of an earlier run; return whether it names all that was published until then.

        :param of: the read that it must be of: a repeated run may have left one of another window.
        """

        def is_of(manifest: Mapping[str, Any]) -> bool:
            same_export = manifest.get("scope") == query.scope
            return same_export and (of is None or of.asked_as(manifest["asked"]))

        return remember_run(index, folder, is_of=is_of, log=self.log, system=SYSTEM, conn_id=self.conn_id)

    def _check_readable(self, query: Query, report: ReadReport) -> None:
        if report.unknown:
            self.log.warning(
                "Severa sent members that its WSDL does not know; they were left out",
                members=dict(report.unknown.most_common(_SHOWN)),
            )
        if report.unreadable_rows <= self.max_unreadable:
            return
        shown = "; ".join(
            f"row {row.position}: {row.field} is {row.reason}" for row in report.unreadable[:_SHOWN]
        )
        raise VismaContentError(
            f"{report.unreadable_rows} rows cannot be read and {self.max_unreadable} may be: {shown}",
            system=SYSTEM,
            conn_id=self.conn_id,
            operation=f"{query.contract}.{query.operation}",
            advice="Nothing was published. Mend them in Severa, or allow as many with max_unreadable.",
        )

    def _check_drop(
        self, query: Query, plan: Plan, basis: ExportState | None, rows: int
    ) -> dict[str, Any] | None:
        """Return which earlier rows these stand beside, unless they are too few.

        :raises VismaGuardError: they are.
        """
        if basis is None:
            return None
        if plan.window is None:
            return {"uri": basis.folder, "rows": basis.rows, "comparable": False}
        earlier = basis.comparable(plan.window)
        if earlier is None:
            return None
        self.drop_guard.told(
            rows,
            before=earlier.rows,
            read_at=earlier.read_at,
            log=self.log,
            system=SYSTEM,
            conn_id=self.conn_id,
            operation=f"{query.contract}.{query.operation}",
            advice="Nothing was published. See whether the API user's rights in Severa were narrowed:"
            " it then gets fewer rows, without an error. Where the rows are gone for good, repeat"
            " the run with on_drop='warn'.",
        )
        return {"uri": earlier.folder, "rows": earlier.rows, "comparable": True}


def past_read(plan: Plan, manifest: Mapping[str, Any]) -> PastRead | None:
    """Return what *manifest* says as a read to compare later ones with, None for a read of changes."""
    if plan.window is None:
        return None
    return PastRead(
        start=plan.window.start.isoformat() if plan.window.start else None,
        end=plan.window.end.isoformat() if plan.window.end else None,
        read_at=manifest["started_at"],
        rows=manifest["rows"],
        folder=manifest["uri"],
        everything=plan.read is Read.EVERYTHING,
    )


def _wrong(message: str, advice: str) -> VismaRequestError:
    return VismaRequestError(message, system=SYSTEM, advice=advice)
