"""Files from links: complete and as they are, however often it breaks off."""

from __future__ import annotations

import gzip
from base64 import b64encode
from collections.abc import Callable
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
    FileDownload,
    LinkExpiredError,
    strong_validator,
)
from airflow_provider_visma.protocols.file_hosts import FileHostAccess
from airflow_provider_visma.protocols.links import LinkRules
from tests.unit.protocols.downloading import BODY, SECRET, TAG, Memory, chunked, download, rest
from tests.unit.protocols.file_host import RESET, Answer, FileHost, Request, scripted


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
        {"Last-Modified": "Sat, 21 Nov 99999999999999999999 22:00:00 GMT", "Date": "now"},
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


def test_a_proxy_is_told_the_name_and_password_in_its_address() -> None:
    def proxy(request: Request) -> Answer:
        told = request.headers.get("proxy-authorization")
        return Answer(407) if told is None else Answer(body=BODY)

    rules = LinkRules(hosts=("files.example.invalid",), allow_insecure=True)
    sink = Memory()
    with FileHost(proxy) as host:
        through = FileHostAccess(rules=rules, proxy=f"http://user:p%40ss@127.0.0.1:{host.port}")
        FileDownload(sink, access=through).run("http://files.example.invalid/1.csv")
        (request,) = host.requests
    assert bytes(sink.content) == BODY
    assert request.headers["proxy-authorization"] == f"Basic {b64encode(b'user:p@ss').decode()}".lower()
