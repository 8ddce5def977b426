"""The connection forms, as data.

Airflow 3.3 draws its connection form from provider-info alone. A field whose value is secret must be
named so that Airflow redacts it (``password``, ``client_secret``, ``…_token``): it goes by key name.
"""

from __future__ import annotations

from typing import Any


def _optional(label: str, description: str, **schema: Any) -> dict[str, Any]:
    kind = schema.pop("type", "string")
    return {"label": label, "description": description, "schema": {"type": [kind, "null"], **schema}}


_NETWORK_FIELDS = {
    "timeout": _optional(
        "Time-out (s)", "Seconds to wait for the next byte. Default 120.", type="integer", minimum=1
    ),
    "proxy": _optional("Proxy", "Address of an HTTP proxy. Redacted, since it may hold a password."),
    "verify": _optional(
        "CA bundle", "Path of a CA bundle to trust instead of the system's; false only for tests."
    ),
}

NMBRS: dict[str, Any] = {
    "connection-type": "nmbrs",
    "hook-class-name": "airflow_provider_visma.hooks.nmbrs.NmbrsHook",
    "hook-name": "Nmbrs",
    "ui-field-behaviour": {
        "hidden-fields": ["schema", "port"],
        "relabeling": {"host": "Address", "login": "E-mail of the API user", "password": "API token"},
        "placeholders": {"host": "https://api.nmbrs.nl", "login": "api@example.com"},
    },
    "conn-fields": {
        "domain": {
            "label": "Domain",
            "description": "The first part of your Nmbrs address, such as acme for acme.nmbrs.nl.",
            "schema": {"type": "string"},
        },
        "max_concurrency": _optional(
            "Calls at once", "How many calls may run at the same time. Default 4.", type="integer", minimum=1
        ),
        "document_type": _optional(
            "Document type GUID",
            "GUID of the document type to file documents under; Nmbrs has no list of it.",
        ),
        "personal_info_without_bsn": _optional(
            "Keep the BSN off the wire",
            "Read names with PersonalInfoWithoutBSN_Get_GetAllEmployeesByCompany, which has to be opened for"
            " the API user. Without it the BSN is sent by Nmbrs and dropped unread.",
            type="boolean",
        ),
        **_NETWORK_FIELDS,
    },
}

DIALOG: dict[str, Any] = {
    "connection-type": "dialog",
    "hook-class-name": "airflow_provider_visma.hooks.dialog.DialogHook",
    "hook-name": "Dialog (SCIM 2.0)",
    "ui-field-behaviour": {
        "hidden-fields": ["schema", "port", "login"],
        "relabeling": {"host": "SCIM address", "password": "Bearer token"},
        "placeholders": {"host": "https://api.dialog.nl/scim/v2"},
    },
    "conn-fields": {
        "max_concurrency": _optional(
            "Requests at once",
            "How many requests may run at the same time where the service has no Bulk. Default 8.",
            type="integer",
            minimum=1,
        ),
        "nmbrs_conn_id": _optional(
            "Nmbrs connection",
            "Where this Dialog's users come from; the integration screen tests it. Default nmbrs_default.",
        ),
        "import_dag": _optional(
            "Import DAG",
            "The DAG that brings them; the integration screen shows and starts it. For dialog_default it is"
            " nmbrs_to_dialog where this is empty.",
        ),
        **_NETWORK_FIELDS,
    },
}

VISMA_HRM: dict[str, Any] = {
    "connection-type": "visma_hrm",
    "hook-class-name": "airflow_provider_visma.hooks.hrm.VismaHrmHook",
    "hook-name": "Visma.net HRM & Payroll",
    "ui-field-behaviour": {
        "hidden-fields": ["schema", "port"],
        "relabeling": {"host": "Address", "login": "Client ID", "password": "Client secret"},
        "placeholders": {"host": "https://api.analytics1.hrm.visma.net", "login": "isv_…"},
    },
    "conn-fields": {
        "tenant_id": {
            "label": "Tenant ID",
            "description": "Customer's tenant, from Integrations > Customers in the Visma Developer Portal.",
            "schema": {"type": "string"},
        },
        "scopes": _optional(
            "Scopes",
            "Separated by spaces, such as hrmanalytics:nlhrm:exportemployees. Visma Connect's documentation"
            " requires them; where this is empty none is sent and the service decides.",
        ),
        # Not "token_url": Airflow redacts every key that holds the word "token", and this is no secret.
        "connect_url": _optional(
            "Visma Connect address",
            "Address of the token endpoint. Default https://connect.visma.com/connect/token.",
        ),
        "file_hosts": _optional(
            "File hosts",
            "Hosts that export files may come from, separated by spaces; .example.net allows every host"
            " below it. Empty: only the API's own host.",
        ),
        "allow_insecure_files": _optional(
            "Allow insecure file links",
            "Accept http and private addresses for export files. Only for a test server.",
            type="boolean",
        ),
        **_NETWORK_FIELDS,
    },
}

