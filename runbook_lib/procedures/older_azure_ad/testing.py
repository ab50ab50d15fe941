"""Section 4 of the document, Testing."""

from __future__ import annotations

from runbook_lib.procedures.older_azure_ad.paths import PROVISIONING
from runbook_lib.procedures.procedure import Row, Section
from runbook_lib.procedures.screen import PORTAL, Look, Screen, Spot
from runbook_lib.steps import start, test_user
from runbook_lib.steps.by_hand import ENTRA
from runbook_lib.tenant.console_links import Place

SECTION = Section(
    "4",
    "Testing",
    "Testing",
    (
        Row(
            "4.1",
            "Open provision on demand",
            test_user.ready_for_testing,
            "Ready to test",
            Place.APPLICATION_PROVISIONING,
            "Manage > Provisioning > Provision on Demand.",
            Screen(PORTAL, PROVISIONING, (Spot("Provision on demand", Look.BUTTON),)),
        ),
        Row(
            "4.2",
            "Provision one user on demand",
            test_user.provision_on_demand,
            "Test one user",
            Place.APPLICATION_PROVISIONING,
            "Select an assigned user and choose Provision; a user who is not in Auth0 gives an error.",
            Screen(
                PORTAL,
                (*PROVISIONING, "Provision on demand"),
                (Spot("Selected user", Look.FIELD, "the test user"), Spot("Provision", Look.BUTTON)),
                seconds=30,
            ),
        ),
        Row(
            "4.3",
            "Turn provisioning on",
            start.turn_provisioning_on,
            "Turn on",
            Place.APPLICATION_PROVISIONING,
            "Set the Provisioning Status to On.",
            Screen(
                PORTAL,
                (*PROVISIONING, "Overview"),
                (Spot("Start provisioning", Look.BUTTON),),
                older="Older portals: Provisioning > Provisioning Status: On, then Save.",
                seconds=15,
            ),
        ),
    ),
    ENTRA,
)
