"""One customer of the demo: an Entra tenant with people, an Auth0 connection, and how far the procedure is carried out."""

from __future__ import annotations

import json
from dataclasses import dataclass

from runbook_lib.sandbox.auth0.routes import new_configuration, new_token
from runbook_lib.sandbox.graph.routes import TEMPLATE_ID, USER_ROLE, new_application, new_assignment
from runbook_lib.sandbox.graph.schema_template import attribute, default_schema
from runbook_lib.sandbox.graph.synchronization import new_job
from runbook_lib.sandbox.world import Document, EntraClient, EntraTenant, Provisioning, ScimProvisioning, World

GRAPH_PERMISSIONS = (
    "Application.ReadWrite.All AppRoleAssignment.ReadWrite.All Synchronization.ReadWrite.All User.Read.All User.ReadWrite.All "
    "Group.Read.All Organization.Read.All AuditLog.Read.All Directory.Read.All"
).split()
PEOPLE = (
    "Adele Vance;Alex Wilber;Christie Cline;Diego Siciliani;Grady Archie;Henrietta Mueller;Isaiah Langer;Johanna Lorenz;"
    "Joni Sherman;Lee Gu;Lidia Holloway;Lynne Robbins;Megan Bowen;Miriam Graham"
).split(";")
SCIM_SCOPES = ["get:users", "patch:users", "delete:users"]


@dataclass
class Customer:
    """One demo tenant while it is built."""

    world: World
    name: str
    entra: EntraTenant
    connection: Document
    oidc: Document

    def scim_app_name(self) -> str:
        """Return the name of the enterprise application that the runbook is to make."""
        return f"Acme SCIM ({self.name})"


def fresh(world: World, name: str, people: int = len(PEOPLE)) -> Customer:
    """Add a customer as an older one is: no key for the user id attribute, sync at login off, no SCIM."""
    domain = f"{name}.onmicrosoft.com"
    entra = EntraTenant(world.ids.guid(), domain, f"{name.capitalize()} Ltd")
    world.entra[entra.id] = entra
    client_id, public_id = world.ids.guid(), world.ids.guid()
    entra.clients[client_id] = EntraClient(client_id, world.ids.base64url(30), tuple(GRAPH_PERMISSIONS))
    entra.clients[public_id] = EntraClient(public_id, "", (), tuple(GRAPH_PERMISSIONS), is_public_client=True)
    application, principal = new_application(world, entra, f"Acme sign-in ({name})", None)
    entra.applications[application["id"]]["web"]["redirectUris"] = [f"https://{world.auth0.domain}/login/callback"]
    new_application(world, entra, "Somebody else's application", TEMPLATE_ID)
    connection = _connection(world, name, entra, application["appId"])
    customer = Customer(world, name, entra, connection, entra.service_principals[principal["id"]])
    _populate(customer, people)
    return customer


def _connection(world: World, name: str, entra: EntraTenant, app_id: str) -> Document:
    connection_id, connection_name = f"con_{world.ids.alphanumeric(16)}", f"{name}-azure-ad"
    world.auth0.connections[connection_id] = {
        "id": connection_id,
        "options": _options(world, name, entra, app_id),
        "strategy": "waad",
        "name": connection_name,
        "display_name": f"{name.capitalize()} employees",
        "is_domain_connection": False,
        "show_as_button": True,
        "authentication": {"active": True},
        "connected_accounts": {"active": False},
        "realms": [connection_name],
    }
    return world.auth0.connections[connection_id]


def _options(world: World, name: str, entra: EntraTenant, app_id: str) -> Document:
    return {
        "client_id": app_id,
        "client_secret": world.ids.base64url(30),
        "strategy_version": 2,
        "tenant_domain": entra.domain,
        "domain": entra.domain,
        "tenantId": entra.id,
        "domain_aliases": [f"{name}.example", "m\u00fcnchen.example"],
        "identity_api": "microsoft-identity-platform-v2.0",
        "waad_protocol": "openid-connect",
        "use_wsfed": False,
        "useCommonEndpoint": False,
        "waad_common_endpoint": False,
        "set_user_root_attributes": "never_on_login",
        "api_enable_users": True,
        "basic_profile": True,
        "ext_profile": True,
        "ext_groups": True,
        "ext_nested_groups": False,
        "should_trust_email_verified_connection": "never_set_emails_as_verified",
        "upstream_params": {"screen_name": {"alias": "login_hint"}},
        "app_domain": world.auth0.domain,
        "thumbprints": [world.ids.hexadecimal(40).upper()],
        "x_empty": None,
        "x_unknown": {"nested": {"entries": [1, None, "\u00e9"], "off": False}},
    }


def _populate(customer: Customer, people: int) -> None:
    """Add users and two groups; all but the last of the assigned ones have signed in to Auth0 before."""
    world, entra = customer.world, customer.entra
    made = [entra_user(customer, number) for number in range(people)]
    for name, members in (("Sales", made[:3] + made[-2:-1]), ("Support", made[3:5] + made[-1:])):
        group_id = world.ids.guid()
        entra.groups[group_id] = {
            "id": group_id,
            "displayName": name,
            "securityEnabled": True,
            "mailEnabled": False,
            "groupTypes": [],
        }
        entra.members[group_id] = [user["id"] for user in members]
    for user in made[: people - 2]:
        entra.assignments.append(new_assignment(world, "User", user, customer.oidc, "00000000-0000-0000-0000-000000000000"))
    for group in entra.groups.values():
        entra.assignments.append(new_assignment(world, "Group", group, customer.oidc, "00000000-0000-0000-0000-000000000000"))
    for number, user in enumerate(made):
        if number != people - 3:
            login(customer, user, with_upn=number % 3 == 1)