SEVERA: dict[str, Any] = {
    "connection-type": "severa",
    "hook-class-name": "airflow_provider_visma.hooks.severa.SeveraHook",
    "hook-name": "Visma Severa",
    "ui-field-behaviour": {
        "hidden-fields": ["schema", "port", "login"],
        "relabeling": {"host": "Address", "password": "API key"},
        "placeholders": {"host": "https://sync.severa.com"},
    },
    "conn-fields": {
        "quota_reserve": _optional(
            "Calls to keep in reserve",
            "Stop before fewer than this many of the organisation's calls of the day are left. Default 0.",
            type="integer",
            minimum=0,
        ),
        **_NETWORK_FIELDS,
        "timeout": _optional(
            "Time-out (s)",
            "Seconds to wait for the next byte; large lists take minutes to begin. Default 300.",
            type="integer",
            minimum=1,
        ),
    },
}

ORBIT: dict[str, Any] = {
    "connection-type": "teamleader_orbit",
    "hook-class-name": "airflow_provider_visma.hooks.orbit.OrbitHook",
    "hook-name": "Teamleader Orbit",
    "ui-field-behaviour": {
        "hidden-fields": ["schema", "port"],
        "relabeling": {"host": "Address", "login": "Client ID", "password": "Client secret"},
        "placeholders": {
            "host": "https://api.orbit.teamleader.eu",
            "password": "empty for a public client",
        },
    },
    "conn-fields": {
        "redirect_uri": _optional(
            "Redirect address",
            "As registered with Orbit. Empty: https://<this Airflow>/visma/orbit/callback, where signing in"
            " ends by itself. Elsewhere, paste the address on which the browser ends.",
        ),
        "scope": _optional("Scope", "Sent as it is; Orbit's clients leave it empty."),
        "account": _optional(
            "Account",
            "Any word that tells this sign-in from another with the same client ID; one session is kept for"
            " each.",
        ),
        "refresh_token": _optional(
            "Refresh token",
            "One that was obtained elsewhere, instead of signing in here. The first renewal replaces it in"
            " Airflow's Variables, and here it is then worth nothing.",
        ),
        "first_page": _optional(
            "Number of the first page",
            "0 or 1. Empty: found out by asking.",
            type="integer",
            minimum=0,
            maximum=1,
        ),
        "authorize_url": _optional(
            "Sign-in page", "Address of it. Default: /oauth2/authorize of the address."
        ),
        # Not "token_url": Airflow redacts every key that holds the word "token", and this is no secret.
        "connect_url": _optional(
            "Token endpoint", "Address of it. Default: /oauth2/access_token of the address."
        ),
        **_NETWORK_FIELDS,
    },
}

ORBIT_REPORTING: dict[str, Any] = {
    "connection-type": "teamleader_orbit_reporting",
    "hook-class-name": "airflow_provider_visma.hooks.orbit_reporting.OrbitReportingHook",
    "hook-name": "Teamleader Orbit reporting",
    "ui-field-behaviour": {
        "hidden-fields": ["schema", "port"],
        "relabeling": {"host": "Server name", "login": "User name"},
        "placeholders": {"host": "acme.orbit.teamleader.eu"},
    },
    "conn-fields": {
        **_NETWORK_FIELDS,
        "timeout": _optional(
            "Time-out (s)",
            "Seconds to wait for the next byte; reports are computed when they are asked for. Default 300.",
            type="integer",
            minimum=1,
        ),
        "test_server": _optional(
            "Test server",
            "Accept an address outside of orbit.teamleader.eu, http too. Only for a test server.",
            type="boolean",
        ),
        "tenant": _optional(
            "Tenant of the test server",
            "How a test server's tenant is called in the addresses of assets. Default: its host.",
        ),
    },
}

CONNECTION_TYPES: tuple[dict[str, Any], ...] = (NMBRS, DIALOG, VISMA_HRM, SEVERA, ORBIT, ORBIT_REPORTING)
