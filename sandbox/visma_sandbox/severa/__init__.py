"""Visma Severa: its SOAP API, the service and the data behind it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from visma_sandbox.severa import operations, service

if TYPE_CHECKING:
    from visma_sandbox.app import Sandbox

FAULT_KINDS: Final = service.FAULT_KINDS
SETTINGS: Final[Mapping[str, Any]] = {**service.SETTINGS, **operations.SETTINGS}


def routes(sandbox: Sandbox) -> list[web.RouteDef]:
    """The service, and what the control endpoint offers for Severa alone."""
    answering = operations.Operations(sandbox)
    return [*service.service_routes(sandbox, answering), *answering.routes()]
