"""What the operator asks for, checked before anything is sent."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from runbook_lib.core.errors import SettingsError
from runbook_lib.settings.clouds import CLOUDS, Cloud, checked_cloud, sandbox_cloud
from runbook_lib.settings.pasted import suggestion
from runbook_lib.settings.references import checked_reference
from runbook_lib.settings.texts import (
    check_auth0_domain,
    checked_entra_tenant,
    checked_groups,
    checked_lifetime,
    checked_optional_guid,
    checked_switch,
    checked_text,
    checked_user,
)

Hazards = Literal[
    "turn-common-endpoint-off",
    "change-user-id-attribute",
    "replace-tenant-url",
    "match-by-another-source",
    "other-side-confirmed",
    # what a cycle may cause to people (section "forecast" of the manual): each kind is accepted by itself
    "block",
    "unblock",
    "delete",
    "someone-elses-user",
    "values-written-over",
    "cannot-tell",
]

Side = Literal["auth0", "entra"]

_NAMES_TOLD = 6  # of unknown names: such a file is corrected by its kind of mistake
_NAME = re.compile(r"(?:auth0|[A-Za-z])(?:auth0|[A-Za-z_ ]){0,39}")  # no other digits: those are what secrets have


SCIM_ENDPOINT = re.compile(r"https://(?P<domain>[^/?#]+)/scim/v2/connections/(?P<connection>con_[A-Za-z0-9]+)/?", re.ASCII)

CORRECT_IT = "Correct it and run again; nothing was sent"


class RunMode(StrEnum):
    """`plan` writes nothing; `apply` writes what the plan shows."""

    PLAN = "plan"
    APPLY = "apply"


Text = Annotated[str, BeforeValidator(checked_text)]

Reference = Annotated[Text, AfterValidator(checked_reference)]

Person = Annotated[Text, AfterValidator(checked_user)]


class MappingOverride(BaseModel):
    """One row of a wanted SCIM mapping."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
    scim: Text
    auth0: Text


