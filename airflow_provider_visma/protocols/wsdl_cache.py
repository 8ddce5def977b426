"""WSDL documents: fetched from the service's own host, kept on disk for a while, read by zeep.

The cache is shared by all processes of a worker: a document appears in it whole or not at all, and a
cache that cannot be used costs a download, never a failure.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import platformdirs
import requests
from zeep import Settings
from zeep.exceptions import Error as ZeepError
from zeep.transports import Transport
from zeep.wsdl import Document

from airflow_provider_visma.exceptions import VismaContentError, VismaUnavailableError
from airflow_provider_visma.protocols.http import network_error, status_error

if TYPE_CHECKING:
    from collections.abc import Iterator

_log = logging.getLogger(__name__)

MAX_WSDL_BYTES = 16 * 1024 * 1024


def default_cache_dir() -> Path:
    """Return the directory for WSDL documents below the user's own cache directory."""
    return Path(platformdirs.user_cache_dir("airflow-provider-visma")) / "wsdl"


class WsdlCache:
    """One file per address in a directory that only this user can read.

    :param directory: created with mode 0700 where it does not exist.
    :param max_age: seconds after which a document is fetched again.
    :param clock: seconds since the epoch.
    """

    def __init__(
        self, directory: Path, *, max_age: float = 24 * 3600.0, clock: Callable[[], float] = time.time
    ) -> None:
        self._directory = directory
        self._max_age = max_age
        self._clock = clock

    def _path(self, url: str) -> Path:
        return self._directory / f"{hashlib.sha256(url.encode()).hexdigest()}.xml"

    def get(self, url: str) -> bytes | None:
        """Return the document kept for *url*, or None where there is none young enough."""
        try:
            with self._path(url).open("rb") as file:
                status = os.fstat(file.fileno())
                if status.st_uid != os.getuid() or self._clock() - status.st_mtime > self._max_age:
                    return None
                return file.read()
        except OSError:
            return None

    def discard(self, url: str) -> None:
        """Forget the document of *url*."""
        with suppress(OSError):
            self._path(url).unlink()

    def add(self, url: str, content: bytes) -> None:
        """Keep *content* for *url*; readers see the old document or the new one, never a part."""
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self._directory)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(content)
                os.replace(name, self._path(url))
            except BaseException:
                with suppress(OSError):
                    os.unlink(name)
                raise
        except OSError as error:
            _log.warning("A WSDL could not be cached: %s", error.strerror)


class _WsdlTransport(Transport):
    """zeep's loader, bounded: this service's host only, no redirect, a time-out and a size limit.

    What was fetched is kept only once it has turned out to be a WSDL: a maintenance page in the cache
    would outlast the maintenance.
    """

    def __init__(self, origin: str, *, session: requests.Session, cache: WsdlCache, system: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # with a session that stays unused
        self._origin = urlsplit(origin)[:2]
        self._own_session = session
        self._documents = cache
        self._system = system
        self._loaded: set[str] = set()
        self._fetched: dict[str, bytes] = {}

    def load(self, url: str) -> bytes:
        if urlsplit(url)[:2] != self._origin:
            raise VismaContentError("the WSDL refers to a document on another host")
        self._loaded.add(url)
        content = self._documents.get(url)
        if content is None:
            content = self._fetched[url] = self._fetch(url)
        return content

    def keep(self) -> None:
        for url, content in self._fetched.items():
            self._documents.add(url, content)

    def discard(self) -> None:
        for url in self._loaded:
            self._documents.discard(url)

    def _fetch(self, url: str) -> bytes:
        try:
            with self._own_session.get(url, timeout=(10, 60), allow_redirects=False, stream=True) as response:
                if response.status_code != 200:
                    raise status_error(
                        response.status_code, response.headers, system=self._system, operation="WSDL"
                    )
                if response.headers.get("Content-Type", "").strip().lower().startswith("text/html"):
                    raise VismaUnavailableError(
                        "a page came instead of the WSDL", system=self._system, operation="WSDL"
                    )
                return b"".join(_bounded(response.iter_content(64 * 1024)))
        except requests.RequestException as error:
            raise network_error(error, system=self._system, operation="WSDL") from None


def _bounded(pieces: Iterator[bytes]) -> Iterator[bytes]:
    total = 0
    for piece in pieces:
        total += len(piece)
        if total > MAX_WSDL_BYTES:
            raise VismaContentError(f"the WSDL is larger than {MAX_WSDL_BYTES} bytes")
        yield piece


def load_wsdl(url: str, *, session: requests.Session, cache: WsdlCache, system: str) -> Document:
    """Return the WSDL at *url*, as zeep understands it.

    :param url: ``http(s)`` address; what it imports must be on the same host.
    :param system: the system's name, for errors.
    :raises VismaUnavailableError: it could not be fetched, or what came is not a WSDL (a maintenance page).
    :raises VismaContentError: it holds a DOCTYPE or refers to another host.
    """
    transport = _WsdlTransport(url, session=session, cache=cache, system=system)
    settings = Settings(forbid_dtd=True, forbid_entities=True, force_https=False)
    try:
        document = Document(url, transport, settings=settings)  # type: ignore[arg-type]
        problem = None if document.services else "it has no service"
    except ZeepError as error:
        problem = type(error).__name__
    if problem is not None:
        transport.discard()
        kind = VismaContentError if "Forbidden" in problem else VismaUnavailableError
        raise kind(
            f"the WSDL cannot be read ({problem})",
            system=system,
            operation="WSDL",
            advice="Open the address with ?WSDL in a browser: it must show XML.",
        )
    transport.keep()
    return document
