"""What the operators that land HRM files share: the destination, who is told, and a link to the files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from airflow.sdk import BaseOperatorLink
from airflow.sdk.bases.operator import get_merged_defaults
from airflow.sdk.definitions._internal.contextmanager import DagContext, TaskGroupContext

from airflow_provider_visma.hrm_assets import dataset_asset, export_alias
from airflow_provider_visma.hrm_landing import Landing, run_folder
from airflow_provider_visma.operators.base import VismaOperator

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context
    from airflow.sdk.types import TaskInstanceKey

    from airflow_provider_visma.export_jobs import ExportJob
    from airflow_provider_visma.hooks.hrm import VismaHrmHook


class HrmFilesLink(BaseOperatorLink):
    """Opens the place of the exported files."""

    name = "Exported files"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the address of the folder, or nothing before its manifest is there."""
        # Airflow asks on the worker, right after the task ran. XCom would say the same, but looking
        # there while the task is deferred writes an error to its log.
        published = getattr(operator, "published_uri", None)
        return browser_address(published) if published else ""


def browser_address(uri: str) -> str:
    """Return where a browser shows the folder *uri*; the address itself for a store without a console."""
    parts = urlsplit(uri)
    bucket, key = parts.hostname or "", quote(parts.path.lstrip("/"), safe="/")
    match parts.scheme:
        case "s3":
            return f"https://console.aws.amazon.com/s3/buckets/{bucket}?prefix={key}/"
        case "gs" | "gcs":
            return f"https://console.cloud.google.com/storage/browser/{bucket}/{key}"
        case _:
            return uri


class HrmLandingOperator(VismaOperator):
    """Base of the operators that land files; parameters as in :class:`HrmDownloadOperator`."""

    operator_extra_links = (HrmFilesLink(),)

    def __init__(
        self,
        *,
        dataset: str,
        destination: str,
        file_format: str = "csv",
        schema: Mapping[str, str] | None = None,
        max_concurrency: int = 4,
        staging_dir: str | None = None,
        hrm_conn_id: str = "visma_hrm_default",
        inlets: Sequence[Any] = (),
        outlets: Sequence[Any] = (),
        **kwargs: Any,
    ) -> None:
        kwargs |= self._ports(hrm_conn_id, inlets, outlets)
        super().__init__(**kwargs)
        self.dataset = dataset
        self.destination = destination
        self.file_format = file_format
        self.schema = schema
        self.max_concurrency = max_concurrency
        self.staging_dir = staging_dir
        self.hrm_conn_id = hrm_conn_id
        self.published_uri: str | None = None

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """Begin a mapped task, whose inlets and outlets Airflow reads before any ``__init__`` runs."""
        given = _default_args(kwargs) | kwargs
        hrm_conn_id = given.get("hrm_conn_id", "visma_hrm_default")
        ports = cls._ports(hrm_conn_id, given.get("inlets", ()), given.get("outlets", ()))
        return super().partial(**kwargs | ports | {"hrm_conn_id": hrm_conn_id})

    @classmethod
    def _ports(cls, hrm_conn_id: str, inlets: Sequence[Any], outlets: Sequence[Any]) -> dict[str, list[Any]]:
        alias = export_alias(hrm_conn_id)
        return {
            "inlets": list(inlets or ()),
            "outlets": [alias, *(outlet for outlet in outlets or () if outlet != alias)],
        }

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
        self.published_uri = manifest["uri"]
        self.log.info(
            "Files published", uri=manifest["uri"], files=len(manifest["files"]), rows=manifest["rows"]
        )
        asset = dataset_asset(tenant_id=hook.tenant_id, dataset=self.dataset)
        context["outlet_events"][export_alias(self.hrm_conn_id)].add(asset, extra=manifest)
        return manifest


def _default_args(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ``default_args`` of DAG, task group and task that hold where a task is mapped."""
    dag = kwargs.get("dag") or DagContext.get_current()
    group = kwargs.get("task_group") or (TaskGroupContext.get_current(dag) if dag else None)
    merged, _ = get_merged_defaults(dag, group, None, kwargs.get("default_args"))
    return merged
