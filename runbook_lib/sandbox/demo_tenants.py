"""The world of the demo: one software company's Auth0 tenant, and one customer with its own Entra tenant for each demo tenant."""

from __future__ import annotations

import copy
import csv
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from runbook_lib.sandbox.auth0.routes import new_configuration, new_token
from runbook_lib.sandbox.clock import Clock
from runbook_lib.sandbox.graph.routes import TEMPLATE_ID, USER_ROLE, new_application, new_assignment
from runbook_lib.sandbox.graph.schema_template import attribute, default_schema
from runbook_lib.sandbox.graph.synchronization import new_job
from runbook_lib.sandbox.ids import Ids
from runbook_lib.sandbox.world import (
    Auth0Client,
    Auth0Tenant,
    Document,
    EntraClient,
    EntraTenant,
    Provisioning,
    ScimProvisioning,
    World,
)

AUTH0_SCOPES = (
    "read:connections update:connections read:connections_options update:connections_options read:scim_config create:scim_config "
    "update:scim_config delete:scim_config read:scim_token create:scim_token delete:scim_token read:users update:users read:logs "
    "read:clients"
).split()
GRAPH_PERMISSIONS = (
    "Application.ReadWrite.All AppRoleAssignment.ReadWrite.All Synchronization.ReadWrite.All User.Read.All User.ReadWrite.All "
    "Group.Read.All Organization.Read.All AuditLog.Read.All Directory.Read.All"
).split()
PEOPLE = (
    "Adele Vance;Alex Wilber;Christie Cline;Diego Siciliani;Grady Archie;Henrietta Mueller;Isaiah Langer;Johanna Lorenz;"
    "Joni Sherman;Lee Gu;Lidia Holloway;Lynne Robbins;Megan Bowen;Miriam Graham"
).split(";")
ASSIGNED = 12  # the last two are members of a group only
SCIM_SCOPES = ["get:users", "patch:users", "delete:users"]
COLUMNS = (
    "name,auth0_domain,auth0_connection,auth0_client_id,auth0_client_secret,entra_tenant,entra_client_id,entra_client_secret,cloud,"
    "scim_app_name,test_user,token_lifetime_days,turn_on"
).split(",")


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


def build_world(seed: int, *, auth0_domain: str, extra_tenants: int = 0, names: Iterable[str] | None = None) -> World:
    """Return a world with the demo tenants, `extra_tenants` more like `fresh`, and some things that are nobody's business.

    `names` are the demo tenants wanted, all of them by default.
    """
    ids, clock = Ids(seed), Clock()
    auth0 = Auth0Tenant(auth0_domain, "acme")
    world = World(auth0, {}, ids, clock)
    everything, too_little = ids.alphanumeric(32), ids.alphanumeric(32)
    auth0.clients[everything] = Auth0Client(everything, ids.base64url(48), tuple(AUTH0_SCOPES))
    without = tuple(scope for scope in AUTH0_SCOPES if scope != "read:connections_options")
    auth0.clients[too_little] = Auth0Client(too_little, ids.base64url(48), without, "Without options")
    _bystanders(world)
    for name in DEMO if names is None else names:
        DEMO[name](_fresh(world, name))
    for number in range(1, extra_tenants + 1):
        _fresh(world, f"tenant-{number:04d}")
    return world


def _bystanders(world: World) -> None:
    for name, strategy in (("okta-saml", "samlp"), ("Username-Password-Authentication", "auth0")):
        connection_id = f"con_{world.ids.alphanumeric(16)}"
        world.auth0.connections[connection_id] = {
            "id": connection_id,
            "options": {"tenant_domain": name},
            "strategy": strategy,
            "name": name,
            "display_name": name,
            "is_domain_connection": False,
            "realms": [name],
        }
    user_id = f"auth0|{world.ids.hexadecimal(24)}"
    identity = {"connection": "Username-Password-Authentication", "provider": "auth0", "user_id": user_id[6:], "isSocial": False}
    world.auth0.users[user_id] = {"user_id": user_id, "email": "owner@acme.example", "name": "Owner", "identities": [identity]}


