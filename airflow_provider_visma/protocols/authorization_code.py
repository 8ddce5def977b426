"""A person signs in at the service, and this program gets a session (RFC 6749, section 4.1, with PKCE).

Every sign-in has a verifier of its own (RFC 7636, S256): whoever sees the address on which the browser
ended cannot redeem the code in it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import SplitResult, parse_qs, parse_qsl, urlencode, urlsplit

from airflow_provider_visma.exceptions import (
    VismaAuthenticationError,
    VismaPermissionError,
    VismaRequestError,
)
from airflow_provider_visma.protocols.bearer import fresh_for
from airflow_provider_visma.protocols.http import httpx
from airflow_provider_visma.protocols.token_endpoint import Refusals, TokenAnswer, request_token

_LONGEST_ADDRESS = 8192
_ERROR_CODE = re.compile(r"[a-z_]{1,40}")
_CLOCKS_APART = 60.0
_LAST_MOMENT = 253_402_300_799.0  # of the year 9999

CLIENT_REFUSALS: Refusals = {
    "invalid_client": (
        VismaAuthenticationError,
        "Check client id and client secret in the connection; leave the secret empty for a public client.",
    ),
    "unauthorized_client": (
        VismaPermissionError,
        "The client may not sign in this way: have the grant authorization_code enabled for it.",
    ),
    "invalid_scope": (VismaPermissionError, "Leave the connection's scope empty, or correct it."),
    "invalid_request": (VismaRequestError, "Check the connection's client id, redirect_uri and scope."),
}
_CODE_REFUSALS: Refusals = {
    **CLIENT_REFUSALS,
    "invalid_grant": (
        VismaAuthenticationError,
        "The code was used before, has expired, or belongs to another client or redirect_uri: sign in again.",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthClient:
    """A client as it is registered with a service.

    :param client_secret: empty for a public client.
    :param redirect_uri: where the service sends the browser when the person has signed in.
    :param scope: sent as it is, empty too.
    :param system: the service's name in errors.
    """

    authorize_url: str
    token_url: str
    client_id: str
    client_secret: str = field(default="", repr=False)
    redirect_uri: str = ""
    scope: str = ""
    system: str | None = None

    def form(self, **grant: str) -> dict[str, str]:
        """Return the form of a token request: *grant*, and who asks."""
        form = {**grant, "client_id": self.client_id}
        return {**form, "client_secret": self.client_secret} if self.client_secret else form


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What signing in brings: it lasts as long as its refresh token can be redeemed.

    :param refresh_token: None where the service gives none, and the session ends with the access token.
    :param expires_at: when the access token does, in seconds since 1970; None if that was not said.
    :param obtained_at: when it was asked for, in seconds since 1970.
    :param seed: fingerprint of the refresh token that the connection held when this was saved.
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_at: float | None
    obtained_at: float
    seed: str = ""

    def fresh_at(self, now: float) -> float:
        """Return for how many seconds more the access token is to be used; 0 when no longer."""
        if not self.access_token or now < self.obtained_at - _CLOCKS_APART:
            return 0.0  # obtained in the future: by the clock of some other machine, it says nothing
        lifetime = None if self.expires_at is None else self.expires_at - self.obtained_at
        return max(0.0, self.obtained_at + fresh_for(lifetime) - now)

    def renewed(self, answer: TokenAnswer, *, asked_at: float) -> Session:
        """Return the session after a renewal; a refresh token that was left out stays as it is."""
        issued = session_from(answer, asked_at=asked_at)
        return replace(issued, refresh_token=issued.refresh_token or self.refresh_token, seed=self.seed)

    def to_json(self) -> str:
        """Return all of it, the tokens too, as JSON."""
        return json.dumps({name: getattr(self, name) for name in self.__slots__})

    @classmethod
    def from_json(cls, text: str) -> Session:
        """Read what :meth:`to_json` wrote.

        :raises ValueError: it is something else. The message repeats nothing of it.
        """
        try:
            known = json.loads(text)
            session = cls(**{name: known[name] for name in cls.__slots__ if name in known})
        except (TypeError, ValueError, RecursionError):
            raise ValueError("this is no session") from None
        if not session._is_sound():
            raise ValueError("this is no session")
        return session

    def _is_sound(self) -> bool:
        return (
            isinstance(self.access_token, str)
            and isinstance(self.refresh_token, str | None)
            and (self.expires_at is None or _is_moment(self.expires_at))
            and _is_moment(self.obtained_at)
            and isinstance(self.seed, str)
        )


@dataclass(frozen=True, slots=True)
class Pkce:
    """The secret of one sign-in, and what the service is told of it beforehand."""

    verifier: str = field(repr=False)
    challenge: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the address says on which the browser ended.

    :param error: the service's code for why there is no code.
    """

    code: str | None = field(repr=False)
    state: str | None = field(repr=False)
    error: str | None


