"""Visma Connect's token endpoint. Secrets and tokens are compared, never journalled."""

from __future__ import annotations

import json
from base64 import b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from dataclasses import dataclass
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_plus

from aiohttp import web
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from visma_sandbox.credentials import HRM_CLIENT_ID, HRM_CLIENT_SECRET, HRM_TENANT_ID
from visma_sandbox.exchange import Exchange

if TYPE_CHECKING:
    from visma_sandbox.app import Sandbox

SCOPE_PREFIX: Final = "hrmanalytics:nlhrm:export"
ALL_SCOPES: Final = tuple(
    SCOPE_PREFIX + name
    for name in ("contactinformation", "contracts", "employees", "metadata", "organizationunits", "users")
)
FAULT_KINDS: Final[frozenset[str]] = frozenset({"oauth_error", "unknown_token"})
SETTINGS: Final[dict[str, Any]] = {
    "connect_token_lifetime": 3600,
    "connect_scopes": list(ALL_SCOPES),
    "connect_scope_required": True,
    "connect_tenants": [HRM_TENANT_ID],
    "connect_tenant_required": True,
    "connect_basic_allowed": True,
    "connect_include_jti": False,
    "connect_invalid_client_status": 400,
}
_TOKENS_KEPT = 10_000
_NO_STORE = {"Cache-Control": "no-store, no-cache, max-age=0", "Pragma": "no-cache"}


@dataclass(frozen=True, slots=True)
class Grant:
    """What a bearer may do, and until when."""

    client_id: str
    tenant_id: str
    scopes: frozenset[str]
    expires_at: float


class Refused(Exception):
    """The token endpoint says no, in the words of RFC 6749, section 5.2."""

    def __init__(self, error: str, description: str | None = None, *, status: int = 400) -> None:
        super().__init__(error)
        self.error = error
        self.description = description
        self.status = status


class TokenBook:
    """The bearers handed out; the HRM API asks it about every request."""

    def __init__(self) -> None:
        self._grants: dict[str, Grant] = {}

    def add(self, token: str, grant: Grant) -> None:
        """Remember a bearer, forgetting the oldest when there are too many."""
        self._grants[token] = grant
        if len(self._grants) > _TOKENS_KEPT:
            del self._grants[next(iter(self._grants))]

    def grant(self, request: web.Request, now: float) -> Grant | None:
        """What the request's bearer may do; None when it has none, or one that is unknown or expired."""
        found = self._grants.get(_bearer(request))
        return found if found is not None and now < found.expires_at else None

    def revoke(self, request: web.Request) -> None:
        """Let the request's bearer be worth nothing from now on."""
        self._grants.pop(_bearer(request), None)

    def clear(self) -> None:
        """Let no bearer be worth anything."""
        self._grants.clear()


