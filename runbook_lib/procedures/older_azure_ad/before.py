"""Section 0 of the document, Before you start."""

from __future__ import annotations

from runbook_lib.procedures.older_azure_ad.paths import ENTERPRISE
from runbook_lib.procedures.procedure import Row, Section
from runbook_lib.procedures.screen import DASHBOARD, PORTAL, Look, Screen, Spot
from runbook_lib.steps import connection, sign_ins
from runbook_lib.tenant.console_links import Place

SECTION = Section(
    "0",
    "Before you start",
    "Before",
    (
        Row(
            "0.1",
            "Check that the connection is of the Microsoft Azure AD type",
            connection.connection_type,
            "Connection type",
            Place.CONNECTION_SETTINGS,
            "The tenant is connected with the Microsoft Azure AD connection type.",
            Screen(DASHBOARD, ENTERPRISE, (Spot("the connection", Look.ROW, "type waad"),)),
        ),
        Row(
            "0.2",
            "Check both sign-ins, their permissions, and that both sides mean the same Entra tenant",
            sign_ins.sign_ins,
            "Sign-ins",
            Place.REGISTRATION,
            screen=Screen(
                PORTAL,
                ("App registrations", "the runbook’s app", "API permissions"),
                (Spot("Microsoft Graph", Look.ROW, "granted"), Spot("Grant admin consent", Look.BUTTON)),
            ),
        ),
    ),
)
