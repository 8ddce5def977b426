"""Airflow's own Variables in a database of their own, without the rest of Airflow's tables."""

from __future__ import annotations


def create_tables() -> None:
    """Make the tables that Variables and connections need, and empty them."""
    from airflow import settings
    from airflow.models import Connection, Variable
    from airflow.models.base import Base
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    tables = [Base.metadata.tables[name] for name in ("team", "variable", "connection")]
    Base.metadata.create_all(settings.get_engine(), tables=tables)
    with create_session(scoped=False) as session:
        session.execute(delete(Variable))
        session.execute(delete(Connection))


def stored_values() -> dict[str, str]:
    """Return key and value of all Variables, as they are in the database."""
    from airflow.models import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session(scoped=False) as session:
        return dict(session.execute(select(Variable.key, Variable._val)).tuples().all())
