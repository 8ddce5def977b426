"""Signing in: authorisation code with PKCE, and refreshing (RFC 6749, 7636, 8414).

What must stay true: the browser is only ever sent to an address that is registered for the client, and no
code and no token is written down.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from aiohttp import web

from visma_sandbox import credentials
from visma_sandbox.exchange import Exchange
from visma_sandbox.orbit.pages import authorize_page, error_page
from visma_sandbox.orbit.sessions import Given, GrantRefused, SessionBook, note_of

if TYPE_CHECKING:
    from visma_sandbox.app import Sandbox

SYSTEM: Final = "orbit"
ROOT: Final = "/orbit"
FAULT_KINDS: Final = frozenset({"oauth_error"})
SETTINGS: Final[Mapping[str, Any]] = {
    # What the Airflow connection says; empty leaves it to Airflow, which alone knows its own address.
    "orbit_redirect_uri": "",
    # Where a browser may be sent to; "loopback" is any address of this machine.
    "orbit_redirect_uris": ["loopback", "https://client.example.com/orbit/callback"],
    "orbit_access_lifetime": 3600,
    "orbit_code_lifetime": 600,
    # Seconds; 0 is for ever.
    "orbit_refresh_lifetime": 0,
    # "rotated": another one each time; "same": the old one again; "omitted": none, and the old one stays;
    # "never": none, not even when signing in.
    "orbit_refresh_token": "rotated",
    # Seconds in which a refresh token that was used is still good.
    "orbit_refresh_grace": 0,
    # Whether using one twice ends the session for everybody.
    "orbit_reuse_revokes": False,
    "orbit_expires_in": True,
    # Whether Orbit itself denies, whatever the person decides.
    "orbit_denied": False,
    # "json" as RFC 6749 has it, or "html".
    "orbit_token_errors": "json",
}
_NO_STORE: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_PAGE_HEADERS: Final = {**_NO_STORE, "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer"}
_ASKED: Final = (
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
)
_CLIENTS: Final = {
    credentials.ORBIT_CLIENT_ID: credentials.ORBIT_CLIENT_SECRET,
    credentials.ORBIT_PUBLIC_CLIENT_ID: "",
}


class OAuthRefused(Exception):
    """An error with a code of RFC 6749."""

    def __init__(self, error: str, *, status: int = 400, description: str | None = None) -> None:
        super().__init__(error)
        self.error = error
        self.status = status
        self.description = description


class _WrongAddress(Exception):
    """Who asks, or where the browser is to go, is not known: it is told here and sent nowhere."""


def oauth_routes(sandbox: Sandbox, book: SessionBook) -> list[web.RouteDef]:
    """Everything about signing in."""
    server = _AuthorizationServer(sandbox, book)
    metadata = "/.well-known/oauth-authorization-server"
    return [
        web.get(f"{metadata}{ROOT}", server.metadata, allow_head=False),  # RFC 8414, section 3.1
        web.get(f"{ROOT}{metadata}", server.metadata, allow_head=False),
        web.get(f"{ROOT}/oauth2/{{name:[aA]uthorize}}", server.ask, allow_head=False),
        web.post(f"{ROOT}/oauth2/{{name:[aA]uthorize}}", server.decide),
        web.post(f"{ROOT}/oauth2/access_token", server.token),
        web.post(f"{ROOT}/oauth2/register", server.register),
        web.post("/_control/orbit/session", server.open_session),
    ]


class _AuthorizationServer:
    def __init__(self, sandbox: Sandbox, book: SessionBook) -> None:
        self._sandbox = sandbox
        self._book = book

    async def metadata(self, request: web.Request) -> web.StreamResponse:
        """What the server can (RFC 8414); nothing about ending a session, as the real one says nothing."""
        exchange = await self._sandbox.begin(request, system=SYSTEM, operation="metadata")
        issuer = f"{request.scheme}://{request.host}{ROOT}"
        return await exchange.respond(
            web.json_response(
                {
                    "issuer": issuer,
                    "authorization_endpoint": f"{issuer}/oauth2/Authorize",
                    "token_endpoint": f"{issuer}/oauth2/access_token",
                    "registration_endpoint": f"{issuer}/oauth2/register",
                    "response_types_supported": ["code"],
                    "grant_types_supported": ["authorization_code", "refresh_token"],
                    "code_challenge_methods_supported": ["S256"],
                    "token_endpoint_auth_methods_supported": ["client_secret_post", "none"],
                }
            )
        )

    async def register(self, request: web.Request) -> web.StreamResponse:
        """Clients are not made here: they are asked of Teamleader."""
        exchange = await self._sandbox.begin(request, system=SYSTEM, operation="register")
        return await exchange.respond(_page(400, error_page(400, "This registration is not valid.")))

    async def ask(self, request: web.Request) -> web.StreamResponse:
        """The page on which a person decides."""
        exchange = await self._sandbox.begin(request, system=SYSTEM, operation="authorize")
        try:
            asked = self._asked(dict(request.query))
            self._check(asked)
        except _WrongAddress as wrong:
            return await exchange.respond(_page(400, error_page(400, str(wrong))))
        except OAuthRefused as refused:
            return await exchange.respond(self._back(exchange, asked, error=refused.error))
        exchange.entry.note["pkce"] = bool(asked.get("code_challenge"))
        page = authorize_page(asked, application=asked["client_id"])
        return await exchange.respond(_page(200, page))

    async def decide(self, request: web.Request) -> web.StreamResponse:
        """What the person decided: the browser goes on to the client."""
        exchange = await self._sandbox.begin(request, system=SYSTEM, operation="authorize")
        form = {name: str(value) for name, value in (await request.post()).items()}
        try:
            asked = self._asked(form)
            self._check(asked)
        except _WrongAddress as wrong:
            return await exchange.respond(_page(400, error_page(400, str(wrong))))
        except OAuthRefused as refused:
            return await exchange.respond(self._back(exchange, asked, error=refused.error))
        if form.get("decision") != "allow":
            return await exchange.respond(self._back(exchange, asked, error="access_denied"))
        given = form.get("username", ""), form.get("password", "")
        exchange.entry.authorized = given == (credentials.ORBIT_USER, credentials.ORBIT_PASSWORD)
        if not exchange.entry.authorized:
            page = authorize_page(
                asked,
                application=asked["client_id"],
                user=given[0],
                error="User name or password is not right.",
            )
            return await exchange.respond(_page(200, page))
        if self._sandbox.settings["orbit_denied"]:
            return await exchange.respond(self._back(exchange, asked, error="access_denied"))
        code = self._book.new_code(asked["client_id"], asked["redirect_uri"], asked.get("code_challenge", ""))
        return await exchange.respond(self._back(exchange, asked, code=code))

    def _asked(self, given: Mapping[str, str]) -> dict[str, str]:
        asked = {name: given[name] for name in _ASKED if name in given}
        if asked.get("client_id") not in _CLIENTS:
            raise _WrongAddress("No application is registered with this client_id.")
        if not self._is_registered(asked.get("redirect_uri", "")):
            raise _WrongAddress("This redirect_uri is not registered for the application.")
        return asked

    def _is_registered(self, address: str) -> bool:
        known = self._sandbox.settings["orbit_redirect_uris"]
        try:
            parts = urlsplit(address)
        except ValueError:
            return False
        if "loopback" in known and parts.scheme in {"http", "https"} and not parts.fragment:
            return address in known or parts.hostname in {"localhost", "127.0.0.1", "::1"}
        return address in known

    def _check(self, asked: Mapping[str, str]) -> None:
        if asked.get("response_type") != "code":
            raise OAuthRefused("unsupported_response_type")
        if asked.get("scope", "").strip():
            raise OAuthRefused("invalid_scope")  # it has none to give
        challenge, method = asked.get("code_challenge", ""), asked.get("code_challenge_method", "")
        if not challenge and not _CLIENTS[asked["client_id"]]:
            raise OAuthRefused("invalid_request")  # a public client needs PKCE
        if challenge and (method != "S256" or len(challenge) != 43):
            raise OAuthRefused("invalid_request")

    def _back(self, exchange: Exchange, asked: Mapping[str, str], **answer: str) -> web.Response:
        """Send the browser to the client."""
        exchange.entry.note["error"] = answer.get("error")
        if "state" in asked:
            answer["state"] = asked["state"]
        parts = urlsplit(asked["redirect_uri"])
        query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), *answer.items()])
        address = urlunsplit(parts._replace(query=query))
        return web.Response(status=303, headers={**_PAGE_HEADERS, "Location": address})

    async def token(self, request: web.Request) -> web.StreamResponse:
        """Tokens for a code or for a refresh token."""
        body = await request.read()
        exchange = await self._sandbox.begin(request, system=SYSTEM, operation="token", body=body)
        try:
            given = self._granted(exchange, await _form(request))
        except OAuthRefused as refused:
            exchange.entry.note["error"] = refused.error
            return await exchange.respond(self._refusal(refused))
        exchange.entry.note |= note_of(given)
        return await exchange.respond(web.json_response(self._answer(given), headers=_NO_STORE))

    def _granted(self, exchange: Exchange, form: Mapping[str, str]) -> Given:
        if exchange.fault is not None and exchange.fault_is("oauth_error"):
            args = exchange.fault.args
            raise OAuthRefused(
                str(args.get("error", "invalid_client")),
                status=int(args.get("status", 400)),
                description=args.get("description"),
            )
        client_id = form.get("client_id", "")
        kind = form.get("grant_type", "")
        exchange.entry.note.update(
            grant_type=kind, client_secret=bool(form.get("client_secret")), pkce="code_verifier" in form
        )
        exchange.entry.authorized = _CLIENTS.get(client_id) == form.get("client_secret", "")
        if not exchange.entry.authorized:
            raise OAuthRefused("invalid_client", status=401)
        try:
            if kind == "authorization_code":
                return self._book.redeem(
                    _needed(form, "code"),
                    client_id=client_id,
                    redirect_uri=_needed(form, "redirect_uri"),
                    verifier=form.get("code_verifier", ""),
                )
            if kind == "refresh_token":
                return self._book.refresh(_needed(form, "refresh_token"), client_id=client_id)
        except GrantRefused as refused:
            exchange.entry.note["reason"] = refused.reason
            raise OAuthRefused("invalid_grant") from None
        raise OAuthRefused("unsupported_grant_type" if kind else "invalid_request")

    def _answer(self, given: Given) -> dict[str, Any]:
        answer: dict[str, Any] = {"access_token": given.access_token, "token_type": "Bearer"}
        if self._sandbox.settings["orbit_expires_in"]:
            answer["expires_in"] = int(self._sandbox.settings["orbit_access_lifetime"])
        if given.refresh_token is not None:
            answer["refresh_token"] = given.refresh_token
        return answer

    def _refusal(self, refused: OAuthRefused) -> web.Response:
        form = self._sandbox.settings["orbit_token_errors"]
        if form == "html":
            return _page(refused.status, error_page(refused.status, "This request for a token is refused."))
        answer = {"error": refused.error}
        if refused.description is not None:
            answer["error_description"] = refused.description
        return web.json_response(answer, status=refused.status, headers=_NO_STORE)

    async def open_session(self, request: web.Request) -> web.Response:
        """What a person's signing in gives, without the person."""
        client_id = request.query.get("client_id", credentials.ORBIT_CLIENT_ID)
        if client_id not in _CLIENTS:
            raise web.HTTPBadRequest(text=f"no client {client_id}")
        given = self._book.open(client_id)
        lifetime = int(self._sandbox.settings["orbit_access_lifetime"])
        return web.json_response(
            {
                "refresh_token": given.refresh_token,
                "access_token": given.access_token,
                "expires_in": lifetime,
                "session": given.access.session.number,
            },
            headers=_NO_STORE,
        )


async def _form(request: web.Request) -> dict[str, str]:
    if request.content_type != "application/x-www-form-urlencoded":
        raise OAuthRefused("invalid_request")
    return {name: str(value) for name, value in (await request.post()).items()}


def _needed(form: Mapping[str, str], name: str) -> str:
    if not form.get(name):
        raise OAuthRefused("invalid_request")
    return form[name]


def _page(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=text, content_type="text/html", headers=_PAGE_HEADERS)
