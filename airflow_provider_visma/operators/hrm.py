"""Exports of Visma.net HRM & Payroll: start one, land its files, or both in one task.

A retry never starts a second job: its id is stored before the first poll, and looked at again together
with what was asked for. The watermark is the last thing to move, after every file is in its place.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_visma.exceptions import VismaContentError, VismaError
from airflow_provider_visma.export_assets import HRM, Watermark
from airflow_provider_visma.export_jobs import Attachment, ExportJob, Poller, outcome_error
from airflow_provider_visma.export_request import SYSTEM, ExportRequest, column_names
from airflow_provider_visma.operators._hrm_job import StartedExport, completed_job, look_at, open_hook
from airflow_provider_visma.operators._hrm_landing import HrmLandingOperator
from airflow_provider_visma.operators.base import VismaOperator, is_true

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_visma.hooks.hrm import VismaHrmHook


class HrmStartExportOperator(VismaOperator):
    """Start an export job and return its id.

    A retry, and clearing the task too, comes back to the job while the service knows it. For a fresh
    export start a new run of the DAG.

    :param dataset: path of the dataset, e.g. ``employees`` or ``metadata/cost-centers``. (templated)
    :param changed_after: the watermark of an earlier export; nothing for everything. (templated)
    :param fields: columns to include, as a list or separated by commas; nothing for all. (templated)
    :param exclude_fields: columns to leave out; not together with *fields*. (templated)
    :param callback_address: address that the service may post the result to. (templated)
    :param hrm_conn_id: a connection of type ``visma_hrm``.
    """

    template_fields: Sequence[str] = (
        "dataset",
        "changed_after",
        "fields",
        "exclude_fields",
        "callback_address",
    )

    def __init__(
        self,
        *,
        dataset: str,
        changed_after: str | None = None,
        fields: Sequence[str] | str = (),
        exclude_fields: Sequence[str] | str = (),
        callback_address: str | None = None,
        hrm_conn_id: str = "visma_hrm_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.dataset = dataset
        self.changed_after = changed_after
        self.fields = fields
        self.exclude_fields = exclude_fields
        self.callback_address = callback_address
        self.hrm_conn_id = hrm_conn_id

    def execute(self, context: Context) -> str:
        """Start the job, or come back to it."""
        hook = open_hook(self.hrm_conn_id)
        request = ExportRequest(
            dataset=self.dataset,
            changed_after=self.changed_after or None,
            fields=column_names(self.fields),
            exclude_fields=column_names(self.exclude_fields),
            callback_address=self.callback_address or None,
        )
        fingerprint = request.fingerprint(tenant_id=hook.tenant_id)
        started = StartedExport.of(context)
        _, job = look_at(hook, request, started, fingerprint=fingerprint)
        if job is not None:
            self.log.info("Coming back to the job of an earlier try", job_id=job.job_id)
            return job.job_id
        started = StartedExport(job_id=hook.submit(request), fingerprint=fingerprint)
        started.store(context)
        return started.job_id


class HrmDownloadOperator(HrmLandingOperator):
    """Land the files of a completed export job and return their manifest.

    Files: ``<destination>/<dataset>/run_id=<run id>/part-0000.csv`` and so on, and ``_manifest.json`` last.

    :param dataset: path of the dataset that the job exported. (templated)
    :param job_id: the job. (templated)
    :param changed_after: where the export was told to begin, which a job does not tell: for the manifest, so
        that nobody takes what changed for everything. (templated)
    :param destination: any address that ObjectStoragePath takes. (templated)
    :param file_format: ``csv``, the service's bytes untouched, or ``parquet``. (templated)
    :param schema: pyarrow's type names of columns in parquet; the others are text.
    :param max_concurrency: how many files at the same time.
    :param staging_dir: directory on the worker with room for all files, where the destination is not local.
    :param hrm_conn_id: a connection of type ``visma_hrm``.
    """

    template_fields: Sequence[str] = ("dataset", "job_id", "changed_after", "destination", "file_format")

    def __init__(self, *, job_id: str, changed_after: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.job_id = job_id
        self.changed_after = changed_after

    def execute(self, context: Context) -> dict[str, Any]:
        """Download, verify, publish."""
        hook = open_hook(self.hrm_conn_id)
        job = completed_job(hook, self.dataset, self.job_id)
        return self._land(context, hook, job, changed_after=self.changed_after or None)


class HrmExportOperator(HrmLandingOperator):
    """Export what changed since the last time, wait for it without holding a worker, and land it.

    The first export is a full one; each next one asks for what changed since the watermark, which is
    ``changeTimestampBefore`` of the last export whose files were all published. Where the service gives
    none, every export is a full one. A retry, and clearing the task too, exports what its first try set
    out to export, and comes back to that try's job while the service knows it.

    :param dataset: path of the dataset, e.g. ``employees`` or ``metadata/cost-centers``. (templated)
    :param destination: any address that ObjectStoragePath takes. (templated)
    :param changed_after: begin there instead, and leave the watermark alone. (templated)
    :param full_refresh: export everything, whatever the watermark says. (templated)
    :param fields: columns to include, as a list or separated by commas; nothing for all. (templated)
    :param exclude_fields: columns to leave out; not together with *fields*. (templated)
    :param file_format: ``csv``, the service's bytes untouched, or ``parquet``. (templated)
    :param schema: pyarrow's type names of columns in parquet; the others are text.
    :param timeout: how long a job may take, counted from the start of a try.
    :param poll_interval: seconds between the first two polls; the wait grows by half each time.
    :param max_poll_interval: seconds that the wait grows to.
    :param deferrable: wait in the triggerer instead of holding a worker's slot.
    :param max_concurrency: how many files to download at the same time.
    :param staging_dir: directory on the worker with room for all files, where the destination is not local.
    :param hrm_conn_id: a connection of type ``visma_hrm``.
    """

    template_fields: Sequence[str] = (
        "dataset",
        "destination",
        "changed_after",
        "full_refresh",
        "fields",
        "exclude_fields",
        "file_format",
    )
    keeps_watermark = True

    def __init__(
        self,
        *,
        changed_after: str | None = None,
        full_refresh: bool | str = False,
        fields: Sequence[str] | str = (),
        exclude_fields: Sequence[str] | str = (),
        timeout: timedelta = timedelta(hours=2),
        poll_interval: float = 2.0,
        max_poll_interval: float = 60.0,
        deferrable: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.changed_after = changed_after
        self.full_refresh = full_refresh
        self.fields = fields
        self.exclude_fields = exclude_fields
        self.timeout = timeout
        self.poll_interval = poll_interval
        self.max_poll_interval = max_poll_interval
        self.deferrable = deferrable

    def execute(self, context: Context) -> dict[str, Any]:
        """Start the job or come back to it, and wait."""
        hook = open_hook(self.hrm_conn_id)
        landing = self._landing(context)
        started = StartedExport.of(context)
        watermark = self._watermark(context, hook).get()
        basis = watermark if isinstance(watermark, str) else None
        scope = self._request(self.changed_after or None).fingerprint(tenant_id=hook.tenant_id)
        scope = f"{scope} full" if self._is_full else scope
        if started and started.scope == scope:
            changed_after = started.changed_after
        elif self.changed_after or self._is_full:
            changed_after = self.changed_after or None
        elif (earlier := landing.published()) and earlier.get("tenant_id") == hook.tenant_id:
            # The run is repeated after it succeeded: its files must not shrink to what changed since.
            changed_after = earlier.get("changed_after")
        else:
            changed_after = basis
        request = self._request(changed_after)
        fingerprint = request.fingerprint(tenant_id=hook.tenant_id)
        attachment, job = look_at(hook, request, started, fingerprint=fingerprint)
        if started is None or job is None:
            started = StartedExport(
                job_id=hook.submit(request),
                fingerprint=fingerprint,
                scope=scope,
                changed_after=changed_after,
                basis=basis,
            )
            started.store(context)
            return self._wait(context, hook, started.job_id)
        self.log.info("Coming back to the job of an earlier try", job_id=job.job_id, found=attachment)
        if attachment is Attachment.FINISHED:
            return self._finish(context, hook, job, started)
        return self._wait(context, hook, job.job_id)

    def execute_complete(self, context: Context, event: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Land the files after the trigger's event."""
        if error := outcome_error(event, conn_id=self.hrm_conn_id):
            raise error
        started = StartedExport.of(context)
        told = event or {}
        if started is None or (told.get("dataset"), told.get("job_id")) != (self.dataset, started.job_id):
            raise VismaContentError(
                "the trigger's event is about another job than this task's",
                system=SYSTEM,
                conn_id=self.hrm_conn_id,
                advice="Clear the task to start over.",
            )
        hook = open_hook(self.hrm_conn_id)
        return self._finish(context, hook, completed_job(hook, self.dataset, started.job_id), started)

    def _wait(self, context: Context, hook: VismaHrmHook, job_id: str) -> dict[str, Any]:
        now = time.time()
        start = context["ti"].start_date
        deadline = (start.timestamp() if start else now) + self.timeout.total_seconds()
        if self.deferrable:
            from airflow_provider_visma.triggers.hrm import HrmJobTrigger

            self.defer(
                trigger=HrmJobTrigger(
                    conn_id=self.hrm_conn_id,
                    dataset=self.dataset,
                    job_id=job_id,
                    deadline=deadline,
                    poll_interval=self.poll_interval,
                    max_poll_interval=self.max_poll_interval,
                    not_before=now + self.poll_interval,
                ),
                method_name=self.execute_complete.__name__,
                # The trigger keeps the deadline. This only catches a triggerer that is not there.
                timeout=timedelta(seconds=max(deadline - now, 0) + 2 * self.max_poll_interval + 60),
            )
        poller = Poller(
            dataset=self.dataset,
            job_id=job_id,
            deadline=deadline,
            poll_interval=self.poll_interval,
            max_poll_interval=self.max_poll_interval,
        )
        wait = self.poll_interval
        while True:
            self._sleep(wait)
            try:
                decision = poller.on_job(hook.get_job(self.dataset, job_id, repeat=False))
            except VismaError as error:
                decision = poller.on_error(error)
            if decision.outcome:
                return self.execute_complete(context, poller.event(decision))
            wait = decision.wait

    def _finish(
        self, context: Context, hook: VismaHrmHook, job: ExportJob, started: StartedExport
    ) -> dict[str, Any]:
        manifest = self._land(context, hook, job, changed_after=started.changed_after)
        if not self.changed_after:
            advanced = self._watermark(context, hook).advance(basis=started.basis, to=job.watermark)
            self.log.info("Watermark advanced" if advanced else "Watermark left as it is", to=job.watermark)
        return manifest

    def _watermark(self, context: Context, hook: VismaHrmHook) -> Watermark:
        asset = HRM.watermarks(self.hrm_conn_id)
        return Watermark(context, asset=asset, name=f"{hook.tenant_id}/{self.dataset}")

    def _request(self, changed_after: str | None) -> ExportRequest:
        return ExportRequest(
            dataset=self.dataset,
            changed_after=changed_after,
            fields=column_names(self.fields),
            exclude_fields=column_names(self.exclude_fields),
        )

    @property
    def _is_full(self) -> bool:
        return is_true(self.full_refresh)

    def _sleep(self, seconds: float) -> None:
        time.sleep(seconds)  # only with deferrable=False, where the author wants the worker to wait
