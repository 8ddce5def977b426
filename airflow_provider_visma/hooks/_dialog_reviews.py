"""Dialog's finished reviews over HTTP: a list, one user at a time, and a document as it comes.

That Dialog lists reviews at all is this provider's assumption, in the style of SCIM. It is read without the
SCIM library, whose models take a second to import: a trigger has no use for them.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import tenacity

from airflow_provider_visma.dialog_reviews.review import Review, ReviewUser, read_id, read_review
from airflow_provider_visma.exceptions import (
    VismaContentError,
    VismaError,
    VismaIncompleteAnswerError,
    VismaNotFoundError,
)
from airflow_provider_visma.hooks._retrying import retrying
from airflow_provider_visma.protocols.http import httpx, network_error, status_error

_SYSTEM = "Dialog"
_PAGE = 100
_MOST_PAGES = 10_000
_EXTENSION = "urn:airflow-provider-visma:params:scim:schemas:extension:dialog:2.0:User"
_LIST, _DOCUMENT, _USER = "GET /Reviews", "GET /Reviews/document", "GET /Users"
_NO_REVIEWS = "Check that the address is that of a Dialog that offers finished reviews."
_JSON = {"Accept": "application/scim+json, application/json"}


class DialogReviews:
    """Reads reviews with a client whose base address is Dialog's, bearer included."""

    def __init__(
        self,
        client: httpx.Client,
        *,
        conn_id: str,
        sleep: Callable[[float], None] = tenacity.nap.sleep,
    ) -> None:
        self._client = client
        self._conn_id = conn_id
        self._retrying = retrying(sleep=sleep)

    def finished(self, since: datetime | None, unreadable: set[str] | None = None) -> Iterator[Review]:
        """Yield the reviews finished at *since* or later, the earliest first.

        :param unreadable: takes the ids of those that cannot be read; without one, they end in an error.
        """
        pages = _Pages(since, unreadable)
        while (query := pages.next_query()) is not None:
            yield from pages.read(self._retrying(self._object, "Reviews", query, _LIST))

    def user(self, user_id: str) -> ReviewUser | None:
        """Return a user, None where there is none."""
        try:
            found = self._retrying(self._object, f"Users/{quote(user_id, safe='')}", _USER_QUERY, _USER)
        except VismaNotFoundError:
            return None
        extension = found.get(_EXTENSION)
        state = extension.get("state") if isinstance(extension, dict) else None
        external_id = found.get("externalId")
        return ReviewUser(str(external_id) if external_id else None, str(state) if state else None)

    def download(self, review: Review, write: Callable[[bytes], Any], *, max_bytes: int) -> None:
        """Give the document of *review* to *write*; one request, since half a document cannot be taken back.

        :raises VismaContentError: it is larger than *max_bytes*; code ``too_large``.
        """
        path = f"Reviews/{quote(review.id, safe='')}/document"
        try:
            with self._client.stream("GET", path, headers={"Accept": "application/pdf"}) as response:
                _check(response, _DOCUMENT, self._conn_id)
                size = 0
                for piece in response.iter_raw(64 * 1024):
                    size += len(piece)
                    if size > max_bytes:
                        raise _error(
                            VismaContentError, f"the document is larger than {max_bytes} bytes", "too_large"
                        )
                    write(piece)
        except httpx.HTTPError as error:
            raise network_error(error, system=_SYSTEM, operation=_DOCUMENT, conn_id=self._conn_id) from None
        except VismaError as error:
            raise _completed(error, _DOCUMENT, self._conn_id) from None

    def _object(self, path: str, query: Mapping[str, str], operation: str) -> dict[str, Any]:
        try:
            response = self._client.get(path, params=dict(query), headers=_JSON)
            return _object_of(response, operation, self._conn_id)
        except httpx.HTTPError as error:
            raise network_error(error, system=_SYSTEM, operation=operation, conn_id=self._conn_id) from None
        except VismaError as error:
            raise _completed(error, operation, self._conn_id) from None


async def finished_reviews(
    client: httpx.AsyncClient, since: datetime | None, *, conn_id: str
) -> AsyncIterator[Review]:
    """Yield as :meth:`DialogReviews.finished` does those that can be read; no request is repeated."""
    pages = _Pages(since, set())
    while (query := pages.next_query()) is not None:
        try:
            response = await client.get("Reviews", params=query, headers=_JSON)
            page = pages.read(_object_of(response, _LIST, conn_id))
        except httpx.HTTPError as error:
            raise network_error(error, system=_SYSTEM, operation=_LIST, conn_id=conn_id) from None
        except VismaError as error:
            raise _completed(error, _LIST, conn_id) from None
        for review in page:
            yield review


_USER_QUERY = {"attributes": f"externalId,{_EXTENSION}:state"}


class _Pages:
    """The pages of a list that may grow at its end while it is read."""

    def __init__(self, since: datetime | None, unreadable: set[str] | None) -> None:
        self._unreadable = unreadable
        self._filter = {} if since is None else {"filter": f'finishedAt ge "{_written(since)}"'}
        self._seen: set[str] = set()
        self._start = 1
        self._pages = 0
        self._more = True

    def next_query(self) -> dict[str, str] | None:
        if not self._more:
            return None
        self._pages += 1
        if self._pages > _MOST_PAGES:
            raise _error(VismaContentError, "the list of reviews has no end")
        return {**self._filter, "sortBy": "finishedAt", "startIndex": str(self._start), "count": str(_PAGE)}

    def read(self, page: Mapping[str, Any]) -> list[Review]:
        """Return the reviews of *page* that no earlier one had."""
        rows, total = page.get("Resources") or [], page.get("totalResults")
        if not isinstance(rows, list) or not isinstance(total, int):
            raise _error(VismaContentError, "the answer is no list of SCIM")
        self._start += len(rows)
        self._more = bool(rows) and self._start <= total
        reviews = [review for row in rows if (review := self._review(row)) is not None]
        new = [review for review in reviews if review.id not in self._seen]
        self._seen.update(review.id for review in new)
        return new

    def _review(self, row: Any) -> Review | None:
        try:
            return read_review(row)
        except VismaContentError:
            if self._unreadable is None:
                raise
            self._unreadable.add(read_id(row))
            return None


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _object_of(response: httpx.Response, operation: str, conn_id: str) -> dict[str, Any]:
    _check(response, operation, conn_id)
    try:
        found = json.loads(response.content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise _error(VismaIncompleteAnswerError, "the answer is damaged: it is no JSON object")
    return found


def _check(response: httpx.Response, operation: str, conn_id: str) -> None:
    if response.status_code != 200:
        raise status_error(
            response.status_code,
            response.headers,
            system=_SYSTEM,
            operation=operation,
            conn_id=conn_id,
            advice=_NO_REVIEWS if response.status_code == 404 and operation == _LIST else None,
        )


def _error(kind: type[VismaError], message: str, code: str | None = None) -> VismaError:
    return kind(message, system=_SYSTEM, code=code)


def _completed(error: VismaError, operation: str, conn_id: str) -> VismaError:
    error.system = error.system or _SYSTEM
    error.operation = error.operation or operation
    error.conn_id = error.conn_id or conn_id
    return error
