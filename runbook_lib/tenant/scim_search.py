"""Whether Auth0's SCIM search finds users by a field that its page does not list, such as `upn`: asked once, with one GET.

Auth0's configure-inbound-scim page says that a SCIM filter reaches only the listed fields; Okta's SCIM suites, which Auth0 asks
publishers to pass, search by userName, which maps to a field outside that list. No public source shows an answer, so that a
search for an Auth0 user that is known to hold the value settles it for the tenant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from runbook_lib.core.errors import ApiError, TransportError
from runbook_lib.http.message import understood
from runbook_lib.http.service import Service
from runbook_lib.tenant.forecast.values import Witness


@dataclass(frozen=True, slots=True)
class Searched:
    """What is known of the search. `finds` is None where nothing is settled; `words` say what was asked and what came back."""

    finds: bool | None
    words: str


def query_of(attribute: str, value: str) -> tuple[tuple[str, str], ...]:
    """Return the query of a SCIM search for users with a value, as Entra sends it."""
    return (("filter", f'{attribute} eq "{value}"'), ("count", "2"))


def number_found(answer: Any) -> int:
    """Return how many users a SCIM search has found."""
    return int(answer.get("totalResults") or 0)


def searched(scim: Service, witness: Witness) -> Searched:
    """Ask the SCIM endpoint for the witness, and say what that settles. An error settles nothing, and is told."""
    about = f"users by {witness.field}, the field behind {witness.attribute}"
    try:
        with understood("the SCIM search"):
            count = number_found(scim.read("/Users", query_of(witness.attribute, witness.value)))
    except (ApiError, TransportError) as failed:
        return Searched(
            None, f"This run asked whether Auth0's SCIM search finds {about}, and got no answer ({failed.came_back})."
        )
    if count:
        return Searched(True, f"Auth0's SCIM search finds {about}: it was asked for {witness.user_id}, and found it.")
    return Searched(
        False,
        f"Auth0's SCIM search does not find {about}: {witness.user_id} holds the value that it was asked for, and was not found.",
    )
