"""What the operators that land HRM files share: the destination, and whose files they are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_visma.export_assets import HRM
from airflow_provider_visma.hrm_landing import Landing, run_folder
from airflow_provider_visma.operators._exports import ExportingOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_visma.export_jobs import ExportJob
    from airflow_provider_visma.hooks.hrm import VismaHrmHook


class HrmLandingOperator(ExportingOperator):
    """Base of the operators that land files; parameters as in :class:`HrmDownloadOperator`."""

    assets = HRM
    conn_id_field = "hrm_conn_id"
    default_conn_id = "visma_hrm_default"

    def __init__(
        self,
        *,
        dataset: str,
        destination: str,
        file_format: str = "csv",
        schema: Mapping[str, str] | None = None,
        max_concurrency: int = 4,
        staging_dir: str | None = None,
        hrm_conn_id: str = default_conn_id,
        **kwargs: Any,
    ) -> None:
        super().__init__(conn_id=hrm_conn_id, **kwargs)
        self.dataset = dataset
        self.destination = destination
        self.file_format = file_format
        self.schema = schema
        self.max_concurrency = max_concurrency
        self.staging_dir = staging_dir
        self.hrm_conn_id = hrm_conn_id

    def _landing(self, context: Context) -> Landing:
        ti = context["ti"]
        landing = Landing(
            folder=run_folder(self.destination, dataset=self.dataset, run_id=str(context["run_id"])),
            task=f"{ti.dag_id}.{ti.task_id}",
            file_format=self.file_format,
            schema=self.schema,
            staging_dir=Path(self.staging_dir) if self.staging_dir else None,
            max_concurrency=self.max_concurrency,
        )
        landing.check()
        return landing

    def _land(
        self, context: Context, hook: VismaHrmHook, job: ExportJob, *, changed_after: str | None
    ) -> dict[str, Any]:
        """Land the files and announce them; return the manifest."""
        manifest = self._landing(context).land(hook, job, changed_after=changed_after)
        self._announce(context, manifest, conn_id=self.hrm_conn_id, owner=hook.tenant_id, name=self.dataset)
        return manifest
