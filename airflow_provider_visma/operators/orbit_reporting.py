"""Exports of Teamleader Orbit's reports: one report to one file, with the columns that it turns out to have.

Nothing is published before the whole feed has been read and its columns have been compared with those of the
copy before. The state refers to a copy only after its manifest is there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import ObjectStoragePath

from airflow_provider_visma.column_changes import ColumnChanges, KnownColumns, check_reaction
from airflow_provider_visma.exceptions import (
    VismaContentError,
    VismaGuardError,
    VismaRequestError,
)
from airflow_provider_visma.export_assets import ORBIT_REPORTING, Watermark
from airflow_provider_visma.feed_files import ColumnKinds, stage_feed
from airflow_provider_visma.operators._exports import ExportingOperator, folder_name
from airflow_provider_visma.row_files import check_format
from airflow_provider_visma.storage import Publication, published_earlier, read_manifest, run_folder
from airflow_provider_visma.stores import as_now

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_visma.hooks.orbit_reporting import OrbitReportingHook

_SYSTEM = "Teamleader Orbit"


class OrbitReportExportOperator(ExportingOperator):
    """Export a report that users defined in Orbit, and publish it whole or not at all.

    The columns are those of the feed, with its types; they are known only when the last row has come. They
    are compared with those of the copy that this task published before, and the manifest says which came,
    went or changed their type.

    Files: ``<destination>/<name>/run_id=<run id>/rows.<format>``, and ``_manifest.json`` last. Each copy is
    an event of the asset ``visma://orbit-reporting/<tenant>/<name>``.

    :param report: its id, ``RP`` and 13 characters, or another name that the service document lists.
        (templated)
    :param destination: any address that ObjectStoragePath takes. (templated)
    :param query: options of OData, such as ``{"$filter": "Hours gt 8"}``; a server that does not know them
        may ignore them without a word. (templated)
    :param export_name: folder and asset of this export; the report where None. Several exports of one report
        need one each. (templated)
    :param max_age: when the copy that this task published to the same destination is younger, the server is
        not asked, and that copy's manifest is the result. No event is sent then. A timedelta, or seconds;
        always ask where it is empty. (templated)
    :param on_column_change: ``fail`` before anything is published, also where the copy to compare with is
        gone; or ``warn``. (templated)
    :param file_format: ``parquet``, ``jsonl`` or ``csv``. (templated)
    :param staging_dir: directory on the worker with room for the file, where the destination is not local.
    :param orbit_reporting_conn_id: a connection of type ``teamleader_orbit_reporting``.
    """

    template_fields: Sequence[str] = (
        "report",
        "destination",
        "query",
        "export_name",
        "max_age",
        "on_column_change",
        "file_format",
    )
    assets = ORBIT_REPORTING
    conn_id_field = "orbit_reporting_conn_id"
    default_conn_id = "teamleader_orbit_reporting_default"
    keeps_watermark = True

    def __init__(
        self,
        *,
        report: str,
        destination: str,
        query: Mapping[str, Any] | None = None,
        export_name: str | None = None,
        max_age: timedelta | float | str | None = None,
        on_column_change: str = "warn",
        file_format: str = "parquet",
        staging_dir: str | None = None,
        orbit_reporting_conn_id: str = default_conn_id,
        **kwargs: Any,
    ) -> None:
        super().__init__(conn_id=orbit_reporting_conn_id, **kwargs)
        self.report = report
        self.destination = destination
        self.query = query
        self.export_name = export_name
        self.max_age = max_age
        self.on_column_change = on_column_change
        self.file_format = file_format
        self.staging_dir = staging_dir
        self.orbit_reporting_conn_id = orbit_reporting_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Read, compare, publish and announce, unless there is a copy that is young enough.

        :return: the manifest, and ``reused``.
        """
        self._check()
        max_age = self._longest_age()
        hook = self._hook()
        folder = run_folder(self.destination, self._name, run_id=str(context["run_id"]))
        state = Watermark(
            context, asset=ORBIT_REPORTING.watermarks(self.orbit_reporting_conn_id), name=self._name
        )
        started_at = self._now()
        before = self._last_copy(hook, state)
        if before is not None and self._is_young(hook, before, folder, now=started_at, max_age=max_age):
            self.log.info("The copy is young enough", uri=before["uri"], started_at=before["started_at"])
            self.published_uri = before["uri"]
            if before["uri"] == str(folder):  # by a try of this run that ended before it could tell
                self._tell(context, hook, before)
            return {**before, "reused": True}
        manifest = self._land(context, hook, folder, started_at=started_at, before=before)
        self._remember(state, manifest)
        self._tell(context, hook, manifest)
        return {**manifest, "reused": False}

    @property
    def _name(self) -> str:
        return folder_name(self.export_name or self.report, self._wrong)

    def _check(self) -> None:
        check_format(self.file_format, self._wrong)
        check_reaction(self.on_column_change, self._wrong)
        if self.query is not None and not isinstance(self.query, Mapping):
            raise self._wrong(
                "the query is a text",
                "Give a dict whose values are templates, such as {'$filter': '{{ params.filter }}'}, or let"
                " the DAG render objects (render_template_as_native_obj).",
            )

    def _last_copy(self, hook: OrbitReportingHook, state: Watermark) -> dict[str, Any] | None:
        """Return the manifest of the copy that was published last, None where there is none (any more).

        :raises VismaGuardError: there is none any more, and the columns were not to change unnoticed.
        """
        stored = state.get()
        if not isinstance(stored, dict) or stored.get("scope") != self._scope(hook):
            return None
        place = str(stored["uri"])
        try:
            manifest = read_manifest(
                ObjectStoragePath(place), advice="Nothing was asked or published; a retry reads it again."
            )
        except VismaContentError:
            manifest = None
        if manifest is None or manifest.get("scope") != stored["scope"]:
            if self.on_column_change == "fail":
                raise VismaGuardError(
                    "the last copy is not there any more, and the columns can be compared with no other",
                    system=_SYSTEM,
                    conn_id=self.orbit_reporting_conn_id,
                    operation=f"report {self.report}",
                    advice="Nothing was asked or published. Put it back, or accept the columns as they are by"
                    " running once with on_column_change='warn'.",
                )
            self.log.warning("The last copy is not there any more: no columns to compare with", uri=place)
            return None
        return manifest

    def _longest_age(self) -> timedelta:
        if isinstance(self.max_age, timedelta):
            return self.max_age
        if self.max_age is None or str(self.max_age).strip() in ("", "None"):
            return timedelta(0)
        try:
            return timedelta(seconds=float(self.max_age))
        except (ValueError, OverflowError):
            raise self._wrong("max_age is no number of seconds", "Give seconds, or a timedelta.") from None

    def _is_young(
        self,
        hook: OrbitReportingHook,
        copy: Mapping[str, Any],
        folder: ObjectStoragePath,
        *,
        now: datetime,
        max_age: timedelta,
    ) -> bool:
        if (copy["format"], copy.get("reader")) != (self.file_format, self._reader(hook)):
            return False
        if str(ObjectStoragePath(copy["uri"]).parent) != str(folder.parent):
            return False
        # One from the future tells of a wrong clock.
        return timedelta(0) <= now - _moment(copy) < max_age and _has_its_files(copy)

    def _land(
        self,
        context: Context,
        hook: OrbitReportingHook,
        folder: ObjectStoragePath,
        *,
        started_at: datetime,
        before: Mapping[str, Any] | None,
    ) -> dict[str, Any]:
        # lxml is not needed where a DAG is parsed.
        from airflow_provider_visma.protocols.odata3 import FeedReader

        ti = context["ti"]
        task, map_index = f"{ti.dag_id}.{ti.task_id}", getattr(ti, "map_index", -1)
        self._check_folder(hook, folder, task=task, map_index=map_index)
        reader = FeedReader()
        known = KnownColumns.of(before)
        kinds = ColumnKinds(lambda: known.told(reader.columns))
        with Publication(
            folder, staging_dir=Path(self.staging_dir) if self.staging_dir else None
        ) as publication:
            staged = stage_feed(
                publication,
                f"rows.{self.file_format}",
                hook.rows(self.report, query=self.query, reader=reader),
                file_format=self.file_format,
                kinds=kinds,
            )
            if staged.rows and not reader.columns:
                raise VismaContentError(
                    "its rows have no columns",
                    system=_SYSTEM,
                    conn_id=self.orbit_reporting_conn_id,
                    operation=f"report {self.report}",
                    advice="Nothing was published. Look at the report in Orbit, and at the query.",
                )
            now = known.now(kinds.kinds, with_values=kinds.with_values)
            changes = None
            if before is not None:
                changes = ColumnChanges.between(known, now).told(
                    self.on_column_change,
                    self.log,
                    system=_SYSTEM,
                    conn_id=self.orbit_reporting_conn_id,
                    operation=f"report {self.report}",
                    advice="Nothing was published. Have the report corrected in Orbit, or accept its columns"
                    " by running once with on_column_change='warn'.",
                )
            return publication.publish(
                {
                    "kind": "orbit-report",
                    "task": task,
                    "map_index": map_index,
                    "tenant": hook.service.tenant,
                    "report": self.report,
                    "scope": self._scope(hook),
                    "reader": self._reader(hook),
                    "started_at": started_at.isoformat(),
                    "format": self.file_format,
                    "header": list(now.kinds),
                    "rows": staged.rows,
                    "columns": dict(now.kinds),
                    "without_value": sorted(now.without_value),
                    "types": reader.types,
                    "blanks": dict(reader.blanks),
                    "count": reader.count,
                    "column_changes": changes.to_json() if changes is not None else None,
                    "previous": {"uri": before["uri"], "rows": before["rows"]} if before else None,
                }
            )

    def _check_folder(
        self, hook: OrbitReportingHook, folder: ObjectStoragePath, *, task: str, map_index: int
    ) -> None:
        earlier = published_earlier(folder, task=task, system=_SYSTEM)
        if earlier and earlier.get("map_index") != map_index and earlier.get("scope") != self._scope(hook):
            raise self._wrong(
                "another instance of this mapped task landed in the same folder",
                "Give each an export_name of its own: several exports of one report need one each.",
            )

    def _scope(self, hook: OrbitReportingHook) -> str:
        """Return a digest of what is read: copies of one scope can be compared."""
        return _digest([hook.service.address, self.report, dict(self.query or {})])

    def _reader(self, hook: OrbitReportingHook) -> str:
        """Return a digest of who reads it: another user may see other rows, of the same columns."""
        return _digest([self._scope(hook), hook.settings.login])

    def _remember(self, state: Watermark, manifest: Mapping[str, Any]) -> None:
        stored = state.get()
        is_same = isinstance(stored, dict) and stored.get("scope") == manifest["scope"]
        if isinstance(stored, dict) and is_same and _moment(stored) > _moment(manifest):
            self.log.info("A later run has published its copy already", uri=stored["uri"])
            return
        state.advance(basis=stored, to={name: manifest[name] for name in ("scope", "uri", "started_at")})

    def _tell(self, context: Context, hook: OrbitReportingHook, manifest: dict[str, Any]) -> None:
        self._announce(
            context,
            manifest,
            conn_id=self.orbit_reporting_conn_id,
            owner=hook.service.tenant,
            name=self._name,
        )

    def _hook(self) -> OrbitReportingHook:
        # Its imports are too heavy for when a DAG is parsed.
        from airflow_provider_visma.hooks.orbit_reporting import OrbitReportingHook

        return OrbitReportingHook(self.orbit_reporting_conn_id)

    def _now(self) -> datetime:
        return datetime.now(UTC)

    def _wrong(self, message: str, advice: str) -> VismaRequestError:
        return VismaRequestError(
            message,
            system=_SYSTEM,
            conn_id=self.orbit_reporting_conn_id,
            operation=f"report {self.report}",
            advice=advice,
        )


def _digest(read: list[Any]) -> str:
    return hashlib.sha256(json.dumps(read, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _has_its_files(copy: Mapping[str, Any]) -> bool:
    """Return whether the files of a copy are where its manifest says, each as long as it was."""
    places = [(ObjectStoragePath(file["uri"]), file["bytes"]) for file in copy["files"]]
    try:
        return all(as_now(place).size(place.path) == size for place, size in places)
    except Exception:  # asking the server again does no harm
        return False


def _moment(copy: Mapping[str, Any]) -> datetime:
    """Return when a copy was asked for."""
    return datetime.fromisoformat(copy["started_at"])
