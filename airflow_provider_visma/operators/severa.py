"""Exports of Visma Severa: any list operation to files, whole or what changed since the last time.

The watermark is the moment before the request, and the last thing to move. No row is lost where a run is
late, repeated or overtaken; at worst one is published twice.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_visma.exceptions import VismaRequestError
from airflow_provider_visma.export_assets import SEVERA, Watermark
from airflow_provider_visma.export_request import column_names
from airflow_provider_visma.operators._exports import ExportingOperator
from airflow_provider_visma.operators.base import is_true
from airflow_provider_visma.published_rows.refresh import DropGuard
from airflow_provider_visma.severa_export.asking import (
    SYSTEM,
    Plan,
    Wishes,
    checked_name,
    moment_of,
    times_of,
    window_of,
)
from airflow_provider_visma.severa_export.landing import Query, SeveraLanding, past_read
from airflow_provider_visma.severa_export.state import ExportState, scope_of
from airflow_provider_visma.storage import run_folder

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_visma.hooks.severa import SeveraHook

_BEGUN = "severa_export"
_SECRET = "index-key"  # noqa: S105


class SeveraExportOperator(ExportingOperator):
    """Export the list that an operation of Severa returns, and publish it whole or not at all.

    What it asks for follows from the operation:

    - ``…ChangedSince``: everything at first, then what changed since the last run. Severa compares to the
      minute only, so each run asks a little further back, and leaves out the rows that were published
      before and are still the same. With ``full_refresh_every`` everything is read now and then, and the
      rows that are gone since are listed.
    - from a start to an end date: the rows of a ``window``, all of them each time; those that are gone
      since an earlier read of it are listed. With ``full_refresh_every`` the window reaches back to
      ``initial_start`` now and then.
    - any other: its list, with what is gone since the last time.

    Files: ``<destination>/<name>/run_id=<run id>/rows.<format>``, ``gone.jsonl`` where rows are gone,
    ``index.tsv`` for the next run, and ``_manifest.json`` last.

    A retry, and clearing the task too, begins where its first try began, and a late run never turns the
    watermark back.

    :param contract: e.g. ``IHourEntry``. (templated)
    :param operation: e.g. ``GetHourEntriesChangedSince``. (templated)
    :param destination: any address that ObjectStoragePath takes. (templated)
    :param arguments: the operation's other arguments by the contract's names, e.g.
        ``{"businessUnitGUID": "", "options": 2}``. (templated)
    :param export_name: folder, asset and watermark of this export; the contract and operation where None.
        Several exports of one operation need one each. (templated)
    :param fields: what to read, as a list or separated by commas; nothing for all. (templated)
    :param key: the column, or columns, that tell rows apart; None where nothing does: then nothing is
        known of rows that came before. (templated)
    :param window: ``month`` for the calendar month (UTC) in which the run's data interval begins, or the
        first and the last day or moment, as a pair or as ``2026-11-01/2026-11-30``. In a zone ahead of UTC,
        midnight on the first is in the month before: schedule a monthly run some hours later. (templated)
    :param changed_since: ask for changes since then instead, and leave the watermark alone. (templated)
    :param full_refresh: read everything, whatever the watermark says. (templated)
    :param full_refresh_every: how often to read everything.
    :param initial_start: where everything begins. (templated)
    :param overlap: how much longer ago than the last run changes are asked for.
    :param max_drop: the share of rows that may be missing beside an earlier read that should have brought as
        many. Changes are not compared, since nothing is known of how many there should be.
    :param on_drop: ``fail`` before anything is published, or ``warn``. (templated)
    :param max_unreadable: how many rows may be unreadable before the task fails; they are left out.
    :param file_format: ``jsonl``, ``csv`` or ``parquet``. (templated)
    :param staging_dir: directory on the worker with room for all files, where the destination is not local.
    :param severa_conn_id: a connection of type ``severa``.
    """

    template_fields: Sequence[str] = (
        "contract",
        "operation",
        "destination",
        "arguments",
        "export_name",
        "fields",
        "key",
        "window",
        "changed_since",
        "full_refresh",
        "initial_start",
        "on_drop",
        "file_format",
    )
    assets = SEVERA
    conn_id_field = "severa_conn_id"
    default_conn_id = "severa_default"
    keeps_watermark = True

    def __init__(
        self,
        *,
        contract: str,
        operation: str,
        destination: str,
        arguments: Mapping[str, Any] | None = None,
        export_name: str | None = None,
        fields: Sequence[str] | str = (),
        key: Sequence[str] | str | None = "GUID",
        window: str | Sequence[str | date] | None = None,
        changed_since: str | datetime | None = None,
        full_refresh: bool | str = False,
        full_refresh_every: timedelta | None = None,
        initial_start: str | datetime = "1998-04-30",
        overlap: timedelta = timedelta(minutes=2),
        max_drop: float = 0.5,
        on_drop: str = "fail",
        max_unreadable: int = 0,
        file_format: str = "jsonl",
        staging_dir: str | None = None,
        severa_conn_id: str = default_conn_id,
        **kwargs: Any,
    ) -> None:
        super().__init__(conn_id=severa_conn_id, **kwargs)
        self.contract = contract
        self.operation = operation
        self.destination = destination
        self.arguments = arguments
        self.export_name = export_name
        self.fields = fields
        self.key = key
        self.window = window
        self.changed_since = changed_since
        self.full_refresh = full_refresh
        self.full_refresh_every = full_refresh_every
        self.initial_start = initial_start
        self.overlap = overlap
        self.max_drop = max_drop
        self.on_drop = on_drop
        self.max_unreadable = max_unreadable
        self.file_format = file_format
        self.staging_dir = staging_dir
        self.severa_conn_id = severa_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Ask, land, announce; move the watermark last."""
        landing = self._landing(context)
        landing.check()
        hook = self._hook()
        query = self._query(hook)
        wishes = self._wishes(context, query)
        watermark = Watermark(context, asset=SEVERA.watermarks(self.severa_conn_id), name=self._name)
        stored = self._basis(context, landing, query, watermark)
        basis = ExportState.of(stored, scope=query.scope)
        if stored is not None and basis is None:
            self.log.warning("The export was another one so far: nothing is compared with", name=self._name)
        schema_version = self._schema_version(hook, basis)
        started_at = self._started_at(hook)
        if basis and datetime.fromisoformat(basis.read_at) > started_at:
            self.log.warning(
                "The clock is behind that of the last run. If that one was ahead, changes may be missing"
                " until a full refresh",
                last_read=basis.read_at,
                now=started_at.isoformat(),
            )
        plan = wishes.plan(query.times, basis, now=started_at)
        self.log.info("Reading", read=str(plan.read), asked={n: str(m) for n, m in plan.arguments.items()})
        manifest = landing.land(
            hook, query, plan, basis=basis, started_at=started_at, schema_version=schema_version
        )
        self._keep(watermark, query, plan, manifest, stored=stored, basis=basis)
        self._announce(
            context, manifest, conn_id=self.severa_conn_id, owner=self.severa_conn_id, name=self._name
        )
        return manifest

    @property
    def _name(self) -> str:
        return checked_name(self.export_name or f"{self.contract}.{self.operation}")

    def _landing(self, context: Context) -> SeveraLanding:
        ti = context["ti"]
        return SeveraLanding(
            folder=run_folder(self.destination, self._name, run_id=str(context["run_id"])),
            task=f"{ti.dag_id}.{ti.task_id}",
            map_index=getattr(ti, "map_index", -1),
            conn_id=self.severa_conn_id,
            file_format=self.file_format,
            staging_dir=Path(self.staging_dir) if self.staging_dir else None,
            max_unreadable=self.max_unreadable,
            drop_guard=DropGuard(self.max_drop, self.on_drop),
            secret=self._secret(context),
            remembers_all=self.full_refresh_every is not None,
            log=self.log,
        )

    def _secret(self, context: Context) -> bytes:
        """Return the key of the digests. It is not at the destination: who has the index has no key."""
        state = context["asset_state_store"][SEVERA.watermarks(self.severa_conn_id)]
        stored = state.get(_SECRET)
        if not isinstance(stored, str):
            stored = secrets.token_hex(32)
            state.set(_SECRET, stored)
        return bytes.fromhex(stored)

    def _query(self, hook: SeveraHook) -> Query:
        """Return what to ask, checked against the contract.

        :raises VismaRequestError: an argument says what this operator decides, or a column does not exist.
        """
        where = f"{self.contract}.{self.operation}"
        arguments = dict(self.arguments or {})
        times = times_of(self.operation, hook.parameters(self.contract, self.operation))
        if times.tells_changes and times.start in arguments:
            raise self._wrong(
                where, f"{times.start} is not yours to give", "Give changed_since or initial_start."
            )
        given = [name for name in (times.start, times.end) if name in arguments]
        if given and self.window:
            raise self._wrong(where, f"both window and {given[0]} are given", "Give one of them.")
        if times.end and not given and not self.window:
            raise self._wrong(where, "it reads from a start to an end", "Give a window.")
        if self.window and not times.end:
            raise self._wrong(where, "it knows no window", "Leave window out.")
        if self.changed_since and not times.tells_changes:
            raise self._wrong(where, "it does not tell what changed", "Leave changed_since out.")
        fields, key = column_names(self.fields), column_names(self.key)
        columns = hook.columns(self.contract, self.operation)
        if fields:
            fields = (*fields, *(column for column in key if column not in fields))
            wanted = {field.partition("/")[0] for field in fields}
            columns = {column: kind for column, kind in columns.items() if column in wanted}
        if missing := [column for column in key if column not in columns]:
            raise self._wrong(
                where,
                f"its rows have no {missing[0]}",
                "Give the key that they have, or key=None: then rows that came before are not known.",
            )
        return Query(
            contract=self.contract,
            operation=self.operation,
            arguments=arguments,
            fields=fields,
            key=key,
            columns=columns,
            times=times,
            scope=scope_of(
                host=hook.settings.base_url, operation=where, arguments=arguments, fields=fields, key=key
            ),
        )

    def _wishes(self, context: Context, query: Query) -> Wishes:
        changed_since = self.changed_since if self.changed_since not in ("", "None") else None
        return Wishes(
            initial_start=moment_of(self.initial_start, parameter="initial_start"),
            overlap=self.overlap,
            window=window_of(self.window, moment=_moment_of_run(context)),
            changed_since=moment_of(changed_since, parameter="changed_since") if changed_since else None,
            full_refresh=is_true(self.full_refresh),
            full_refresh_every=self.full_refresh_every,
        )

    def _basis(self, context: Context, landing: SeveraLanding, query: Query, watermark: Watermark) -> Any:
        """Return the state that this run began from, at its first try."""
        earlier = landing.published(query)
        begun = context["task_state_store"].get(_BEGUN)
        if isinstance(begun, dict) and begun.get("scope") == query.scope:
            return begun.get("basis")
        # The run is repeated after it succeeded, and newer versions of Airflow forgot what it stored: its
        # files must not shrink to what changed since.
        basis = earlier.get("basis") if earlier else watermark.get()
        context["task_state_store"].set(_BEGUN, {"scope": query.scope, "basis": basis})
        return basis

    def _schema_version(self, hook: SeveraHook, basis: ExportState | None) -> str:
        version = hook.schema_version()
        if basis and basis.schema_version != version:
            self.log.warning(
                "The version of Severa's entities changed: its release notes say what to look at",
                before=basis.schema_version,
                now=version,
            )
        return version

    def _started_at(self, hook: SeveraHook) -> datetime:
        """Return the present moment by the earlier of two clocks.

        Severa dates changes by its own: what changes until a worker's clock that is ahead would be skipped.
        """
        now, told = self._now(), hook.answered_at
        if told is not None and now - told > self.overlap:
            self.log.warning(
                "The worker's clock is ahead of Severa's", seconds=int((now - told).total_seconds())
            )
        return min(now, told or now).replace(microsecond=0)

    def _keep(
        self,
        watermark: Watermark,
        query: Query,
        plan: Plan,
        manifest: Mapping[str, Any],
        *,
        stored: Any,
        basis: ExportState | None,
    ) -> None:
        """Remember what was published, for the next run."""
        read = past_read(plan, manifest)
        state = ExportState(
            scope=query.scope,
            read_at=manifest["started_at"],
            folder=manifest["uri"],
            rows=manifest["rows"],
            schema_version=manifest["schema_version"],
        )
        if not query.times.tells_changes:
            # A repeated run has read its window just now: whatever its date, it knows best.
            stored = watermark.get()
            basis = ExportState.of(stored, scope=query.scope)
        state = state.after(basis, read)
        if plan.moves_watermark and watermark.advance(basis=stored, to=state.to_json()):
            self.log.info("Watermark advanced", to=state.read_at)
            return
        self.log.info("Watermark left as it is")
        stored = watermark.get()
        current = ExportState.of(stored, scope=query.scope)
        if current is not None:
            watermark.advance(basis=stored, to=current.overtaken_by(state).to_json())

    def _hook(self) -> SeveraHook:
        # Its imports are too heavy for when a DAG is parsed.
        from airflow_provider_visma.hooks.severa import SeveraHook

        return SeveraHook(self.severa_conn_id)

    def _now(self) -> datetime:
        return datetime.now(UTC)

    def _wrong(self, where: str, message: str, advice: str) -> VismaRequestError:
        return VismaRequestError(
            message, system=SYSTEM, conn_id=self.severa_conn_id, operation=where, advice=advice
        )


def _moment_of_run(context: Context) -> datetime | None:
    """Return the moment that a run is about, None where it has none at all."""
    values: Iterable[Any] = (context.get("data_interval_start"), context.get("logical_date"))
    run_after = getattr(context.get("dag_run"), "run_after", None)
    return next((value for value in (*values, run_after) if value is not None), None)
