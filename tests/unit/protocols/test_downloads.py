"""Files from links: complete, or an error that does not tell the link."""

from __future__ import annotations

import gzip
import ssl
import threading
import traceback
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from airflow_provider_visma.exceptions import (
    VismaContentError,
    VismaError,
    VismaIncompleteAnswerError,
    VismaRequestError,
    VismaThrottledError,
    VismaUnavailableError,
)
from airflow_provider_visma.protocols.downloads import (
    DownloadAbortedError,
    FileDownload,
    LinkExpiredError,
    strong_validator,
)
from airflow_provider_visma.protocols.file_hosts import FILE_LIMITS, FileHostAccess
from airflow_provider_visma.protocols.http import HttpLimits
from airflow_provider_visma.protocols.links import LinkRefusedError, LinkRules
from airflow_provider_visma.protocols.parallel_downloads import download_all
from tests.unit.protocols.file_host import HANG, RESET, Answer, FileHost, Request, scripted

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


def chunked(body: bytes, size: int = 1000) -> bytes:
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in [*pieces, b""])


@pytest.mark.parametrize(
    "answer",
    [
        Answer(body=BODY),
        Answer(body=chunked(BODY), headers={"Transfer-Encoding": "chunked"}),
        Answer(body=gzip.compress(BODY), headers={"Content-Encoding": "gzip"}),
        Answer(body=gzip.compress(BODY), headers={"Content-Encoding": "GZIP "}),
        Answer(
            body=gzip.compress(BODY[:100]) + gzip.compress(BODY[100:]), headers={"Content-Encoding": "gzip"}
        ),
        Answer(body=gzip.compress(BODY), headers={"Content-Type": "application/gzip"}),
        Answer(
            body=chunked(gzip.compress(BODY)),
            headers={"Content-Encoding": "gzip", "Transfer-Encoding": "chunked"},
        ),
    ],
)
def test_the_file_arrives_as_it_is_however_it_is_sent(answer: Answer) -> None:
    sink = Memory()
    with FileHost(scripted(answer)) as host:
        download(host, sink)
    assert bytes(sink.content) == BODY


def test_nothing_of_ours_is_sent_to_the_file_host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login canary password canary\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with FileHost(scripted(Answer(body=BODY, headers={"Set-Cookie": "canary=1"}))) as host:
        download(host, Memory())
        download(host, Memory())
    for request in host.requests:
        assert set(request.headers) == {"host", "accept", "accept-encoding", "user-agent"}
        assert request.headers["host"] == f"localhost:{host.port}"
        assert request.target == f"/exports/1.csv?{SECRET}"


def rest(request: Request, *, headers: dict[str, str] = TAG) -> Answer:
    """Send what a Range asks for."""
    start = int(request.headers["range"].removeprefix("bytes=").removesuffix("-"))
    part = {"Content-Range": f"bytes {start}-{len(BODY) - 1}/{len(BODY)}"}
    return Answer(206, BODY[start:], {**headers, **part})


@pytest.mark.parametrize("then", [RESET, "end"])
@pytest.mark.parametrize("cut", [0, 1, 4096, len(BODY) - 1])
def test_what_broke_off_is_resumed_where_the_version_is_certain(cut: int, then: str) -> None:
    broken = Answer(body=BODY, headers=TAG, cut=cut, then=then)
    with FileHost(lambda request: rest(request) if "range" in request.headers else broken) as host:
        if cut == 0:
            with pytest.raises(VismaUnavailableError, match="broke off after 0 bytes"):
                download(host, Memory())
            return
        sink = Memory()
        download(host, sink)
    assert bytes(sink.content) == BODY
    assert sink.restarts == 0 or then == RESET  # a reset may throw away what had arrived
    assert host.requests[-1].headers["if-range"] == '"v1"'


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"ETag": 'W/"v1"'},
        {"Last-Modified": "Sat, 21 Nov 2026 22:00:00 GMT", "Date": "Sat, 21 Nov 2026 22:00:59 GMT"},
        {"Last-Modified": "Sat, 21 Nov 2026 22:00:00 GMT"},
        {"Last-Modified": "never", "Date": "now"},
    ],
)
def test_without_a_strong_validator_the_file_is_read_from_its_start(headers: dict[str, str]) -> None:
    sink = Memory()
    answers = scripted(Answer(body=BODY, headers=headers, cut=5000), Answer(body=BODY, headers=headers))
    with FileHost(answers) as host:
        download(host, sink)
    assert bytes(sink.content) == BODY
    assert all("range" not in request.headers for request in host.requests)


def test_an_old_enough_date_is_a_strong_validator() -> None:
    headers = {"Last-Modified": "Sat, 21 Nov 2026 22:00:00 GMT", "Date": "Sat, 21 Nov 2026 22:01:00 GMT"}
    assert strong_validator(headers) == headers["Last-Modified"]


