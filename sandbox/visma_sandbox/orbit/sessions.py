"""Who has signed in: codes, the access tokens and refresh tokens of each session, and what became of them.

What must stay true: a token's value leaves this module only for the client that it is made for. Others are
told the session's number and the token's generation, which say who used what and are worth nothing.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from hmac import compare_digest
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from visma_sandbox.app import Sandbox

_KEPT: Final = 20_000


class GrantRefused(Exception):
    """A code or a refresh token is worth nothing.

    :param reason: for the journal; the client is only told ``invalid_grant``.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(slots=True)
class Session:
    """What one signing in gave: a family of tokens.

    :param generation: of the newest refresh token; the first one is 1.
    :param access_tokens: how many were given.
    """

    number: int
    client_id: str
    generation: int = 0
    access_tokens: int = 0
    revoked: bool = False


@dataclass(frozen=True, slots=True)
class Access:
    """An access token: the session's so-manieth, and until when it holds."""

    session: Session
    number: int
    expires_at: float


@dataclass(slots=True)
class _Refresh:
    session: Session
    generation: int
    expires_at: float | None
    used_at: float | None = None


@dataclass(slots=True)
class _Code:
    client_id: str
    redirect_uri: str
    challenge: str
    expires_at: float
    session: Session | None = None


@dataclass(frozen=True, slots=True)
class Given:
    """Tokens on their way to a client.

    :param presented: generation of the refresh token that was shown for them; None for a code.
    :param refresh_token: None when the answer has none.
    """

    access: Access
    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    presented: int | None = None


class SessionBook:
    """All of them, and the rules that the switches set."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self.clear()

    def clear(self) -> None:
        """Let no code and no token be worth anything."""
        self._sessions: list[Session] = []
        self._codes: dict[str, _Code] = {}
        self._access: dict[str, Access] = {}
        self._refresh: dict[str, _Refresh] = {}

    def counts(self) -> dict[str, int]:
        """How many sessions there were, how many were revoked, and how often one was refreshed."""
        return {
            "signed_in": len(self._sessions),
            "revoked": sum(each.revoked for each in self._sessions),
            "access_tokens": sum(each.access_tokens for each in self._sessions),
        }

    def new_code(self, client_id: str, redirect_uri: str, challenge: str) -> str:
        """A code that the person's browser carries to the client.

        :param challenge: of PKCE, S256; empty without.
        """
        code = token_urlsafe(24)
        expires_at = self._sandbox.clock() + float(self._sandbox.settings["orbit_code_lifetime"])
        _keep(self._codes, code, _Code(client_id, redirect_uri, challenge, expires_at))
        return code

    def redeem(self, code: str, *, client_id: str, redirect_uri: str, verifier: str) -> Given:
        """Tokens for a code, once.

        :raises GrantRefused: when it is unknown, used, expired, another client's, or meant for another
            address or another verifier. One that was used revokes what it gave (RFC 6749, section 4.1.2).
        """
        found = self._codes.get(code)
        if found is None:
            raise GrantRefused("unknown code")
        if found.session is not None:
            found.session.revoked = True
            raise GrantRefused("used code")
        if self._sandbox.clock() >= found.expires_at:
            raise GrantRefused("expired code")
        if found.client_id != client_id:
            raise GrantRefused("another client's code")
        if found.redirect_uri != redirect_uri:
            raise GrantRefused("another redirect_uri")
        if not _is_verified(found.challenge, verifier):
            raise GrantRefused("PKCE")
        found.session = session = self.sign_in(client_id)
        return self._give(session, None)

    def sign_in(self, client_id: str) -> Session:
        """Begin a session."""
        session = Session(len(self._sessions) + 1, client_id)
        self._sessions.append(session)
        return session

    def open(self, client_id: str) -> Given:
        """Begin a session and give its first tokens."""
        return self._give(self.sign_in(client_id), None)

    def refresh(self, token: str, *, client_id: str) -> Given:
        """New tokens for a refresh token.

        :raises GrantRefused: when it is unknown, expired, used, another client's, or its session was revoked.
        """
        settings, now = self._sandbox.settings, self._sandbox.clock()
        found = self._refresh.get(token)
        if found is None:
            raise GrantRefused("unknown refresh token")
        if found.session.client_id != client_id:
            raise GrantRefused("another client's refresh token")
        if found.session.revoked:
            raise GrantRefused("revoked session")
        if found.expires_at is not None and now >= found.expires_at:
            raise GrantRefused("expired refresh token")
        if found.used_at is not None and now >= found.used_at + float(settings["orbit_refresh_grace"]):
            if settings["orbit_reuse_revokes"]:
                found.session.revoked = True
            raise GrantRefused(f"used refresh token, generation {found.generation}")
        way = settings["orbit_refresh_token"]
        if way == "rotated" and found.used_at is None:
            found.used_at = now
        return self._give(found.session, found, token)

    def access(self, token: str) -> Access | None:
        """What an access token says; None when it is worth nothing."""
        found = self._access.get(token)
        if found is None or found.session.revoked or self._sandbox.clock() >= found.expires_at:
            return None
        return found

    def forget(self, token: str) -> None:
        """Let an access token be worth nothing from now on."""
        self._access.pop(token, None)

    def _give(self, session: Session, shown: _Refresh | None, token: str = "") -> Given:
        settings, now = self._sandbox.settings, self._sandbox.clock()
        session.access_tokens += 1
        access = Access(session, session.access_tokens, now + float(settings["orbit_access_lifetime"]))
        access_token = token_urlsafe(32)
        _keep(self._access, access_token, access)
        refresh_token: str | None = None
        way = settings["orbit_refresh_token"]
        if way == "rotated" or (shown is None and way != "never"):
            lifetime = float(settings["orbit_refresh_lifetime"])
            session.generation += 1
            refresh_token = token_urlsafe(36)
            made = _Refresh(session, session.generation, now + lifetime if lifetime else None)
            _keep(self._refresh, refresh_token, made)
        elif way == "same":
            refresh_token = token
        return Given(access, access_token, refresh_token, None if shown is None else shown.generation)


def note_of(given: Given) -> dict[str, Any]:
    """What the journal may tell of tokens that were given."""
    return {
        "session": given.access.session.number,
        "presented_generation": given.presented,
        "given_generation": given.access.session.generation if given.refresh_token else None,
        "access": given.access.number,
    }


def _is_verified(challenge: str, verifier: str) -> bool:
    if not challenge:
        return not verifier  # a verifier without a challenge: what was begun is not what is ended
    found = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=")
    return compare_digest(found, challenge.encode())


def _keep(found: dict[str, Any], key: str, value: Any) -> None:
    found[key] = value
    if len(found) > _KEPT:
        del found[next(iter(found))]
