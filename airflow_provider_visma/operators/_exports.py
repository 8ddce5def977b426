"""What the operators that export files share: who is told, what keeps the watermarks, a link to the files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote, urlsplit

from airflow.sdk import BaseOperatorLink
from airflow.sdk.bases.operator import get_merged_defaults
from airflow.sdk.definitions._internal.contextmanager import DagContext, TaskGroupContext

from airflow_provider_visma.operators.base import VismaOperator

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context
    from airflow.sdk.types import TaskInstanceKey

    from airflow_provider_visma.exceptions import VismaRequestError
    from airflow_provider_visma.export_assets import ExportAssets

    Wrong = Callable[[str, str], VismaRequestError]


class ExportedFilesLink(BaseOperatorLink):
    """Opens the place of the exported files."""

    name = "Exported files"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the address of the folder, or nothing before its manifest is there."""
        # Airflow asks on the worker, right after the task ran. XCom would say the same, but looking
        # there while the task is deferred writes an error to its log.
        published = getattr(operator, "published_uri", None)
        return browser_address(published) if published else ""


def folder_name(name: str, wrong: Wrong) -> str:
    """Return *name* as the name of a folder.

    :param wrong: makes the error where it can be none.
    """
    quoted = quote(name, safe="")
    if not quoted or quoted.startswith("."):
        raise wrong(f"{quoted[:80]!r} is no name for a folder", "Give an export_name.")
    return quoted


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


class ExportingOperator(VismaOperator):
    """Base of the operators that export: inlets and outlets, for plain and mapped tasks.

    :cvar assets: the assets of the operator's system.
    :cvar conn_id_field: the parameter that names the connection.
    :cvar default_conn_id: its default.
    :cvar keeps_watermark: whether the task needs the state of the watermarks' asset.
    """

    assets: ClassVar[ExportAssets]
    conn_id_field: ClassVar[str]
    default_conn_id: ClassVar[str]
    keeps_watermark: ClassVar[bool] = False

    operator_extra_links = (ExportedFilesLink(),)

    def __init__(
        self, *, conn_id: str, inlets: Sequence[Any] = (), outlets: Sequence[Any] = (), **kwargs: Any
    ) -> None:
        kwargs |= self._ports(conn_id, inlets, outlets)
        super().__init__(**kwargs)
        self.published_uri: str | None = None

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """Begin a mapped task, whose inlets and outlets Airflow reads before any ``__init__`` runs."""
        given = _default_args(kwargs) | kwargs
        conn_id = given.get(cls.conn_id_field, cls.default_conn_id)
        ports = cls._ports(conn_id, given.get("inlets", ()), given.get("outlets", ()))
        return super().partial(**kwargs | ports | {cls.conn_id_field: conn_id})

    @classmethod
    def _ports(cls, conn_id: str, inlets: Sequence[Any], outlets: Sequence[Any]) -> dict[str, list[Any]]:
        alias, watermarks = cls.assets.alias(conn_id), cls.assets.watermarks(conn_id)
        others = list(inlets or ())
        if cls.keeps_watermark:
            others = [watermarks, *(inlet for inlet in others if inlet != watermarks)]
        return {
            "inlets": others,
            "outlets": [alias, *(outlet for outlet in outlets or () if outlet != alias)],
        }

    def _announce(
        self, context: Context, manifest: dict[str, Any], *, conn_id: str, owner: str, name: str
    ) -> None:
        """Tell who waits for these files, and where the link leads."""
        self.published_uri = manifest["uri"]
        self.log.info(
            "Files published", uri=manifest["uri"], files=len(manifest["files"]), rows=manifest["rows"]
        )
        asset = self.assets.exported(owner, name)
        context["outlet_events"][self.assets.alias(conn_id)].add(asset, extra=manifest)


def _default_args(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ``default_args`` of DAG, task group and task that hold where a task is mapped."""
    dag = kwargs.get("dag") or DagContext.get_current()
    group = kwargs.get("task_group") or (TaskGroupContext.get_current(dag) if dag else None)
    merged, _ = get_merged_defaults(dag, group, None, kwargs.get("default_args"))
    return merged
