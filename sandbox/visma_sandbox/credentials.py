"""The accounts every sandbox accepts: fixed, synthetic, and worth nothing anywhere else."""

from __future__ import annotations

from typing import Final

NMBRS_LOGIN: Final = "api@visma-sandbox.example"
NMBRS_TOKEN: Final = "0123456789abcdef0123456789abcdef"  # noqa: S105 - synthetic
NMBRS_DOMAIN: Final = "sandbox"

HRM_CLIENT_ID: Final = "isv_visma_sandbox"
HRM_CLIENT_SECRET: Final = "visma-sandbox-client-secret"  # noqa: S105 - synthetic
HRM_TENANT_ID: Final = "5a2d0b0c-0000-4000-8000-000000000001"

DIALOG_TOKEN: Final = "visma-sandbox-dialog-token"  # noqa: S105 - synthetic

SEVERA_KEY: Final = "visma-sandbox-severa-key-administrator"
SEVERA_NARROW_KEY: Final = "visma-sandbox-severa-key-narrow"
SEVERA_INACTIVE_KEY: Final = "visma-sandbox-severa-key-inactive"
SEVERA_NEW_KEY: Final = "visma-sandbox-severa-key-regenerated"
SEVERA_OLD_KEY: Final = "visma-sandbox-severa-key-before-regeneration"
SEVERA_NO_RIGHT_KEY: Final = "visma-sandbox-severa-key-without-soap-right"

ORBIT_CLIENT_ID: Final = "visma-sandbox-orbit-client"
ORBIT_CLIENT_SECRET: Final = "visma-sandbox-orbit-client-secret"  # noqa: S105 - synthetic
ORBIT_PUBLIC_CLIENT_ID: Final = "visma-sandbox-orbit-public-client"
ORBIT_USER: Final = "gebruiker@visma-sandbox.example"
ORBIT_PASSWORD: Final = "visma-sandbox-orbit-password"  # noqa: S105 - synthetic

ORBIT_REPORTING_LOGIN: Final = "reporting@visma-sandbox.example"
ORBIT_REPORTING_PASSWORD: Final = "visma-sandbox-orbit-reporting-password"  # noqa: S105 - synthetic
