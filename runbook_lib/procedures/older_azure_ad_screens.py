"""The screens of both consoles on which the document's steps are done by hand.

Labels are those of the document and of Auth0's page "Configure Inbound SCIM"; for the newer Entra portal those that the guides of
chainguard-dev/edu follow since August 2026 (pull requests 3763 and 3781), for the older one Microsoft's tutorial on building a
SCIM endpoint. Unverified: how either console arranges them.
"""

from __future__ import annotations

from runbook_lib.procedures.screen import DASHBOARD, PORTAL, Look, Screen, Spot

_ENTERPRISE = ("Authentication", "Enterprise", "Microsoft Azure AD")
_CONNECTION = (*_ENTERPRISE, "the connection")
_TABS = ("Settings", "Provisioning", "Applications")
_PROVISIONING_TABS = ("SCIM Setup", "Mapping")
_APPLICATION = ("Enterprise applications", "the new application")
_PROVISIONING = (*_APPLICATION, "Provisioning")
_MAPPING = (*_PROVISIONING, "Attribute mapping")
_OLDER_MAPPING = "Older portals: Provisioning > Mappings > Provision Azure Active Directory Users."
_OLDER_CREDENTIALS = "Older portals: Provisioning > Admin Credentials"

SCREENS = (
    Screen("0.1", DASHBOARD, _ENTERPRISE, (Spot("the connection", Look.ROW, "type waad"),)),
    Screen(
        "0.2",
        PORTAL,
        ("App registrations", "the runbook’s app", "API permissions"),
        (Spot("Microsoft Graph", Look.ROW, "granted"), Spot("Grant admin consent", Look.BUTTON)),
    ),
    Screen("1.1", DASHBOARD, _ENTERPRISE, (Spot("the connection", Look.ROW, "its exact name"),)),
    Screen(
        "1.2",
        DASHBOARD,
        _CONNECTION,
        (Spot("User ID Attribute Type", Look.FIELD, "sub"), Spot("Use Common Endpoint", Look.SWITCH_OFF)),
        _TABS,
        "Settings",
    ),
    Screen(
        "1.3",
        DASHBOARD,
        _CONNECTION,
        (
            Spot("Sync user profile attributes at each login", Look.SWITCH_ON),
            Spot("Sync users and groups using SCIM", Look.SWITCH_ON),
        ),
        _TABS,
        "Provisioning",
        "Older Dashboards call the second switch “Sync user profiles using SCIM”.",
    ),
    Screen(
        "1.4",
        DASHBOARD,
        (*_CONNECTION, "Provisioning"),
        (Spot("SCIM attribute containing the User ID", Look.FIELD, "externalId"),),
        _PROVISIONING_TABS,
        "Mapping",
    ),
    Screen(
        "1.5",
        DASHBOARD,
        (*_CONNECTION, "Provisioning"),
        (Spot("Additional Mappings", Look.ROW), Spot("active", Look.ROW, "blocked")),
        _PROVISIONING_TABS,
        "Mapping",
    ),
    Screen(
        "2.1",
        DASHBOARD,
        (*_CONNECTION, "Provisioning"),
        (Spot("SCIM Endpoint URL", Look.FIELD, "https://…/con_…"),),
        _PROVISIONING_TABS,
        "SCIM Setup",
    ),
    Screen(
        "2.2",
        DASHBOARD,
        (*_CONNECTION, "Provisioning"),
        (Spot("Generate New Token", Look.BUTTON),),
        _PROVISIONING_TABS,
        "SCIM Setup",
    ),
    Screen(
        "2.3",
        DASHBOARD,
        (*_CONNECTION, "Provisioning"),
        (
            Spot("get:users", Look.TICKED),
            Spot("patch:users", Look.TICKED),
            Spot("delete:users", Look.TICKED),
            Spot("post:users", Look.UNTICKED),
        ),
        _PROVISIONING_TABS,
        "SCIM Setup",
    ),
    Screen(
        "3.1",
        PORTAL,
        ("App registrations", "the sign-in application", "Overview"),
        (Spot("Application (client) ID", Look.FIELD, "as in Auth0"),),
    ),
    Screen(
        "3.2",
        PORTAL,
        ("Enterprise applications",),
        (
            Spot("New application", Look.BUTTON),
            Spot("Create your own application", Look.BUTTON),
            Spot("… not in the gallery (Non-gallery)", Look.TICKED),
        ),
        seconds=40,
    ),
    Screen(
        "3.3",
        PORTAL,
        (*_APPLICATION, "Users and groups"),
        (Spot("Add user/group", Look.BUTTON), Spot("each who has access", Look.ROW, "assigned")),
        seconds=15,
    ),
    Screen(
        "3.4",
        PORTAL,
        _PROVISIONING,
        (Spot("New configuration", Look.BUTTON),),
        older="Older portals: Get started, then Provisioning Mode: Automatic.",
        seconds=10,
    ),
    Screen(
        "3.5",
        PORTAL,
        (*_PROVISIONING, "New configuration"),
        (Spot("Tenant URL", Look.FIELD, "…?aadOptscim062020"),),
        older=f"{_OLDER_CREDENTIALS}.",
    ),
    Screen(
        "3.6",
        PORTAL,
        (*_PROVISIONING, "New configuration"),
        (
            Spot("Secret token", Look.FIELD, "••••••••"),
            Spot("Test connection", Look.BUTTON),
            Spot("Create", Look.BUTTON),
        ),
        older=f"{_OLDER_CREDENTIALS}, then Save instead of Create.",
        seconds=15,
    ),
    Screen(
        "3.7",
        PORTAL,
        (*_MAPPING, "Microsoft Entra ID Users"),
        (Spot("Create", Look.UNTICKED), Spot("Update", Look.TICKED), Spot("Delete", Look.TICKED)),
        older=_OLDER_MAPPING,
    ),
    Screen("3.8", PORTAL, _MAPPING, (Spot("mailNickname", Look.ROW, "externalId"),), older=_OLDER_MAPPING),
    Screen(
        "3.9",
        PORTAL,
        (*_MAPPING, "externalId"),
        (Spot("Source attribute", Look.FIELD, "objectId"),),
        older=_OLDER_MAPPING,
    ),
    Screen("3.10", PORTAL, _MAPPING, (Spot("mail", Look.ROW, 'emails[type eq "work"]'),), older=_OLDER_MAPPING),
    Screen(
        "3.11",
        PORTAL,
        (*_MAPPING, "the work email"),
        (Spot("Match objects using this attribute", Look.FIELD, "Yes"), Spot("Matching precedence", Look.FIELD, "2")),
        older=_OLDER_MAPPING,
    ),
    Screen("3.12", PORTAL, _MAPPING, (Spot("Save", Look.BUTTON),), older=_OLDER_MAPPING, seconds=10),
    Screen("4.1", PORTAL, _PROVISIONING, (Spot("Provision on demand", Look.BUTTON),)),
    Screen(
        "4.2",
        PORTAL,
        (*_PROVISIONING, "Provision on demand"),
        (Spot("Selected user", Look.FIELD, "the test user"), Spot("Provision", Look.BUTTON)),
        seconds=30,
    ),
    Screen(
        "4.3",
        PORTAL,
        (*_PROVISIONING, "Overview"),
        (Spot("Start provisioning", Look.BUTTON),),
        older="Older portals: Provisioning > Provisioning Status: On, then Save.",
        seconds=15,
    ),
)
