"""What a connection's `options` may hold.

Source: Management API description (auth0/docs-v2, main/docs/oas/management/v2), ConnectionPropertiesOptions and
UpdateConnectionOptions for every strategy, ConnectionOptionsAzureAD for waad. Options that they do not name are kept as they are.
"""

from __future__ import annotations

from collections.abc import Iterable

from runbook_lib.sandbox.auth0.checks import Schema

BOOLEAN: Schema = {"type": "boolean"}
TEXT: Schema = {"type": "string"}


def text(*, least: int = 0, most: int | None = None) -> Schema:
    """Return the rule of a string by its length."""
    return {"type": "string", "minLength": least, **({} if most is None else {"maxLength": most})}


def number(least: int | None = None, most: int | None = None, kind: str = "integer") -> Schema:
    """Return the rule of a number between two limits, both allowed."""
    limits = {"minimum": least, "maximum": most}
    return {"type": kind, **{name: limit for name, limit in limits.items() if limit is not None}}


def word(*words: str) -> Schema:
    """Return the rule of one out of some words."""
    return {"type": "string", "enum": list(words)}


def listed(items: Schema, **limits: int | bool) -> Schema:
    """Return the rule of a list; `minItems`, `maxItems` and `uniqueItems` limit it."""
    return {"type": "array", "items": items, **limits}


def closed(required: Iterable[str] = (), **properties: Schema) -> Schema:
    """Return the rule of an object that holds these properties and no others."""
    return {"type": "object", "additionalProperties": False, "required": list(required), "properties": properties}


def opened(required: Iterable[str] = (), **properties: Schema) -> Schema:
    """Return the rule of an object that may hold other properties too."""
    return {"type": "object", "required": list(required), "properties": properties}


def nullable(schema: Schema) -> Schema:
    """Return a rule that takes null as well."""
    changed = {**schema, "type": [schema["type"], "null"]}
    return {**changed, "enum": [*schema["enum"], None]} if "enum" in schema else changed


def _switched() -> Schema:
    return nullable(closed(["enable"], enable=BOOLEAN))


_ALGORITHMS = ("ES256", "ES384", "PS256", "PS384", "RS256", "RS384", "RS512")
_SIGNUP = closed(status=word("required", "optional", "inactive"), verification=closed(active=BOOLEAN))
_ALIASES = (
    "acr_values audience client_id display id_token_hint login_hint max_age prompt resource response_mode response_type "
    "ui_locales"
).split()
_SCRIPTS = "login get_user delete change_password verify create change_username change_email change_phone_number".split()


def _attributes() -> Schema:
    phone = closed(
        identifier=closed(active=BOOLEAN, default_method=word("password", "phone_otp")), profile_required=BOOLEAN, signup=_SIGNUP
    )
    email = closed(
        identifier=closed(active=BOOLEAN, default_method=word("password", "email_otp")),
        unique=BOOLEAN,
        profile_required=BOOLEAN,
        verification_method=word("link", "otp"),
        signup=_SIGNUP,
    )
    length = number(1, 128, "number")
    username = closed(
        identifier=closed(active=BOOLEAN),
        profile_required=BOOLEAN,
        signup=closed(status=word("required", "optional", "inactive")),
        validation=closed(min_length=length, max_length=length, allowed_types=closed(email=BOOLEAN, phone_number=BOOLEAN)),
    )
    return {**closed(email=email, phone_number=phone, username=username), "minProperties": 1}


def _passwords() -> dict[str, Schema]:
    block = word("allow", "block")
    complexity = closed(
        min_length=number(1, 72),
        character_types=listed(word("uppercase", "lowercase", "number", "special")),
        character_type_rule=word("all", "three_of_four"),
        identical_characters=block,
        sequential_characters=block,
        max_length_exceeded=word("truncate", "error"),
    )
    return {
        "passwordPolicy": nullable(word("none", "low", "fair", "good", "excellent")),
        "password_complexity_options": nullable(closed(min_length=number(1, 128))),
        "password_history": nullable(closed(["enable"], enable=BOOLEAN, size=number(0, 24))),
        "password_no_personal_info": _switched(),
        "password_dictionary": nullable(closed(["enable"], enable=BOOLEAN, dictionary=listed(text(most=50)))),
        "password_options": closed(
            complexity=complexity,
            dictionary=closed(active=BOOLEAN, custom=listed(text(most=50)), default=word("en_10k", "en_100k")),
            history=closed(active=BOOLEAN, size=number(1, 24)),
            profile_data=closed(active=BOOLEAN, blocked_fields=listed(text(most=100))),
        ),
    }


