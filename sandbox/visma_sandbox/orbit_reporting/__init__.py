"""Teamleader Orbit's reporting feeds: reports that users define, as Atom feeds of OData v3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web

from visma_sandbox.orbit_reporting import service

if TYPE_CHECKING:
    from visma_sandbox.app import Sandbox

FAULT_KINDS: Final = service.FAULT_KINDS
SETTINGS: Final = service.SETTINGS


def routes(sandbox: Sandbox) -> list[web.RouteDef]:
    """The service, and what the control endpoint offers for it alone."""
    return service.service_routes(sandbox)
