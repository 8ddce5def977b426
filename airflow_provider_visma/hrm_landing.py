"""The files of an export job, landed at a destination: all of them, or none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_visma import storage
from airflow_provider_visma.csv_files import CsvSink, require_parquet, stage_parquet
from airflow_provider_visma.exceptions import VismaContentError, VismaRequestError
from airflow_provider_visma.export_request import SYSTEM, checked_dataset
from airflow_provider_visma.staged_file import StagedFile
from airflow_provider_visma.storage import Publication, published_earlier

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_visma.export_jobs import ExportJob
    from airflow_provider_visma.hooks.hrm import VismaHrmHook
    from airflow_provider_visma.protocols.downloads import Sink

FORMATS = ("csv", "parquet")


@dataclass(frozen=True, slots=True, kw_only=True)
class Landing:
    """Where the files of one run go, and as what.

    :param folder: the folder of this run and dataset.
    :param task: which task lands there, ``<dag id>.<task id>``; None where nothing else can.
    :param file_format: ``csv`` (the service's bytes, untouched) or ``parquet``.
    :param schema: types of columns in parquet; the others are text.
    :param staging_dir: where files wait for their upload to a destination that is not local.
    """

    folder: ObjectStoragePath
    task: str | None = None
    file_format: str = "csv"
    schema: Mapping[str, str] | None = None
    staging_dir: Path | None = None
    max_concurrency: int = 4

    def check(self) -> None:
        """Check what can be checked before an export is started.

        :raises VismaRequestError: the format is unknown, cannot be written here or has no types; or the
            folder is another task's.
        """
        if self.file_format not in FORMATS:
            raise VismaRequestError(
                f"{self.file_format!r} is not a file format", advice=f"Give one of {', '.join(FORMATS)}."
            )
        if self.file_format == "parquet":
            require_parquet(self.schema)
        elif self.schema:
            raise VismaRequestError("a CSV file has no types", advice="Leave schema out, or write parquet.")
        self.published()

    def published(self) -> dict[str, Any] | None:
        """Return the manifest of what an earlier try of this task landed, None where there is none (whole).

        :raises VismaRequestError: another task landed something here in a run of the same name.
        """
        return published_earlier(self.folder, task=self.task, system=SYSTEM)

    def land(self, hook: VismaHrmHook, job: ExportJob, *, changed_after: str | None) -> dict[str, Any]:
        """Download, verify and publish all files of a completed job; return the manifest.

        :param changed_after: where the export began, for the manifest.
        """
        from airflow_provider_visma.hooks.hrm_files import download_job

        parts: dict[int, StagedFile] = {}
        with Publication(self.folder, staging_dir=self.staging_dir) as publication:

            @contextmanager
            def open_part(number: int) -> Iterator[Sink]:
                with publication.stage(f"part-{number:04d}.csv") as staged:
                    sink = CsvSink(staged)
                    yield sink
                    sink.finish()
                parts[number] = staged

            download_job(hook, job, open_part=open_part, max_concurrency=self.max_concurrency)
            header = _common_header([parts[number] for number in sorted(parts)], job)
            if self.file_format == "parquet":
                # One after the other: each needs more memory than a download, and all the cores.
                for part in parts.values():
                    stage_parquet(publication, part, f"{part.path.stem}.parquet", schema=self.schema)
                    publication.discard(part)
            return publication.publish(
                {
                    "kind": "hrm-export",
                    "task": self.task,
                    "tenant_id": hook.tenant_id,
                    "dataset": job.dataset,
                    "job_id": job.job_id,
                    "changed_after": changed_after,
                    "watermark": job.watermark,
                    "format": self.file_format,
                    "header": list(header),
                    "rows": sum(part.rows or 0 for part in parts.values()),
                }
            )


def run_folder(destination: str, *, dataset: str, run_id: str) -> ObjectStoragePath:
    """Return the folder for the files of one dataset in one run."""
    return storage.run_folder(destination, checked_dataset(dataset), run_id=run_id)


def _common_header(parts: list[StagedFile], job: ExportJob) -> tuple[str, ...]:
    """Return the column names that all parts have.

    :raises VismaContentError: they differ, so that together they are no table.
    """
    headers = [part.header or () for part in parts]
    for part, header in zip(parts, headers, strict=True):
        if header != headers[0]:
            differing = sorted(set(header) ^ set(headers[0])) or ["their order"]
            raise VismaContentError(
                f"{part.name} has other columns than {parts[0].name}: {', '.join(differing)[:200]}",
                system=SYSTEM,
                operation=job.dataset,
                advice="The service changed while it exported. Start the export again.",
            )
    return headers[0] if headers else ()