@pytest.mark.parametrize(
    "second",
    [
        lambda request: Answer(body=BODY, headers={"ETag": '"v2"'}),
        lambda request: rest(request, headers={"ETag": '"v2"'}),
        lambda request: Answer(206, BODY, {**TAG, "Content-Range": f"bytes 0-{len(BODY) - 1}/{len(BODY)}"}),
        lambda request: Answer(
            206, BODY[5000:6000], {**TAG, "Content-Range": f"bytes 5000-5999/{len(BODY)}"}
        ),
        lambda request: Answer(206, BODY[5000:6000], {**TAG, "Content-Range": "bytes 5000-5999/6000"}),
        lambda request: Answer(206, BODY[5000:], TAG),
        lambda request: Answer(416, b"", {"Content-Range": f"bytes */{len(BODY)}"}),
    ],
    ids=[
        "new version",
        "rest of a new version",
        "all as a part",
        "too little",
        "other length",
        "no range",
        "416",
    ],
)
def test_a_part_that_does_not_fit_is_not_used(second: Callable[[Request], Answer]) -> None:
    sink = Memory()
    count = iter(range(10))

    def answer(request: Request) -> Answer:
        match next(count):
            case 0:
                return Answer(body=BODY, headers=TAG, cut=5000)
            case 1:
                return second(request)
            case _:
                return Answer(body=BODY, headers={"ETag": '"v2"'})

    with FileHost(answer) as host:
        download(host, sink)
    assert bytes(sink.content) == BODY


def test_a_compressed_body_is_resumed_within_its_stream() -> None:
    packed = gzip.compress(BODY, mtime=0)
    headers = {**TAG, "Content-Encoding": "gzip"}

    def answer(request: Request) -> Answer:
        if "range" not in request.headers:
            return Answer(body=packed, headers=headers, cut=len(packed) // 2)
        start = int(request.headers["range"][6:-1])
        part = {"Content-Range": f"bytes {start}-{len(packed) - 1}/{len(packed)}"}
        return Answer(206, packed[start:], {**headers, **part})

    sink = Memory()
    with FileHost(answer) as host:
        download(host, sink)
    assert (bytes(sink.content), sink.restarts) == (BODY, 0)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(body=BODY, cut=len(BODY) - 1),
        Answer(body=chunked(BODY)[:-5], headers={"Transfer-Encoding": "chunked"}),
        Answer(body=chunked(BODY)[:3000], headers={"Transfer-Encoding": "chunked"}),
        Answer(body=gzip.compress(BODY)[:-1], headers={"Content-Encoding": "gzip"}),
        Answer(body=gzip.compress(BODY)[:-9], headers={"Content-Encoding": "gzip"}),
        Answer(body=gzip.compress(BODY)[:-8] + b"\0" * 8, headers={"Content-Encoding": "gzip"}),
        Answer(body=gzip.compress(BODY) + b"more", headers={"Content-Encoding": "gzip"}),
        Answer(body=BODY, headers={"Content-Encoding": "gzip"}),
        Answer(503, b"busy"),
    ],
)
def test_a_file_that_never_comes_whole_is_an_error_after_a_few_tries(answer: Answer) -> None:
    sleeps: list[float] = []
    with FileHost(scripted(answer)) as host:
        with pytest.raises((VismaUnavailableError, VismaIncompleteAnswerError)):
            download(host, Memory(), sleeps=sleeps)
        assert len(host.requests) == 4
    assert len(sleeps) == 3
    assert all(0.5 <= seconds <= 20 for seconds in sleeps)


def test_every_truncation_of_a_file_is_noticed() -> None:
    body = b'a,b\r\n1,"2\r\n3"\r\n'
    for packed, headers in ((body, {}), (gzip.compress(body), {"Content-Encoding": "gzip"})):
        for cut in range(len(packed)):
            sink = Memory()
            cut_off = scripted(Answer(body=packed, headers=headers, cut=cut))
            with (
                FileHost(cut_off) as host,
                pytest.raises((VismaUnavailableError, VismaIncompleteAnswerError)),
            ):
                download(host, sink)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer(body=BODY, length=False), VismaContentError),
        (Answer(body=b"<html>sign in</html>", headers={"Content-Type": "text/html"}), VismaContentError),
        (Answer(body=BODY, headers={"Content-Encoding": "br"}), VismaContentError),
        (Answer(body=BODY, headers={"Content-Encoding": "gzip, gzip"}), VismaContentError),
        (Answer(400, b"canary"), VismaRequestError),
        (Answer(204), VismaRequestError),
        (Answer(304), VismaRequestError),
    ],
)
def test_an_answer_that_is_no_file_is_an_error_at_once(answer: Answer, kind: type[VismaError]) -> None:
    with FileHost(scripted(answer)) as host:
        with pytest.raises(kind) as caught:
            download(host, Memory())
        assert len(host.requests) == 1
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_link_that_is_no_longer_good_asks_for_a_fresh_one_without_another_try(status: int) -> None:
    with FileHost(scripted(Answer(status, b"canary"))) as host:
        with pytest.raises(LinkExpiredError, match=f"HTTP {status}"):
            download(host, Memory())
        assert len(host.requests) == 1


