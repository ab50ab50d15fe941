"""The world of the demo: one software company's Auth0 tenant, and one customer with its own Entra tenant for each demo tenant."""

from __future__ import annotations

import copy
import csv
from collections.abc import Callable, Iterable
from pathlib import Path

from runbook_lib.sandbox.clock import Clock
from runbook_lib.sandbox.demo_customers import (
    Customer,
    add_token,
    connection_done,
    enterprise_application,
    entra_user,
    fresh,
    login,
    ready_to_start,
)
from runbook_lib.sandbox.demo_people import every_fate
from runbook_lib.sandbox.graph.routes import new_assignment
from runbook_lib.sandbox.ids import Ids
from runbook_lib.sandbox.world import Auth0Client, Auth0Tenant, Document, EntraTenant, World

AUTH0_SCOPES = (
    "read:connections update:connections read:connections_options update:connections_options read:scim_config create:scim_config "
    "update:scim_config delete:scim_config read:scim_token create:scim_token delete:scim_token read:users update:users read:logs "
    "read:clients"
).split()
COLUMNS = (
    "name,auth0_domain,auth0_connection,auth0_client_id,auth0_client_secret,entra_tenant,entra_client_id,entra_client_secret,cloud,"
    "scim_app_name,test_user,token_lifetime_days,turn_on"
).split(",")


def build_world(seed: int, *, auth0_domain: str, extra_tenants: int = 0, names: Iterable[str] | None = None) -> World:
    """Return a world with the demo tenants, `extra_tenants` more like `fresh`, and some unrelated things.

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
        DEMO[name](fresh(world, name))
    for number in range(1, extra_tenants + 1):
        fresh(world, f"tenant-{number:04d}")
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


# What sets each demo tenant apart ------------------------------------------------------------------------------------


def _nothing(_customer: Customer) -> None:
    """Leave the customer as an older one is."""


def _half_done(customer: Customer) -> None:
    """An administrator did the Auth0 side and made the enterprise application by hand, and stopped there."""
    _capitals(customer)
    connection_done(customer)
    enterprise_application(customer)


def _capitals(customer: Customer) -> None:
    """Write mail addresses with capitals, as directories mostly have them; Auth0 keeps them (user-profile-structure page)."""
    profiles = {profile["email"]: profile for profile in customer.world.auth0.users.values()}
    for user in customer.entra.users.values():
        profile, mail = profiles.get(user["mail"]), f"{user['givenName']}.{user['surname']}@{customer.name}.example"
        user["mail"] = mail
        if profile is not None:
            profile["email"] = mail


def _complete(customer: Customer) -> None:
    """Everything is done, linked and started."""
    provisioning, job = ready_to_start(customer)
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
    provisioning = connection_done(customer)
    for _ in range(2):
        add_token(customer, provisioning, used=True)


def _many(customer: Customer) -> None:
    """Add people until there are 250: three pages of 100, the page size that Graph uses by default."""
    _grow(customer, 250)


def _grow(customer: Customer, people: int) -> None:
    for number in range(len(customer.entra.users), people):
        user = entra_user(customer, number)
        customer.entra.assignments.append(
            new_assignment(customer.world, "User", user, customer.oidc, "00000000-0000-0000-0000-000000000000")
        )
        login(customer, user, with_upn=number % 3 == 1)


def grow(world: World, name: str, people: int) -> None:
    """Let a tenant have so many people in all, the new ones with access and signed in before. Raises `KeyError`."""
    entra = world.entra_by_name(f"{name}.onmicrosoft.com")
    connections = (one for one in world.auth0.connections.values() if one["name"] == f"{name}-azure-ad")
    if entra is None or (connection := next(connections, None)) is None:
        raise KeyError(name)
    client_id = connection["options"]["client_id"]
    oidc = {one["appId"]: one for one in entra.service_principals.values()}[client_id]
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
    "people": every_fate,
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
        "switches": world.switches.document(),
        "auth0": {
            "domain": world.auth0.domain,
            "connections": world.auth0.connections,
            "scim_configurations": {key: entry.configuration for key, entry in world.auth0.provisioning.items()},
            "scim_tokens": {key: entry.tokens for key, entry in world.auth0.provisioning.items()},
            "users": world.auth0.users,
            "logs": world.auth0.logs,
        },
        "entra": {tenant.id: _shown_tenant(tenant) for tenant in world.entra.values()},
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


def _shown_tenant(tenant: EntraTenant) -> Document:
    return {
        "domain": tenant.domain,
        "display_name": tenant.display_name,
        "applications": tenant.applications,
        "service_principals": tenant.service_principals,
        "users": tenant.users,
        "deleted_users": tenant.deleted_users,
        "groups": tenant.groups,
        "members": tenant.members,
        "managers": tenant.managers,
        "assignments": tenant.assignments,
        "provisioning": {
            key: {
                "secrets": entry.secrets,
                "jobs": entry.jobs,
                "schemas": entry.schemas,
                "links": entry.links,
                "departed": entry.departed,
            }
            for key, entry in tenant.provisioning.items()
        },
        "provisioning_log": tenant.provisioning_log,
    }
