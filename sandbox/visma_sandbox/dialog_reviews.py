"""Dialog's finished reviews and their PDFs, beside its SCIM resources under /scim/v2.

Seed 003, step 3, says that a finished review goes back to Nmbrs as a PDF; how Dialog would offer one is this
project's assumption. They are read-only, so they are no resource type that a client could create.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from visma_sandbox.dialog_store import DialogStore
from visma_sandbox.exchange import Exchange
from visma_sandbox.review_documents import KINDS, ReviewDocument

if TYPE_CHECKING:
    from visma_sandbox.app import Sandbox

REVIEW_SCHEMA: Final = "urn:airflow-provider-visma:params:scim:schemas:dialog:2.0:Review"
OTHER_DOCUMENT: Final = "other_document"
FAULT_KINDS: Final = frozenset({OTHER_DOCUMENT})
"""``other_document``: as large as the one that was announced, and another."""

SETTINGS: Final[Mapping[str, Any]] = {
    # Whether there are reviews at all; without them the address is a 404.
    "dialog_reviews": True,
    # Whether a review tells the size and the SHA-256 of its PDF.
    "dialog_review_digests": True,
}
_LIST: Final = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
_ERROR: Final = "urn:ietf:params:scim:api:messages:2.0:Error"
_FILTER: Final = re.compile(r'finishedAt\s+(ge|gt)\s+"([^"]+)"')
_JSON: Final = "application/scim+json"


@dataclass(frozen=True, slots=True)
class Review:
    """A finished review.

    :param user: the SCIM id of the user whom it is about.
    """

    id: str
    user: str
    title: str
    finished_at: datetime
    document: ReviewDocument
    size: int
    sha256: str


class Reviews:
    """All finished reviews, in the order in which they were finished.

    :param authorized: tells whether a request has the bearer.
    """

    def __init__(
        self, sandbox: Sandbox, store: DialogStore, *, authorized: Callable[[web.Request], bool]
    ) -> None:
        self._sandbox = sandbox
        self._store = store
        self._authorized = authorized
        self._reviews: dict[str, Review] = {}

    def routes(self, root: str) -> list[web.RouteDef]:
        """Serve them under the SCIM address *root*, and let them be finished under ``/_control``."""
        self._sandbox.counts["dialog_reviews"] = self.counts
        self._sandbox.on_reset(self._reviews.clear)
        return [
            web.get(f"{root}/Reviews", self.list),
            web.get(f"{root}/Reviews/{{id}}", self.show),
            web.get(f"{root}/Reviews/{{id}}/document", self.download),
            web.post("/_control/dialog/reviews", self.finish),
        ]

    def counts(self) -> dict[str, int]:
        """How many there are, and how many bytes their documents have."""
        return {"reviews": len(self._reviews), "bytes": sum(each.size for each in self._reviews.values())}

    async def list(self, request: web.Request) -> web.StreamResponse:
        """Answer a page: filter ``finishedAt ge`` or ``gt`` a moment, ``startIndex``, ``count``."""
        exchange = await self._begin(request, "Reviews.list")
        if (refused := await self._refusal(exchange)) is not None:
            return refused
        found = sorted(self._reviews.values(), key=lambda each: each.finished_at)
        try:
            start = max(int(request.query.get("startIndex", "1")), 1)
            count = max(int(request.query.get("count", "1000")), 0)
            found = [each for each in found if _matches(each, request.query.get("filter"))]
        except ValueError:
            return await exchange.respond(_error(400, "invalidFilter"))
        page = found[start - 1 :][: min(count, int(self._sandbox.settings["dialog_max_results"]))]
        body = {
            "schemas": [_LIST],
            "totalResults": len(found),
            "itemsPerPage": len(page),
            "startIndex": start,
            "Resources": [self._resource(each, request) for each in page],
        }
        return await exchange.respond(web.json_response(body, content_type=_JSON))

    async def show(self, request: web.Request) -> web.StreamResponse:
        """Answer one review."""
        exchange = await self._begin(request, "Reviews.get")
        if (refused := await self._refusal(exchange)) is not None:
            return refused
        review = self._reviews.get(request.match_info["id"])
        if review is None:
            return await exchange.respond(_error(404))
        return await exchange.respond(web.json_response(self._resource(review, request), content_type=_JSON))

    async def download(self, request: web.Request) -> web.StreamResponse:
        """Send a review's document, while it is made."""
        exchange = await self._begin(request, "Reviews.document")
        if (refused := await self._refusal(exchange)) is not None:
            return refused
        review = self._reviews.get(request.match_info["id"])
        if review is None:
            return await exchange.respond(_error(404))
        pieces = review.document.pieces()
        if exchange.fault_is(OTHER_DOCUMENT):
            pieces = _altered(pieces)
        return await exchange.stream(pieces, headers={"Content-Type": "application/pdf"}, length=review.size)

    async def finish(self, request: web.Request) -> web.Response:
        """Finish a review: ``{"employee_id", "title", "kind", "size", "finished_at"}``, all optional."""
        asked: dict[str, Any] = await request.json()
        kind = str(asked.get("kind", "pdf"))
        if kind not in KINDS:
            raise web.HTTPBadRequest(text=f"kind: one of {', '.join(KINDS)}")
        identifier = uuid.uuid4().hex
        number = len(self._reviews) + 1
        document = ReviewDocument(kind, int(asked.get("size", 10_000)), f"review {number}")
        size, digest = document.measured()
        told = asked.get("finished_at")
        review = Review(
            id=identifier,
            user=self._user(asked.get("employee_id")),
            title=str(asked.get("title", f"Beoordeling {number}")),
            finished_at=datetime.fromisoformat(told) if told else self._now(),
            document=document,
            size=size,
            sha256=digest,
        )
        self._reviews[identifier] = review
        return web.json_response(
            {
                "id": review.id,
                "size": review.size,
                "sha256": review.sha256,
                "finished_at": review.finished_at.isoformat(),
            },
            status=201,
        )

    def _user(self, employee_id: int | str | None) -> str:
        if employee_id is None:
            return uuid.uuid4().hex  # somebody whom Dialog has forgotten
        for user in self._store.snapshot()["User"]:
            if user.get("externalId") == str(employee_id):
                return str(user["id"])
        raise web.HTTPNotFound(text="no user has this externalId")

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._sandbox.clock(), UTC)

    async def _begin(self, request: web.Request, operation: str) -> Exchange:
        exchange = await self._sandbox.begin(request, system="dialog", operation=operation)
        exchange.entry.authorized = self._authorized(request)
        return exchange

    async def _refusal(self, exchange: Exchange) -> web.StreamResponse | None:
        if not exchange.entry.authorized:
            return await exchange.respond(_error(401))
        if not self._sandbox.settings["dialog_reviews"]:
            return await exchange.respond(_error(404))
        return None

    def _resource(self, review: Review, request: web.Request) -> dict[str, Any]:
        address = (
            f"{request.scheme}://{request.host}{request.path.partition('/Reviews')[0]}/Reviews/{review.id}"
        )
        digest = {"size": review.size, "sha256": review.sha256}
        told = digest if self._sandbox.settings["dialog_review_digests"] else {}
        return {
            "schemas": [REVIEW_SCHEMA],
            "id": review.id,
            "user": {"value": review.user},
            "title": review.title,
            "finishedAt": review.finished_at.isoformat().replace("+00:00", "Z"),
            "document": {"$ref": f"{address}/document", "contentType": "application/pdf", **told},
            "meta": {"resourceType": "Review", "location": address},
        }


def _matches(review: Review, asked: str | None) -> bool:
    if asked is None:
        return True
    found = _FILTER.fullmatch(asked)
    if found is None:
        raise ValueError("no filter that is understood")
    since = datetime.fromisoformat(found[2])
    return review.finished_at >= since if found[1] == "ge" else review.finished_at > since


def _altered(pieces: Iterator[bytes]) -> Iterator[bytes]:
    first = next(pieces, b"")
    yield first[:-20] + bytes(byte ^ 1 for byte in first[-20:])
    yield from pieces


def _error(status: int, kind: str | None = None) -> web.Response:
    body = {"schemas": [_ERROR], "status": str(status), **({"scimType": kind} if kind else {})}
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    return web.Response(status=status, headers=headers, text=json.dumps(body), content_type=_JSON)
