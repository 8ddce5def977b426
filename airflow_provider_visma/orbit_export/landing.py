"""The rows of a list of Orbit, landed at a destination: sifted, compared with what was published before, and
published whole or not at all.

A row is called gone only where everything that was published is known, and everything was read by a user who
should see it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import ObjectStoragePath

from airflow_provider_visma.column_changes import ColumnChanges, KnownColumns
from airflow_provider_visma.exceptions import VismaContentError
from airflow_provider_visma.feed_files import ColumnKinds, converted, stage_feed
from airflow_provider_visma.orbit_export.changes import Changes, OrbitState, latest_believable
from airflow_provider_visma.orbit_export.reading import OrbitList, Reading
from airflow_provider_visma.published_rows.files import remember_run, stage_gone, stage_index
from airflow_provider_visma.published_rows.index import RowIndex
from airflow_provider_visma.published_rows.refresh import DropGuard
from airflow_provider_visma.storage import Publication, read_jsonl, read_manifest, stage_jsonl

if TYPE_CHECKING:
    from airflow_provider_visma.hooks.orbit import OrbitHook

SYSTEM = "Teamleader Orbit"
RECENT_NAME = "recent.jsonl"
_UNREADABLE = "Nothing was asked or published; a retry reads it again."
_WIDER: dict[str, type] = {"decimal": Decimal, "text": str}


@dataclass(slots=True)
class _Columns:
    """The columns of rows as they come, as kinds that later rows may widen.

    :param before: as they were published before.
    :param keeps_all: whether a column that does not come is a column all the same.
    """

    before: KnownColumns
    keeps_all: bool
    met: dict[str, str] = field(default_factory=dict)

    def of(self, rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield rows whose values are no narrower than their columns were before."""
        # PHP writes 10.0 as 10: a column of fractions stays one on a day when all of them are whole.
        wider = {
            column: (_WIDER[kind], kind)
            for column, kind in self.before.kinds.items()
            if kind in _WIDER and column not in self.before.without_value
        }
        if self.keeps_all:
            self.met.update(self.before.kinds)
        for row in rows:
            if not row.keys() <= self.met.keys():
                self.met |= {column: "text" for column in row if column not in self.met}
            for column, (own, kind) in wider.items():
                if (value := row.get(column)) is not None and type(value) is not own:
                    row[column] = converted(value, kind)
            yield row

    def told(self) -> dict[str, str]:
        """Return the kinds to assume of columns without a value."""
        return self.before.told(self.met)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrbitLanding:
    """Where the rows of one run go, as what, and what keeps them from being published.

    :param task: which task lands there, ``<dag id>.<task id>``.
    :param map_index: which instance of a mapped task; -1 for one that is not mapped.
    :param secret: key of the digests of rows.
    :param overlap: how far before the last moment of change the next export reaches back.
    :param remembers_all: whether the index shall name all that was published since everything was read.
    """

    folder: ObjectStoragePath
    task: str
    map_index: int
    conn_id: str
    file_format: str
    staging_dir: Path | None
    on_column_change: str
    overlap: timedelta
    drop_guard: DropGuard
    secret: bytes
    remembers_all: bool
    log: Any

    def land(
        self,
        hook: OrbitHook,
        wanted: OrbitList,
        *,
        since: str | None,
        again: bool,
        basis: OrbitState | None,
        earlier: Mapping[str, Any] | None,
        started_at: datetime,
    ) -> dict[str, Any]:
        """Read, sift, compare and publish; return the manifest.

        :param since: from when on changes are wanted, None for everything.
        :param again: publish what was published before too.
        :param basis: what was known of the export when this run was started.
        :param earlier: the manifest of what an earlier try of this run published.
        :param started_at: UTC, just now.
        """
        published = self._published_before(basis) if basis and since and not again else None
        reading = Reading(hook, wanted)
        changes = Changes(
            since=since,
            latest=latest_believable(started_at),
            overlap=self.overlap,
            published=published or {},
            secret=self.secret,
        )
        before = KnownColumns(basis.columns, frozenset(basis.without_value)) if basis else KnownColumns()
        columns = _Columns(before, keeps_all=since is not None)
        kinds = ColumnKinds(columns.told)
        # Without rows that must come again there is no telling whether a filter works.
        asks = bool(since and published and basis and basis.all_dated)
        with (
            Publication(self.folder, staging_dir=self.staging_dir) as publication,
            RowIndex(("id",), secret=self.secret) as index,
        ):
            compares = since is None or (self.remembers_all and not again)
            knows_before = compares and self._remember(index, basis, earlier)
            if since is None:
                rows = changes.of(reading.everything(index, may_miss=knows_before))
            else:
                came = reading.changes(since if asks else None, expected=published or ())
                rows = index.new_rows(changes.of(came), drop_repeats=False)
            staged = stage_feed(
                publication,
                f"rows.{self.file_format}",
                columns.of(rows),
                file_format=self.file_format,
                kinds=kinds,
            )
            if staged.rows and not columns.met:
                raise VismaContentError(
                    "its rows have no columns",
                    system=SYSTEM,
                    conn_id=self.conn_id,
                    operation=f"{wanted.resource}.list",
                    advice="Nothing was published.",
                )
            now = before.now(kinds.kinds, with_values=kinds.with_values)
            column_changes = None
            if basis:
                column_changes = ColumnChanges.between(before, now).told(
                    self.on_column_change,
                    self.log,
                    system=SYSTEM,
                    conn_id=self.conn_id,
                    operation=f"{wanted.resource}.list",
                    advice="Nothing was published. Accept them by running once with on_column_change='warn'.",
                )
            if since is None:
                self._check_drop(wanted, staged.rows or 0, basis=basis, earlier=earlier)
            stage_jsonl(publication, RECENT_NAME, changes.recent())
            # A row without an id may be any of those that were published before.
            finds_gone = knows_before and since is None and not index.without_key and not reading.moving
            gone = stage_gone(publication, index) if finds_gone else None
            if not again:
                stage_index(publication, index, carry=knows_before and not finds_gone)
            if reading.honoured is False:
                self.log.info("The filter is refused, ignored or misread: the whole list was read")
            return publication.publish(
                {
                    "kind": "orbit-export",
                    "task": self.task,
                    "map_index": self.map_index,
                    "resource": wanted.resource,
                    "scope": wanted.scope,
                    "user": wanted.user or (basis.user if basis else None),
                    "read": "everything" if since is None else "changes",
                    "started_at": started_at.isoformat(),
                    "since": since,
                    "watermark": changes.watermark,
                    # A filter that is ignored brings everything: that shows in rows that are older.
                    "filter_honoured": reading.honoured and not changes.older
                    if reading.honoured is not None
                    else None,
                    "format": self.file_format,
                    "header": list(now.kinds),
                    "rows": staged.rows,
                    "received": changes.received,
                    "older": changes.older,
                    "repeated": changes.repeated,
                    "without_updated_at": changes.undated,
                    "in_future": changes.in_future,
                    "columns": dict(now.kinds),
                    "without_value": sorted(now.without_value),
                    "column_changes": column_changes.to_json() if column_changes is not None else None,
                    "gone": gone,
                    "knows_all": since is None or knows_before,
                    "previous": {"uri": basis.folder} if basis else None,
                    "basis": basis.to_json() if basis else None,
                }
            )

    def _remember(self, index: RowIndex, basis: OrbitState | None, earlier: Mapping[str, Any] | None) -> bool:
        """Take the indexes of what was published before; return whether they name all that can be gone."""
        known = []
        if basis:
            known.append(self._remember_run(index, basis.folder, started_at=basis.started_at))
        if earlier:
            # What this run published before it was repeated may be gone by now, and in no other index.
            known.append(self._remember_run(index, str(self.folder), started_at=earlier["started_at"]))
        return bool(known) and all(known)

    def _remember_run(self, index: RowIndex, folder: str, *, started_at: str) -> bool:
        return remember_run(
            index,
            folder,
            is_of=lambda manifest: manifest.get("started_at") == started_at,
            log=self.log,
            system=SYSTEM,
            conn_id=self.conn_id,
        )

    def _check_drop(
        self, wanted: OrbitList, rows: int, *, basis: OrbitState | None, earlier: Mapping[str, Any] | None
    ) -> None:
        # Whatever can be called gone came in one of these.
        reads = []
        if basis and basis.full_read_at:
            reads.append((basis.full_rows, basis.full_read_at))
        if earlier and earlier["read"] == "everything":
            reads.append((earlier["rows"], earlier["started_at"]))
        if not reads:
            return
        before, read_at = max(reads)
        self.drop_guard.told(
            rows,
            before=before,
            read_at=read_at,
            log=self.log,
            system=SYSTEM,
            conn_id=self.conn_id,
            operation=f"{wanted.resource}.list",
            advice="Nothing was published. See whether the rights of the user who signed in were narrowed:"
            " less comes then, without an error. Where the rows are gone for good, repeat the run with"
            " on_drop='warn'.",
        )

    def _published_before(self, basis: OrbitState) -> dict[str, str] | None:
        """Return digest by id of what the last run published lately, None where nothing tells."""
        path = ObjectStoragePath(basis.folder) / RECENT_NAME
        try:
            # A try that was killed while it published may have left those of rows that nobody got.
            manifest = read_manifest(path.parent, advice=_UNREADABLE) or {}
            if manifest.get("scope") != basis.scope or manifest.get("started_at") != basis.started_at:
                return None
            return {line["id"]: line["digest"] for line in read_jsonl(path, advice=_UNREADABLE)}
        except (FileNotFoundError, VismaContentError, ValueError, KeyError, TypeError):
            self.log.warning("What the last run published lately is not known any more", folder=basis.folder)
            return None
