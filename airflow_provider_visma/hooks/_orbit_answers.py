"""One request to a reporting service and what its answer means, before anything of a report is read.

The name and password go to the address that the connection allows and nowhere else; a redirect is not
followed. Nothing that the service said gets into a message.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import requests
from requests.auth import HTTPBasicAuth

from airflow_provider_visma.exceptions import (
    VismaContentError,
    VismaError,
    VismaIncompleteAnswerError,
    VismaRequestError,
)
from airflow_provider_visma.protocols.http import HttpLimits, network_error, status_error
from airflow_provider_visma.protocols.odata3 import read_error
from airflow_provider_visma.protocols.streaming import body_pieces

if TYPE_CHECKING:
    from airflow_provider_visma.hooks._connection import ConnectionSettings

REPORT_LIMITS = HttpLimits(max_bytes=1024**3)

FEED = "application/atom+xml, application/xml;q=0.9, */*;q=0.1"
SERVICE_DOCUMENT = "application/atomsvc+xml, application/xml;q=0.9, */*;q=0.1"

_MAX_ERROR_BYTES = 1024 * 1024
_DETAILS = {
    401: (
        "the user name and password are not accepted",
        "Check them in the connection; they are those of a user of this tenant's Orbit.",
    ),
    403: (
        "the user may not read this",
        "Have the report's owner open it to this user in Orbit, or the reporting API as a whole.",
    ),
    404: (
        "the server knows no such report",
        "Compare the id with the address that Orbit shows for the report; it may have been deleted.",
    ),
    406: ("the server does not write Atom", "The reports of OData 3 are Atom: check the address."),
}


class OrbitAnswers:
    """Asks, and tells a usable answer from any other.

    :param session: proxy, TLS and adapters, without credentials.
    """

    def __init__(
        self, settings: ConnectionSettings, *, session: requests.Session, limits: HttpLimits
    ) -> None:
        self._settings = settings
        self._session = session
        self._limits = limits
        # As bytes, because requests would encode texts as Latin-1, or not at all.
        self._login = HTTPBasicAuth(
            (settings.login or "").encode(),
            (settings.password or "").encode(),
        )

    @contextmanager
    def pieces(
        self, url: str, *, accept: str = FEED, max_bytes: int | None = None
    ) -> Iterator[Iterator[bytes]]:
        """Ask for *url* and hand out the body while it comes in.

        :param url: below the connection's own address; whoever has it from elsewhere has checked that.
        :param max_bytes: instead of those of the limits.
        :raises VismaError: there is no answer, or it is none to be read. Names neither system nor report:
            the hook does.
        """
        headers = {
            "Accept": accept,
            # Compressed, a bomb would have to be measured while it inflates.
            "Accept-Encoding": "identity",
            "MaxDataServiceVersion": "3.0",
        }
        try:
            response = self._session.get(
                url,
                headers=headers,
                auth=self._login,
                stream=True,
                timeout=(self._limits.connect, self._limits.read),
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise network_error(error, system=self._settings.system, operation="") from None
        with response:
            self._check(response)
            yield body_pieces(response, limits=self._limits, max_bytes=max_bytes)

    def _check(self, response: requests.Response) -> None:
        status = response.status_code
        content_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if 300 <= status < 400:
            raise VismaRequestError(
                "the server redirects instead of answering",
                code=f"HTTP {status}",
                advice="Redirects are not followed, since the password would go along: check the address.",
            )
        if status != 200:
            raise self._refusal(response, content_type)
        if content_type in ("text/html", "application/xhtml+xml"):
            raise VismaIncompleteAnswerError(
                "a web page came instead of an answer",
                advice="A retry asks again. If it stays so: it may be a page to sign in, or a proxy's.",
            )
        if content_type.endswith("json"):
            raise VismaContentError("JSON came instead of Atom", advice="The reports of OData 3 are Atom.")

    def _refusal(self, response: requests.Response, content_type: str) -> VismaError:
        detail, advice = _DETAILS.get(response.status_code, (None, None))
        error = status_error(
            response.status_code,
            response.headers,
            system=self._settings.system,
            operation="",
            detail=detail,
            advice=advice,
        )
        told = None if "html" in content_type else self._told(response)
        if told is not None:
            error.reason = told.reason
            error.code = f"{error.code}, {told.code}" if told.code else error.code
        return error

    def _told(self, response: requests.Response) -> VismaError | None:
        """Return what the service says about its refusal, where it says so in its own form."""
        try:
            pieces = body_pieces(response, limits=self._limits, max_bytes=_MAX_ERROR_BYTES)
            return read_error(b"".join(pieces))
        except VismaError:
            return None