def new_pkce() -> Pkce:
    """Return a verifier and its challenge (S256)."""
    verifier = secrets.token_urlsafe(48)
    digest = hashlib.sha256(verifier.encode()).digest()
    return Pkce(verifier, base64.urlsafe_b64encode(digest).rstrip(b"=").decode())


def authorization_address(client: OAuthClient, *, state: str, challenge: str) -> str:
    """Return the address at which a person signs in.

    :param state: comes back with the answer.
    """
    parts = urlsplit(client.authorize_url)
    query = {
        **dict(parse_qsl(parts.query)),
        "response_type": "code",
        "client_id": client.client_id,
        "redirect_uri": client.redirect_uri,
        "scope": client.scope,
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    return parts._replace(query=urlencode(query), fragment="").geturl()


def read_answer(address: str) -> Answer:
    """Read the address on which the browser ended, whole or only its query.

    :raises VismaRequestError: it is too long, or says something twice (RFC 6749, 3.1, forbids that).
    """
    address = "".join(address.split())  # a terminal wraps what is pasted
    if len(address) > _LONGEST_ADDRESS:
        raise VismaRequestError(f"the address is longer than {_LONGEST_ADDRESS} characters")
    told = parse_qs(_query(address), keep_blank_values=True)
    return Answer(_once(told, "code"), _once(told, "state"), _error_code(_once(told, "error")))


def redeem_code(
    client: OAuthClient,
    code: str,
    verifier: str,
    *,
    open_client: Callable[[], httpx.Client],
    clock: Callable[[], float] = time.time,
) -> Session:
    """Turn a code into a session, once.

    :param open_client: opens the HTTP client that is used and closed.
    :param clock: seconds since 1970.
    :raises VismaError: there is none; the code may be used up all the same.
    """
    asked_at = clock()
    form = client.form(
        grant_type="authorization_code", code=code, redirect_uri=client.redirect_uri, code_verifier=verifier
    )
    answer = request_token(
        client.token_url, form, open_client=open_client, system=client.system, refusals=_CODE_REFUSALS
    )
    return session_from(answer, asked_at=asked_at)


def session_from(answer: TokenAnswer, *, asked_at: float) -> Session:
    """Return the session that a token endpoint's answer begins."""
    return Session(
        access_token=answer.access_token,
        refresh_token=answer.refresh_token,
        expires_at=None if answer.lifetime is None else asked_at + max(answer.lifetime, 0.0),
        obtained_at=asked_at,
    )


def _is_moment(seconds: object) -> bool:
    return isinstance(seconds, int | float) and 0 <= seconds <= _LAST_MOMENT


def _query(address: str) -> str:
    if "?" not in address and "://" not in address:
        return address
    try:
        parts: SplitResult = urlsplit(address)
    except ValueError:
        return ""
    return parts.query


def _once(told: dict[str, list[Any]], name: str) -> str | None:
    values = told.get(name, [])
    if len(values) > 1:
        raise VismaRequestError(f"the address says {name} twice")
    return str(values[0]) if values and values[0] else None


def _error_code(code: str | None) -> str | None:
    return code if code is None or _ERROR_CODE.fullmatch(code) else "unreadable"
