"""A run that signs in to one side alone, and what the administrator of the other side gets to do."""

from __future__ import annotations

from typing import Any

from runbook_lib.engine.values import Handover
from runbook_lib.settings.model import TenantSettings
from tests.builders import GOOD, planned


def without(side: str, **changed: Any) -> TenantSettings:
    """Return settings without a sign-in to a side."""
    empty = ("auth0_client_id", "auth0_client_secret") if side == "auth0" else ("entra_client_id", "entra_client_secret")
    return TenantSettings.from_parameters({**GOOD, **dict.fromkeys(empty, ""), **changed})


ENDPOINT = "https://acme.eu.auth0.com/scim/v2/connections/con_1"
SENT = {"scim_endpoint": ENDPOINT, "scim_token": "env:T", "oidc_client_id": "11111111-1111-4111-8111-111111111111"}
ENTRA, AUTH0, AUTH0_SENT = without("entra"), without("auth0"), without("auth0", **SENT)
CONFIRMED = {"accept": ["other-side-confirmed"]}


def handover(number: str, settings: TenantSettings, **readings: Any) -> Handover:
    """Return what a step hands over."""
    [found] = [entry for entry in planned(number, settings, **readings) if isinstance(entry, Handover)]
    return found
