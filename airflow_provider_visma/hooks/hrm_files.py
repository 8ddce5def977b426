"""The files of an export job, through a ``visma_hrm`` connection."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from airflow.sdk.log import mask_secret

from airflow_provider_visma.protocols.file_hosts import FileHostAccess
from airflow_provider_visma.protocols.parallel_downloads import download_all

if TYPE_CHECKING:
    from airflow_provider_visma.export_jobs import ExportJob
    from airflow_provider_visma.hooks.hrm import VismaHrmHook
    from airflow_provider_visma.protocols.downloads import Sink


def download_job(
    hook: VismaHrmHook,
    job: ExportJob,
    *,
    open_part: Callable[[int], AbstractContextManager[Sink]],
    max_concurrency: int = 4,
) -> None:
    """Download all files of a completed job.

    Where a link has expired, the job is read again for fresh ones.

    :param open_part: opens the sink of the file with this number, in the thread that downloads it.
    :param max_concurrency: how many files at the same time.
    :raises VismaError: a file could not be had whole; nothing of any is to be used then.
    """
    connection = hook.settings.connection
    download_all(
        _masked(job),
        renew=lambda: _masked(hook.get_job(job.dataset, job.job_id)),
        open_part=open_part,
        access=FileHostAccess(rules=hook.link_rules, verify=connection.verify, proxy=connection.proxy),
        max_concurrency=max_concurrency,
    )


def _masked(job: ExportJob) -> tuple[str, ...]:
    """Return the job's links, after telling Airflow's logs what of them is secret."""
    for link in job.file_uris:
        if query := urlsplit(link).query:
            mask_secret(query)
    return job.file_uris
