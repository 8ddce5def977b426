"""Exports of Teamleader Orbit's lists: everything at first, then what changed by Orbit's own moments.

The watermark is the last thing to move. No row is lost where a filter is ignored, a list moves while it is
read, or a run is repeated or overtaken; at worst one is published twice.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_visma.column_changes import check_reaction
from airflow_provider_visma.exceptions import VismaRequestError
from airflow_provider_visma.export_assets import ORBIT, Watermark
from airflow_provider_visma.operators._exports import ExportingOperator, folder_name
from airflow_provider_visma.operators.base import check_mappings, is_true, named_errors
from airflow_provider_visma.orbit_export.changes import OrbitState, before, may_be_same_user, moment_of
from airflow_provider_visma.orbit_export.landing import SYSTEM, OrbitLanding
from airflow_provider_visma.orbit_export.reading import OrbitList, signed_in
from airflow_provider_visma.published_rows.refresh import DropGuard, is_due
from airflow_provider_visma.row_files import check_format
from airflow_provider_visma.storage import published_earlier, run_folder

if TYPE_CHECKING:
    from airflow.sdk import Context, ObjectStoragePath

    from airflow_provider_visma.hooks.orbit import OrbitHook

_BEGUN = "orbit_export"
_SECRET = "digest-key"  # noqa: S105 - a name, not a secret
_CHANGED = {"updated_at": {"gte": "{since}"}}


class OrbitExportOperator(ExportingOperator):
    """Export a list of Orbit, and publish it whole or not at all.

    Where the rows say when they changed (``updated_at``), only the first run reads everything; each later one
    reads what changed since the latest change that the one before saw, and a little more, and leaves out the
    rows that it published already and that are still the same. How Orbit's filters are written is not known
    for certain: one that is refused or ignored, or that does not bring the rows it must, costs a reading of
    the whole list, and the manifest says ``filter_honoured: false``. Nothing tells of deleted rows: with
    ``full_refresh_every`` everything is read now and then, and the rows that are gone since are listed.

    The columns are those of the rows, with the kinds that their values turn out to have; fractions are
    decimals, and moments stay as Orbit writes them, without a zone.

    Files: ``<destination>/<name>/run_id=<run id>/rows.<format>``, ``gone.jsonl`` where rows are gone,
    ``recent.jsonl`` and ``index.tsv`` for the next run, and ``_manifest.json`` last. Each export is an event
    of the asset ``visma://orbit/<connection>/<name>``.

    A retry, and clearing the task too, begins where its first try began, and a late run never turns the
    watermark back.

    :param resource: e.g. ``projects``, whose ``projects.list`` is read. (templated)
    :param destination: any address that ObjectStoragePath takes. (templated)
    :param filter: as Orbit has it. (templated)
    :param changed_filter: what is added to it to ask for changes, with ``{since}`` for the moment; None never
        asks for less than everything, and leaves out here what did not change. (templated)
    :param export_name: folder, asset and watermark of this export; the resource where None. Several exports
        of one resource need one each. (templated)
    :param changed_since: export changes since then, as in ``2026-08-28T09:37:45`` on Orbit's clock, and leave
        the watermark alone; the whole list is read for that. (templated)
    :param full_refresh: read everything, whatever the watermark says. (templated)
    :param full_refresh_every: how often to read everything.
    :param overlap: how much longer ago than the last change that was seen changes are asked for.
    :param order: as Orbit has it; by id where None, since a list should not move while it is read.
    :param page_size: rows to ask for at once.
    :param paged: False for a list that is known to come whole.
    :param max_drop: the share of rows that may be missing from a read of everything beside the one before.
    :param on_drop: ``fail`` before anything is published, or ``warn``. (templated)
    :param on_column_change: ``fail`` before anything is published, or ``warn``. (templated)
    :param file_format: ``parquet``, ``jsonl`` or ``csv``. (templated)
    :param staging_dir: directory on the worker with room for the file, where the destination is not local.
    :param orbit_conn_id: a connection of type ``teamleader_orbit``.
    """

    template_fields: Sequence[str] = (
        "resource",
        "destination",
        "filter",
        "changed_filter",
        "export_name",
        "changed_since",
        "full_refresh",
        "on_drop",
        "on_column_change",
        "file_format",
    )
    assets = ORBIT
    conn_id_field = "orbit_conn_id"
    default_conn_id = "teamleader_orbit_default"
    keeps_watermark = True

    def __init__(
        self,
        *,
        resource: str,
        destination: str,
        filter: Mapping[str, Any] | None = None,
        changed_filter: Mapping[str, Any] | None = _CHANGED,
        export_name: str | None = None,
        changed_since: str | None = None,
        full_refresh: bool | str = False,
        full_refresh_every: timedelta | None = None,
        overlap: timedelta = timedelta(days=1),
        order: Sequence[Mapping[str, Any]] | None = None,
        page_size: int = 50,
        paged: bool = True,
        max_drop: float = 0.5,
        on_drop: str = "fail",
        on_column_change: str = "warn",
        file_format: str = "parquet",
        staging_dir: str | None = None,
        orbit_conn_id: str = default_conn_id,
        **kwargs: Any,
    ) -> None:
        super().__init__(conn_id=orbit_conn_id, **kwargs)
        self.resource = resource
        self.destination = destination
        self.filter = filter
        self.changed_filter = changed_filter
        self.export_name = export_name
        self.changed_since = changed_since
        self.full_refresh = full_refresh
        self.full_refresh_every = full_refresh_every
        self.overlap = overlap
        self.order = order
        self.page_size = page_size
        self.paged = paged
        self.max_drop = max_drop
        self.on_drop = on_drop
        self.on_column_change = on_column_change
        self.file_format = file_format
        self.staging_dir = staging_dir
        self.orbit_conn_id = orbit_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Ask, land, announce; move the watermark last."""
        operation = f"{str(self.resource)[:80]}.list"
        with named_errors(system=SYSTEM, conn_id=self.orbit_conn_id, operation=operation):
            return self._execute(context)

    def _execute(self, context: Context) -> dict[str, Any]:
        self._check()
        given = self._given_moment()
        folder = run_folder(self.destination, self._name, run_id=str(context["run_id"]))
        watermark = Watermark(context, asset=ORBIT.watermarks(self.orbit_conn_id), name=self._name)
        with self._hook() as hook:
            wanted = self._wanted(context, hook)
            landing = self._landing(context, folder)
            earlier = self._earlier(landing, wanted)
            stored = self._basis(context, wanted, watermark, earlier)
            basis = OrbitState.of(stored, scope=wanted.scope, user=wanted.user)
            if stored is not None and basis is None:
                self.log.warning(
                    "The export was another one so far, or another user's: everything is read",
                    name=self._name,
                )
            started_at = self._now()
            since = given or self._since(basis, now=started_at)
            self.log.info("Reading", resource=self.resource, since=since)
            manifest = landing.land(
                hook,
                wanted,
                since=since,
                again=given is not None,
                basis=basis,
                earlier=earlier,
                started_at=started_at,
            )
        if given is None:
            self._keep(watermark, manifest, stored=stored, basis=basis)
        self._announce(
            context, manifest, conn_id=self.orbit_conn_id, owner=self.orbit_conn_id, name=self._name
        )
        return manifest

    @property
    def _name(self) -> str:
        return folder_name(self.export_name or self.resource, self._wrong)

    @property
    def _drop_guard(self) -> DropGuard:
        return DropGuard(self.max_drop, self.on_drop)

    def _check(self) -> None:
        from airflow_provider_visma.hooks._orbit_calls import OrbitCall

        OrbitCall.of(f"{self.resource}.list", None, conn_id=self.orbit_conn_id)
        check_mappings(filter=self.filter, changed_filter=self.changed_filter)
        check_format(self.file_format, self._wrong)
        check_reaction(self.on_column_change, self._wrong)
        self._drop_guard.check(self._wrong)
        if self.page_size < 1:
            raise self._wrong(f"page_size is {self.page_size}", "Give a number of rows.")
        if self.overlap < timedelta(0):
            raise self._wrong("overlap is less than nothing", "Give a timedelta of some hours.")

    def _given_moment(self) -> str | None:
        if self.changed_since in (None, "", "None"):
            return None
        moment = moment_of(self.changed_since)
        if moment is None:
            raise self._wrong(
                "changed_since is no moment as Orbit writes it",
                "Write it like 2026-08-28T09:37:45, without a zone.",
            )
        return moment

    def _since(self, basis: OrbitState | None, *, now: datetime) -> str | None:
        """Return from when on changes are wanted, None for everything."""
        if basis is None or basis.watermark is None or is_true(self.full_refresh):
            return None
        if is_due(basis.full_read_at, every=self.full_refresh_every, now=now):
            return None
        return before(basis.watermark, self.overlap)

    def _wanted(self, context: Context, hook: OrbitHook) -> OrbitList:
        """Return what to ask, and in whose name."""
        what = [hook.settings.connection.base_url, self.resource, dict(self.filter or {}), self.paged]
        user = signed_in(hook)
        return OrbitList(
            resource=self.resource,
            filter=dict(self.filter or {}),
            order=self.order,
            changed_filter=self.changed_filter or None,
            page_size=self.page_size,
            paged=self.paged,
            scope=hashlib.sha256(json.dumps(what, sort_keys=True, default=str).encode()).hexdigest()[:16],
            user=None
            if user is None
            else hashlib.blake2b(user.encode(), key=self._secret(context), digest_size=8).hexdigest(),
        )

    def _landing(self, context: Context, folder: ObjectStoragePath) -> OrbitLanding:
        ti = context["ti"]
        return OrbitLanding(
            folder=folder,
            task=f"{ti.dag_id}.{ti.task_id}",
            map_index=getattr(ti, "map_index", -1),
            conn_id=self.orbit_conn_id,
            file_format=self.file_format,
            staging_dir=Path(self.staging_dir) if self.staging_dir else None,
            on_column_change=self.on_column_change,
            overlap=self.overlap,
            drop_guard=self._drop_guard,
            secret=self._secret(context),
            remembers_all=self.full_refresh_every is not None,
            log=self.log,
        )

    def _secret(self, context: Context) -> bytes:
        """Return the key of the digests. It is not at the destination: who has them has no key."""
        ti = context["ti"]
        state = context["asset_state_store"][ORBIT.watermarks(self.orbit_conn_id)]
        # Of each export its own: of those that begin at once, the last to store one would change it for all.
        name = f"{_SECRET}:{ti.dag_id}.{ti.task_id}:{self._name}"
        stored = state.get(name)
        if not isinstance(stored, str):
            stored = secrets.token_hex(32)
            state.set(name, stored)
        return bytes.fromhex(stored)

    def _earlier(self, landing: OrbitLanding, wanted: OrbitList) -> dict[str, Any] | None:
        """Return the manifest of what an earlier try of this run published, None where there is none (whole).

        :raises VismaRequestError: somebody else landed something here in a run of the same name.
        """
        earlier = published_earlier(landing.folder, task=landing.task, system=SYSTEM)
        if earlier is None:
            return None
        if earlier.get("scope") == wanted.scope:
            return earlier if may_be_same_user(earlier.get("user"), wanted.user) else None
        if earlier.get("map_index") != landing.map_index:
            raise self._wrong(
                "another instance of this mapped task landed in the same folder",
                "Give each an export_name of its own: several exports of one resource need one each.",
            )
        return None

    def _basis(
        self, context: Context, wanted: OrbitList, watermark: Watermark, earlier: Mapping[str, Any] | None
    ) -> Any:
        """Return the state that this run began from, at its first try."""
        begun = context["task_state_store"].get(_BEGUN)
        if isinstance(begun, dict) and begun.get("scope") == wanted.scope:
            return begun.get("basis")
        # The run is repeated after it succeeded, and newer versions of Airflow forgot what it stored: its
        # files must not shrink to what changed since.
        basis = earlier.get("basis") if earlier else watermark.get()
        context["task_state_store"].set(_BEGUN, {"scope": wanted.scope, "basis": basis})
        return basis

    def _keep(
        self, watermark: Watermark, manifest: Mapping[str, Any], *, stored: Any, basis: OrbitState | None
    ) -> None:
        """Remember what was published, for the next run."""
        moment = manifest["watermark"]
        everything = manifest["read"] == "everything"
        full_read_at, full_rows = manifest["started_at"], manifest["rows"]
        if not everything and basis:
            full_read_at, full_rows = basis.full_read_at, basis.full_rows
        state = OrbitState(
            scope=manifest["scope"],
            started_at=manifest["started_at"],
            folder=manifest["uri"],
            watermark=moment if moment is not None or basis is None else basis.watermark,
            all_dated=not manifest["without_updated_at"] and (everything or bool(basis and basis.all_dated)),
            columns=manifest["columns"],
            without_value=tuple(manifest["without_value"]),
            user=manifest["user"],
            full_read_at=full_read_at,
            full_rows=full_rows,
        )
        current = watermark.get()
        if isinstance(current, dict) and current.get("folder") == state.folder:
            stored = current  # this run, repeated: its files were written anew
        if watermark.advance(basis=stored, to=state.to_json()):
            self.log.info("Watermark advanced", to=state.watermark)
        else:
            self.log.info("A later run has moved the watermark already; it is left as it is")

    def _hook(self) -> OrbitHook:
        # Its imports are too heavy for when a DAG is parsed.
        from airflow_provider_visma.hooks.orbit import OrbitHook

        return OrbitHook(self.orbit_conn_id)

    def _now(self) -> datetime:
        return datetime.now(UTC)

    def _wrong(self, message: str, advice: str) -> VismaRequestError:
        return VismaRequestError(
            message,
            system=SYSTEM,
            conn_id=self.orbit_conn_id,
            operation=f"{str(self.resource)[:80]}.list",
            advice=advice,
        )
