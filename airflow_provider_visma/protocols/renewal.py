"""A session that outlives its access tokens (RFC 6749, section 6), shared by many processes.

A service may rotate the refresh token, and then the old one is worthless the moment the new one was sent.
So what a renewal brings is saved before anyone gets its access token; processes take turns; and whoever is
refused all the same looks first whether another one has saved something newer.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

import tenacity

from airflow_provider_visma.exceptions import (
    VismaAuthenticationError,
    VismaError,
    VismaPermanentError,
    VismaUnavailableError,
)
from airflow_provider_visma.protocols.authorization_code import CLIENT_REFUSALS, OAuthClient, Session
from airflow_provider_visma.protocols.bearer import AccessToken, TokenSource
from airflow_provider_visma.protocols.http import httpx
from airflow_provider_visma.protocols.token_endpoint import Refusals, request_token
from airflow_provider_visma.protocols.turns import ClaimStore, Turns

_OPERATION = "token"
_ROUNDS = 5
_LOOKS = 9
_SAVES = 5


_REFUSALS: Refusals = {**CLIENT_REFUSALS, "invalid_grant": (VismaAuthenticationError, "")}
# Where a service answers with a web page, no code says what was wrong: it may be the refresh token too.
_PERHAPS_USED_UP = ("invalid_grant", "HTTP 400", "HTTP 401")


class TokenStore(ClaimStore, Protocol):
    """Where a session is kept between processes, and the claim of who is renewing it."""

    def load(self) -> Session | None:
        """Return what was saved last, None where there is nothing."""

    def save(self, session: Session) -> None:
        """Save *session* in place of what is there."""


def fingerprint(refresh_token: str | None) -> str:
    """Return what a refresh token can be recognised by, empty for none."""
    return hashlib.sha256(refresh_token.encode()).hexdigest()[:16] if refresh_token else ""


class RenewingTokenSource(TokenSource):
    """Keeps a session going and lends its access tokens.

    :param client: whose session it is.
    :param store: where it is kept; called in a thread where an event loop asks for a token.
    :param open_client: opens the HTTP client that a renewal uses and closes; its time-outs have to be shorter
        than a turn.
    :param seed: a refresh token that somebody put into the connection. It is used where nothing is stored,
        and where what is stored was saved when the connection held another one.
    :param conn_id: the Airflow connection, for errors.
    :param sign_in: what to do when there is no session, for errors.
    :param on_token: called with every token before it is used, so that it can be masked.
    :param clock: seconds, monotonic.
    :param wall_clock: seconds since 1970.
    :param sleep: waits, between looks whether another process has saved something.
    """

    def __init__(
        self,
        client: OAuthClient,
        store: TokenStore,
        *,
        open_client: Callable[[], httpx.Client],
        seed: str | None = None,
        conn_id: str | None = None,
        sign_in: str = "Sign in again.",
        on_token: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(on_token=on_token, clock=clock)
        self.client = client
        self.store = store
        self.open_client = open_client
        self.conn_id = conn_id
        self.sign_in = sign_in
        self.seed = seed
        self._wall_clock = wall_clock
        self._sleep = sleep
        self._masked: set[str] = set()
        self._turns = Turns(store, clock=clock, wall_clock=wall_clock, sleep=sleep)
        self._unsaved: tuple[Session, Session | None] | None = None

    def _obtain(self) -> AccessToken:
        if self._unsaved is not None:  # the only refresh token there is may be in it
            self._saved(*self._unsaved)
        stored = self._load()
        session = self._seeded(stored) or stored
        if session is None:
            raise self._needs_sign_in("nobody has signed in yet")
        for _ in range(_ROUNDS):
            if session.access_token != self._dropped and session.fresh_at(self._wall_clock()):
                return self._token(session)
            held = self._after_our_turn(session, stored)
            if held != stored:
                stored = session = self._still_there(held)
                continue
            renewed = self._renewed(session)
            if isinstance(renewed, VismaError):
                stored = session = self._after_refusal(renewed, session, stored)
                continue
            session = self._saved(renewed, stored)
            if session is renewed:
                if renewed.refresh_token == (stored and stored.refresh_token):
                    self._give_up_turn()  # for the next one
                return self._token(renewed)
            stored = session
        raise VismaUnavailableError(
            "other tasks keep replacing the session",
            system=self.client.system,
            operation=_OPERATION,
            conn_id=self.conn_id,
            advice="A retry asks again. Two sign-ins of one client need the connection's extra account.",
        )

    def _load(self) -> Session | None:
        stored = self.store.load()
        self._mask(stored)
        return stored

    def _mask(self, session: Session | None) -> None:
        if session is not None and self.on_token is not None:
            for token in {session.access_token, session.refresh_token or ""} - self._masked - {""}:
                self.on_token(token)
                self._masked.add(token)

    def _seeded(self, stored: Session | None) -> Session | None:
        """Return the session that the connection's own refresh token begins, where that one is new."""
        seed = fingerprint(self.seed)
        if not seed or (stored is not None and stored.seed == seed):
            return None
        return Session(access_token="", refresh_token=self.seed, expires_at=None, obtained_at=0.0, seed=seed)

    def _token(self, session: Session) -> AccessToken:
        return AccessToken(
            value=session.access_token,
            lifetime=None if session.expires_at is None else session.expires_at - session.obtained_at,
            scopes=None,
            fresh_until=self._clock() + session.fresh_at(self._wall_clock()),
        )

    def _after_our_turn(self, session: Session, stored: Session | None) -> Session | None:
        """Wait for our turn to renew *session* and return what is stored then."""
        if session.refresh_token is None:
            raise self._needs_sign_in("the session has ended, and the service gave nothing to renew it with")
        self._turns.wait(fingerprint(session.refresh_token), is_moot=lambda: self._load() != stored)
        return self._load()

    def _renewed(self, session: Session) -> Session | VismaError:
        """Return what follows *session*, or the refusal where its refresh token may be used up."""
        asked_at = self._wall_clock()
        refresh_token = str(session.refresh_token)
        try:
            answer = request_token(
                self.client.token_url,
                self.client.form(grant_type="refresh_token", refresh_token=refresh_token),
                open_client=self.open_client,
                system=self.client.system,
                refusals=_REFUSALS,
            )
        except VismaError as error:
            self._give_up_turn()
            if error.code in _PERHAPS_USED_UP:
                return error
            error.conn_id = self.conn_id
            raise
        renewed = session.renewed(answer, asked_at=asked_at)
        self._mask(renewed)
        return renewed

    def _give_up_turn(self) -> None:
        with suppress(VismaError):  # it is void in a while anyhow
            self._turns.give_up()

    def _saved(self, renewed: Session, found: Session | None) -> Session:
        """Save *renewed* and return it, or what somebody else has put in place of *found* meanwhile.

        Another refresh token there is a newer sign-in, or what a service that lets the old one be redeemed
        for some seconds more gave to another process: either is as good, and overwriting it is worse.
        """

        def save() -> Session:
            held = self._load()
            if found is not None:
                self._still_there(held)
            if held is not None and (found is None or held.refresh_token != found.refresh_token):
                return held
            self.store.save(renewed)
            return renewed

        self._unsaved = renewed, found
        try:
            session = tenacity.Retrying(
                stop=tenacity.stop_after_attempt(_SAVES),
                wait=tenacity.wait_exponential(multiplier=0.5, max=5),
                retry=tenacity.retry_if_not_exception_type(VismaPermanentError),
                sleep=self._sleep,
                reraise=True,
            )(save)
        except VismaPermanentError:
            raise
        except Exception as error:
            raise VismaUnavailableError(
                f"the renewed session could not be saved ({type(error).__name__})",
                system=self.client.system,
                operation=_OPERATION,
                conn_id=self.conn_id,
                advice="Mend what keeps Airflow's Variables from being written"
                f"{f' ({error})' if isinstance(error, VismaError) else ''}; if a retry is told that the"
                f" refresh token is no longer accepted: {self.sign_in}",
            ) from None
        self._unsaved = None
        return session

    def _after_refusal(self, refusal: VismaError, refused: Session, found: Session | None) -> Session:
        """Return what another process saves within seconds, since it may have redeemed the token first.

        Where the connection's own refresh token was refused, it may be what has been there all along; that
        is noted, so that it is not tried again.

        :raises VismaAuthenticationError: nothing comes.
        """
        look = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(_LOOKS),
            wait=tenacity.wait_exponential_jitter(initial=0.1, max=2, jitter=0.2),
            retry=tenacity.retry_if_result(lambda held: held is None or held == found),
            retry_error_callback=lambda state: None,
            sleep=self._sleep,
        )
        held = look(self._load)
        if held is not None:
            return held
        if found is not None and refused.seed != found.seed:
            return self._saved(replace(found, seed=refused.seed), found)
        saved = datetime.fromtimestamp(refused.obtained_at, UTC)
        which = f"saved at {saved:%Y-%m-%d %H:%M:%S} UTC" if refused.obtained_at else "in the connection"
        why = refusal.message
        if refusal.code == "invalid_grant":
            why = "it was revoked, has expired, or was replaced by another that could not be saved"
        raise self._needs_sign_in(f"the refresh token {which} is not accepted: {why}", code=refusal.code)

    def _still_there(self, held: Session | None) -> Session:
        """Return *held*, which is stored in place of a session that was there a moment ago.

        :raises VismaAuthenticationError: nothing is: what a person ended must not come back.
        """
        if held is None:
            self._unsaved = None
            raise self._needs_sign_in("somebody signed out")
        return held

    def _needs_sign_in(self, message: str, code: str | None = None) -> VismaAuthenticationError:
        return VismaAuthenticationError(
            message,
            system=self.client.system,
            operation=_OPERATION,
            conn_id=self.conn_id,
            code=code,
            advice=self.sign_in,
        )
