"""WSDLs are kept on disk for a while, for this user alone, and never break a task."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from zeep.wsdl import Document

from airflow_provider_visma.exceptions import VismaContentError, VismaError, VismaUnavailableError
from airflow_provider_visma.hooks._connection import ConnectionSettings
from airflow_provider_visma.protocols import wsdl_cache
from airflow_provider_visma.protocols.wsdl_cache import WsdlCache, load_wsdl
from tests.unit.protocols.file_host import Answer, FileHost, scripted, tls_server
from tests.unit.protocols.soap_documents import WSDL

URL = "https://people.example.invalid/people.asmx?WSDL"


def load(host: FileHost, cache: WsdlCache) -> Document:
    session = requests.Session()
    session.trust_env = False
    return load_wsdl(f"http://127.0.0.1:{host.port}/?WSDL", session=session, cache=cache, system="S")


def test_a_document_comes_back_until_it_is_too_old(tmp_path: Path) -> None:
    now = 0.0
    cache = WsdlCache(tmp_path / "wsdl", max_age=3600, clock=lambda: now)
    assert cache.get(URL) is None
    cache.add(URL, b"<wsdl/>")
    now = next((tmp_path / "wsdl").iterdir()).stat().st_mtime + 3599
    assert cache.get(URL) == b"<wsdl/>"
    now += 2
    assert cache.get(URL) is None
    assert cache.get(URL + "2") is None


def test_only_this_user_can_read_the_cache(tmp_path: Path) -> None:
    WsdlCache(tmp_path / "wsdl").add(URL, b"<wsdl/>")
    assert stat.S_IMODE((tmp_path / "wsdl").stat().st_mode) == 0o700
    assert [stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "wsdl").iterdir()] == [0o600]


def test_readers_see_a_whole_document_while_others_write_it(tmp_path: Path) -> None:
    documents = {bytes([65 + number]) * 300_000 for number in range(4)}
    cache = WsdlCache(tmp_path)
    cache.add(URL, min(documents))
    with ThreadPoolExecutor(8) as threads:
        written = [threads.submit(cache.add, URL, each) for each in documents for _ in range(10)]
        read = [threads.submit(cache.get, URL) for _ in range(100)]
        assert {each.result() for each in read} <= documents
        assert {each.result() for each in written} == {None}
    assert len(list(tmp_path.iterdir())) == 1


def test_a_cache_that_cannot_be_written_costs_a_download_and_no_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = WsdlCache(tmp_path / "file")
    cache.add(URL, b"<wsdl/>")
    assert cache.get(URL) is None


def test_a_document_is_fetched_once_without_following_anybody(tmp_path: Path) -> None:
    cache = WsdlCache(tmp_path)
    with FileHost(scripted(Answer(body=WSDL.read_bytes()))) as host:
        for _ in range(2):
            document = load(host, cache)
            assert list(document.services) == ["People"]
        assert len(host.requests) == 1
        [kept] = tmp_path.iterdir()
        os.utime(kept, (1, 1))
        load(host, WsdlCache(tmp_path, clock=lambda: 3600))
        assert kept.stat().st_mtime == 1  # using it does not make it younger


IMPORT = b'<xs:import namespace="urn:x" schemaLocation="http://169.254.169.254/latest"/>'


@pytest.mark.parametrize(
    ("made", "kind", "message"),
    [
        (
            Answer(body=b"<!DOCTYPE x []>" + WSDL.read_bytes().split(b"?>", 1)[1]),
            VismaContentError,
            "DTDForbidden",
        ),
        (
            Answer(body=WSDL.read_bytes().replace(b'elementFormDefault="qualified">', b">" + IMPORT)),
            VismaContentError,
            "another host",
        ),
        (Answer(body=b"<html><p>Onderhoud</p></html>"), VismaUnavailableError, "cannot be read"),
        (Answer(body=b"<html><p>Onderhoud"), VismaUnavailableError, "cannot be read"),
        (Answer(body=WSDL.read_bytes(), cut=3000), VismaUnavailableError, "no answer"),
        (Answer(status=503), VismaUnavailableError, "status 503"),
        (Answer(status=302, headers={"Location": "http://127.0.0.1:9/"}), VismaError, "status 302"),
    ],
)
def test_what_is_no_wsdl_is_refused_and_not_kept(
    tmp_path: Path, made: Answer, kind: type[VismaError], message: str
) -> None:
    with FileHost(scripted(made)) as host, pytest.raises(kind, match=message):
        load(host, WsdlCache(tmp_path))
    assert os.listdir(tmp_path) == []


def test_a_damaged_document_in_the_cache_is_forgotten(tmp_path: Path) -> None:
    cache = WsdlCache(tmp_path)
    with FileHost(scripted(Answer(body=WSDL.read_bytes()))) as host:
        cache.add(f"http://127.0.0.1:{host.port}/?WSDL", b"<html>")
        with pytest.raises(VismaUnavailableError):
            load(host, cache)
        assert list(load(host, cache).services) == ["People"]


def test_a_wsdl_beyond_the_size_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wsdl_cache, "MAX_WSDL_BYTES", 1000)
    with (
        FileHost(scripted(Answer(body=WSDL.read_bytes()))) as host,
        pytest.raises(VismaContentError, match="1000"),
    ):
        load(host, WsdlCache(tmp_path))
    assert os.listdir(tmp_path) == []


def test_the_connections_word_on_tls_goes_for_its_wsdl_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, certificate = tls_server(tmp_path, "localhost")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "of-the-machine.pem"))
    connection = ConnectionSettings("c", "S", "https://localhost", None, None, {"verify": str(certificate)})
    with FileHost(scripted(Answer(body=WSDL.read_bytes())), context=server) as host:
        url = f"https://localhost:{host.port}/?WSDL"
        cache = WsdlCache(tmp_path / "wsdl")
        document = load_wsdl(url, session=connection.requests_session(), cache=cache, system="S")
    assert list(document.services) == ["People"]