def _bearer(request: web.Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def routes(sandbox: Sandbox) -> list[web.RouteDef]:
    """The token endpoint and what discovery tells of it."""
    endpoint = _TokenEndpoint(sandbox)
    sandbox.on_reset(sandbox.tokens.clear)
    return [
        web.post("/connect/token", endpoint.token),
        web.get("/.well-known/openid-configuration", endpoint.discovery),
        web.get("/.well-known/openid-configuration/jwks", endpoint.jwks),
    ]


class _TokenEndpoint:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        # ES256 signatures differ each time, so no two tokens are the same, not even within one second.
        self._key = ec.generate_private_key(ec.SECP256R1())

    async def token(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        exchange = await self._sandbox.begin(request, system="connect", operation="token", body=body)
        try:
            return await exchange.respond(await self._grant(request, exchange))
        except Refused as refused:
            answer = {"error": refused.error}
            if refused.description is not None:
                answer["error_description"] = refused.description
            exchange.entry.note["error"] = refused.error
            return await exchange.respond(web.json_response(answer, status=refused.status, headers=_NO_STORE))

    async def _grant(self, request: web.Request, exchange: Exchange) -> web.Response:
        if exchange.fault is not None and exchange.fault.kind == "oauth_error":
            args = exchange.fault.args
            raise Refused(
                str(args.get("error", "invalid_client")),
                args.get("description"),
                status=args.get("status", 400),
            )
        if request.content_type != "application/x-www-form-urlencoded":
            raise Refused("invalid_request")
        form = {name: str(value) for name, value in (await request.post()).items()}
        client_id, secret = self._client(request, form)
        exchange.entry.authorized = (client_id, secret) == (HRM_CLIENT_ID, HRM_CLIENT_SECRET)
        if not exchange.entry.authorized:
            raise Refused("invalid_client", status=self._sandbox.settings["connect_invalid_client_status"])
        grant = self._checked(form, client_id)
        exchange.entry.note.update(scopes=sorted(grant.scopes), tenant_id=grant.tenant_id)
        token = self._signed(grant)
        if not exchange.fault_is("unknown_token"):
            self._sandbox.tokens.add(token, grant)
        answer = {
            "access_token": token,
            "expires_in": int(self._sandbox.settings["connect_token_lifetime"]),
            "token_type": "Bearer",
            "scope": " ".join(sorted(grant.scopes)),
        }
        return web.json_response(answer, headers=_NO_STORE)

    def _client(self, request: web.Request, form: dict[str, str]) -> tuple[str, str]:
        """Client id and secret from the Basic header (RFC 6749, section 2.3.1) or from the form."""
        scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "basic" or not self._sandbox.settings["connect_basic_allowed"]:
            return form.get("client_id", ""), form.get("client_secret", "")
        try:
            client_id, _, secret = b64decode(encoded, validate=True).decode().partition(":")
        except (NotBase64, UnicodeDecodeError):
            raise Refused("invalid_client") from None
        return unquote_plus(client_id), unquote_plus(secret)

    def _checked(self, form: dict[str, str], client_id: str) -> Grant:
        settings = self._sandbox.settings
        if not form.get("grant_type"):
            raise Refused("invalid_request")
        if form["grant_type"] != "client_credentials":
            raise Refused("unsupported_grant_type")
        approved = frozenset(settings["connect_scopes"])
        scopes = frozenset(form.get("scope", "").split())
        if not scopes and not settings["connect_scope_required"]:
            scopes = approved
        if not scopes or not scopes <= approved:
            raise Refused("invalid_scope")  # one unknown scope fails all of them
        tenant_id = form.get("tenant_id", "")
        if tenant_id not in settings["connect_tenants"] and (
            tenant_id or settings["connect_tenant_required"]
        ):
            raise Refused("invalid_tenant")
        expires_at = self._sandbox.clock() + float(settings["connect_token_lifetime"])
        return Grant(client_id, tenant_id, scopes, expires_at)

    def _signed(self, grant: Grant) -> str:
        """The grant as a JWT access token (``at+jwt``) with the claims that Visma Connect documents."""
        claims: dict[str, Any] = {
            "iss": self._sandbox.url,
            "client_id": grant.client_id,
            "scope": sorted(grant.scopes),
            "tenant_id": grant.tenant_id,
            "aud": [f"{self._sandbox.url}/resources"],
            "nbf": int(self._sandbox.clock()),
            "exp": int(grant.expires_at),
        }
        if self._sandbox.settings["connect_include_jti"]:
            claims["jti"] = token_hex(16).upper()
        header = {"alg": "ES256", "kid": "sandbox", "typ": "at+jwt"}
        signed = f"{_base64url(json.dumps(header))}.{_base64url(json.dumps(claims))}"
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{_base64url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    async def discovery(self, request: web.Request) -> web.StreamResponse:
        exchange = await self._sandbox.begin(request, system="connect", operation="discovery")
        url = self._sandbox.url
        return await exchange.respond(
            web.json_response(
                {
                    "issuer": url,
                    "token_endpoint": f"{url}/connect/token",
                    "jwks_uri": f"{url}/.well-known/openid-configuration/jwks",
                    "grant_types_supported": ["client_credentials"],
                    "scopes_supported": list(self._sandbox.settings["connect_scopes"]),
                    "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
                }
            )
        )

    async def jwks(self, request: web.Request) -> web.StreamResponse:
        exchange = await self._sandbox.begin(request, system="connect", operation="jwks")
        public = self._key.public_key().public_numbers()
        key = {"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "sandbox"}
        key["x"] = _base64url(public.x.to_bytes(32, "big"))
        key["y"] = _base64url(public.y.to_bytes(32, "big"))
        return await exchange.respond(web.json_response({"keys": [key]}))


def _base64url(value: str | bytes) -> str:
    return urlsafe_b64encode(value if isinstance(value, bytes) else value.encode()).rstrip(b"=").decode()
