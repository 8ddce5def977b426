"""What a SOAP client sends that must not be sent twice, and octets of any size."""

from __future__ import annotations

import io
import os
import socket
from base64 import b64decode
from collections.abc import Callable

import pytest
from lxml import etree

from airflow_provider_visma.exceptions import (
    VismaError,
    VismaPermissionError,
    VismaRequestError,
    VismaThrottledError,
    VismaUnavailableError,
    VismaUnknownOutcomeError,
)
from airflow_provider_visma.protocols.http import HttpLimits
from airflow_provider_visma.protocols.soap import Octets
from tests.unit.protocols.file_host import HANG, RESET, Answer
from tests.unit.protocols.people_client import FAULT_11, UPLOADED, client, serving


class Source(io.BytesIO):
    """Gives less than asked for, as a pipe does."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(size or 0, 1000))


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 999, 196_608, 196_609, 500_000])
@pytest.mark.parametrize("kind", [io.BytesIO, Source])
def test_bytes_are_encoded_while_they_are_sent(size: int, kind: Callable[[bytes], io.BytesIO]) -> None:
    content = os.urandom(size)
    source = kind(b"head" + content)
    source.seek(4)
    with serving(Answer(body=UPLOADED)) as (people, host):
        people.call("Document_Upload", {"PersonId": 7, "Body": Octets(source)}, repeatable=False)
    [request] = host.requests
    body = etree.fromstring(request.body, etree.XMLParser(huge_tree=True)).find(".//{urn:people}Body")
    assert body is not None
    assert b64decode(body.text or "") == content


class Endless(io.RawIOBase):
    """Zeros that are made while they are read."""

    def __init__(self, size: int) -> None:
        self._size, self._at, self.largest = size, 0, 0

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = self._size if whence == 2 else offset
        return self._at

    def read(self, size: int = -1) -> bytes:
        self.largest = max(self.largest, size)
        size = min(size, self._size - self._at)
        self._at += size
        return bytes(size)


def test_a_large_body_is_never_held_whole() -> None:
    source = Endless(9_000_000)
    with serving(Answer(body=UPLOADED)) as (people, host):
        people.call("Document_Upload", {"PersonId": 7, "Body": Octets(source)})  # type: ignore[arg-type]
    assert source.largest <= 200_000
    assert len(host.requests[0].body) > 12_000_000


@pytest.mark.parametrize(
    "made",
    [
        Answer(body=UPLOADED, cut=0, then=RESET, length=False),
        Answer(body=UPLOADED, cut=50),
        Answer(body=b"<html>"),
        Answer(body=b"<!DOCTYPE html><html></html>"),
        Answer(body=b"<!DOCTYPE x><x/>"),
        Answer(status=500),
        Answer(status=503),
        Answer(status=500, body=FAULT_11.replace(b"1002", b"9999")),
        Answer(body=FAULT_11.replace(b"1002", b"9999")),
    ],
)
def test_an_upload_without_a_usable_answer_is_not_repeated(
    made: Answer,
) -> None:
    with (
        serving(made) as (people, host),
        pytest.raises(VismaUnknownOutcomeError, match="may have been carried out"),
    ):
        people.call("Document_Upload", {"PersonId": 1}, repeatable=False)
    assert len(host.requests) == 1


def test_an_upload_that_times_out_may_have_been_carried_out() -> None:
    made = Answer(body=UPLOADED, cut=50, then=HANG)
    with serving(made, limits=HttpLimits(read=0.05)) as (people, _), pytest.raises(VismaUnknownOutcomeError):
        people.call("Document_Upload", {"PersonId": 1}, repeatable=False)


@pytest.mark.parametrize(
    ("made", "kind"),
    [
        (Answer(status=500, body=FAULT_11), VismaPermissionError),
        (Answer(status=429), VismaThrottledError),
        (Answer(status=400), VismaRequestError),
    ],
)
def test_an_upload_that_was_refused_was_not_carried_out(made: Answer, kind: type[VismaError]) -> None:
    with serving(made) as (people, _), pytest.raises(kind):
        people.call("Document_Upload", {"PersonId": 1}, repeatable=False)


def test_an_upload_that_reached_nobody_was_not_carried_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    with pytest.raises(VismaUnavailableError, match="no answer"):
        client(f"http://127.0.0.1:{port}/").call("Document_Upload", {"PersonId": 1}, repeatable=False)