def test_the_host_says_how_long_to_wait() -> None:
    sleeps: list[float] = []
    busy = Answer(429, headers={"Retry-After": "7"})
    with FileHost(scripted(busy, Answer(503, headers={"Retry-After": "99999"}), Answer(body=BODY))) as host:
        download(host, Memory(), sleeps=sleeps)
    assert sleeps == [7.0, 120.0]
    with FileHost(scripted(busy)) as host, pytest.raises(VismaThrottledError):
        download(host, Memory())


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
    with FileHost(scripted(moved("/a"), moved("b?x=1"), moved("//localhost:0/c"), Answer(body=BODY))) as host:
        with pytest.raises(VismaUnavailableError):
            download(host, sink)  # port 0: nobody there
        assert [request.target for request in host.requests][:3] == [
            f"/exports/1.csv?{SECRET}",
            "/a",
            "/b?x=1",
        ]
    with FileHost(scripted(moved("/a"), moved("/b"), moved("/c"), Answer(body=BODY))) as host:
        download(host, sink)
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


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    from visma_sandbox.tls import make_certificate

    return make_certificate(tmp_path)


def test_tls_is_checked_against_the_links_host_and_not_the_address(certificate: tuple[Path, Path]) -> None:
    names: list[str] = []
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*certificate)
    server.sni_callback = lambda sock, name, context: names.append(str(name))
    trusting = access(verify=ssl.create_default_context(cafile=str(certificate[0])))
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


# Several files


@contextmanager
def nothing_left_open(sinks: dict[int, Memory], number: int) -> Iterator[Memory]:
    yield sinks.setdefault(number, Memory())


def fetch_all(links: list[str], renew: Callable[[], list[str]] | None = None) -> dict[int, Memory]:
    sinks: dict[int, Memory] = {}
    download_all(
        links,
        renew=renew or (lambda: links),
        open_part=lambda number: nothing_left_open(sinks, number),
        access=access(),
    )
    return sinks


def test_many_files_arrive_each_in_its_own_sink() -> None:
    with FileHost(lambda request: Answer(body=request.target.encode())) as host:
        sinks = fetch_all([link(host, f"{number}.csv") for number in range(20)])
    assert [bytes(sinks[number].content).decode() for number in range(20)] == [
        f"/exports/{number}.csv?{SECRET}" for number in range(20)
    ]


def test_no_files_are_no_requests() -> None:
    assert fetch_all([]) == {}


def test_an_expired_link_is_renewed_once_for_everybody() -> None:
    renewals = []

    def renew() -> list[str]:
        renewals.append(1)
        return [link(host, f"fresh-{number}.csv") for number in range(6)]

    with FileHost(lambda request: Answer(body=BODY) if "fresh" in request.target else Answer(403)) as host:
        sinks = fetch_all([link(host, f"{number}.csv") for number in range(6)], renew)
    assert [bytes(sink.content) for sink in sinks.values()] == [BODY] * 6
    assert len(renewals) == 1


def test_a_link_that_expires_half_way_is_resumed_with_the_fresh_one() -> None:
    def answer(request: Request) -> Answer:
        if "fresh" in request.target:
            return rest(request)
        return Answer(403) if "range" in request.headers else Answer(body=BODY, headers=TAG, cut=30_000)

    with FileHost(answer) as host:
        sinks = fetch_all([link(host)], lambda: [link(host, "fresh.csv")])
    assert bytes(sinks[0].content) == BODY
    assert sinks[0].restarts == 0


def test_links_that_are_refused_even_fresh_are_given_up() -> None:
    with FileHost(scripted(Answer(403))) as host:
        with pytest.raises(LinkExpiredError):
            fetch_all([link(host)])
        assert len(host.requests) == 3


def test_a_job_that_suddenly_has_other_files_is_not_mixed_with_what_it_had() -> None:
    with (
        FileHost(scripted(Answer(410))) as host,
        pytest.raises(VismaContentError, match="2 files and now has 1"),
    ):
        fetch_all([link(host), link(host)], lambda: [link(host)])


def test_the_first_failure_ends_all_downloads_also_those_that_wait_for_the_host() -> None:
    hanging = threading.Event()

    def answer(request: Request) -> Answer:
        if "bad" in request.target:
            hanging.wait(5)
            return Answer(400)
        hanging.set()
        return Answer(body=BODY, cut=100, then=HANG)

    with FileHost(answer) as host, pytest.raises(VismaRequestError):
        fetch_all([link(host, "good.csv"), link(host, "bad.csv"), link(host, "later.csv")])


def test_an_ended_download_asks_for_nothing_more() -> None:
    stop = threading.Event()
    stop.set()
    with FileHost(scripted(Answer(body=BODY))) as host:
        with pytest.raises(DownloadAbortedError):
            FileDownload(Memory(), access=access(), stop=stop).run(link(host))
        assert host.requests == []