def _fresh(world: World, name: str, people: int = len(PEOPLE)) -> Customer:
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
    options: Document = {
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
        "x_unknown": {"nested": {"list": [1, None, "\u00e9"], "off": False}},
    }
    world.auth0.connections[connection_id] = {
        "id": connection_id,
        "options": options,
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


def _populate(customer: Customer, people: int) -> None:
    """Add users and two groups; all but the last of the assigned ones have signed in to Auth0 before."""
    world, entra = customer.world, customer.entra
    made = [_entra_user(customer, number) for number in range(people)]
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
            _login(customer, user, with_upn=number % 3 == 1)


def _entra_user(customer: Customer, number: int) -> Document:
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


def _login(customer: Customer, user: Document, *, with_upn: bool) -> Document:
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


# What sets each demo tenant apart ------------------------------------------------------------------------------------


def _nothing(_customer: Customer) -> None:
    """Leave the customer as an older one is."""


def _connection_done(customer: Customer) -> ScimProvisioning:
    options = customer.connection["options"]
    options["userid_attribute"] = "sub"
    options.pop("set_user_root_attributes", None)
    provisioning = ScimProvisioning(new_configuration(customer.world, customer.connection, {}))
    customer.world.auth0.provisioning[customer.connection["id"]] = provisioning
    return provisioning


def _add_token(customer: Customer, provisioning: ScimProvisioning, *, used: bool) -> str:
    document, text = new_token(customer.world, list(SCIM_SCOPES), 31_536_000)
    if used:
        document["last_used_at"] = customer.world.clock.auth0()
    provisioning.tokens.append(document)
    provisioning.token_values[document["token_id"]] = text
    return text


def _enterprise_application(customer: Customer) -> tuple[str, Provisioning, Document]:
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


def _half_done(customer: Customer) -> None:
    """Somebody did the Auth0 side and made the enterprise application by hand, and stopped there."""
    _connection_done(customer)
    _enterprise_application(customer)


def _complete(customer: Customer) -> None:
    """Everything is done, linked and started."""
    text = _add_token(customer, _connection_done(customer), used=True)
    _, provisioning, job = _enterprise_application(customer)
    provisioning.secrets = {
        "BaseAddress": f"https://{customer.world.auth0.domain}/scim/v2/connections/{customer.connection['id']}/?aadOptscim062020",
        "SecretToken": text,
        "SyncNotificationSettings": json.dumps(
            {"Enabled": True, "Recipients": "it@complete.example", "DeleteThresholdEnabled": True, "DeleteThresholdValue": 14}
        ),
        "SyncAll": "false",
    }
    mapping = provisioning.schemas[job["id"]]["synchronizationRules"][0]["objectMappings"][1]
    mapping["flowTypes"] = "Update,Delete"
    for row in mapping["attributeMappings"]:
        if row["targetAttributeName"] == "externalId":
            row["source"] = attribute("objectId")
        if row["targetAttributeName"] == 'emails[type eq "work"].value':
            row["matchingPriority"] = 2
    job["schedule"]["state"], job["status"]["code"] = "Active", "Active"
    by_mail = {user["email"]: user for user in customer.world.auth0.users.values()}
    links = provisioning.links.setdefault(job["id"], {})
    for user in customer.entra.users.values():
        if profile := by_mail.get(user["mail"].lower()):
            profile["app_metadata"] = {"external_id": user["id"]}
            links[user["id"]] = profile["user_id"]


def _object_ids(customer: Customer) -> None:
    customer.connection["options"]["userid_attribute"] = "oid"


def _common_endpoint(customer: Customer) -> None:
    customer.connection["options"].update(useCommonEndpoint=True, waad_common_endpoint=True)


def _token_limit(customer: Customer) -> None:
    provisioning = _connection_done(customer)
    for _ in range(2):
        _add_token(customer, provisioning, used=True)


def _many(customer: Customer) -> None:
    """Add people until there are 250: three pages of 100, which is what Graph gives when nobody asks for more."""
    _grow(customer, 250)


def _grow(customer: Customer, people: int) -> None:
    for number in range(len(customer.entra.users), people):
        user = _entra_user(customer, number)
        customer.entra.assignments.append(
            new_assignment(customer.world, "User", user, customer.oidc, "00000000-0000-0000-0000-000000000000")
        )
        _login(customer, user, with_upn=number % 3 == 1)


def grow(world: World, name: str, people: int) -> None:
    """Let a tenant have so many people in all, the new ones with access and signed in before. Raises `KeyError`."""
    entra = world.entra_by_name(f"{name}.onmicrosoft.com")
    connections = (one for one in world.auth0.connections.values() if one["name"] == f"{name}-azure-ad")
    if entra is None or (connection := next(connections, None)) is None:
        raise KeyError(name)
    client_id = connection["options"]["client_id"]
    oidc = next(one for one in entra.service_principals.values() if one["appId"] == client_id)
    _grow(Customer(world, name, entra, connection, oidc), people)


DEMO: dict[str, Callable[[Customer], None]] = {
    "fresh": _nothing,
    "complete": _complete,
    "half-done": _half_done,
    "oid-with-users": _object_ids,
    "common-endpoint": _common_endpoint,
    "token-limit": _token_limit,
    "no-options-scope": _nothing,
    "many-assignments": _many,
}


def write_tenants_file(world: World, folder: Path, ready_file: Path) -> Path:
    """Write tenants.csv and the secret files its references name; all readable by the owner only."""
    secrets = folder / "secrets"
    secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
    everything, too_little = world.auth0.clients.values()
    path = folder / "tenants.csv"
    with path.open("w", newline="") as handle:
        path.chmod(0o600)
        writer = csv.writer(handle)
        writer.writerow(COLUMNS)
        for entra in world.entra.values():
            name = entra.domain.removesuffix(".onmicrosoft.com")
            client = too_little if name == "no-options-scope" else everything
            application = next(iter(entra.clients.values()))
            first = next(iter(entra.users.values()))
            writer.writerow(
                [
                    name,
                    world.auth0.domain,
                    f"{name}-azure-ad",
                    client.client_id,
                    _secret_file(secrets / f"auth0-{client.client_id}", client.client_secret),
                    entra.id,
                    application.client_id,
                    _secret_file(secrets / f"entra-{name}", application.client_secret),
                    f"sandbox:{ready_file.absolute()}",
                    f"Acme SCIM ({name})",
                    first["userPrincipalName"],
                    "365",
                    "yes",
                ]
            )
    return path


def _secret_file(path: Path, text: str) -> str:
    path.touch(mode=0o600)
    path.write_text(text)
    return f"file:{path.absolute()}"


def shown_state(world: World) -> Document:
    """Return the whole world as JSON, each secret replaced by its id."""
    document = {
        "clock": world.clock.auth0(),
        "auth0": {
            "domain": world.auth0.domain,
            "connections": world.auth0.connections,
            "scim_configurations": {key: entry.configuration for key, entry in world.auth0.provisioning.items()},
            "scim_tokens": {key: entry.tokens for key, entry in world.auth0.provisioning.items()},
            "users": world.auth0.users,
            "logs": world.auth0.logs,
        },
        "entra": {
            tenant.id: {
                "domain": tenant.domain,
                "display_name": tenant.display_name,
                "applications": tenant.applications,
                "service_principals": tenant.service_principals,
                "users": tenant.users,
                "deleted_users": tenant.deleted_users,
                "groups": tenant.groups,
                "members": tenant.members,
                "assignments": tenant.assignments,
                "provisioning": {
                    key: {"secrets": entry.secrets, "jobs": entry.jobs, "schemas": entry.schemas, "links": entry.links}
                    for key, entry in tenant.provisioning.items()
                },
                "provisioning_log": tenant.provisioning_log,
            }
            for tenant in world.entra.values()
        },
    }
    named = world.secrets()

    def masked(value: object) -> object:
        if isinstance(value, dict):
            return {key: masked(item) for key, item in value.items()}
        if isinstance(value, list):
            return [masked(item) for item in value]
        return named.get(value, value) if isinstance(value, str) else value

    shown = masked(copy.deepcopy(document))
    assert isinstance(shown, dict)  # noqa: S101 - a dict stays one
    return shown
