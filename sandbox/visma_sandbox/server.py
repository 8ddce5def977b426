"""Serving a sandbox, on loopback unless told otherwise, from its ready line to a clean stop."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import ssl
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from aiohttp import web

from visma_sandbox.app import Sandbox, build_app, build_files_app
from visma_sandbox.tls import LOOPBACK, make_certificate, server_context

BACKLOG = 4096  # a thousand pollers connect at once


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """What the command line says.

    :param port: 0 takes a free one; so does ``files_port``.
    :param host: the name by which clients reach it; one other than loopback opens every interface.
    """

    port: int
    files_port: int
    employees: int
    seed: int
    tls: bool
    dialog_file: Path | None = None
    host: str = LOOPBACK


async def serve(options: ServeOptions) -> None:
    """Serve until SIGTERM or SIGINT; the ready line goes to standard output once both ports answer."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    with TemporaryDirectory(prefix="visma-sandbox-") as folder:
        certificate, context = _certificate(Path(folder), options.host) if options.tls else (None, None)
        sandbox = Sandbox(
            employees=options.employees,
            seed=options.seed,
            folder=Path(folder),
            dialog_file=options.dialog_file,
        )
        sandbox.certificate = None if certificate is None else str(certificate)
        runners = [await _runner(build_app(sandbox)), await _runner(build_files_app(sandbox))]
        try:
            scheme = "http" if context is None else "https"
            interface = LOOPBACK if options.host == LOOPBACK else "0.0.0.0"  # noqa: S104 - asked for
            ports = [
                await _listen(runner, (interface, port), context)
                for runner, port in zip(runners, (options.port, options.files_port), strict=True)
            ]
            sandbox.url, sandbox.files_url = (f"{scheme}://{options.host}:{port}" for port in ports)
            print(json.dumps(_ready_line(sandbox)), flush=True)
            await stop.wait()
        finally:
            for runner in runners:
                await runner.cleanup()


def _ready_line(sandbox: Sandbox) -> dict[str, str | int]:
    line: dict[str, str | int] = {"url": sandbox.url, "files_url": sandbox.files_url, "pid": os.getpid()}
    if sandbox.certificate is not None:
        line["certificate"] = sandbox.certificate
    return line


def _certificate(folder: Path, host: str) -> tuple[Path, ssl.SSLContext]:
    certificate, key = make_certificate(folder, host)
    return certificate, server_context(certificate, key)


async def _runner(app: web.Application) -> web.AppRunner:
    # A hanging answer must not outlive the sandbox: what still runs at the end is cut off at once.
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, keepalive_timeout=600)
    await runner.setup()
    return runner


async def _listen(runner: web.AppRunner, address: tuple[str, int], context: ssl.SSLContext | None) -> int:
    listener = socket.create_server(address, backlog=BACKLOG)
    await web.SockSite(runner, listener, ssl_context=context, backlog=BACKLOG).start()
    return int(listener.getsockname()[1])


def run(options: ServeOptions) -> int:
    """Serve from a process of its own; a port in use is said in one line, without a traceback."""
    try:
        asyncio.run(serve(options))
    except OSError as refused:
        print(f"visma-sandbox: cannot listen: {refused}", file=sys.stderr)
        return 1
    return 0
