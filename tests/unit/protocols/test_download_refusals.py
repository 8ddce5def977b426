"""What no file host gets away with, and what no error tells."""

from __future__ import annotations

import gzip
import ssl
import traceback
import tracemalloc
import zlib
from pathlib import Path

import pytest

from airflow_provider_visma.exceptions import (
    VismaContentError,
    VismaError,
    VismaUnavailableError,
)
from airflow_provider_visma.protocols.downloads import (
    FileDownload,
)
from airflow_provider_visma.protocols.file_hosts import FileHostAccess
from airflow_provider_visma.protocols.http import HttpLimits
from airflow_provider_visma.protocols.links import LinkRefusedError, LinkRules
from tests.unit.protocols.downloading import BODY, Memory, access, chunked, download, link
from tests.unit.protocols.file_host import HANG, RESET, Answer, FileHost, scripted, tls_server

BOMB = zlib.compressobj(9, zlib.DEFLATED, 31)
BOMB_BODY = b"".join(BOMB.compress(bytes(1 << 20)) for _ in range(256)) + BOMB.flush()


@pytest.mark.parametrize("headers", [{"Content-Encoding": "gzip"}, {"Content-Type": "application/gzip"}])
def test_a_decompression_bomb_is_refused_in_little_memory(headers: dict[str, str]) -> None:
    class Counting(Memory):
        def write(self, chunk: bytes, /) -> None:
            self.largest = max(self.largest, len(chunk))

    sink = Counting()
    with FileHost(scripted(Answer(body=BOMB_BODY, headers=headers))) as host:
        tracemalloc.start()
        with pytest.raises(VismaContentError, match="200 times"):
            download(host, sink)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert sink.largest <= 1 << 20
    assert peak < 16 << 20


def test_a_file_beyond_the_limit_is_refused() -> None:
    limits = HttpLimits(max_bytes=1000)
    for answer in (Answer(body=BODY), Answer(body=gzip.compress(BODY), headers={"Content-Encoding": "gzip"})):
        with FileHost(scripted(answer)) as host, pytest.raises(VismaContentError, match="larger than 1000"):
            download(host, Memory(), limits=limits)


def test_a_host_that_falls_silent_is_given_up() -> None:
    limits = HttpLimits(read=0.05)
    silent = scripted(Answer(body=BODY, cut=10, then=HANG))
    with FileHost(silent) as host, pytest.raises(VismaUnavailableError, match="ReadTimeoutError"):
        download(host, Memory(), limits=limits)


def test_a_host_that_drips_is_given_up_when_the_time_is_over() -> None:
    now = [0.0]

    class Slow(Memory):
        def write(self, chunk: bytes, /) -> None:
            now[0] += 1000.0

    answer = Answer(body=chunked(BODY, 1), headers={"Transfer-Encoding": "chunked"})
    with FileHost(scripted(answer)) as host, pytest.raises(VismaContentError, match="took over"):
        FileDownload(Slow(), access=access(), clock=lambda: now[0]).run(link(host))


def test_a_sink_that_cannot_write_is_not_the_networks_fault() -> None:
    class Full(Memory):
        def write(self, chunk: bytes, /) -> None:
            raise OSError(28, "No space left on device")

    with FileHost(scripted(Answer(body=BODY))) as host:
        with pytest.raises(OSError, match="No space"):
            download(host, Full())
        assert len(host.requests) == 1


def moved(to: str) -> Answer:
    return Answer(302, headers={"Location": to})


def test_a_redirect_is_followed_where_the_link_itself_might_lead() -> None:
    sink = Memory()
    with FileHost(scripted(moved("/a"), moved("b?x=1"), moved("?y=2"), Answer(body=BODY))) as host:
        download(host, sink)
    assert [request.target for request in host.requests][1:] == ["/a", "/b?x=1", "/b?y=2"]
    assert bytes(sink.content) == BODY


@pytest.mark.parametrize(
    "to",
    [
        "http://evil.example.org/1.csv",
        "ftp://localhost/1.csv",
        "file:///etc/passwd",
        "http://user:canary@localhost/1.csv",
        "http://169.254.169.254/latest/meta-data",
    ],
)
def test_a_redirect_elsewhere_is_refused(to: str) -> None:
    with FileHost(scripted(moved(to))) as host:
        with pytest.raises(LinkRefusedError):
            download(host, Memory())
        assert len(host.requests) == 1


def test_a_redirect_from_https_to_http_is_refused() -> None:
    rules = LinkRules(hosts=("localhost",))
    with pytest.raises(LinkRefusedError, match="not https"):
        rules.check("http://localhost/1.csv", resolve=lambda host, port: ["93.184.215.14"])


def test_redirects_end() -> None:
    with FileHost(scripted(moved("/again"))) as host:
        with pytest.raises(LinkRefusedError, match="more than 3 times"):
            download(host, Memory())
        assert len(host.requests) == 4


def test_the_address_that_was_checked_is_the_one_that_is_called() -> None:
    answers = iter([["127.0.0.1"], ["169.254.169.254"]])
    rules = LinkRules(hosts=("localhost",), allow_insecure=True)
    changing = FileHostAccess(rules=rules, resolve=lambda host, port: next(answers))
    with FileHost(scripted(Answer(body=BODY))) as host:
        FileDownload(Memory(), access=changing).run(link(host))
        with pytest.raises(LinkRefusedError):
            FileDownload(Memory(), access=changing).run(link(host))


def test_tls_is_checked_against_the_links_host_and_not_the_address(tmp_path: Path) -> None:
    names: list[str] = []
    server, certificate = tls_server(tmp_path, "localhost")
    server.sni_callback = lambda sock, name, context: names.append(str(name))
    shared = ssl.create_default_context(cafile=certificate)
    trusting = access(verify=shared)
    sink = Memory()
    with FileHost(scripted(Answer(body=BODY)), context=server) as host:
        FileDownload(sink, access=trusting).run(link(host, scheme="https"))
        for link_, allowed in (
            (link(host, scheme="https", at="other.test"), trusting),
            (link(host, scheme="https"), access()),
        ):
            with pytest.raises(VismaUnavailableError, match="SSLError"):
                FileDownload(Memory(), access=allowed, sleep=lambda seconds: None).run(link_)
        FileDownload(Memory(), access=access(verify=False)).run(link(host, scheme="https", at="other.test"))
    assert bytes(sink.content) == BODY
    assert names[:2] == ["localhost", "other.test"]
    assert shared.check_hostname  # requests to the API go through the same context


FAULTS = [
    Answer(403, b"canary"),
    Answer(400, b"canary"),
    Answer(500, b"canary"),
    Answer(body=BODY, cut=10),
    Answer(body=BODY, cut=10, then=RESET),
    Answer(body=b"canary", headers={"Content-Type": "text/html"}),
    moved("https://evil.example.org/?sig=canary"),
    moved("/canary"),
]


@pytest.mark.parametrize("answer", FAULTS)
def test_no_error_tells_the_link_or_the_body(answer: Answer) -> None:
    with FileHost(scripted(answer)) as host, pytest.raises(VismaError) as caught:
        download(host, Memory())
    error: BaseException | None = caught.value
    while error is not None:
        assert "canary" not in repr(error)
        assert "canary" not in "".join(traceback.format_exception_only(error))
        assert error.__cause__ is None
        error = error.__context__
