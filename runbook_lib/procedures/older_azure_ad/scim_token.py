"""Section 2 of the document, Retrieve SCIM endpoint URL and token."""

from __future__ import annotations

from runbook_lib.procedures.older_azure_ad.paths import CONNECTION, PROVISIONING_TABS
from runbook_lib.procedures.procedure import Row, Section
from runbook_lib.procedures.screen import DASHBOARD, Look, Screen, Spot
from runbook_lib.steps import scim_token
from runbook_lib.steps.by_hand import AUTH0
from runbook_lib.tenant.console_links import Place

SECTION = Section(
    "2",
    "Retrieve SCIM endpoint URL and token",
    "Token",
    (
        Row(
            "2.1",
            "Copy the SCIM endpoint URL",
            scim_token.copy_endpoint_url,
            "Endpoint URL",
            Place.CONNECTION_PROVISIONING,
            "SCIM Setup tab, SCIM Endpoint URL.",
            Screen(
                DASHBOARD,
                (*CONNECTION, "Provisioning"),
                (Spot("SCIM Endpoint URL", Look.FIELD, "https://…/con_…"),),
                PROVISIONING_TABS,
                "SCIM Setup",
            ),
        ),
        Row(
            "2.2",
            "Generate a SCIM token",
            scim_token.generate_token,
            "SCIM token",
            Place.CONNECTION_PROVISIONING,
            "Generate New Token, with an expiration date if desired, scopes of step 2.3.",
            Screen(
                DASHBOARD,
                (*CONNECTION, "Provisioning"),
                (Spot("Generate New Token", Look.BUTTON),),
                PROVISIONING_TABS,
                "SCIM Setup",
            ),
        ),
        Row(
            "2.3",
            "Give the token exactly the scopes get:users, patch:users and delete:users",
            scim_token.token_scopes,
            "Token scopes",
            Place.CONNECTION_PROVISIONING,
            "Select these three.",
            Screen(
                DASHBOARD,
                (*CONNECTION, "Provisioning"),
                (
                    Spot("get:users", Look.TICKED),
                    Spot("patch:users", Look.TICKED),
                    Spot("delete:users", Look.TICKED),
                    Spot("post:users", Look.UNTICKED),
                ),
                PROVISIONING_TABS,
                "SCIM Setup",
            ),
        ),
    ),
    AUTH0,
)
