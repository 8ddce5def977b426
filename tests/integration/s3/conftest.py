"""An S3 server, a connection that leads to it, and a bucket."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from airflow.sdk.io import store as stores

from tests.integration.s3.server import REGION, S3

BUCKET = "hr-data"

# A file system's connections belong to the process that made them; Airflow keeps file systems per process.
os.register_at_fork(after_in_child=stores._STORE_CACHE.clear)


@pytest.fixture(scope="session")
def running_s3() -> Iterator[S3]:
    server = S3()
    yield server
    server.stop()


@pytest.fixture
def s3(running_s3: S3, monkeypatch: pytest.MonkeyPatch) -> S3:
    """A server with one empty bucket, and a client that remembers nothing and hardly waits."""
    running_s3.reset(BUCKET)
    stores._STORE_CACHE.clear()
    monkeypatch.setenv("AIRFLOW_CONN_STORE", json.dumps(connection(running_s3.endpoint)))
    return running_s3


def connection(endpoint: str) -> dict[str, Any]:
    return {
        "conn_type": "aws",
        "login": "synthetic",
        "password": "synthetic",
        "extra": {
            "endpoint_url": endpoint,
            "region_name": REGION,
            "config_kwargs": {"retries": {"max_attempts": 0}},
        },
    }


@pytest.fixture
def destination(s3: S3) -> str:
    return f"s3://store@{BUCKET}/out"