class Acceptance(BaseModel):
    """What a person has accepted: the hazard, for how many people at most, who it was, and when (ISO 8601 with its zone).

    `count` is 0 for a hazard that is not about single people.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
    hazard: Hazards
    count: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    who: Text = ""
    when: Text = ""


class TenantSettings(BaseModel):
    """One tenant, as one row of a tenants file, one form, or the parameters of the notebook.

    Sign-in to Auth0: with `auth0_client_id`, client credentials; without, the secret reference holds a pasted Management API
    token. Sign-in to Entra: with `entra_client_id` and a reference, a client secret or, when it holds PEM, a certificate;
    without the reference, device code; without the id, the reference holds a pasted Graph token.
    Where id and reference of a side are both empty, this run does not sign in there: its administrator does the steps by hand.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: Annotated[Text, Field(min_length=1, max_length=120, description="your name for this tenant, used for folders")]
    auth0_domain: Annotated[Text, Field(description="the tenant's Auth0 domain, such as acme.eu.auth0.com")]
    auth0_connection: Annotated[Text, Field(min_length=1, max_length=128, description="connection id (con_…) or exact name")]
    auth0_client_id: Annotated[Text, Field(description="machine-to-machine application; empty: the secret is a token")] = ""
    auth0_client_secret: Annotated[
        Reference, Field(description="reference to its secret; empty together with the id: a handed-over side")
    ]
    entra_tenant: Annotated[Text, AfterValidator(checked_entra_tenant), Field(description="tenant id or verified domain")]
    entra_client_id: Annotated[
        Text, AfterValidator(checked_optional_guid), Field(description="app registration; empty: a token")
    ] = ""
    entra_client_secret: Annotated[
        Reference,
        Field(description="reference to its secret or certificate; empty: device code; empty with the id: a handed-over side"),
    ] = ""
    cloud: Annotated[Text, AfterValidator(checked_cloud), Field(description="public, usgov, china or sandbox:READY_FILE")] = (
        "public"
    )
    scim_app_name: Annotated[Text, Field(min_length=1, max_length=120, description="name of the new enterprise application")]
    test_user: Annotated[Person, Field(max_length=320, description="user principal name or object id")]
    token_lifetime_days: Annotated[Text, AfterValidator(checked_lifetime), Field(description="days, or never")] = "365"  # noqa: S105 - a number of days
    turn_on: Annotated[Text, AfterValidator(checked_switch), Field(description="yes: start provisioning in the last step")] = (
        "yes"
    )

    mapping: Annotated[
        tuple[MappingOverride, ...], Field(description="wanted rows of the SCIM mapping; empty: the mapping is only checked")
    ] = ()
    assign: Annotated[
        tuple[Person, ...], Field(description="who gets access, by user principal name or object id; empty: as the OIDC app")
    ] = ()
    accept: Annotated[tuple[Hazards, ...], Field(description="dangerous changes that may be made")] = ()
    accepted: Annotated[
        tuple[Acceptance, ...], Field(description="as accept, each with a maximum number of people, who accepted it and when")
    ] = ()
    deletion_threshold: Annotated[int, Field(ge=1, le=100_000, description="departures in one cycle at which the job stops")] = 20
    blocked_users_limit: Annotated[
        int, Field(ge=0, le=100_000, description="how many people, disabled in Entra, the first cycle may block in Auth0")
    ] = 0
    compare_expressions: Annotated[
        Text,
        AfterValidator(checked_switch),
        Field(description="yes: Microsoft evaluates the mapping's expressions for five people too"),
    ] = "no"
    read_users_by_export: Annotated[
        Text, AfterValidator(checked_switch), Field(description="no: more than 1,000 Auth0 users are not read by an export job")
    ] = "yes"
    groups_mapping: Annotated[
        Text,
        AfterValidator(checked_groups),
        Field(description="on: groups are sent too; off: users only; empty: off, unless in use"),
    ] = ""
    scim_endpoint: Annotated[Text, Field(description="SCIM endpoint URL, sent by the owner of the Auth0 side")] = ""
    scim_token: Annotated[Reference, Field(description="reference to the SCIM token, sent by the owner of the Auth0 side")] = ""
    oidc_client_id: Annotated[
        Text,
        AfterValidator(checked_optional_guid),
        Field(description="client id of the connection, if the Auth0 side is handed over"),
    ] = ""

    @model_validator(mode="after")
    def _hangs_together(self) -> TenantSettings:
        self._check_sides()
        cloud = self.find_cloud()
        if cloud.is_sandbox:
            if self.auth0_domain != cloud.auth0_domain:
                raise ValueError("auth0_domain: is not the domain of the sandbox, which accepts no other")
        else:
            check_auth0_domain(self.auth0_domain)
        return self

    def _check_sides(self) -> None:
        """Raise `ValueError` unless the run signs in on one side, and what the other side gave fits."""
        given = [name for name in ("scim_endpoint", "scim_token", "oidc_client_id") if getattr(self, name)]
        if self.auth0_client_secret:
            if given:
                raise ValueError(f"{given[0]}: applies only if the Auth0 side is handed over, but auth0_client_secret is set")
            return
        if self.auth0_client_id:
            raise ValueError("auth0_client_secret: is empty, though auth0_client_id is not")
        if not self.entra_client_id and not self.entra_client_secret:
            raise ValueError(
                "auth0_client_secret: is empty, and so is the Entra sign-in; this run must sign in to at least one side"
            )
        if self.scim_endpoint:
            self._check_endpoint()
            if not self.oidc_client_id:
                raise ValueError(
                    "oidc_client_id: is missing; scim_endpoint requires it, because it names the sign-in application"
                )
        elif given:
            raise ValueError(f"{given[0]}: is set without scim_endpoint")

    def _check_endpoint(self) -> None:
        """Raise `ValueError` unless the endpoint is this connection's: Entra is told to send the token there."""
        found = SCIM_ENDPOINT.fullmatch(self.scim_endpoint)
        if found is None or found["domain"] != self.auth0_domain:
            raise ValueError(f"scim_endpoint: is not of the form https://{self.auth0_domain}/scim/v2/connections/con_…")
        if self.auth0_connection.startswith("con_") and found["connection"] != self.auth0_connection:
            raise ValueError("scim_endpoint: belongs to another connection than auth0_connection")

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any], *, row: int | None = None) -> TenantSettings:
        """Return checked settings. Raises `SettingsError` that names each column and never shows a value of a secret one."""
        known = (*COLUMNS, *EXTRAS)
        if unknown := [name for name in parameters if name not in known]:
            raise unknown_names("setting", unknown, known, row=row)
        try:
            return cls(**dict(parameters))
        except ValidationError as invalid:
            raise _settings_error(invalid, row) from None

    def find_cloud(self) -> Cloud:
        """Return the cloud, reading the sandbox's ready file where it names one."""
        if self.cloud in CLOUDS:
            return CLOUDS[self.cloud]
        return sandbox_cloud(Path(self.cloud.removeprefix("sandbox:")))

    def accepts(self, hazard: str, count: int = 0) -> bool:
        """Whether a hazard is accepted: by its name for any number, or by a record for at least so many people."""
        return hazard in self.accept or any(one.hazard == hazard and one.count >= count for one in self.accepted)

    @property
    def digest(self) -> str:
        """What tells these settings from others on record; what a person has accepted meanwhile makes no difference."""
        values = self.model_dump(mode="json", exclude={"accepted"})
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:32]

    @property
    def wants_groups(self) -> bool:
        """Whether assigned groups are sent as groups, by a token that may write groups."""
        return self.groups_mapping == "on"

    @property
    def handed_over(self) -> Side | None:
        """The side that another administrator takes care of; None where both are signed in to."""
        if not self.auth0_client_secret:
            return "auth0"
        return None if self.entra_client_id or self.entra_client_secret else "entra"

    @property
    def endpoint_connection(self) -> str:
        """The id of the connection that `scim_endpoint` names, empty without one."""
        found = SCIM_ENDPOINT.fullmatch(self.scim_endpoint)
        return found["connection"] if found else ""

    @property
    def token_lifetime_s(self) -> int | None:
        """The wanted lifetime of the SCIM token in seconds; None: it never ends."""
        return int(self.token_lifetime_days) * 86_400 if self.token_lifetime_days.isdigit() else None


