"""Several files at once: all of them, or the first error."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from airflow_provider_visma.exceptions import (
    VismaContentError,
    VismaRequestError,
)
from airflow_provider_visma.protocols.downloads import (
    DownloadAbortedError,
    FileDownload,
    LinkExpiredError,
)
from airflow_provider_visma.protocols.parallel_downloads import download_all
from tests.unit.protocols.downloading import BODY, SECRET, TAG, Memory, access, link, rest
from tests.unit.protocols.file_host import HANG, Answer, FileHost, Request, scripted


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
            hanging.wait(60)
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
