"""The Airflow connections that lead to a sandbox, in the JSON form that ``AIRFLOW_CONN_*`` takes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from visma_sandbox import credentials
from visma_sandbox.connect import ALL_SCOPES
from visma_sandbox.nmbrs_documents import DOCUMENT_TYPES

DEFAULT_URL = "http://127.0.0.1:8765"
DEFAULT_FILES_URL = "http://127.0.0.1:8766"


def connections(
    url: str = DEFAULT_URL,
    files_url: str = DEFAULT_FILES_URL,
    certificate: str | None = None,
    *,
    orbit_redirect_uri: str = "",
) -> dict[str, dict[str, Any]]:
    """Connection id -> conn_type, host, login, password, and extra where there is any.

    :param certificate: PEM file to trust when the sandbox serves TLS.
    :param orbit_redirect_uri: where Orbit sends the browser of a person who signs in; empty leaves it to
        who reads the connection, since only Airflow knows its own address.
    """
    trust = {} if certificate is None else {"verify": certificate}
    redirect = {"redirect_uri": orbit_redirect_uri} if orbit_redirect_uri else {}
    found: dict[str, dict[str, Any]] = {
        "nmbrs_default": {
            "conn_type": "nmbrs",
            "host": url,
            "login": credentials.NMBRS_LOGIN,
            "password": credentials.NMBRS_TOKEN,
            "extra": {
                "domain": credentials.NMBRS_DOMAIN,
                "document_type": DOCUMENT_TYPES[0],
                **trust,
            },
        },
        "dialog_default": {
            "conn_type": "dialog",
            "host": f"{url}/scim/v2",
            "password": credentials.DIALOG_TOKEN,
            "extra": trust,
        },
        "severa_default": {
            "conn_type": "severa",
            "host": url,
            "password": credentials.SEVERA_KEY,
            "extra": trust,
        },
        "teamleader_orbit_default": {
            "conn_type": "teamleader_orbit",
            "host": f"{url}/orbit",
            "login": credentials.ORBIT_CLIENT_ID,
            "password": credentials.ORBIT_CLIENT_SECRET,
            "extra": {**redirect, **trust},
        },
        "teamleader_orbit_reporting_default": {
            "conn_type": "teamleader_orbit_reporting",
            "host": url,
            "login": credentials.ORBIT_REPORTING_LOGIN,
            "password": credentials.ORBIT_REPORTING_PASSWORD,
            "extra": {"test_server": True, **trust},
        },
        "visma_hrm_default": {
            "conn_type": "visma_hrm",
            "host": url,
            "login": credentials.HRM_CLIENT_ID,
            "password": credentials.HRM_CLIENT_SECRET,
            "extra": {
                "connect_url": f"{url}/connect/token",
                "tenant_id": credentials.HRM_TENANT_ID,
                "scopes": " ".join(ALL_SCOPES),
                "file_hosts": urlsplit(files_url).hostname,
                "allow_insecure_files": True,
                **trust,
            },
        },
    }
    for connection in found.values():
        if not connection["extra"]:  # `airflow connections import` ends in an error on an empty one
            del connection["extra"]
    return found


def environment(found: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The same as environment variables.

    :param found: what :func:`connections` returned.
    """
    return {
        f"AIRFLOW_CONN_{conn_id.upper()}": json.dumps(connection) for conn_id, connection in found.items()
    }
