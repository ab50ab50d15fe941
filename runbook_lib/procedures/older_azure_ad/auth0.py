"""Section 1 of the document, Configure SCIM settings in Auth0."""

from __future__ import annotations

from runbook_lib.procedures.older_azure_ad.paths import CONNECTION, ENTERPRISE, PROVISIONING_TABS, TABS
from runbook_lib.procedures.procedure import Row, Section
from runbook_lib.procedures.screen import DASHBOARD, Look, Screen, Spot
from runbook_lib.steps import connection, scim_configuration
from runbook_lib.steps.by_hand import AUTH0
from runbook_lib.tenant.console_links import Place

SECTION = Section(
    "1",
    "Configure SCIM settings in Auth0",
    "Auth0",
    (
        Row(
            "1.1",
            "Find the connection",
            connection.find_connection,
            "Find connection",
            Place.CONNECTION_SETTINGS,
            "Authentication > Enterprise > Microsoft Azure AD > [your-connection] > Settings.",
            Screen(DASHBOARD, ENTERPRISE, (Spot("the connection", Look.ROW, "its exact name"),)),
        ),
        Row(
            "1.2",
            "Use the pairwise subject as user id, and no common endpoint",
            connection.pairwise_subject,
            "User id is sub",
            Place.CONNECTION_SETTINGS,
            "User ID Attribute Type is Pairwise Subject Identifier (sub), Use Common Endpoint is Disabled.",
            Screen(
                DASHBOARD,
                CONNECTION,
                (Spot("User ID Attribute Type", Look.FIELD, "sub"), Spot("Use Common Endpoint", Look.SWITCH_OFF)),
                TABS,
                "Settings",
            ),
        ),
        Row(
            "1.3",
            "Sync profiles at each login and turn SCIM on",
            scim_configuration.sync_and_scim_on,
            "Sync and SCIM on",
            Place.CONNECTION_PROVISIONING,
            "Enable both Sync user profile attributes at each login and Sync user profiles using SCIM.",
            Screen(
                DASHBOARD,
                CONNECTION,
                (
                    Spot("Sync user profile attributes at each login", Look.SWITCH_ON),
                    Spot("Sync users and groups using SCIM", Look.SWITCH_ON),
                ),
                TABS,
                "Provisioning",
                "Older Dashboards call the second switch “Sync user profiles using SCIM”.",
            ),
        ),
        Row(
            "1.4",
            "Take the user id from externalId",
            scim_configuration.user_id_from_external_id,
            "SCIM user id",
            Place.CONNECTION_PROVISIONING,
            "The SCIM attribute containing the User ID is externalId.",
            Screen(
                DASHBOARD,
                (*CONNECTION, "Provisioning"),
                (Spot("SCIM attribute containing the User ID", Look.FIELD, "externalId"),),
                PROVISIONING_TABS,
                "Mapping",
            ),
        ),
        Row(
            "1.5",
            "Compare the SCIM mapping with the default",
            scim_configuration.review_mapping,
            "SCIM mapping",
            Place.CONNECTION_PROVISIONING,
            "Review the Additional Mappings.",
            Screen(
                DASHBOARD,
                (*CONNECTION, "Provisioning"),
                (Spot("Additional Mappings", Look.ROW), Spot("active", Look.ROW, "blocked")),
                PROVISIONING_TABS,
                "Mapping",
            ),
        ),
    ),
    AUTH0,
)
