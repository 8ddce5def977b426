"""The page that signs Orbit connections in."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from airflow_provider_visma.plugin.access import Reader
from airflow_provider_visma.plugin.pages import render

router = APIRouter(prefix="/orbit")


@router.get("", name="orbit_page")
def page(request: Request, user: Reader) -> HTMLResponse:
    """Show the connections and their sign-in."""
    return render(request, "orbit.html", user=user, connections=[])
