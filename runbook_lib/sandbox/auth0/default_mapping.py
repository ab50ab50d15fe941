"""The SCIM mapping Auth0 proposes for waad. Source: Terraform provider recording TestAccSCIMToken, interaction 2 (2025-11-06)."""

from __future__ import annotations

_ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User."
_WORK_ADDRESS = 'addresses[type eq "work"].'

ROWS: tuple[tuple[str, str], ...] = (
    ("userName", "upn"),
    ('emails[type eq "work"].value', "email"),
    ("externalId", "app_metadata.external_id"),
    ("active", "blocked"),
    ("displayName", "name"),
    ("name.givenName", "given_name"),
    ("name.familyName", "family_name"),
    ("nickName", "nickname"),
    ('photos[type eq "photo"].value', "picture"),
    ('phoneNumbers[type eq "work"].value', "app_metadata.work_phone_number"),
    ('phoneNumbers[type eq "mobile"].value', "app_metadata.mobile_phone_number"),
    ('phoneNumbers[type eq "fax"].value', "app_metadata.fax_number"),
    (f"{_WORK_ADDRESS}streetAddress", "app_metadata.street_address"),
    (f"{_WORK_ADDRESS}locality", "app_metadata.city"),
    (f"{_WORK_ADDRESS}region", "app_metadata.state"),
    (f"{_WORK_ADDRESS}postalCode", "app_metadata.postal_code"),
    (f"{_WORK_ADDRESS}formatted", "app_metadata.postal_address"),
    (f"{_WORK_ADDRESS}country", "app_metadata.country"),
    ("profileUrl", "app_metadata.profile_url"),
    ("userType", "app_metadata.user_type"),
    ("title", "app_metadata.title"),
    ("preferredLanguage", "app_metadata.language"),
    ("locale", "app_metadata.locale"),
    ("timezone", "app_metadata.timezone"),
    (f"{_ENTERPRISE}employeeNumber", "app_metadata.employee_id"),
    (f"{_ENTERPRISE}costCenter", "app_metadata.cost_center"),
    (f"{_ENTERPRISE}organization", "app_metadata.organization"),
    (f"{_ENTERPRISE}division", "app_metadata.division"),
    (f"{_ENTERPRISE}department", "app_metadata.department"),
    (f"{_ENTERPRISE}manager", "app_metadata.manager"),
)


def rows() -> list[dict[str, str]]:
    """Return the 30 rows in wire shape and recorded order."""
    return [{"scim": scim, "auth0": auth0} for scim, auth0 in ROWS]