EXTRAS = (
    "mapping",
    "assign",
    "accept",
    "accepted",
    "deletion_threshold",
    "blocked_users_limit",
    "read_users_by_export",
    "compare_expressions",
    "groups_mapping",
    "scim_endpoint",
    "scim_token",
    "oidc_client_id",
)

COLUMNS: tuple[str, ...] = tuple(name for name in TenantSettings.model_fields if name not in EXTRAS)

REQUIRED: tuple[str, ...] = tuple(name for name, field in TenantSettings.model_fields.items() if field.is_required())

SECRET_COLUMNS = ("auth0_client_secret", "entra_client_secret", "scim_token")

# What is wrong with a value, in words that follow the column's name, by pydantic's name for it; {names} are of its context.
_WORDS = {
    "missing": "is missing",
    "string_too_short": "is empty",
    "too_short": "is empty",
    "string_too_long": "is longer than {max_length} characters",
    "too_long": "is longer than {max_length} characters",
    "string_type": "is not a text",
    "tuple_type": "is not a list",
    "extra_forbidden": "does not belong here",
    "literal_error": "is not one of {expected}",
    "int_parsing": "is not a whole number",
    "int_parsing_size": "is a whole number outside the usual range",
    "int_from_float": "is not a whole number",
    "int_type": "is not a whole number",
    "greater_than_equal": "is less than {ge}",
    "less_than_equal": "is more than {le}",
    "model_type": "is not a mapping of names to values",
    "model_attributes_type": "is not a mapping of names to values",
}


