"""Placeholder until the files part lands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from visma_sandbox.app import Sandbox

FAULT_KINDS: frozenset[str] = frozenset()
SETTINGS: dict[str, Any] = {}


def routes(sandbox: Sandbox) -> list[web.RouteDef]:
    """None yet."""
    return []


def file_routes(sandbox: Sandbox) -> list[web.RouteDef]:
    """None yet."""
    return []
