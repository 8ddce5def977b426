"""The file host: signed links, and nobody's bearer. What a link leads to is stored_files.py's business."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Mapping
from email.utils import formatdate
from secrets import token_bytes
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from visma_sandbox.exchange import Exchange
from visma_sandbox.hrm_export import Export, ExportPart
from visma_sandbox.stored_files import StoredFile

if TYPE_CHECKING:
    from visma_sandbox.app import Sandbox

FAULT_KINDS: Final[frozenset[str]] = frozenset({"link_expired", "changed_validator", "wrong_range"})
SETTINGS: Final[dict[str, Any]] = {
    "files_strict": True,
    "files_link_seconds": 3600.0,
    "files_expired_status": 403,
    "files_range": True,
    "files_validator": "etag",  # etag, weak_etag, last_modified, none
    "files_gzip": "off",  # off, transport (Content-Encoding, when accepted), file (.csv.gz)
    "files_bom": False,
    "files_crlf": False,
}
_EXPORTS_KEPT = 20_000
_MODIFIED: Final = formatdate(1_767_225_600, usegmt=True)
_DENIED = '<?xml version="1.0" encoding="utf-8"?><Error><Code>{}</Code><Message>{}</Message></Error>'


class FileShelf:
    """The exports that links lead to, and the key that links are signed with."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._key = token_bytes(32)
        self._exports: dict[str, tuple[str, Export]] = {}

    def links(self, job_id: str, dataset: str, export: Export, *, expired: bool = False) -> list[str]:
        """Fresh links to the files of a job.

        :param expired: make them links of the past.
        """
        self._exports[job_id] = dataset, export
        if len(self._exports) > _EXPORTS_KEPT:
            del self._exports[next(iter(self._exports))]
        settings = self._sandbox.settings
        lasts = -1.0 if expired else float(settings["files_link_seconds"])
        until = str(int(self._sandbox.clock() + lasts))
        suffix = ".csv.gz" if settings["files_gzip"] == "file" else ".csv"
        name = dataset.replace("/", "-")
        paths = [f"/exports/{job_id}/{name}_{part}{suffix}" for part in range(len(export.parts))]
        root = self._sandbox.files_url
        return [f"{root}{path}?se={until}&sig={self._signature(path, until)}" for path in paths]

    def find(self, request: web.Request) -> tuple[str, ExportPart] | None:
        """Dataset and file of a request's path."""
        dataset, export = self._exports.get(request.match_info["job"], ("", None))
        number = request.match_info["name"].partition(".csv")[0].rpartition("_")[2]
        if export is None or not number.isdecimal() or int(number) >= len(export.parts):
            return None
        return dataset, export.parts[int(number)]

    def refusal(self, request: web.Request) -> str | None:
        """Why the link is not good, if so."""
        until, signature = request.query.get("se", ""), request.query.get("sig", "")
        if not hmac.compare_digest(signature.encode(), self._signature(request.path, until).encode()):
            return "Signature does not match"
        return "Request has expired" if self._sandbox.clock() > float(until) else None

    def _signature(self, path: str, until: str) -> str:
        return hmac.digest(self._key, f"{path}\n{until}".encode(), "sha256").hex()

    def clear(self) -> None:
        """Let no link lead anywhere."""
        self._exports.clear()


def routes(sandbox: Sandbox) -> list[web.RouteDef]:
    """Nothing on the main port: the file host is another one."""
    sandbox.on_reset(sandbox.shelf.clear)
    return []


def file_routes(sandbox: Sandbox) -> list[web.RouteDef]:
    """The file host."""
    host = _FileHost(sandbox)
    return [web.get("/exports/{job}/{name}", host.download, allow_head=False)]


