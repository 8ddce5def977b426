"""Pages and redirects: Jinja2 with escaping on, the visitor's language, and notices that survive a redirect.

No page holds a script or a style of its own, so that the content security policy can forbid both.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any, Final, Literal
from urllib.parse import quote, urlsplit

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse
from itsdangerous import BadData
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from airflow_provider_visma.plugin import URL_PREFIX, texts
from airflow_provider_visma.plugin.access import CSRF_FIELD, csrf_token, signer

LANGUAGE_COOKIE: Final = "visma_language"
_LANGUAGE_SECONDS: Final = 365 * 24 * 3600
_NOTICE_SECONDS: Final = 60
_HIDDEN_FROM_LINKS: Final = ("notice", "lang")
_LATEST: Final = datetime(9999, 12, 31, 23, 59, tzinfo=UTC).timestamp()  # that a date can hold


@dataclass(frozen=True, slots=True)
class Notice:
    """What a page says about what was just done.

    :param kind: ``done`` or ``problem``.
    :param key: the key of its text.
    :param values: what the text has to be filled with.
    """

    kind: Literal["done", "problem"]
    key: str
    values: dict[str, str | int] = field(default_factory=dict)


def render(
    request: Request,
    template: str,
    *,
    user: BaseUser | None,
    status_code: int = 200,
    form_targets: Iterable[str] = (),
    notice: Notice | None = None,
    **context: Any,
) -> HTMLResponse:
    """Return a page.

    :param template: its name in ``templates/``.
    :param user: who sees it; their forms carry a token that is of use to them alone.
    :param form_targets: where else a form of this page may end, also by a redirect, as sources of a content
        security policy: ``https:`` or :func:`origin` of an address.
    :param notice: what to say at the top; without it, what :func:`redirect` brought along.
    :param context: what else the template uses, next to ``t`` (a text), ``path`` (of a route), ``language``,
        ``csrf_field``, ``csrf``, ``user`` and ``moment``.
    """
    language = language_of(request)
    body = (
        _templates()
        .get_template(template)
        .render(
            context
            | {
                "t": partial(texts.text, language),
                "path": partial(path, request),
                "language": language,
                "languages": _language_links(request),
                "notice": notice or _notice_of(request),
                "user": user,
                "csrf_field": CSRF_FIELD,
                "csrf": csrf_token(user) if user else "",
                "moment": _moment,
                "airflow_url": airflow_root(request) + "/",
            }
        )
    )
    request.state.form_targets = list(form_targets)
    return _remembering(request, HTMLResponse(body, status_code=status_code))


def redirect(request: Request, name: str, *, notice: Notice | None = None, **params: Any) -> RedirectResponse:
    """Return a redirect to one of our pages, which then shows the notice.

    :param name: the route's name.
    :param params: what the route's path is filled with.
    """
    address = path(request, name, **params)
    if notice:
        # Signed, for otherwise anybody could make a link to a page of Airflow that says what they like.
        address += "?notice=" + signer("notice").dumps(asdict(notice))
    return RedirectResponse(address, status_code=303)


def path(request: Request, name: str, /, **params: Any) -> str:
    """Return the path of a route, below wherever Airflow is."""
    # Airflow's own routes would be searched by `request.url_for`: the outermost application counts there.
    return pages_root(request) + quote(request.app.url_path_for(name, **params))


def pages_root(request: Request) -> str:
    """Return the path that all pages are below, e.g. ``/visma``."""
    root: str = request.state.pages_root
    return root


def airflow_root(request: Request) -> str:
    """Return the path that Airflow is below: empty, or what ``[api] base_url`` says."""
    return pages_root(request).removesuffix(URL_PREFIX)


def language_of(request: Request) -> str:
    """Return the language: as just chosen, as chosen before, or as the browser prefers."""
    for chosen in (request.query_params.get("lang"), request.cookies.get(LANGUAGE_COOKIE)):
        if chosen and chosen in texts.LANGUAGES:
            return chosen
    return texts.preferred(request.headers.get("accept-language", ""))


def _remembering(request: Request, response: HTMLResponse) -> HTMLResponse:
    if (chosen := request.query_params.get("lang")) in texts.LANGUAGES:
        response.set_cookie(
            LANGUAGE_COOKIE,
            str(chosen),
            max_age=_LANGUAGE_SECONDS,
            path=pages_root(request),
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="lax",
        )
    return response


def _language_links(request: Request) -> list[dict[str, str]]:
    if "state" in request.query_params:  # the answer to a sign-in, which belongs in no page
        return []
    here = request.url.remove_query_params(list(_HIDDEN_FROM_LINKS))
    return [
        {"code": code, "name": name, "href": f"?{here.include_query_params(lang=code).query}"}
        for code, name in texts.LANGUAGES.items()
    ]


def _notice_of(request: Request) -> Notice | None:
    if not (signed := request.query_params.get("notice")):
        return None
    try:
        return Notice(**signer("notice").loads(signed, max_age=_NOTICE_SECONDS))
    except BadData:
        return None


def _moment(seconds: float) -> str:
    """Return a moment for people of any language."""
    return datetime.fromtimestamp(min(seconds, _LATEST), UTC).strftime("%Y-%m-%d %H:%M UTC")


def origin(address: str) -> str:
    """Return scheme, host and port of an address."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("airflow_provider_visma.plugin"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
