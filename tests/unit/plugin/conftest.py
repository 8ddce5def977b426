"""Airflow's own API server application with our pages in it, an auth manager and real tokens."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import pytest
from airflow import settings
from airflow.api_fastapi.app import create_app, get_auth_manager, purge_cached_app
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.models.base import Base
from airflow.models.connection import Connection
from airflow.models.log import Log
from airflow.models.variable import Variable
from airflow.utils.session import create_session
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import delete

BASE_URL = "http://airflow.example"
SETTINGS = {
    "AIRFLOW__API__BASE_URL": BASE_URL,
    "AIRFLOW__API__SECRET_KEY": "a key for the tests",
    "AIRFLOW__API_AUTH__JWT_SECRET": "another key for the tests, and long enough for what it has to sign",
    "AIRFLOW__CORE__AUTH_MANAGER": "demo.auth_manager.ReadersLook",
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "anna:op,bram:viewer,carla:op,dirk:user",
}


@pytest.fixture(scope="package")
def airflow_app() -> Iterator[FastAPI]:
    with mock.patch.dict(os.environ, SETTINGS):
        purge_cached_app()
        app = create_app("core")  # which imports every model
        Base.metadata.create_all(settings.engine)
        yield app
        purge_cached_app()


@pytest.fixture(autouse=True)
def _nothing_stored(airflow_app: FastAPI) -> Iterator[None]:
    yield
    with create_session() as session:
        for model in (Connection, Variable, Log):
            session.execute(delete(model))


@pytest.fixture
def browser(airflow_app: FastAPI) -> Callable[..., TestClient]:
    """Return what opens a browser in which somebody is signed in to Airflow, or nobody."""

    def open_browser(
        user: str | None = "anna", role: str = "op", root_path: str = "", **headers: str
    ) -> TestClient:
        client = TestClient(
            airflow_app,
            base_url=BASE_URL,
            root_path=root_path,
            headers={"accept-language": "en", **headers},
            follow_redirects=False,
            raise_server_exceptions=False,
        )
        if user:
            client.cookies.set(
                "_token", get_auth_manager().generate_jwt(SimpleAuthManagerUser(username=user, role=role))
            )
        return client

    return open_browser


@pytest.fixture
def anna(browser: Callable[..., TestClient]) -> TestClient:
    """Return the browser of somebody who may read and edit connections."""
    return browser("anna")


def csrf_of(page: str) -> str:
    """Return the token that the forms of a page carry."""
    (token,) = set(re.findall(r'name="csrf_token" value="([^"]+)"', page))
    return token


def audit_log() -> list[tuple[str, str | None, Any]]:
    """Return event, user and details of each row of Airflow's audit log."""
    with create_session() as session:
        return [(row.event, row.owner, row.extra) for row in session.query(Log).order_by(Log.id)]
