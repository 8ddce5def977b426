"""An answer that is an error, in the form that the switch has."""

from __future__ import annotations

from aiohttp import web

from visma_sandbox.orbit.pages import error_page


class Refusal(Exception):
    """The API says no.

    :param code: short, for programs.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


def refusal_response(refusal: Refusal, *, form: str) -> web.Response:
    """Write an error. Its form is not known of the real service: JSON as its sister Focus has it, or a page.

    :param form: ``json`` or ``html``.
    """
    headers = {"WWW-Authenticate": 'Bearer error="invalid_token"'} if refusal.status == 401 else {}
    if form == "html":
        text = error_page(refusal.status, str(refusal))
        return web.Response(status=refusal.status, text=text, content_type="text/html", headers=headers)
    errors = {"errors": [{"code": refusal.code, "title": str(refusal), "status": refusal.status}]}
    return web.json_response(errors, status=refusal.status, headers=headers)
