"""Visma.net HRM & Payroll: exports as jobs (contract hrm, sections 1 and 6); files.py hands out the files."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from aiohttp import ClientError, ClientSession, ClientTimeout, web

from visma_sandbox.connect import Grant
from visma_sandbox.credentials import HRM_TENANT_ID
from visma_sandbox.exchange import Exchange
from visma_sandbox.hrm_datasets import BENCHMARK, DATASETS, Dataset, dataset_for
from visma_sandbox.hrm_export import Export, ExportPlan, write_benchmark, write_export
from visma_sandbox.hrm_jobs import COMPLETED, IN_PROGRESS, Job, JobBook
from visma_sandbox.hrm_wishes import Refused, callback_address, export_plan, has_delta, timestamp

if TYPE_CHECKING:
    from visma_sandbox.app import Sandbox

FAULT_KINDS: Final[frozenset[str]] = frozenset(
    {
        "changed_header",
        "expired_token",
        "foreign_link",
        "job_expired",
        "job_failed",
        "link_expired",
        "missing_scope",
        "never_ends",
        "several_parts",
        "unknown_status",
    }
)
SETTINGS: Final[dict[str, Any]] = {
    "hrm_job_polls": 2,  # so many queries are answered InProgress
    "hrm_job_seconds": 0.0,
    "hrm_job_lifetime": 86_400.0,
    "hrm_started_status": 200,
    "hrm_running_status": 202,
    "hrm_running_retry_after": None,
    "hrm_failed_status": "Failed",
    "hrm_tenants": [HRM_TENANT_ID],
    "hrm_missing_scope_status": 401,
    "hrm_gated_columns": "missing",  # missing, empty
    "hrm_parts": 1,
    "hrm_header_only": False,
    "hrm_empty_delta": "header_only",  # header_only, empty_array
    "hrm_duplicate_every": 0,
    "hrm_added_columns": {},
    "hrm_unknown_fields": "ignore",  # ignore, refuse
    "hrm_free_datasets": True,
    "hrm_delta_datasets": ["employees", "contracts"],
    "hrm_after_inclusive": True,
    "hrm_before_inclusive": False,
    "hrm_timestamp_form": "milliseconds",  # seconds, milliseconds, ticks, offset
    "hrm_benchmark_bytes": 500_000_000,
}


def routes(sandbox: Sandbox) -> list[web.RouteDef]:
    """Start a job, ask after a job."""
    api = _ExportApi(sandbox)
    sandbox.on_reset(api.jobs.clear)
    sandbox.counts["hrm"] = api.counts
    return [
        web.post("/v1/command/nl/hrm/{dataset:.+}", api.command),
        web.get("/v1/query/nl/hrm/{dataset:.+}/{job_id}", api.query, allow_head=False),
    ]


class _ExportApi:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self.jobs = JobBook()
        self._callbacks: set[asyncio.Task[None]] = set()

    def counts(self) -> dict[str, int]:
        """Rows of a full export, by dataset."""
        organisation = self._sandbox.organisation
        return {path: sum(1 for _ in dataset.rows(organisation)) for path, dataset in DATASETS.items()}

    # Starting

    async def command(self, request: web.Request) -> web.StreamResponse:
        path, body = request.match_info["dataset"], await request.read()
        exchange = await self._sandbox.begin(request, system="hrm", operation=f"command/{path}", body=body)
        try:
            dataset = dataset_for(path)
            grant = self._authorize(exchange, dataset)
            job = self._start(exchange, dataset, grant, callback_address(body))
        except Refused as refused:
            return await exchange.respond(refused.response())
        self.jobs.add(job)
        exchange.entry.note["job_id"] = job.id
        if job.callback is not None:
            task = asyncio.create_task(self._call_back(job, job.callback))
            self._callbacks.add(task)
            task.add_done_callback(self._callbacks.discard)
        status = self._sandbox.settings["hrm_started_status"]
        return await exchange.respond(web.json_response({"jobId": job.id}, status=status))

    def _authorize(self, exchange: Exchange, dataset: Dataset) -> Grant:
        sandbox, request = self._sandbox, exchange.request
        if exchange.fault_is("expired_token"):
            sandbox.tokens.revoke(request)
        grant = sandbox.tokens.grant(request, sandbox.clock())
        exchange.entry.authorized = grant is not None
        if grant is None:
            raise Refused(401, "Unauthorized", challenge="invalid_token")
        if grant.tenant_id not in sandbox.settings["hrm_tenants"]:
            raise Refused(401, "Unauthorized")  # as a sibling product does with a good token (contract, 1.4)
        lacking = dataset.scope is not None and dataset.scope not in grant.scopes
        if lacking or exchange.fault_is("missing_scope"):
            status = sandbox.settings["hrm_missing_scope_status"]
            raise Refused(status, "Unauthorized", challenge="insufficient_scope")
        if dataset.path not in DATASETS and not sandbox.settings["hrm_free_datasets"]:
            raise Refused(404, "Not Found")
        return grant

    def _start(self, exchange: Exchange, dataset: Dataset, grant: Grant, callback: str | None) -> Job:
        sandbox = self._sandbox
        plan = export_plan(
            dataset=dataset,
            query=exchange.request.query,
            scopes=grant.scopes,
            settings=sandbox.settings,
            fault=exchange.fault,
        )
        now = sandbox.clock()
        form = sandbox.settings["hrm_timestamp_form"]
        return Job(
            dataset=dataset,
            started=now,
            change_before=timestamp(now, form) if has_delta(dataset, sandbox.settings) else None,
            work=self._work(dataset, plan),
            callback=callback,
            stuck=exchange.fault_is("never_ends"),
            failure=self._failure(exchange),
            empty_array=plan.after is not None and sandbox.settings["hrm_empty_delta"] == "empty_array",
        )

    def _failure(self, exchange: Exchange) -> str | None:
        """The status a failed job ends with, when this request's fault is a failed job."""
        if exchange.fault is None or exchange.fault.kind != "job_failed":
            return None
        return str(exchange.fault.args.get("status", self._sandbox.settings["hrm_failed_status"]))

    def _work(self, dataset: Dataset, plan: ExportPlan) -> asyncio.Future[Export]:
        sandbox = self._sandbox
        if dataset.path == BENCHMARK:
            size = int(sandbox.settings["hrm_benchmark_bytes"])
            write = partial(write_benchmark, size, plan.parts, sandbox.folder, packed=plan.gzip)
            return self.jobs.work((BENCHMARK, size, plan.parts, plan.gzip), write)
        # The same people and the same wishes give the same files: a thousand jobs at once cost one.
        write = partial(write_export, plan, sandbox.organisation, sandbox.folder)
        return self.jobs.work((sandbox.people_version, plan), write)

    # Asking

    async def query(self, request: web.Request) -> web.StreamResponse:
        path = request.match_info["dataset"]
        exchange = await self._sandbox.begin(request, system="hrm", operation=f"query/{path}")
        try:
            self._authorize(exchange, dataset_for(path))
            job = self._job(exchange, path, request.match_info["job_id"])
        except Refused as refused:
            return await exchange.respond(refused.response())
        return await exchange.respond(await self._answer(exchange, job))

    def _job(self, exchange: Exchange, path: str, job_id: str) -> Job:
        """The job, one poll older and struck by this request's fault."""
        job = self.jobs.find(job_id)
        exchange.entry.note["job_id"] = job_id
        lifetime = float(self._sandbox.settings["hrm_job_lifetime"])
        if job is not None and (
            exchange.fault_is("job_expired") or self._sandbox.clock() - job.started > lifetime
        ):
            self.jobs.drop(job_id)
            job = None
        if job is None or job.dataset.path != path:
            raise Refused(404, "Not Found")
        job.polls += 1
        job.failure = self._failure(exchange) or job.failure
        return job

    async def _answer(self, exchange: Exchange, job: Job) -> web.Response:
        settings, fault = self._sandbox.settings, exchange.fault
        status = await self._status(job)
        if fault is not None and fault.kind == "job_failed" and job.failure is not None:
            status = job.failure
        elif fault is not None and fault.kind == "unknown_status":
            status = str(fault.args.get("status", "Paused"))
        elif exchange.fault_is("never_ends"):
            status = IN_PROGRESS
        exchange.entry.note["status"] = status
        body = job.answer(status, self._links(exchange, job) if status == COMPLETED else [])
        if status != IN_PROGRESS:
            return web.json_response(body)
        wait = settings["hrm_running_retry_after"]
        headers = {} if wait is None else {"Retry-After": str(wait)}
        return web.json_response(body, status=settings["hrm_running_status"], headers=headers)

    async def _status(self, job: Job) -> str:
        settings = self._sandbox.settings
        return await job.status(
            self._sandbox.clock(),
            polls_wanted=settings["hrm_job_polls"],
            seconds_wanted=settings["hrm_job_seconds"],
        )

    def _links(self, exchange: Exchange | None, job: Job) -> list[str]:
        export = job.work.result()
        if not export.parts or (job.empty_array and export.rows == 0):
            return []
        fault = exchange.fault if exchange is not None else None
        expired = fault is not None and fault.kind == "link_expired"
        links = self._sandbox.shelf.links(job.id, job.dataset.path, export, expired=expired)
        if fault is not None and fault.kind == "foreign_link":
            links[0] = str(fault.args.get("url", "http://169.254.169.254/latest/meta-data/"))
        return links

    async def _call_back(self, job: Job, address: str) -> None:
        """POST the finished job's answer, once; what the vendor sends and whether it retries is not known."""
        while (status := await self._status(job)) == IN_PROGRESS:
            if job.stuck:
                return
            await asyncio.sleep(0.05)
        links = self._links(None, job) if status == COMPLETED else []
        entry = self._sandbox.journal.add_outgoing(
            time=self._sandbox.clock(),
            system="hrm",
            operation=f"callback/{job.dataset.path}",
            path=urlsplit(address).path,
        )
        try:
            async with (
                ClientSession(timeout=ClientTimeout(total=30)) as session,
                session.post(address, json=job.answer(status, links)) as answer,
            ):
                entry.status = answer.status
        except (ClientError, TimeoutError) as failed:
            entry.note["failed"] = type(failed).__name__
