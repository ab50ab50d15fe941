"""What a person types into the connect form. Secrets go into memory; nothing of this module talks to a service."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from runbook_lib.core.errors import SettingsError
from runbook_lib.core.secret import Secret
from runbook_lib.page.panel import Fields
from runbook_lib.settings.clouds import CLOUDS
from runbook_lib.settings.model import SCIM_ENDPOINT, TO_BE_CHOSEN, TenantSettings, meant, problems
from runbook_lib.settings.pasted import as_meant

TYPED = {  # fields that hold secrets
    "auth0_secret": "auth0_client_secret",
    "entra_secret": "entra_client_secret",
    "given_token": "scim_token",
}
GIVEN = ("scim_endpoint", "oidc_client_id")  # asked for only when this side does not sign in to Auth0
KEPT = (  # what a page may remember of a form; no secret is among it
    "name auth0_domain auth0_client_id auth0_connection entra_tenant entra_client_id cloud scim_app_name test_user "
    "token_lifetime_days deletion_threshold turn_on groups_mapping auth0_method entra_method entra_certificate scim_endpoint "
    "oidc_client_id"
).split()
AUTH0_METHODS = {
    "client": "Application: client id and secret",
    "token": "A Management API token that I paste",
    "handover": "No sign-in: its owner does the Auth0 part",
}
ENTRA_METHODS = {
    "device": "Device code: I sign in with my own account",
    "secret": "Client secret of an app registration",
    "certificate": "Certificate of an app registration",
    "token": "A Graph token that I paste",
    "handover": "No sign-in: the customer's administrator does the Entra part",
}
_OF_THE_SANDBOX = re.compile(r"https://(localhost:[0-9]+)/?")  # an address of a real tenant is read by the settings
METHODS = {"auth0_method": "auth0_client_secret", "entra_method": "entra_client_secret"}  # and the secret that each asks for


@dataclass
class Form:
    """`values` holds what is typed, by settings column; secrets are in `secrets` and nowhere else.

    `wrong` says by column what cannot be used, `cleaned` how a pasted value was read.
    """

    values: dict[str, str] = field(default_factory=lambda: {"cloud": "public", "token_lifetime_days": "365", "turn_on": "yes"})
    wrong: dict[str, str] = field(default_factory=dict)
    cleaned: dict[str, str] = field(default_factory=dict)
    auth0_method: str = "client"
    entra_method: str = "device"
    sandbox: str = ""
    secrets: dict[str, Secret] = field(default_factory=dict, repr=False)

    def take(self, fields: Fields) -> None:
        """Take over what is typed, secrets into memory, and say what is wrong with it."""
        for name, text in fields.items():
            if name in TYPED:
                if text.strip():
                    self.secrets[TYPED[name]] = Secret(text.strip())
            elif name in METHODS:
                self._choose(name, text)
            else:
                self._keep(name, text)
        if self.auth0_method == "handover":
            self._know_by_endpoint()
        self.wrong = self._problems()

    def _choose(self, name: str, method: str) -> None:
        """Choose a way to sign in. A secret that was typed for another way is forgotten: it is of another kind."""
        if method != getattr(self, name):
            self.secrets.pop(METHODS[name], None)
        setattr(self, name, method)

    def _keep(self, name: str, text: str) -> None:
        """Keep a value without the characters that pasting put around it, and say so."""
        value = as_meant(name, text)
        if name == "auth0_domain" and (local := _OF_THE_SANDBOX.fullmatch(value)):
            value = local[1]
        if name in problems({name: value}) and (guess := meant(name, value)):
            value = guess
        if value != self.values.get(name):
            self.cleaned.pop(name, None)  # what was read stays said until the person types something else
        self.values[name] = value
        if value != text.strip():
            self.cleaned[name] = f"Read as {value}."

    def _know_by_endpoint(self) -> None:
        """Take domain and connection from the endpoint, where it was sent; the name of a connection, when typed, stays."""
        if self.entra_method == "handover":
            self.entra_method = "device"  # one side has to be ours
        found = SCIM_ENDPOINT.fullmatch(self.values.get("scim_endpoint", ""))
        if found is None:
            return
        self.values["auth0_domain"] = found["domain"]
        if self.values.get("auth0_connection", "con_").startswith("con_") or not self.values["auth0_connection"]:
            self.values["auth0_connection"] = found["connection"]

    def _problems(self) -> dict[str, str]:
        """Return the settings model's complaints about what is typed; an empty field is no mistake before the form is sent."""
        given = self._given()
        if self.auth0_method == "handover":
            given["auth0_client_secret"] = ""
        return problems(given)

    def _given(self) -> dict[str, Any]:
        """Return the typed values that belong to the chosen way of signing in."""
        other = {"entra_certificate", *(GIVEN if self.auth0_method != "handover" else ("auth0_client_id",))}
        return {name: text for name, text in self.values.items() if text and name not in other}

    def draft(self) -> TenantSettings:
        """Return settings as far as they are known, the rest open; good for signing in and for nothing else."""
        return TenantSettings.from_parameters({**TO_BE_CHOSEN, **self.parameters()})

    def parameters(self) -> dict[str, Any]:
        """Return what is known as parameters of settings; secrets are named as those in memory."""
        given = self._given()
        given["auth0_client_secret"] = "" if self.auth0_method == "handover" else "memory:auth0_client_secret"
        if given.get("scim_endpoint"):
            given["scim_token"] = "memory:scim_token"  # noqa: S105 - where it is, not what it is
        given["entra_client_secret"] = {
            "device": "",
            "handover": "",
            "certificate": f"file:{self.values.get('entra_certificate', '')}",
        }.get(self.entra_method, "memory:entra_client_secret")
        if self.auth0_method == "token":
            given["auth0_client_id"] = ""
        if self.entra_method in ("token", "handover"):
            given["entra_client_id"] = ""
        elif not given.get("entra_client_id"):
            given["entra_client_id"] = "00000000-0000-0000-0000-000000000000"
        return given

    def require(self, column: str, do_now: str) -> None:
        """Raise `SettingsError` where a field of this column is empty."""
        if not self.values.get(column):
            raise SettingsError("is missing", do_now, column=column)

    def kept(self) -> dict[str, str]:
        """Return what a page may remember for the next time."""
        every = {**self.values, "auth0_method": self.auth0_method, "entra_method": self.entra_method}
        return {name: every[name] for name in KEPT if every.get(name)}

    def has_secret(self, field_name: str) -> bool:
        """Whether the secret of a field was typed a moment ago and waits in memory, though its field is empty."""
        return TYPED[field_name] in self.secrets

    @property
    def lifetime_about(self) -> str:
        """When a token made today would end, in words."""
        days = self.values.get("token_lifetime_days", "")
        if days == "never":
            return "It never ends. No date reminds anyone to change it."
        if not re.fullmatch("[0-9]{1,4}", days):
            return "Days, or never."
        return (
            f"Ends on {datetime.now(UTC) + timedelta(days=int(days)):%d %B %Y}. Provisioning stops then; make a new one before."
        )

    @property
    def groups(self) -> tuple[tuple[str, str], ...]:
        """The choices about groups: the value in the settings, and its words."""
        return (
            ("", "People only; ask where a token for groups is in use"),
            ("off", "People only"),
            ("on", "People and groups"),
        )

    @property
    def clouds(self) -> Mapping[str, str]:
        """The clouds one may choose."""
        words = {"public": "Microsoft Entra (worldwide)", "usgov": "US government", "china": "China, run by 21Vianet"}
        return {**{name: words[name] for name in CLOUDS}, **({self.sandbox: "Sandbox, to practise"} if self.sandbox else {})}
