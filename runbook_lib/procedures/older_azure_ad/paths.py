"""The ways through both consoles that several steps share.

Labels are those of the document and of Auth0's page "Configure Inbound SCIM"; for the newer Entra portal those that the guides of
chainguard-dev/edu follow since August 2026 (pull requests 3763 and 3781), for the older one Microsoft's tutorial on building a
SCIM endpoint. Unverified: how either console arranges them.
"""

from __future__ import annotations

ENTERPRISE = ("Authentication", "Enterprise", "Microsoft Azure AD")
CONNECTION = (*ENTERPRISE, "the connection")
TABS = ("Settings", "Provisioning", "Applications")
PROVISIONING_TABS = ("SCIM Setup", "Mapping")
APPLICATION = ("Enterprise applications", "the new application")
PROVISIONING = (*APPLICATION, "Provisioning")
MAPPING = (*PROVISIONING, "Attribute mapping")
OLDER_MAPPING = "Older portals: Provisioning > Mappings > Provision Azure Active Directory Users."
OLDER_CREDENTIALS = "Older portals: Provisioning > Admin Credentials"
