"""Whose turn it is to redeem a refresh token, among processes that share nothing but a place to write to.

Two that redeem it at once cost a session where a service takes the second for a thief (RFC 9700, 4.14.2).
There is no compare-and-swap on that place, so this is Fischer's algorithm: write down a claim, wait longer
than anybody else's writing can take, and go on only where the claim still stands. A claim is void after a
minute and a half, so that one who died with it stops nobody for long; no renewal may take longer. It is also
a rehearsal: where nothing can be written, that is known before the refresh token is used up.
"""

from __future__ import annotations

import json
import random
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Protocol

LASTS = 90.0
_SETTLES = 1.0
_LOOK_AGAIN = 0.5
_MOST_LOOKS = 240


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """That somebody is about to redeem a refresh token.

    :param of: fingerprint of the refresh token.
    :param by: who, by a name made up for this once; empty where the claim was given up.
    :param at: when, in seconds since 1970.
    """

    of: str
    by: str
    at: float

    def stands(self, of: str, now: float) -> bool:
        """Return whether somebody is redeeming the refresh token *of*."""
        return bool(self.by) and self.of == of and abs(now - self.at) < LASTS

    def to_json(self) -> str:
        """Return the claim as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Claim:
        """Read what :meth:`to_json` wrote.

        :raises ValueError: it is something else.
        """
        try:
            known = json.loads(text)
            return cls(of=str(known["of"]), by=str(known["by"]), at=float(known["at"]))
        except (KeyError, TypeError, ValueError, OverflowError, RecursionError):
            raise ValueError("this is no claim") from None


class ClaimStore(Protocol):
    """Where the last claim is kept between processes."""

    def load_claim(self) -> Claim | None:
        """Return the claim that was written last, None where there is none."""

    def save_claim(self, claim: Claim) -> None:
        """Write *claim* in place of what is there."""


class Turns:
    """Takes turns with other processes.

    :param clock: seconds, monotonic.
    :param wall_clock: seconds since 1970.
    :param sleep: waits.
    """

    def __init__(
        self,
        store: ClaimStore,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._clock = clock
        self._wall_clock = wall_clock
        self._sleep = sleep
        self._ours: Claim | None = None

    def wait(self, of: str, *, is_moot: Callable[[], bool]) -> None:
        """Wait until it is our turn to redeem the refresh token *of*, or *is_moot* says that no one need.

        Whoever waited for longer than a claim lasts goes on all the same.
        """
        for _ in range(_MOST_LOOKS):
            if is_moot() or self._claimed(of):
                return
            self._sleep(_LOOK_AGAIN * random.uniform(0.5, 1.5))  # noqa: S311 - to keep apart, not to hide

    def give_up(self) -> None:
        """Let another one try at once, unless it is somebody else's turn by now."""
        if self._ours is not None and self._store.load_claim() == self._ours:
            self._store.save_claim(replace(self._ours, by=""))

    def _claimed(self, of: str) -> bool:
        began = self._clock()
        held = self._store.load_claim()
        if held is not None and held.stands(of, self._wall_clock()):
            return False
        claim = Claim(of=of, by=secrets.token_hex(8), at=self._wall_clock())
        self._store.save_claim(claim)
        self._sleep(max(_SETTLES, 3 * (self._clock() - began)))
        if self._store.load_claim() != claim:
            return False
        self._ours = claim
        return True
