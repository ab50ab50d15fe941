"""auth0-python, typed: the calls the runbook makes, read through the vendor's own models."""

import json
import os

from auth0.authentication import GetToken
from auth0.management import ManagementClient
from auth0.management.core.api_error import ApiError


def told(check: str, found: object) -> None:
    print(json.dumps({"check": check, "found": found}, default=str), flush=True)


domain, name = os.environ["AUTH0_DOMAIN"], os.environ["CONNECTION"]
secret = os.environ["AUTH0_CLIENT_SECRET"]
token = GetToken(domain, os.environ["AUTH0_CLIENT_ID"], client_secret=secret).client_credentials(f"https://{domain}/api/v2/")
auth0 = ManagementClient(domain=domain, token=token["access_token"])

listed = [one.name for one in auth0.connections.list(strategy=["waad"], take=3)]
told("connections by checkpoint", listed)
[connection] = list(auth0.connections.list(name=name))
told("connection", auth0.connections.get(connection.id).strategy)
told("changed", auth0.connections.update(connection.id, display_name="Changed", options=connection.options).display_name)
told("clients of the connection", [one.client_id for one in auth0.connections.clients.get(connection.id)])

scim = auth0.connections.scim_configuration
made = scim.create(connection.id)
told("configuration", [made.user_id_attribute, len(made.mapping)])
proposed = scim.get_default_mapping(connection.id).mapping
told("default mapping", [(row.scim, row.auth_0) for row in made.mapping] == [(row.scim, row.auth_0) for row in proposed])
changed = scim.update(connection.id, user_id_attribute="externalId", mapping=made.mapping[:4])
told("patched", changed.mapping[3].auth_0)
scim_token = scim.tokens.create(connection.id, scopes=["get:users"], token_lifetime=901)
told("token", [scim_token.token.startswith(scim_token.token_id), scim_token.scopes])
told("tokens", [one.token_id == scim_token.token_id for one in scim.tokens.get(connection.id)])
scim.tokens.delete(connection.id, scim_token.token_id)
scim.delete(connection.id)
try:
    scim.get(connection.id)
except ApiError as refused:
    told("without configuration", refused.status_code)
try:
    auth0.connections.update(connection.id, display_name="x" * 129)
except ApiError as refused:
    told("a name too long", [refused.status_code, refused.body["errorCode"]])

mail = os.environ["MAIL"]
[user] = auth0.users.list_users_by_email(email=mail)
told("by mail", [user.email, [one.email for one in auth0.users.list_users_by_email(email=mail.swapcase())]])
told("search", len(list(auth0.users.list(q=f'identities.connection:"{name}"', per_page=5))))
told("by id", auth0.users.get(user.user_id).name)
job = auth0.jobs.users_exports.create(connection_id=connection.id, format="json", fields=[{"name": "user_id"}])
told("job", [job.status, auth0.jobs.get(job.id).status, auth0.jobs.get(job.id).status])
told("log", [one.type for one in auth0.logs.list(search="type:fscim")])