def entra_user(customer: Customer, number: int) -> Document:
    """Add the person of a number to the directory; behind the last name the names begin again, with the number."""
    given, surname = PEOPLE[number % len(PEOPLE)].split()
    suffix = "" if number < len(PEOPLE) else str(number)
    local = f"{given}.{surname}{suffix}".lower()
    user: Document = {
        "id": customer.world.ids.guid(),
        "accountEnabled": True,
        "displayName": f"{given} {surname}{suffix}",
        "givenName": given,
        "surname": f"{surname}{suffix}",
        "userPrincipalName": f"{given.lower()}{suffix}@{customer.entra.domain}",
        "mail": f"{local}@{customer.name}.example",
        "mailNickname": f"{given.lower()}{suffix}",
        "jobTitle": "Account Manager" if number % 2 else "Engineer",
        "department": "Sales" if number % 2 else "Support",
        "city": "Oslo",
        "country": "Norway",
        "preferredLanguage": "en",
        "businessPhones": ["+47 555 0100"],
        "mobilePhone": None,
    }
    customer.entra.users[user["id"]] = user
    return user


def login(customer: Customer, user: Document, *, with_upn: bool) -> Document:
    """Add the Auth0 profile that an earlier sign-in made: its id holds the pairwise subject, not the object id."""
    subject = customer.world.ids.base64url(32)
    name = customer.connection["name"]
    profile: Document = {
        "user_id": f"waad|{subject}",
        "email": user["mail"].lower(),
        "email_verified": False,
        "name": user["displayName"],
        "nickname": user["mailNickname"],
        "given_name": user["givenName"],
        "family_name": user["surname"],
        "identities": [{"connection": name, "provider": "waad", "user_id": subject, "isSocial": False}],
        "created_at": "2023-03-01T08:00:00.000Z",
        "last_login": "2026-01-04T08:00:00.000Z",
        "logins_count": 12,
        "oid": user["id"],  # what a sign-in stores of an Entra user: Auth0 community 113967
    }
    if with_upn:
        profile["upn"] = user["userPrincipalName"]
    customer.world.auth0.users[profile["user_id"]] = profile
    return profile


# How far the procedure is carried out ----------------------------------------------------------------------------------


def connection_done(customer: Customer) -> ScimProvisioning:
    """Carry out the Auth0 side, but for the token."""
    options = customer.connection["options"]
    options["userid_attribute"] = "sub"
    options.pop("set_user_root_attributes", None)
    provisioning = ScimProvisioning(new_configuration(customer.world, customer.connection, {}))
    customer.world.auth0.provisioning[customer.connection["id"]] = provisioning
    return provisioning


def add_token(customer: Customer, provisioning: ScimProvisioning, *, used: bool) -> str:
    """Make a SCIM token and return its text."""
    document, text = new_token(customer.world, list(SCIM_SCOPES), 31_536_000)
    if used:
        document["last_used_at"] = customer.world.clock.auth0()
    provisioning.tokens.append(document)
    provisioning.token_values[document["token_id"]] = text
    return text


def enterprise_application(customer: Customer) -> tuple[str, Provisioning, Document]:
    """Make the enterprise application with its assignments and a job; return its id, what is saved, and the job."""
    _, principal = new_application(customer.world, customer.entra, customer.scim_app_name(), TEMPLATE_ID)
    for assignment in [a for a in customer.entra.assignments if a["resourceId"] == customer.oidc["id"]]:
        who = {"id": assignment["principalId"], "displayName": assignment["principalDisplayName"]}
        customer.entra.assignments.append(new_assignment(customer.world, assignment["principalType"], who, principal, USER_ROLE))
    job = new_job(customer.entra, principal["id"], "scim")
    provisioning = Provisioning(
        jobs={job["id"]: job}, schemas={job["id"]: default_schema(customer.world, principal["id"], job["id"])}
    )
    customer.entra.provisioning[principal["id"]] = provisioning
    return principal["id"], provisioning, job


def ready_to_start(customer: Customer) -> tuple[Provisioning, Document]:
    """Carry the procedure out for a customer up to the start; return what is saved, and the job."""
    text = add_token(customer, connection_done(customer), used=True)
    _, provisioning, job = enterprise_application(customer)
    settings = {
        "Enabled": True,
        "Recipients": f"it@{customer.name}.example",
        "DeleteThresholdEnabled": True,
        "DeleteThresholdValue": 14,
    }
    provisioning.secrets = {
        "BaseAddress": f"https://{customer.world.auth0.domain}/scim/v2/connections/{customer.connection['id']}/?aadOptscim062020",
        "SecretToken": text,
        "SyncNotificationSettings": json.dumps(settings),
        "SyncAll": "false",
    }
    groups, mapping = provisioning.schemas[job["id"]]["synchronizationRules"][0]["objectMappings"]
    groups["enabled"] = False
    mapping["flowTypes"] = "Update,Delete"
    for row in mapping["attributeMappings"]:
        if row["targetAttributeName"] == "externalId":
            row["source"] = attribute("objectId")
        if row["targetAttributeName"] == 'emails[type eq "work"].value':
            row["matchingPriority"] = 2
    return provisioning, job
