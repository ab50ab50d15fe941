"""Words of the services' wire formats, each with its source.

Only constants that more than one module needs stand here; the sandbox has its own, so that a mistake here cannot confirm itself.
"""

from __future__ import annotations

from typing import Final

OTHER_SIDE_CONFIRMED: Final = "other-side-confirmed"  # in `accept`: whom the handed-over side belongs to has confirmed it

# Auth0 ---------------------------------------------------------------------------------------------------------------

WAAD: Final = "waad"  # strategy of the Microsoft Azure AD connection type; Auth0 Management API description
SCIM_USER_ID_ATTRIBUTE: Final = "externalId"  # document step 1.4
SCIM_TOKEN_SCOPES: Final = ("get:users", "patch:users", "delete:users")  # document step 2.3
SCIM_TOKEN_LIMIT: Final = 2  # "Maximum of 2 tokens already issued for this connection", Management API description, 409
AUTH0_SCOPES: Final = {  # Management API description, `security` of each call this runbook makes -> the steps that need it
    "read:connections": "every step in Auth0",
    "update:connections": "1.2 and 1.3",
    "read:connections_options": "every step in Auth0",
    "update:connections_options": "1.2 and 1.3",
    "read:scim_config": "1.3 to 1.5",
    "create:scim_config": "1.3",
    "update:scim_config": "1.4 and 1.5",
    "read:scim_token": "2.2, 2.3 and 4.3",
    "create:scim_token": "2.2",
    "delete:scim_token": "2.2, for a token that a broken run left",
    "read:users": "0.2 and 4.2",
}
SCIM_LOG_SCOPES: Final = ("read:logs", "read:logs_users")  # either reads the log; asked for by a hand-over only
NEW_CONNECTIONS_PAGE: Final = "https://auth0.com/docs/authenticate/protocols/scim/inbound-scim-for-new-azure-ad-connections"

# Entra ---------------------------------------------------------------------------------------------------------------

SCIM_TEMPLATE_ID: Final = "scim"  # Microsoft Graph tutorial; `customappsso` is the unsupported engine of 2018
AAD_OPT_SCIM: Final = "aadOptscim062020"  # document step 3.5; entra-docs, scim-compatibility page
SOURCE_USER: Final = "User"
SOURCE_GROUP: Final = "Group"
TARGET_USER: Final = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
EXTERNAL_ID: Final = "externalId"
OBJECT_ID: Final = "objectId"
WORK_EMAIL: Final = 'emails[type eq "work"].value'
WORK_EMAIL_PRECEDENCE: Final = 2  # document step 3.11
USER_NAME: Final = "userName"
DEFAULT_ACCESS_ROLE: Final = "00000000-0000-0000-0000-000000000000"  # Graph appRoleAssignment page
BASE_ADDRESS: Final = "BaseAddress"  # case-exact keys: wrong casing is a 500 (msgraph-beta-sdk-java issue 372)
SECRET_TOKEN: Final = "SecretToken"  # noqa: S105 - the name of a key, not a secret
SYNC_NOTIFICATION_SETTINGS: Final = "SyncNotificationSettings"
SYNC_ALL: Final = "SyncAll"

# What each group of Graph calls needs: any one of the names is enough. Graph reference pages, section "Permissions".
GRAPH_PERMISSIONS: Final[dict[str, tuple[str, ...]]] = {
    "read applications and service principals": (
        "Application.Read.All",
        "Application.ReadWrite.All",
        "Directory.Read.All",
        "Directory.ReadWrite.All",
    ),
    "create the enterprise application (3.2)": ("Application.ReadWrite.All", "Application.ReadWrite.OwnedBy"),
    "assign users and groups (3.3)": ("AppRoleAssignment.ReadWrite.All",),
    "configure provisioning (3.4 to 4.3)": ("Synchronization.ReadWrite.All", "Application.ReadWrite.OwnedBy"),
    "read the members of groups": ("Group.Read.All", "GroupMember.Read.All", "Group.ReadWrite.All", "Directory.Read.All"),
    "read users": ("User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"),
}
