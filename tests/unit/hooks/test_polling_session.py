"""What pollers share, and what they must not share."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from airflow_provider_visma.hooks import _polling_session
from airflow_provider_visma.hooks._polling_session import shared_session


@asynccontextmanager
async def host(open_to_all: asyncio.Event) -> AsyncIterator[str]:
    async def answer(request: web.Request) -> web.Response:
        await open_to_all.wait()
        return web.Response()

    application = web.Application()
    application.router.add_get("/", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


async def test_a_host_that_hangs_keeps_no_poller_of_another_waiting() -> None:
    hanging, well = asyncio.Event(), asyncio.Event()
    well.set()
    async with (
        host(hanging) as slow,
        host(well) as quick,
        shared_session(ssl.create_default_context()) as session,
    ):
        waiting = [
            asyncio.create_task(session.get(slow).__aenter__())
            for _ in range(_polling_session._CONNECTIONS_PER_HOST + 1)
        ]
        await asyncio.sleep(0)
        try:
            async with asyncio.timeout(60), session.get(quick) as response:
                assert response.status == 200
            assert not any(poll.done() for poll in waiting)
        finally:
            hanging.set()
        for poll in waiting:
            (await poll).release()
