"""What the Management API's described operations take, as JSON Schemas of ours.

Source: Management API description (auth0/docs-v2, main/docs/oas/management/v2). What goes beyond it says so.
"""

from __future__ import annotations

from runbook_lib.sandbox.auth0.checks import Body, Query, Schema
from runbook_lib.sandbox.auth0.option_rules import (
    BOOLEAN,
    EVERY_STRATEGY,
    TEXT,
    WAAD,
    closed,
    listed,
    nullable,
    number,
    opened,
    text,
    word,
)

STRATEGIES = (
    "ad adfs amazon apple dropbox bitbucket auth0-oidc auth0 baidu bitly box custom daccount dwolla email evernote-sandbox "
    "evernote exact facebook fitbit github google-apps google-oauth2 instagram ip line linkedin oauth1 oauth2 office365 "
    "oidc okta paypal paypal-sandbox pingfederate planningcenter salesforce-community salesforce-sandbox salesforce samlp "
    "sharepoint shopify shop sms soundcloud thirtysevensignals twitter untappd vkontakte waad weibo windowslive wordpress "
    "yahoo yandex auth0-adldap"
).split()
SCIM_SCOPES = tuple(f"{verb}:{kind}" for kind in ("users", "groups") for verb in ("get", "post", "put", "patch", "delete"))

_ACTIVE = closed(["active"], active=BOOLEAN)
_CLIENT_ID: Schema = {"type": "string", "format": "client-id"}
_METADATA: Schema = {"type": "object", "additionalProperties": nullable(text(most=255)), "maxProperties": 10}
_CONNECTION: dict[str, Schema] = {
    "display_name": text(most=128),
    "is_domain_connection": BOOLEAN,
    "show_as_button": BOOLEAN,
    "realms": listed(TEXT),
    "metadata": _METADATA,
    "authentication": _ACTIVE,
    "connected_accounts": closed(["active"], active=BOOLEAN, cross_app_access=BOOLEAN),
    "cross_app_access_requesting_app": _ACTIVE,
}


def _changed_connection(options: dict[str, Schema]) -> Body:
    allowed = closed(**_CONNECTION, options=nullable(opened(**options)), enabled_clients=nullable(listed(_CLIENT_ID)))
    return Body({**allowed, "minProperties": 1})


CHANGED_CONNECTION = _changed_connection(EVERY_STRATEGY)
CHANGED_WAAD_CONNECTION = _changed_connection({**EVERY_STRATEGY, **WAAD})
_NAME: Schema = {"type": "string", "maxLength": 128, "pattern": r"^[a-zA-Z0-9](-[a-zA-Z0-9]|[a-zA-Z0-9])*$(?!\n)"}
NEW_CONNECTION = Body(
    {
        **closed(
            ["name", "strategy"],
            **_CONNECTION,
            name=_NAME,
            strategy=word(*STRATEGIES),
            options=opened(**EVERY_STRATEGY),
            enabled_clients=listed(_CLIENT_ID),
        ),
        "if": {"properties": {"strategy": {"const": "waad"}}},
        "then": {"properties": {"options": opened(**WAAD)}},
    }
)
CHANGED_CLIENTS = Body(
    listed(closed(["client_id", "status"], client_id=_CLIENT_ID, status=BOOLEAN), minItems=1, maxItems=50)  # 50: its text
)

_ROWS = listed(opened(auth0=TEXT, scim=TEXT))
CHANGED_SCIM = Body(closed(["user_id_attribute", "mapping"], user_id_attribute=TEXT, mapping=_ROWS))
NEW_SCIM = Body(nullable(closed(user_id_attribute=TEXT, mapping=_ROWS)), is_required=False)
NEW_TOKEN = Body(
    closed(
        scopes=listed(word(*SCIM_SCOPES), minItems=1),  # the ten words: configure-inbound-scim page
        # "Must be greater than 900" is the description's text. Unverified: an upper limit; here the year 9999 is not passed.
        token_lifetime={"type": ["integer", "null"], "exclusiveMinimum": 900, "maximum": 250_000_000_000},
    ),
    is_required=False,
)

_PROFILE: dict[str, Schema] = {
    "blocked": BOOLEAN,
    "email_verified": BOOLEAN,
    "email": nullable({"type": "string", "format": "email"}),
    "phone_number": nullable({"type": "string", "pattern": r"^\+[0-9]{1,15}$(?!\n)"}),
    "phone_verified": BOOLEAN,
    "user_metadata": {"type": "object"},
    "app_metadata": {"type": "object"},
    "given_name": nullable(text(least=1, most=150)),
    "family_name": nullable(text(least=1, most=150)),
    "name": nullable(text(least=1, most=300)),
    "nickname": nullable(text(least=1, most=300)),
    "picture": nullable({"type": "string", "format": "strict-uri"}),
    "username": nullable(text(least=1, most=128)),
}
PROFILE_FIELDS = tuple(_PROFILE)
CHANGED_USER = Body(
    opened(
        **_PROFILE,
        verify_email=BOOLEAN,
        verify_phone_number=BOOLEAN,
        password=nullable(text(least=1)),
        connection=text(least=1),
        client_id=text(least=1),
    )
)

_FIELD = closed(["name"], name=text(least=1), export_as=text(least=1))
NEW_EXPORT = Body(  # jobs/post-users-exports reference page
    closed(
        connection_id=text(least=1),
        format=word("json", "csv"),
        limit=number(1),
        fields=listed(_FIELD),
    ),
    is_required=False,
)

# Queries ---------------------------------------------------------------------------------------------------------------

_FIELDS: dict[str, Schema] = {"fields": TEXT, "include_fields": BOOLEAN}
_CHECKPOINT: dict[str, Schema] = {"from": TEXT, "take": number(1, 100)}


def _offsets(least: int) -> dict[str, Schema]:
    return {"page": number(0), "per_page": number(least, 100), "include_totals": BOOLEAN}


NOTHING = Query({})
FIELDS = Query(_FIELDS)
CONNECTIONS = Query({**_offsets(1), **_CHECKPOINT, **_FIELDS, "strategy": listed(word(*STRATEGIES)), "name": TEXT})
CHECKPOINT = Query(_CHECKPOINT)
ENABLED_CLIENTS = Query({"from": text(most=1000), "take": number(1, 1000)})
CLIENTS = Query(
    {
        **_offsets(0),
        **_CHECKPOINT,
        **_FIELDS,
        "is_global": BOOLEAN,
        "is_first_party": BOOLEAN,
        "app_type": TEXT,
        "external_client_id": text(least=1, most=120),
        "q": TEXT,
    }
)
USERS = Query(
    {
        **_offsets(0),
        **_FIELDS,
        "q": TEXT,
        "sort": TEXT,
        "connection": TEXT,
        "search_engine": word("v1", "v2", "v3"),
        "primary_order": BOOLEAN,
    }
)
BY_EMAIL = Query({**_FIELDS, "email": TEXT}, required=("email",))
DATABASE_USER = Query({"email": TEXT}, required=("email",))
LOGS = Query({**_offsets(0), **_FIELDS, "from": TEXT, "take": number(), "search": TEXT, "q": TEXT, "sort": TEXT})  # q: its page
