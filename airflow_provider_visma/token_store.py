"""Sessions in Airflow's Variables: the one thing that a task may both read and write, and Airflow encrypts.

There is no compare-and-swap on a Variable. Whoever saves a session says so to nobody; whoever is refused
with one has to look again (:mod:`airflow_provider_visma.protocols.renewal`).
"""

from __future__ import annotations

import hashlib
import sys
from typing import Protocol

from airflow_provider_visma.exceptions import (
    VismaConnectionConfigError,
    VismaPermissionError,
    VismaUnavailableError,
)
from airflow_provider_visma.protocols.authorization_code import Session
from airflow_provider_visma.protocols.turns import Claim

_CLAIM = "_turn"
_DESCRIPTION = "A session of airflow-provider-visma. Signing in again replaces it."


def token_key(*what: str) -> str:
    """Return the key of the Variable for the session of *what*, such as a host and a client id.

    It holds the word "token", so that Airflow masks the value in its UI and in logs.
    """
    digest = hashlib.sha256("\0".join(what).encode()).hexdigest()
    return f"visma_token_{digest[:24]}"


class VariableTokenStore:
    """Keeps a session in the Variable *key*, in whatever process of Airflow this is."""

    def __init__(self, key: str, *, system: str | None = None, conn_id: str | None = None) -> None:
        self.key = key
        self._system = system
        self._conn_id = conn_id

    def load(self) -> Session | None:
        """Return the stored session, None where there is none.

        :raises VismaUnavailableError: Airflow does not say whether there is one.
        :raises VismaPermissionError: this task may not read it.
        :raises VismaConnectionConfigError: something else is stored there.
        """
        variables = _variables()
        try:
            text = variables.read(self.key)
            # Airflow takes a reading that failed for a Variable that is not there. Nobody must sign in again
            # because the API server was busy, nor redeem an old refresh token that a rotation has replaced.
            unreadable = text is None and variables.exists(self.key)
        except PermissionError:
            raise VismaPermissionError(
                f"this task may not read the Variable {self.key}", system=self._system, conn_id=self._conn_id
            ) from None
        except Exception as error:
            raise self._unavailable("read", error) from None
        if unreadable:
            raise self._unavailable("read", None)
        if text is None:
            return None
        try:
            return Session.from_json(text)
        except ValueError:
            raise VismaConnectionConfigError(
                f"the Variable {self.key} holds no session",
                system=self._system,
                conn_id=self._conn_id,
                advice="Delete it and sign in again.",
            ) from None

    def save(self, session: Session) -> None:
        """Store *session*.

        :raises VismaUnavailableError: Airflow did not store it.
        :raises VismaConnectionConfigError: it is stored and cannot be read, since a secrets backend holds
            something else under the key.
        """
        variables, text = _variables(), session.to_json()
        try:
            before = variables.read(self.key)
            variables.write(self.key, text)
            after = variables.read(self.key)
        except Exception as error:
            raise self._unavailable("saved", error) from None
        if after is not None and after == before != text:
            raise VismaConnectionConfigError(
                f"a secrets backend or the environment holds a Variable {self.key}, which hides the session",
                system=self._system,
                conn_id=self._conn_id,
                advice="Delete it there: the session is in Airflow's own database, and is used from then on.",
            )

    def load_claim(self) -> Claim | None:
        """Return the claim of who is renewing the session, None where there is none to go by.

        :raises VismaUnavailableError: Airflow does not answer.
        """
        try:
            text = _variables().read(self.key + _CLAIM)
        except Exception as error:
            raise self._unavailable("read", error) from None
        try:
            return None if text is None else Claim.from_json(text)
        except ValueError:
            return None

    def save_claim(self, claim: Claim) -> None:
        """Write down who is renewing the session.

        :raises VismaUnavailableError: Airflow did not store it.
        """
        try:
            _variables().write(self.key + _CLAIM, claim.to_json())
        except Exception as error:
            raise self._unavailable("saved", error) from None

    def clear(self) -> None:
        """Forget the session.

        :raises VismaUnavailableError: Airflow does not answer.
        """
        try:
            _variables().delete(self.key)
        except Exception as error:
            raise self._unavailable("deleted", error) from None

    def _unavailable(self, done: str, error: Exception | None) -> VismaUnavailableError:
        why = f" ({type(error).__name__})" if error else ""  # its text may hold the session
        return VismaUnavailableError(
            f"the session in the Variable {self.key} could not be {done}{why}",
            system=self._system,
            conn_id=self._conn_id,
            advice="Check that Airflow's API server and database answer, and that its Fernet key is still the"
            " one that the Variable was saved with.",
        )


class _Variables(Protocol):
    def read(self, key: str) -> str | None: ...
    def exists(self, key: str) -> bool: ...
    def write(self, key: str, text: str) -> None: ...
    def delete(self, key: str) -> None: ...


def _variables() -> _Variables:
    """Return the way to Variables that this process has: a supervisor's, or the database."""
    # As airflow.models.Variable itself tells them apart; the attribute exists only once there is one.
    task_runner = sys.modules.get("airflow.sdk.execution_time.task_runner")
    return _OfTask() if getattr(task_runner, "SUPERVISOR_COMMS", None) is not None else _OfServer()


class _OfTask:
    """Variables of a task or a trigger, through its supervisor."""

    def read(self, key: str) -> str | None:
        from airflow.sdk import Variable

        value = Variable.get(key, default=None)
        return None if value is None else str(value)

    def exists(self, key: str) -> bool:
        from airflow.sdk import Variable

        return key in list(Variable.keys(prefix=key))

    def write(self, key: str, text: str) -> None:
        from airflow.sdk import Variable

        Variable.set(key, text, description=_DESCRIPTION)

    def delete(self, key: str) -> None:
        from airflow.sdk import Variable

        Variable.delete(key)


class _OfServer:
    """Variables of the API server or of a command line, from the database."""

    def read(self, key: str) -> str | None:
        from airflow.models import Variable

        value = Variable.get(key, default_var=None, team_name=self._team(key))
        return None if value is None else str(value)

    def exists(self, key: str) -> bool:
        from airflow.models import Variable
        from airflow.utils.session import create_session
        from sqlalchemy import select

        with create_session() as session:
            return session.scalar(select(Variable.id).where(Variable.key == key)) is not None

    def write(self, key: str, text: str) -> None:
        from airflow.models import Variable

        Variable.set(key, text, description=_DESCRIPTION)

    def delete(self, key: str) -> None:
        from airflow.models import Variable

        Variable.delete(key, team_name=self._team(key))

    def _team(self, key: str) -> str | None:
        """Return whose task saved the Variable first: Airflow hides it from everybody else."""
        from airflow.configuration import conf
        from airflow.models import Variable

        several_teams = conf.getboolean("core", "multi_team", fallback=False)
        return Variable.get_team_name(key) if several_teams else None
