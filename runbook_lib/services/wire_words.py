"""Words of the services' wire formats, each with its source.

Only constants that more than one module needs stand here; the sandbox has its own, so that a mistake here cannot confirm itself.
"""

from __future__ import annotations

from typing import Final

from runbook_lib.core.step_numbers import number_of

OTHER_SIDE_CONFIRMED: Final = "other-side-confirmed"  # in `accept`: the other administrator has confirmed it

# Auth0 ---------------------------------------------------------------------------------------------------------------

WAAD: Final = "waad"  # strategy of the Microsoft Azure AD connection type; Auth0 Management API description
SCIM_USER_ID_ATTRIBUTE: Final = "externalId"
SCIM_TOKEN_SCOPES: Final = ("get:users", "patch:users", "delete:users")
SCIM_GROUP_SCOPES: Final = (
    "get:groups",
    "post:groups",
    "patch:groups",
    "delete:groups",
)  # inbound-scim-for-new-azure-ad-connections
SCIM_TOKEN_LIMIT: Final = 2  # "Maximum of 2 tokens already issued for this connection", Management API description, 409
_OPTIONS = f"{number_of('options')} and {number_of('scim-configuration')}"
_CONFIGURATION, _TOKEN = number_of("scim-configuration"), number_of("token")
AUTH0_SCOPES: Final = {  # Management API description, `security` of each call that is made -> the steps that need it
    "read:connections": "every step in Auth0",
    "update:connections": _OPTIONS,
    "read:connections_options": "every step in Auth0",
    "update:connections_options": _OPTIONS,
    "read:scim_config": f"{_CONFIGURATION} to {number_of('scim-mapping')}",
    "create:scim_config": _CONFIGURATION,
    "update:scim_config": f"{number_of('user id attribute')} and {number_of('scim-mapping')}",
    "read:scim_token": f"{_TOKEN}, {number_of('token scopes')} and {number_of('start')}",
    "create:scim_token": _TOKEN,
    "delete:scim_token": f"{_TOKEN}, for a token that a broken run left",
    "read:users": f"{number_of('sign-ins')} and {number_of('on-demand')}",
}
SCIM_LOG_SCOPES: Final = ("read:logs", "read:logs_users")  # either reads the log; asked for by a hand-over only
NEW_CONNECTIONS_PAGE: Final = "https://auth0.com/docs/authenticate/protocols/scim/inbound-scim-for-new-azure-ad-connections"

# Entra ---------------------------------------------------------------------------------------------------------------

SCIM_TEMPLATE_ID: Final = "scim"  # Microsoft Graph tutorial; `customappsso` is the unsupported engine of 2018
AAD_OPT_SCIM: Final = "aadOptscim062020"  # entra-docs, scim-compatibility page
SOURCE_USER: Final = "User"
SOURCE_GROUP: Final = "Group"
TARGET_USER: Final = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
EXTERNAL_ID: Final = "externalId"
OBJECT_ID: Final = "objectId"
WORK_EMAIL: Final = 'emails[type eq "work"].value'
WORK_EMAIL_PRECEDENCE: Final = 2
USER_NAME: Final = "userName"
ACTIVE: Final = "active"
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
    f"create the enterprise application ({number_of('application')})": (
        "Application.ReadWrite.All",
        "Application.ReadWrite.OwnedBy",
    ),
    f"assign users and groups ({number_of('assignments')})": ("AppRoleAssignment.ReadWrite.All",),
    f"configure provisioning ({number_of('job')} to {number_of('start')})": (
        "Synchronization.ReadWrite.All",
        "Application.ReadWrite.OwnedBy",
    ),
    "read the members of groups": ("Group.Read.All", "GroupMember.Read.All", "Group.ReadWrite.All", "Directory.Read.All"),
    "read users": ("User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"),
}
