"""The resource types of the simulated part of Graph: their properties, and what a query may do with them.

Source: the v1.0 resource pages (user, group, application, servicePrincipal, appRoleAssignment, organization,
provisioningObjectSummary) and the synchronization types of the v1.0 metadata. A property that is not listed here is answered
as Graph answers an unknown one. Unverified: which ones may be filtered, where the pages are silent.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_EXTENSION = re.compile(r"extension_[0-9a-f]{32}_\w+", re.IGNORECASE)


@dataclass(frozen=True)
class Kind:
    """One resource type.

    `usual` are the properties answered without `$select`, empty for all that are set; `filterable` and `searchable` those a
    query may name; `collections` answer `[]` instead of null; `booleans` compare with true and false only; `compares_case`
    is true where a filter minds upper and lower case, but for the paths in `caseless`. `is_extended`: directory extensions may
    be selected by name (extensibility overview page). Unverified: those that no application has registered are taken too, and
    those of the members of a group.
    """

    name: str
    entity_set: str
    properties: frozenset[str]
    filterable: frozenset[str] = frozenset()
    searchable: frozenset[str] = frozenset()
    usual: tuple[str, ...] = ()
    collections: frozenset[str] = frozenset()
    booleans: frozenset[str] = frozenset()
    compares_case: bool = False
    is_extended: bool = False
    caseless: frozenset[str] = frozenset()

    def selects(self, name: str) -> bool:
        """Whether `$select` may name a property."""
        return name in self.properties or (self.is_extended and _EXTENSION.fullmatch(name) is not None)


USER = Kind(
    "user",
    "users",
    _words(
        "id accountEnabled ageGroup assignedLicenses assignedPlans businessPhones city companyName country createdDateTime "
        "creationType deletedDateTime department displayName employeeHireDate employeeId employeeLeaveDateTime employeeOrgData "
        "employeeType externalUserState faxNumber givenName identities imAddresses jobTitle lastPasswordChangeDateTime mail "
        "mailNickname mobilePhone officeLocation onPremisesDistinguishedName onPremisesDomainName onPremisesExtensionAttributes "
        "onPremisesImmutableId onPremisesLastSyncDateTime onPremisesSamAccountName onPremisesSecurityIdentifier "
        "onPremisesSyncEnabled onPremisesUserPrincipalName otherMails passwordPolicies passwordProfile postalCode "
        "preferredLanguage proxyAddresses securityIdentifier showInAddressList signInSessionsValidFromDateTime state "
        "streetAddress surname usageLocation userPrincipalName userType"
    ),
    filterable=_words(
        "id accountEnabled city companyName country department displayName employeeId givenName jobTitle mail mailNickname "
        "mobilePhone officeLocation postalCode preferredLanguage state streetAddress surname usageLocation userPrincipalName "
        "userType"
    ),
    searchable=_words("displayName mail userPrincipalName givenName surname mailNickname otherMails proxyAddresses"),
    usual=(
        "businessPhones",
        "displayName",
        "givenName",
        "jobTitle",
        "mail",
        "mobilePhone",
        "officeLocation",
        "preferredLanguage",
        "surname",
        "userPrincipalName",
        "id",
    ),
    collections=_words("assignedLicenses assignedPlans businessPhones identities imAddresses otherMails proxyAddresses"),
    booleans=_words("accountEnabled"),
    is_extended=True,
)
GROUP = Kind(
    "group",
    "groups",
    _words(
        "id createdDateTime deletedDateTime description displayName expirationDateTime groupTypes isAssignableToRole mail "
        "mailEnabled mailNickname membershipRule membershipRuleProcessingState onPremisesSyncEnabled preferredLanguage "
        "proxyAddresses renewedDateTime securityEnabled securityIdentifier theme visibility"
    ),
    filterable=_words("id displayName mail mailNickname mailEnabled securityEnabled description"),
    searchable=_words("displayName description"),
    collections=_words("groupTypes proxyAddresses"),
    booleans=_words("mailEnabled securityEnabled isAssignableToRole"),
)
DIRECTORY_OBJECT = Kind(
    "directoryObject",
    "directoryObjects",
    USER.properties | GROUP.properties,
    collections=USER.collections | GROUP.collections,
    is_extended=True,
)
APPLICATION = Kind(
    "application",
    "applications",
    _words(
        "id addIns api appId applicationTemplateId appRoles createdDateTime deletedDateTime description "
        "disabledByMicrosoftStatus displayName "
        "groupMembershipClaims identifierUris info isFallbackPublicClient keyCredentials notes optionalClaims "
        "parentalControlSettings passwordCredentials publicClient publisherDomain requiredResourceAccess "
        "serviceManagementReference signInAudience spa tags tokenEncryptionKeyId verifiedPublisher web"
    ),
    filterable=_words("id appId applicationTemplateId displayName signInAudience"),
    searchable=_words("displayName"),
    collections=_words("addIns appRoles identifierUris keyCredentials passwordCredentials requiredResourceAccess tags"),
)
SERVICE_PRINCIPAL = Kind(
    "servicePrincipal",
    "servicePrincipals",
    _words(
        "id accountEnabled addIns alternativeNames appDescription appDisplayName appId applicationTemplateId "
        "appOwnerOrganizationId appRoleAssignmentRequired appRoles deletedDateTime description disabledByMicrosoftStatus "
        "displayName homepage info keyCredentials loginUrl logoutUrl notes notificationEmailAddresses oauth2PermissionScopes "
        "passwordCredentials preferredSingleSignOnMode preferredTokenSigningKeyThumbprint replyUrls "
        "resourceSpecificApplicationPermissions samlSingleSignOnSettings servicePrincipalNames servicePrincipalType "
        "signInAudience tags tokenEncryptionKeyId verifiedPublisher"
    ),
    filterable=_words("id accountEnabled appId applicationTemplateId displayName servicePrincipalType"),
    searchable=_words("displayName"),
    collections=_words(
        "addIns alternativeNames appRoles keyCredentials notificationEmailAddresses oauth2PermissionScopes passwordCredentials "
        "replyUrls resourceSpecificApplicationPermissions servicePrincipalNames tags"
    ),
    booleans=_words("accountEnabled appRoleAssignmentRequired"),
)
APPLICATION_TEMPLATE = Kind(
    "applicationTemplate",
    "applicationTemplates",
    _words(
        "id categories description displayName homePageUrl logoUrl publisher supportedProvisioningTypes "
        "supportedSingleSignOnModes"
    ),
    filterable=_words("id displayName"),
    collections=_words("categories supportedProvisioningTypes supportedSingleSignOnModes"),
)
APP_ROLE_ASSIGNMENT = Kind(
    "appRoleAssignment",
    "appRoleAssignments",
    _words(
        "id appRoleId createdDateTime deletedDateTime principalDisplayName principalId principalType resourceDisplayName "
        "resourceId"
    ),
    filterable=_words("principalDisplayName principalId appRoleId"),
)
ORGANIZATION = Kind(
    "organization",
    "organization",
    _words("id displayName verifiedDomains tenantType countryLetterCode createdDateTime assignedPlans"),
    collections=_words("verifiedDomains assignedPlans"),
)
JOB = Kind(
    "synchronizationJob",
    "synchronizationJobs",
    _words("id templateId schedule status synchronizationJobSettings"),
    filterable=_words("id templateId"),
    compares_case=True,
)
TEMPLATE = Kind(
    "synchronizationTemplate",
    "synchronizationTemplates",
    _words("id applicationId default description discoverable factoryTag metadata schema"),
    filterable=_words("id factoryTag"),
    compares_case=True,
)
# "case-sensitive except status": provisioningobjectsummary-list page.
PROVISIONING_RECORD = Kind(
    "provisioningObjectSummary",
    "auditLogs/provisioning",
    _words(
        "id activityDateTime changeId cycleId durationInMilliseconds initiatedBy jobId modifiedProperties provisioningAction "
        "provisioningStatusInfo provisioningSteps servicePrincipal sourceIdentity sourceSystem targetIdentity "
        "targetSystem tenantId"
    ),
    filterable=_words(
        "id activityDateTime changeId cycleId jobId provisioningAction tenantId provisioningStatusInfo/status sourceIdentity/id "
        "sourceIdentity/displayName targetIdentity/id targetIdentity/displayName servicePrincipal/id servicePrincipal/displayName"
    ),
    compares_case=True,
    caseless=_words("provisioningStatusInfo/status"),
)
