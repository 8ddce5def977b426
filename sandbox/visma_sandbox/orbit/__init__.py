"""Teamleader Orbit's regular API: signing in with OAuth 2.0, and ``<resource>.<verb>`` in JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from visma_sandbox.orbit import oauth, service
from visma_sandbox.orbit.sessions import SessionBook

if TYPE_CHECKING:
    from visma_sandbox.app import Sandbox

FAULT_KINDS: Final = oauth.FAULT_KINDS | service.FAULT_KINDS
SETTINGS: Final[Mapping[str, Any]] = {**oauth.SETTINGS, **service.SETTINGS}


def routes(sandbox: Sandbox) -> list[web.RouteDef]:
    """Signing in, the API, and what the control endpoint offers for both; what is neither, in this order."""
    book = SessionBook(sandbox)
    sandbox.on_reset(book.clear)
    sandbox.counts["orbit_sessions"] = book.counts
    return [*oauth.oauth_routes(sandbox, book), *service.service_routes(sandbox, book)]
