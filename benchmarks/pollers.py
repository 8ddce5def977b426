"""A thousand export jobs polled by one event loop over TLS, one poll each every five seconds.

They start as in a triggerer, fifty a second. What counts is this process alone: the share of one core
that it uses, and how long a poll takes, the wait for the event loop included.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Any
from unittest import mock

import aiohttp.connector

from visma_sandbox.client import SandboxProcess, start_sandbox

JOBS = 1000
STARTED_PER_SECOND = 50
INTERVAL = 5.0
MEASURED_SECONDS = 30.0
GOAL_CORE = 0.30
GOAL_P99_MS = 250.0
CONN_ID = "visma_hrm_default"


@dataclass(slots=True)
class Stopwatch:
    """Notes how long polls take, while it is running."""

    running: bool = False
    seconds: list[float] = field(default_factory=list)

    @asynccontextmanager
    async def poll(self) -> AsyncIterator[None]:
        start = time.perf_counter()
        yield
        if self.running:
            self.seconds.append(time.perf_counter() - start)


@dataclass(frozen=True, slots=True)
class Figures:
    """What one contender took.

    :param core: share of one core.
    """

    polls: int
    core: float
    p50_ms: float
    p99_ms: float

    def __str__(self) -> str:
        return (
            f"{self.polls / MEASURED_SECONDS:5.0f} polls/s  {self.core:6.1%} of a core  "
            f"p50 {self.p50_ms:7.1f} ms  p99 {self.p99_ms:7.1f} ms"
        )


Poller = Callable[[str, Stopwatch], Coroutine[Any, Any, None]]


async def our_trigger(job_id: str, watch: Stopwatch) -> None:
    """HrmJobTrigger, as a triggerer runs it."""
    from airflow_provider_visma.triggers.hrm import HrmJobTrigger

    trigger = HrmJobTrigger(
        conn_id=CONN_ID,
        dataset="employees",
        job_id=job_id,
        deadline=time.time() + 3600,
        poll_interval=INTERVAL,
        max_poll_interval=INTERVAL,
    )
    async for event in trigger.run():
        raise RuntimeError(f"a job ended: {event}")


def timed_aget_job(watch: Stopwatch) -> mock._patch[object]:
    """Let every poll of the hook be timed."""
    from airflow_provider_visma.hooks.hrm import VismaHrmHook

    plain = VismaHrmHook.aget_job

    async def aget_job(*args: Any) -> Any:
        async with watch.poll():
            return await plain(*args)

    return mock.patch.object(VismaHrmHook, "aget_job", aget_job)


async def httpx_client_per_poller(job_id: str, watch: Stopwatch) -> None:
    """What one writes by hand: an httpx client per poller, kept open; the TLS context is shared."""
    from airflow_provider_visma.hooks._hrm_settings import HrmSettings
    from airflow_provider_visma.hooks.hrm import VismaHrmHook
    from airflow_provider_visma.protocols.http import httpx

    settings: HrmSettings = VismaHrmHook(CONN_ID).settings
    token = await settings.token_source().aget_token()
    async with httpx.AsyncClient(
        base_url=settings.connection.base_url,
        verify=settings.connection.verify,
        headers={"Authorization": f"Bearer {token.value}"},
    ) as client:
        while True:
            async with watch.poll():
                response = await client.get(f"/v1/query/nl/hrm/employees/{job_id}", timeout=60)
                response.raise_for_status()
                response.json()
            await asyncio.sleep(INTERVAL)


async def http_async_hook_session_per_poll(job_id: str, watch: Stopwatch) -> None:
    """HttpAsyncHook as its own triggers use it: a session per poll."""
    from airflow.providers.http.hooks.http import HttpAsyncHook

    from airflow_provider_visma.hooks.hrm import VismaHrmHook

    settings = VismaHrmHook(CONN_ID).settings
    token = await settings.token_source().aget_token()
    hook = HttpAsyncHook(method="GET", http_conn_id="")
    hook.base_url = settings.connection.base_url
    # It takes no CA bundle, so the context that aiohttp shares is exchanged for ours.
    aiohttp.connector._SSL_CONTEXT_VERIFIED = settings.connection.verify
    while True:
        async with watch.poll(), hook.session() as session:
            response = await session.run(
                endpoint=f"v1/query/nl/hrm/employees/{job_id}",
                headers={"Authorization": f"Bearer {token.value}"},
            )
            await response.json()
        await asyncio.sleep(INTERVAL)


async def measure(poller: Poller, job_ids: list[str]) -> Figures:
    """Run *poller* for every job, and look at the process once all of them are under way."""
    watch = Stopwatch()
    with timed_aget_job(watch):
        return await _measured(poller, job_ids, watch)


async def _measured(poller: Poller, job_ids: list[str], watch: Stopwatch) -> Figures:
    async with asyncio.TaskGroup() as group:
        tasks: list[asyncio.Task[None]] = []
        for start in range(0, len(job_ids), STARTED_PER_SECOND):
            tasks += [
                group.create_task(poller(job_id, watch))
                for job_id in job_ids[start : start + STARTED_PER_SECOND]
            ]
            await asyncio.sleep(1)
        watch.running = True
        cpu = time.process_time()
        await asyncio.sleep(MEASURED_SECONDS)
        watch.running = False
        cpu = time.process_time() - cpu
        for task in tasks:
            task.cancel()
    percentiles = quantiles(watch.seconds, n=100)
    return Figures(
        polls=len(watch.seconds),
        core=cpu / MEASURED_SECONDS,
        p50_ms=percentiles[49] * 1000,
        p99_ms=percentiles[98] * 1000,
    )


def started_jobs(sandbox: SandboxProcess) -> list[str]:
    """Start the jobs; none of them will end."""
    from airflow_provider_visma.hooks.hrm import VismaHrmHook

    sandbox.settings(hrm_job_polls=10**9)
    hook = VismaHrmHook(CONN_ID)
    return [hook.start_export("employees") for _ in range(JOBS)]


def main() -> int:
    """Print the contenders' figures; 1 when ours miss the goal."""
    print(f"{JOBS} pollers over TLS, one poll each every {INTERVAL:.0f} s")
    with start_sandbox(employees=10, tls=True) as sandbox:
        os.environ.update(sandbox.environment())
        job_ids = started_jobs(sandbox)
        ours = asyncio.run(measure(our_trigger, job_ids))
        print(f"  HrmJobTrigger                        {ours}", flush=True)
        peers = {
            "httpx, a client per poller": httpx_client_per_poller,
            "HttpAsyncHook, a session per poll": http_async_hook_session_per_poll,
        }
        for name, poller in peers.items():
            print(f"  {name:36} {asyncio.run(measure(poller, job_ids))}", flush=True)
    met = ours.core < GOAL_CORE and ours.p99_ms < GOAL_P99_MS
    verdict = "met" if met else "MISSED"
    print(f"  goal: under {GOAL_CORE:.0%} of a core, p99 under {GOAL_P99_MS:.0f} ms: {verdict}")
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main())
