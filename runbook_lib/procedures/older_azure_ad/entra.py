"""Section 3 of the document, Configure SCIM in Entra."""

from __future__ import annotations

from runbook_lib.procedures.older_azure_ad.paths import APPLICATION, MAPPING, OLDER_CREDENTIALS, OLDER_MAPPING, PROVISIONING
from runbook_lib.procedures.procedure import Row, Section
from runbook_lib.procedures.screen import PORTAL, Look, Screen, Spot
from runbook_lib.steps import applications, assignments, attribute_mappings, provisioning_job, saved_credentials
from runbook_lib.steps.by_hand import ENTRA
from runbook_lib.tenant.console_links import Place

SECTION = Section(
    "3",
    "Configure SCIM in Entra",
    "Microsoft Entra",
    (
        Row(
            "3.1",
            "Confirm that the OpenID Connect application is registered",
            applications.oidc_application,
            "Sign-in app",
            Place.REGISTRATION,
            "App registrations holds the application for sign-in.",
            Screen(
                PORTAL,
                ("App registrations", "the sign-in application", "Overview"),
                (Spot("Application (client) ID", Look.FIELD, "as in Auth0"),),
            ),
        ),
        Row(
            "3.2",
            "Create the non-gallery enterprise application",
            applications.enterprise_application,
            "SCIM app",
            Place.APPLICATION,
            "Enterprise applications > New application > Create your own application.",
            Screen(
                PORTAL,
                ("Enterprise applications",),
                (
                    Spot("New application", Look.BUTTON),
                    Spot("Create your own application", Look.BUTTON),
                    Spot("… not in the gallery (Non-gallery)", Look.TICKED),
                ),
                seconds=40,
            ),
        ),
        Row(
            "3.3",
            "Assign the users and groups who currently have access",
            assignments.assign_users_and_groups,
            "Assignments",
            Place.APPLICATION_USERS,
            "Assign the Azure AD users and groups who currently have access.",
            Screen(
                PORTAL,
                (*APPLICATION, "Users and groups"),
                (Spot("Add user/group", Look.BUTTON), Spot("each who has access", Look.ROW, "assigned")),
                seconds=15,
            ),
        ),
        Row(
            "3.4",
            "Get started with automatic provisioning",
            provisioning_job.synchronization_job,
            "Provisioning job",
            Place.APPLICATION_PROVISIONING,
            "Provisioning > Get started > Automatic.",
            Screen(
                PORTAL,
                PROVISIONING,
                (Spot("New configuration", Look.BUTTON),),
                older="Older portals: Get started, then Provisioning Mode: Automatic.",
                seconds=10,
            ),
        ),
        Row(
            "3.5",
            "Enter the SCIM endpoint URL with ?aadOptscim062020 as Tenant URL",
            saved_credentials.enter_tenant_url,
            "Tenant URL",
            Place.APPLICATION_PROVISIONING,
            "Admin Credentials > Tenant URL, with the query parameter that fixes known Azure AD issues.",
            Screen(
                PORTAL,
                (*PROVISIONING, "New configuration"),
                (Spot("Tenant URL", Look.FIELD, "…?aadOptscim062020"),),
                older=f"{OLDER_CREDENTIALS}.",
            ),
        ),
        Row(
            "3.6",
            "Paste the token, test the connection and save",
            saved_credentials.save_credentials,
            "Save credentials",
            Place.APPLICATION_PROVISIONING,
            "Secret Token, then Save.",
            Screen(
                PORTAL,
                (*PROVISIONING, "New configuration"),
                (
                    Spot("Secret token", Look.FIELD, "••••••••"),
                    Spot("Test connection", Look.BUTTON),
                    Spot("Create", Look.BUTTON),
                ),
                older=f"{OLDER_CREDENTIALS}, then Save instead of Create.",
                seconds=15,
            ),
        ),
        Row(
            "3.7",
            "Deselect Create under Target Object Actions",
            attribute_mappings.deselect_create,
            "Create is off",
            Place.APPLICATION_PROVISIONING,
            "Mappings > Provision Azure Active Directory Users > Target Object Actions, deselect Create.",
            Screen(
                PORTAL,
                (*MAPPING, "Microsoft Entra ID Users"),
                (Spot("Create", Look.UNTICKED), Spot("Update", Look.TICKED), Spot("Delete", Look.TICKED)),
                older=OLDER_MAPPING,
            ),
        ),
        Row(
            "3.8",
            "Find the line of externalId and mailNickname",
            attribute_mappings.find_external_id,
            "externalId row",
            Place.APPLICATION_PROVISIONING,
            "Attribute Mappings, the line containing externalId and mailNickname.",
            Screen(PORTAL, MAPPING, (Spot("mailNickname", Look.ROW, "externalId"),), older=OLDER_MAPPING),
        ),
        Row(
            "3.9",
            "Send the object id as externalId",
            attribute_mappings.external_id_from_object_id,
            "Object id",
            Place.APPLICATION_PROVISIONING,
            "Change Source attribute to objectId.",
            Screen(PORTAL, (*MAPPING, "externalId"), (Spot("Source attribute", Look.FIELD, "objectId"),), older=OLDER_MAPPING),
        ),
        Row(
            "3.10",
            "Find the line of the work email and mail",
            attribute_mappings.find_work_email,
            "Work email row",
            Place.APPLICATION_PROVISIONING,
            'Attribute Mappings, the line containing emails[type eq "work"].value and mail.',
            Screen(PORTAL, MAPPING, (Spot("mail", Look.ROW, 'emails[type eq "work"]'),), older=OLDER_MAPPING),
        ),
        Row(
            "3.11",
            "Match by work email with precedence 2",
            attribute_mappings.match_by_work_email,
            "Match by email",
            Place.APPLICATION_PROVISIONING,
            "Match objects using this attribute: Yes; Matching precedence: 2.",
            Screen(
                PORTAL,
                (*MAPPING, "the work email"),
                (Spot("Match objects using this attribute", Look.FIELD, "Yes"), Spot("Matching precedence", Look.FIELD, "2")),
                older=OLDER_MAPPING,
            ),
        ),
        Row(
            "3.12",
            "Save the attribute mappings",
            attribute_mappings.save_mappings,
            "Save mappings",
            Place.APPLICATION_PROVISIONING,
            "Choose Save.",
            Screen(PORTAL, MAPPING, (Spot("Save", Look.BUTTON),), older=OLDER_MAPPING, seconds=10),
        ),
        Row(
            "3.13",
            "Return to the Provisioning screen",
            attribute_mappings.back_to_provisioning,
            "Back",
            Place.APPLICATION_PROVISIONING,
            "Select X in the upper-right corner.",
        ),
    ),
    ENTRA,
)
