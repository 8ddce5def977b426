"""What this side remembers of the sign-ins that have begun.

A record is a row among Airflow's Variables: the verifier in it is encrypted, and every API server and the
command line see it. It is read from the database itself: no secrets backend has a say in what was begun here.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, field

_KEY = "visma_secret_sign_in_"  # the word "secret" has Airflow mask the value


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInRecord:
    """A sign-in that has begun.

    :param token_key: where its session is to be stored.
    :param by: who began, and has to finish.
    :param verifier: of PKCE, to redeem the code with.
    """

    conn_id: str
    token_key: str
    redirect_uri: str
    by: str
    verifier: str = field(repr=False)


def new_id(now: float) -> str:
    """Return an id that nobody can guess and that says when it was made."""
    return f"{int(now):012d}_{secrets.token_urlsafe(24)}"


def began_at(record_id: str) -> float:
    """Return when the id was made, in seconds since 1970.

    :raises ValueError: it is no id.
    """
    return float(record_id.partition("_")[0])


def remember(record_id: str, record: SignInRecord, *, forget_before: float) -> None:
    """Write a record, and delete those that are older than *forget_before*."""
    from airflow.models import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    with create_session(scoped=False) as session:
        session.execute(
            delete(Variable).where(
                Variable.key.startswith(_KEY, autoescape=True),
                Variable.key < f"{_KEY}{int(forget_before):012d}",
            )
        )
        Variable.set(_KEY + record_id, json.dumps(asdict(record)), session=session)


def recall(record_id: str) -> SignInRecord | None:
    """Return a record, None where it is gone."""
    from airflow.models import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session(scoped=False) as session:
        row = session.scalar(select(Variable).where(Variable.key == _KEY + record_id))
        text = row.get_val() if row is not None else None
    return None if text is None else SignInRecord(**json.loads(text))


def take(record_id: str) -> bool:
    """Delete a record and return whether it was there: of all who try at once, one succeeds."""
    from airflow.models import Variable
    from airflow.utils.session import create_session

    with create_session(scoped=False) as session:
        return Variable.delete(_KEY + record_id, session=session) == 1