class _FileHost:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def download(self, request: web.Request) -> web.StreamResponse:
        found = self._sandbox.shelf.find(request)
        operation = "download/unknown" if found is None else f"download/{found[0]}"
        exchange = await self._sandbox.begin(request, system="files", operation=operation)
        settings = self._sandbox.settings
        if settings["files_strict"] and "Authorization" in request.headers:
            message = "Only one authentication mechanism is allowed"
            return await exchange.respond(_denied(400, "InvalidArgument", message))
        if found is None:
            return await exchange.respond(_denied(404, "NoSuchKey", "No such file"))
        refusal = "Request has expired" if exchange.fault_is("link_expired") else None
        refusal = refusal or self._sandbox.shelf.refusal(request)
        exchange.entry.authorized = refusal is None
        if refusal is not None:
            return await exchange.respond(_denied(settings["files_expired_status"], "AccessDenied", refusal))
        return await self._send(exchange, found[1])

    async def _send(self, exchange: Exchange, part: ExportPart) -> web.StreamResponse:
        """Send the file, or the asked range of it when the client's validator still holds (RFC 9110)."""
        stored, headers = self._representation(exchange, part)
        request, size = exchange.request, stored.size
        start, stop, status = 0, size, 200
        if self._sandbox.settings["files_range"]:
            headers["Accept-Ranges"] = "bytes"
            wanted = _range(request, size) if _validator_holds(request, headers) else None
            if wanted is not None:
                start, stop = wanted
                status = 206
                if exchange.fault_is("wrong_range"):
                    start = 0
                if start >= size:
                    return await exchange.respond(
                        web.Response(status=416, headers={"Content-Range": f"bytes */{size}"})
                    )
                headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        if exchange.wire_fault is not None or request.transport is None or request.secure:
            return await exchange.stream(
                stored.read(start, stop), status=status, headers=headers, length=stop - start
            )
        return await _sendfile(exchange, stored, (start, stop), status=status, headers=headers)

    def _representation(self, exchange: Exchange, part: ExportPart) -> tuple[StoredFile, dict[str, str]]:
        settings = self._sandbox.settings
        headers = {"Content-Type": "text/csv"}
        stored = part.plain
        if part.gzipped is not None and settings["files_gzip"] == "file":
            stored, headers["Content-Type"] = part.gzipped, "application/gzip"
        elif part.gzipped is not None and settings["files_gzip"] == "transport":
            headers["Vary"] = "Accept-Encoding"
            if "gzip" in exchange.request.headers.get("Accept-Encoding", ""):
                stored, headers["Content-Encoding"] = part.gzipped, "gzip"
        tag = f'"{stored.tag}{"-2" if exchange.fault_is("changed_validator") else ""}"'
        match settings["files_validator"]:
            case "etag":
                headers["ETag"] = tag
            case "weak_etag":
                headers["ETag"] = f"W/{tag}"
            case "last_modified":
                headers["Last-Modified"] = _MODIFIED
        return stored, headers


def _denied(status: int, code: str, message: str) -> web.Response:
    return web.Response(status=status, text=_DENIED.format(code, message), content_type="application/xml")


def _validator_holds(request: web.Request, headers: Mapping[str, str]) -> bool:
    """Whether a range may be sent: If-Range is absent, or strongly equal to the current validator."""
    condition = request.headers.get("If-Range")
    if condition is None:
        return True
    if condition.startswith("W/"):
        return False
    return condition in (headers.get("ETag"), headers.get("Last-Modified"))


def _range(request: web.Request, size: int) -> tuple[int, int] | None:
    """First and one-past-last position of a single range; None for a header that is to be ignored."""
    try:
        wanted = request.http_range
    except ValueError:
        return None
    if wanted.start is None:
        return None
    start = int(wanted.start)
    if start < 0:
        return max(0, size + start), size
    return start, size if wanted.stop is None else min(size, int(wanted.stop))


async def _sendfile(
    exchange: Exchange,
    stored: StoredFile,
    span: tuple[int, int],
    *,
    status: int,
    headers: Mapping[str, str],
) -> web.StreamResponse:
    """Let the kernel copy from file to socket: the sandbox must not be what a download is measured by."""
    response = web.StreamResponse(status=status, headers=headers)
    response.content_length = span[1] - span[0]
    exchange.entry.status = status
    loop = asyncio.get_running_loop()
    try:
        await response.prepare(exchange.request)
        with stored.path.open("rb", buffering=0) as file:
            for offset, count in stored.spans(*span):
                transport = exchange.request.transport
                if count == 0 or transport is None:
                    continue
                exchange.entry.bytes_sent += await loop.sendfile(transport, file, offset, count)
        await response.write_eof()
    except (ConnectionError, RuntimeError):
        # The reader left; loop.sendfile says RuntimeError when it finds the transport closing.
        exchange.entry.note["aborted"] = True
    return response
