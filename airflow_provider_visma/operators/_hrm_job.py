"""What a task remembers of the export job it started: once submitted, a job is never started again."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from airflow_provider_visma.exceptions import VismaJobFailedError, VismaUnavailableError
from airflow_provider_visma.export_jobs import Attachment, ExportJob, JobStatus, decide_attachment
from airflow_provider_visma.export_request import SYSTEM, ExportRequest

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_visma.hooks.hrm import VismaHrmHook

_KEY = "export_job"


def open_hook(hrm_conn_id: str) -> VismaHrmHook:
    """Return the hook; its imports are too heavy for when a DAG is parsed."""
    from airflow_provider_visma.hooks.hrm import VismaHrmHook

    return VismaHrmHook(hrm_conn_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedExport:
    """What a task remembers of the job it started, for its retries and for when it is resumed.

    :param fingerprint: of the whole request.
    :param scope: of the request without what the watermark added to it.
    :param changed_after: where the export begins.
    :param basis: the watermark when the job was started.
    """

    job_id: str
    fingerprint: str
    scope: str | None = None
    changed_after: str | None = None
    basis: str | None = None

    @classmethod
    def of(cls, context: Context) -> StartedExport | None:
        """Return what an earlier try stored, or None."""
        stored = context["task_state_store"].get(_KEY)
        try:
            return cls(**stored) if isinstance(stored, dict) else None  # type: ignore[arg-type]
        except TypeError:
            return None  # written by another version of this provider

    def store(self, context: Context) -> None:
        """Let later tries know."""
        context["task_state_store"].set(_KEY, asdict(self))


def look_at(
    hook: VismaHrmHook, request: ExportRequest, started: StartedExport | None, *, fingerprint: str
) -> tuple[Attachment, ExportJob | None]:
    """Return what to do about the job of an earlier try, and the job unless a new one is needed."""
    return decide_attachment(
        asdict(started) if started else None,
        fingerprint=fingerprint,
        read_job=lambda job_id: hook.get_job(request.dataset, job_id),
    )


def completed_job(hook: VismaHrmHook, dataset: str, job_id: str) -> ExportJob:
    """Return the job with its files.

    :raises VismaJobFailedError: it has failed.
    :raises VismaUnavailableError: it is still running.
    """
    job = hook.get_job(dataset, job_id)
    if job.status is JobStatus.COMPLETED:
        return job
    kind = VismaJobFailedError if job.status is JobStatus.FAILED else VismaUnavailableError
    raise kind(
        f"job {job_id} of {dataset} has status {job.status_name}, so there are no files",
        system=SYSTEM,
        conn_id=hook.hrm_conn_id,
        advice="Wait for the job with HrmJobSensor first.",
    )
