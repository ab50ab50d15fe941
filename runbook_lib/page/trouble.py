"""An error as the form shows it: under the button that was pressed, in the form's own words."""

from __future__ import annotations

import re
from dataclasses import dataclass

from runbook_lib.core.errors import RunbookError, SettingsError, StepBlocked

LABELS = {  # what the form calls each column of the settings
    "auth0_domain": "Auth0 domain",
    "auth0_connection": "connection",
    "auth0_client_id": "client id",
    "auth0_client_secret": "client secret",
    "entra_tenant": "Entra tenant",
    "entra_client_id": "application (client) id",
    "entra_client_secret": "client secret or certificate",
    "scim_endpoint": "SCIM endpoint URL",
    "scim_token": "SCIM token",
    "oidc_client_id": "client id of the connection",
    "scim_app_name": "name of the new enterprise application",
    "test_user": "test user",
    "token_lifetime_days": "lifetime of the SCIM token",
    "deletion_threshold": "deletion guard",
    "turn_on": "choice about turning provisioning on",
    "groups_mapping": "choice about groups",
}
PLACES = {  # what a person was about to do at each button
    "auth0": "The sign-in to Auth0",
    "entra": "The sign-in to Entra",
    "connection": "Reading this connection",
    "plan": "The plan",
    "start": "Opening this tenant",
}
_COLUMN = re.compile(rf"\b(?:{'|'.join(sorted(LABELS, key=len, reverse=True))})\b")


@dataclass(frozen=True)
class Trouble:
    """What went wrong at a button. `at` names the button's place; `details` are the service's own words, mostly empty.

    `number` counts the troubles of a page, so that each takes the focus once. `column` is the field to correct.
    """

    at: str
    headline: str
    remedy: str
    details: str = ""
    column: str = ""
    number: int = 0


def trouble_of(error: RunbookError, at: str, number: int) -> Trouble:
    """Return an error as the form shows it."""
    if isinstance(error, SettingsError):
        column = (error.column or "").split(",")[0].strip()
        label = LABELS.get(column, "")
        headline = f"The {label} {error.came_back}" if label else error.came_back
        return Trouble(at, plain(headline), plain(error.do_now), column=column, number=number)
    if isinstance(error, StepBlocked):
        head, _, details = error.came_back.partition(": ")
        return Trouble(at, plain(head), plain(error.do_now), details, number=number)
    details = f"{error.attempted}: {error.came_back}"
    return Trouble(at, f"{PLACES[at]} did not succeed", plain(error.do_now), details, number=number)


def plain(text: str) -> str:
    """Return a text with the form's labels in place of the names of settings, and its buttons in place of a command."""
    said = text.replace(" in the settings", " above").replace("run again", "press the button again")
    return _COLUMN.sub(lambda found: f"the {LABELS[found[0]]}", said)