def nearest(name: str, known: Sequence[str]) -> str:
    """Return the known name that is most like this one, empty when none is like it."""
    return next(iter(difflib.get_close_matches(name, known, 1)), "")


def unknown_names(what: str, names: Sequence[object], known: Sequence[str], *, row: int | None = None) -> SettingsError:
    """Return the error for unknown names, of which the first few are told: a file may have thousands.

    One that does not look like a name is not repeated: it may be a secret.
    """
    different = list(dict.fromkeys(map(str, names)))
    first = different[:_NAMES_TOLD]
    hints = [f"Did you mean {near}?" for name in first if (near := nearest(name, known))]
    shown = dict.fromkeys(name if _NAME.fullmatch(name) else "(not a name)" for name in first)
    more = f" and {len(different) - len(first)} more" if len(different) > len(first) else ""
    hint = " ".join(hints) or f"Known are {', '.join(known)}."
    return SettingsError(f"there is no such {what}", f"{hint} {CORRECT_IT}", row=row, column=f"{', '.join(shown)}{more}")


# What a form leaves open until it can be chosen from the live tenants. Never part of settings that a step sees.
TO_BE_CHOSEN: Mapping[str, str] = {
    "name": "(open)",
    "auth0_connection": "(open)",
    "scim_app_name": "(open)",
    "test_user": "open@example.invalid",
    "auth0_domain": "open.auth0.com",
    "auth0_client_secret": "memory:auth0_client_secret",
    "entra_tenant": "open.example",
    "entra_client_secret": "memory:entra_client_secret",
}


def problems(values: Mapping[str, Any]) -> dict[str, str]:
    """Return what is wrong with each of these values, in words; what is not among them counts as open.

    It asks the one settings model, so that a form says while typing what a tenants file would be told.
    """
    found = _wrong(values)
    guesses = {column: meant(column, values[column]) for column in found}
    return {column: f"{words}. Did you mean {guesses[column]}?" if guesses[column] else words for column, words in found.items()}


def meant(column: str, value: Any) -> str:
    """Return what may have been meant by a value that is refused, empty when no guess would be taken in turn."""
    guess = suggestion(column, value)
    return guess if guess and not _wrong({column: guess}) else ""


def _wrong(values: Mapping[str, Any]) -> dict[str, str]:
    try:
        TenantSettings(**{**TO_BE_CHOSEN, **values})
    except ValidationError as invalid:
        return {column: words for column, words in reversed(_found(invalid)) if column in values}
    return {}


def _settings_error(invalid: ValidationError, row: int | None) -> SettingsError:
    found = _found(invalid)
    came_back = found[0][1] if len(found) == 1 else "; ".join(f"{column} {words}" for column, words in found)
    return SettingsError(came_back, CORRECT_IT, row=row, column=", ".join(column for column, _ in found), parts=found)


def _found(invalid: ValidationError) -> list[tuple[str, str]]:
    """Return (column, what is wrong) for each complaint."""
    found = []
    for error in invalid.errors(include_url=False):
        column, *within = map(str, error["loc"] or ("",))
        words = _in_words(error)
        if not column and ": " in words:
            column, _, words = words.partition(": ")
        place = ", ".join(f"entry {int(part) + 1}" if part.isdigit() else part for part in within)
        found.append((column, f"{place} {words}".lstrip()))
    return found


def _in_words(error: Mapping[str, Any]) -> str:
    """Return what is wrong with a value, from an entry of `ValidationError.errors()`.

    Never in the library's words and never with the value, which may be a secret.
    """
    if error["type"] == "value_error":
        if error["input"] == "":
            return "is empty"
        return str(error["msg"]).removeprefix("Value error, ")
    context = dict(error.get("ctx") or {})
    words = _WORDS.get(error["type"], "does not have the form that the documentation shows").format_map(context)
    known = re.findall("'([^']+)'", str(context.get("expected", "")))
    near = nearest(str(error["input"]), known) if known else ""
    return f"{words.replace(chr(39), '')}. Did you mean {near}?" if near else words.replace("'", "")
