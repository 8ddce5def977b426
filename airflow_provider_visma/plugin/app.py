"""The web application behind the pages: routes, static files, error pages, and headers on every answer."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_provider_visma.plugin import dialog, dialog_users, orbit, texts
from airflow_provider_visma.plugin.access import SignInNeeded
from airflow_provider_visma.plugin.pages import Notice, airflow_root, pages_root, path, render

_STATIC: Final = Path(__file__).parent / "static"


def create_app() -> ASGIApp:
    """Return the application with all pages."""
    app = FastAPI(title="Visma", docs_url=None, redoc_url=None, openapi_url=None)
    for screen in (orbit, dialog, dialog_users):
        app.include_router(screen.router)
    app.mount("/static", StaticFiles(directory=_STATIC), name="static")
    app.add_exception_handler(SignInNeeded, _to_airflows_login)
    app.add_exception_handler(orbit.BegunAtTerminal, orbit.copy_this_address)
    app.add_exception_handler(HTTPException, _problem_page)
    app.add_exception_handler(Exception, _failure_page)
    return SecurityHeaders(app)  # around all of it: Starlette's own middleware would miss a failure's page


class SecurityHeaders:
    """Puts on every answer what keeps browsers from running, framing, storing or passing on anything.

    ``Referrer-Policy`` is ``same-origin`` and not ``no-referrer``: with the latter a browser names no origin
    when it sends a form, and we could not see that a form is ours.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http":
            # Kept from before any route moves it.
            scope.setdefault("state", {})["pages_root"] = scope.get("root_path", "")

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                targets = " ".join(["'self'", *scope.get("state", {}).get("form_targets", ())])
                headers["Content-Security-Policy"] = (
                    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
                    f"connect-src 'self'; form-action {targets}; frame-ancestors 'self'; base-uri 'none'"
                )
                headers["X-Content-Type-Options"] = "nosniff"
                headers.setdefault("Referrer-Policy", "same-origin")
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)


def _to_airflows_login(request: Request, error: Exception) -> Response:
    """Send the visitor to Airflow's login, and back to the page afterwards, without what the query held."""
    can_go_back = request.method == "GET" and request.url.path != path(request, "orbit_callback")
    page = request.url.path if can_go_back else _screen(request)
    return RedirectResponse(
        f"{airflow_root(request)}/api/v2/auth/login?{urlencode({'next': page})}", status_code=303
    )


def _problem_page(request: Request, error: Exception) -> HTMLResponse:
    status_code = error.status_code if isinstance(error, HTTPException) else 500
    detail = error.detail if isinstance(error, HTTPException) else ""
    keys = [f"problem.{detail}", f"problem.{status_code}", "problem.other"]
    key = next(key for key in keys if key in texts.TEXTS[texts.ENGLISH])
    return render(
        request,
        "problem.html",
        user=None,
        status_code=status_code,
        notice=Notice("problem", key),
        again=_screen(request) if request.method == "POST" else None,
    )


def _screen(request: Request) -> str:
    """Return the path of the screen that a request belongs to, such as ``/visma/orbit``."""
    below = request.url.path.removeprefix(pages_root(request))
    return f"{pages_root(request)}/{below.split('/')[1]}"


def _failure_page(request: Request, error: Exception) -> HTMLResponse:
    return _problem_page(request, error)
