"""An S3 server on loopback that keeps a journal, and fails or waits where it is told to."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import boto3
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

from sandbox.tests.waiting import PATIENCE

REGION = "eu-west-1"
_ERROR = "<Error><Code>{code}</Code><Message>{code}, as told to answer</Message></Error>"


class _Silent(WSGIRequestHandler):
    def log(self, *arguments: Any) -> None:
        pass


@dataclass
class Fault:
    """What becomes of requests.

    :param request: pattern of ``<method> <path>?<query>``.
    :param code: the error that is answered; None to break the connection off.
    :param times: of how many requests.
    :param carried_out: whether the server does what it was asked all the same.
    """

    request: str
    code: str | None
    status: int = 503
    times: int = 10**6
    carried_out: bool = False


@dataclass
class Barrier:
    """A request that is held up."""

    request: str
    reached: threading.Event = field(default_factory=threading.Event)
    opened: threading.Event = field(default_factory=threading.Event)


class S3:
    """The server.

    :ivar journal: ``<method> <path>?<query>`` of what it was asked.
    :ivar busy: how many requests it has not answered.
    """

    def __init__(self) -> None:
        self._s3 = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True, request_handler=_Silent)
        self._faults: list[Fault] = []
        self._barriers: list[Barrier] = []
        self.journal: list[str] = []
        self.busy = 0
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.client = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id="synthetic",
            aws_secret_access_key="synthetic",
        )

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def reset(self, bucket: str) -> None:
        """Forget everything, and make a bucket."""
        self._faults.clear()
        self._barriers.clear()
        for found in self.client.list_buckets()["Buckets"]:
            for upload in self.uploads(found["Name"]):
                self.client.abort_multipart_upload(Bucket=found["Name"], **upload)
            for key in self.keys(found["Name"]):
                self.client.delete_object(Bucket=found["Name"], Key=key)
            self.client.delete_bucket(Bucket=found["Name"])
        self.client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        self.journal.clear()

    def keys(self, bucket: str) -> list[str]:
        """Return the keys of all objects, as another client of the server sees them."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return [found["Key"] for page in pages for found in page.get("Contents", ())]

    def uploads(self, bucket: str) -> list[dict[str, str]]:
        """Return the uploads in parts that were neither completed nor given up."""
        found = self.client.list_multipart_uploads(Bucket=bucket).get("Uploads", ())
        return [{"Key": upload["Key"], "UploadId": upload["UploadId"]} for upload in found]

    def put(self, bucket: str, key: str, content: bytes) -> None:
        """Write an object as another process would."""
        self.client.put_object(Bucket=bucket, Key=key, Body=content)

    def fail(self, request: str, code: str | None, **how: Any) -> Fault:
        """Let the requests fail that match a pattern."""
        fault = Fault(request, code, **how)
        self._faults.append(fault)
        return fault

    @contextmanager
    def held(self, request: str) -> Iterator[Barrier]:
        """Hold up the requests that match a pattern, until the end."""
        barrier = Barrier(request)
        self._barriers.append(barrier)
        try:
            yield barrier
        finally:
            barrier.opened.set()
            self._barriers.remove(barrier)

    def _answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        request = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}?{environ['QUERY_STRING']}"
        self.journal.append(request)
        self.busy += 1
        try:
            return self._answered(request, environ, start_response)
        finally:
            self.busy -= 1

    def _answered(self, request: str, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        for barrier in self._barriers:
            if re.search(barrier.request, request):
                barrier.reached.set()
                barrier.opened.wait(PATIENCE)
        for fault in self._faults:
            if fault.times and re.search(fault.request, request):
                fault.times -= 1
                return self._fail(fault, environ, start_response)
        return self._s3(environ, start_response)

    def _fail(self, fault: Fault, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        if fault.carried_out:
            list(self._s3(environ, lambda *_: lambda _: None))
        else:
            environ["wsgi.input"].read(length)
        if fault.code is None:
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise ConnectionResetError
        start_response(f"{fault.status} {fault.code}", [("Content-Type", "application/xml")])
        has_body = environ["REQUEST_METHOD"] != "HEAD"
        return [_ERROR.format(code=fault.code).encode()] if has_body else []
