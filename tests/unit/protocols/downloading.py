"""What the tests of downloads share."""

from __future__ import annotations

import ssl

from airflow_provider_visma.protocols.downloads import (
    FileDownload,
)
from airflow_provider_visma.protocols.file_hosts import FILE_LIMITS, FileHostAccess
from airflow_provider_visma.protocols.http import HttpLimits
from airflow_provider_visma.protocols.links import LinkRules
from tests.unit.protocols.file_host import Answer, FileHost, Request

BODY = b"id,naam\n" + b"".join(b"%d,Testpersoon\n" % number for number in range(5000))
SECRET = "sig=canary-signature"
TAG = {"ETag": '"v1"'}


class Memory:
    """A sink."""

    def __init__(self) -> None:
        self.content = bytearray()
        self.restarts = 0
        self.largest = 0

    def write(self, chunk: bytes, /) -> None:
        self.content += chunk
        self.largest = max(self.largest, len(chunk))

    def restart(self) -> None:
        self.content.clear()
        self.restarts += 1


def access(limits: HttpLimits = FILE_LIMITS, verify: bool | ssl.SSLContext = True) -> FileHostAccess:
    rules = LinkRules(hosts=("localhost", "other.test"), allow_insecure=True)
    return FileHostAccess(rules=rules, limits=limits, verify=verify, resolve=lambda host, port: ["127.0.0.1"])


def download(
    host: FileHost, sink: Memory, *, limits: HttpLimits = FILE_LIMITS, sleeps: list[float] | None = None
) -> None:
    sleep = (sleeps if sleeps is not None else []).append
    FileDownload(sink, access=access(limits), sleep=sleep).run(link(host))


def link(host: FileHost, name: str = "1.csv", *, scheme: str = "http", at: str = "localhost") -> str:
    return f"{scheme}://{at}:{host.port}/exports/{name}?{SECRET}"


def rest(request: Request, *, headers: dict[str, str] = TAG) -> Answer:
    """Send what a Range asks for."""
    start = int(request.headers["range"].removeprefix("bytes=").removesuffix("-"))
    part = {"Content-Range": f"bytes {start}-{len(BODY) - 1}/{len(BODY)}"}
    return Answer(206, BODY[start:], {**headers, **part})


def chunked(body: bytes, size: int = 1000) -> bytes:
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in [*pieces, b""])
