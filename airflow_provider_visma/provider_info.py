"""What Airflow asks of a provider. Every component loads this early, so it imports nothing heavy."""

from __future__ import annotations

from typing import Any

from airflow_provider_visma.connections import CONNECTION_TYPES

_INTEGRATIONS = {
    "Nmbrs": ("nmbrs", "https://api.nmbrs.nl/soap/v3/EmployeeService.asmx"),
    "Dialog": ("dialog", "https://www.dialog.nl"),
    "Visma.net HRM & Payroll": ("hrm", "https://api.analytics1.hrm.visma.net/docs/openapi.html"),
    "Visma Severa": ("severa", "https://support.severa.com/en/support/solutions/articles/77000546949"),
    "Teamleader Orbit": ("orbit", "https://www.teamleader.eu/en/orbit"),
}


def _modules(room: str, *modules: str) -> list[dict[str, Any]]:
    """Return the modules of a room by integration; ``severa_call`` belongs to ``severa``."""
    return [
        {
            "integration-name": name,
            "python-modules": [f"airflow_provider_visma.{room}.{module}" for module in own],
        }
        for name, (system, _) in _INTEGRATIONS.items()
        if (own := [module for module in modules if module.partition("_")[0] == system])
    ]


def get_provider_info() -> dict[str, Any]:
    """Return the provider's metadata; shape: Airflow's ``provider_info.schema.json``."""
    return {
        "package-name": "airflow-provider-visma",
        "name": "Visma",
        "description": "Nmbrs, Dialog, Visma.net HRM & Payroll, Visma Severa and Teamleader Orbit.",
        "integrations": [
            {"integration-name": name, "external-doc-url": url, "tags": ["service"]}
            for name, (_, url) in _INTEGRATIONS.items()
        ],
        "hooks": _modules("hooks", "nmbrs", "dialog", "hrm", "severa", "orbit", "orbit_reporting"),
        "operators": _modules(
            "operators",
            "nmbrs",
            "dialog",
            "dialog_reviews",
            "hrm",
            "severa",
            "severa_call",
            "severa_hours",
            "orbit",
            "orbit_reporting",
            "orbit_set",
        ),
        "sensors": _modules("sensors", "hrm"),
        "triggers": _modules("triggers", "dialog", "hrm"),
        "connection-types": list(CONNECTION_TYPES),
        "cli": ["airflow_provider_visma.cli.visma_commands"],
        "asset-uris": [{"schemes": ["visma"], "handler": None}],
    }