def _signing() -> dict[str, Schema]:
    return {
        "assertion_decryption_settings": closed(
            ["algorithm_profile"], algorithm_profile=word("v2026-1"), algorithm_exceptions=listed(text(least=1, most=100))
        ),
        "id_token_signed_response_algs": nullable(listed(word(*_ALGORITHMS))),
        "dpop_signing_alg": word("ES256", "ES384", "ES512", "Ed25519"),
        "token_endpoint_auth_method": nullable(word("client_secret_post", "private_key_jwt")),
        "token_endpoint_auth_signing_alg": nullable(word(*_ALGORITHMS)),
        "token_endpoint_jwtca_aud_format": word("issuer", "token_endpoint"),
        "id_token_session_expiry_supported": BOOLEAN,
    }


def _methods() -> dict[str, Schema]:
    enabled = closed(enabled=BOOLEAN)
    password = closed(enabled=BOOLEAN, api_behavior=word("required", "optional"), signup_behavior=word("allow", "block"))
    return {
        "authentication_methods": nullable(closed(password=password, passkey=enabled, email_otp=enabled, phone_otp=enabled)),
        "passkey_options": nullable(
            closed(
                challenge_ui=word("both", "autofill", "button"),
                progressive_enrollment_enabled=BOOLEAN,
                local_enrollment_enabled=BOOLEAN,
            )
        ),
        "gateway_authentication": nullable(
            opened(
                ["method", "audience", "secret"],
                method=TEXT,
                subject=TEXT,
                audience=TEXT,
                secret=TEXT,
                secret_base64_encoded=BOOLEAN,
            )
        ),
    }


_FLAGS = (
    "enable_script_context enabledDatabaseCustomization import_mode api_enable_users api_enable_groups basic_profile ext_admin "
    "ext_is_suspended ext_agreed_terms ext_groups ext_assigned_plans ext_profile disable_self_service_change_password"
).split()

EVERY_STRATEGY: dict[str, Schema] = {
    **dict.fromkeys(_FLAGS, BOOLEAN),
    "validation": nullable(closed(username=nullable(closed(["max", "min"], min=number(1), max=number(most=128))))),
    "non_persistent_attrs": nullable(listed(TEXT)),
    "precedence": listed(word("email", "phone_number", "username"), minItems=3),
    "attributes": _attributes(),
    "configuration": {"type": ["object", "null"], "additionalProperties": nullable(TEXT)},
    "customScripts": opened(**dict.fromkeys(_SCRIPTS, text(least=1))),
    **_methods(),
    **_passwords(),
    "upstream_params": {
        "type": ["object", "null"],
        "additionalProperties": {"type": "object", "oneOf": [closed(alias=word(*_ALIASES)), closed(value=TEXT)]},
    },
    "set_user_root_attributes": word("on_each_login", "on_first_login", "never_on_login"),
    "federated_connections_access_tokens": nullable(closed(active=BOOLEAN)),
    **_signing(),
}

_WAAD_FLAGS = (
    "ext_access_token ext_account_enabled ext_assigned_licenses ext_azure_id ext_city ext_country ext_department "
    "ext_dir_sync_enabled ext_email ext_expires_in ext_family_name ext_fax ext_given_name ext_group_ids ext_job_title "
    "ext_last_sync ext_mobile ext_name ext_nested_groups ext_nickname ext_oid ext_phone ext_physical_delivery_office_name "
    "ext_postal_code ext_preferred_language ext_provisioned_plans ext_provisioning_errors ext_proxy_addresses ext_puid "
    "ext_refresh_token ext_roles ext_state ext_street ext_telephoneNumber ext_tenantid ext_upn ext_usage_location ext_user_id "
    "granted useCommonEndpoint use_wsfed waad_common_endpoint"
).split()
_WAAD_TEXTS = "app_domain app_id client_id client_secret domain icon_url max_groups_to_retrieve tenant_domain tenantId".split()

WAAD: dict[str, Schema] = {
    **dict.fromkeys(_WAAD_FLAGS, BOOLEAN),
    **dict.fromkeys(_WAAD_TEXTS, nullable(TEXT)),  # null: seen in the recorded connections of the Terraform provider
    "userid_attribute": word("oid", "sub"),
    "identity_api": word("microsoft-identity-platform-v2.0", "azure-active-directory-v1.0"),
    "waad_protocol": word("ws-federation", "openid-connect"),
    "should_trust_email_verified_connection": word("never_set_emails_as_verified", "always_set_emails_as_verified"),
    "domain_aliases": nullable(listed(TEXT)),
    "scope": nullable(listed(TEXT)),
    "thumbprints": nullable(listed(TEXT, maxItems=20)),
}
