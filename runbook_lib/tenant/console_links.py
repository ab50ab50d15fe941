"""Where the consoles show what a step is about, as links for a person.

No vendor documents these addresses. Each form names where it was seen in use; where it was seen nowhere, it says Unverified.
Unverified for all of Entra: that the portals of other clouds keep the public portal's forms (ManagedAppMenuBlade was seen on
portal.azure.cn).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from runbook_lib.services.entra.models import ServicePrincipal
from runbook_lib.settings.clouds import Cloud

AUTH0 = "https://manage.auth0.com"  # its pages by /#/NAME, such as /#/apis: auth0/docs and the README of auth0/laravel-auth0


@dataclass(frozen=True)
class Link:
    """A link and what it opens."""

    label: str
    url: str


def auth0_link(domain: str, connection_id: str, tab: str) -> Link:
    """Return the link to a tab of a connection.

    Seen in public repositories: /dashboard/REGION/TENANT/ and, below it, connections/enterprise/waad/create. Unverified: the
    connection's id in place of create, and the names of its tabs.

    The tenant's region stands in its domain; without one it is us.
    """
    parts = domain.removesuffix(".auth0.com").split(".")
    tenant, region = parts[0], parts[1] if len(parts) > 1 else "us"
    url = f"{AUTH0}/dashboard/{region}/{tenant}/connections/enterprise/waad/{connection_id}/{tab}"
    return Link("Open in Auth0", url)


def application_link(cloud: Cloud, principal: ServicePrincipal, blade: str) -> Link:
    """Return the link to a blade of an enterprise application.

    Overview is widely linked to (CIPP, Maester), Users in many public repositories, Provisioning in a few that take pictures of
    the portal. Unverified: that Provisioning does not land on the overview.
    """
    where = f"#view/Microsoft_AAD_IAM/ManagedAppMenuBlade/~/{blade}/objectId/{principal.id}/appId/{principal.app_id}"
    return Link("Open in Entra", f"{cloud.portal}/{where}")


def applications_link(cloud: Cloud) -> Link:
    """Return the link to the list of enterprise applications, where new ones are made (widely linked to)."""
    return Link("Open in Entra", f"{cloud.portal}/#view/Microsoft_AAD_IAM/StartboardApplicationsMenuBlade/~/AppAppsPreview")


def registration_link(cloud: Cloud, app_id: str, blade: str = "Overview") -> Link:
    """Return the link to a blade of an app registration; `CallAnAPI` is API permissions (Maester, CIPP), Overview widely seen."""
    return Link(
        "Open in Entra", f"{cloud.portal}/#view/Microsoft_AAD_RegisteredApps/ApplicationMenuBlade/~/{blade}/appId/{app_id}"
    )


class Place(StrEnum):
    """A screen of one of the two consoles."""

    CONNECTION_SETTINGS = "settings"
    CONNECTION_PROVISIONING = "provisioning"
    REGISTRATION = "registration"
    APPLICATION = "Overview"
    APPLICATION_USERS = "Users"
    APPLICATION_PROVISIONING = "Provisioning"


def console_link(
    place: Place, cloud: Cloud, domain: str, connection_id: str, oidc: ServicePrincipal | None, scim: ServicePrincipal | None
) -> Link | None:
    """Return the link to a place; None in the sandbox and while there is nothing to open.

    Without the enterprise application for SCIM its places are the list in which it will be made.
    """
    if cloud.is_sandbox:
        return None
    if place in (Place.CONNECTION_SETTINGS, Place.CONNECTION_PROVISIONING):
        return auth0_link(domain, connection_id, place) if connection_id else None
    if place is Place.REGISTRATION:
        return registration_link(cloud, oidc.app_id) if oidc else None
    return application_link(cloud, scim, place) if scim else applications_link(cloud)
