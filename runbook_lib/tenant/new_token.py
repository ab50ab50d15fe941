"""What a session does once with the SCIM token that it has just made: ask Auth0 what Entra's first search will find."""

from __future__ import annotations

from dataclasses import replace

from runbook_lib.core.errors import RunbookError
from runbook_lib.core.secret import Secret
from runbook_lib.services.auth0.management import scim_endpoint_url
from runbook_lib.tenant import facts
from runbook_lib.tenant.facts import wanted_scim_rows
from runbook_lib.tenant.forecast.matching import SEARCH_WORDS, unlisted, witness_of
from runbook_lib.tenant.forecast.reading import fields_by_path
from runbook_lib.tenant.forecast.values import Forecast, Witness
from runbook_lib.tenant.scim_search import Searched, searched
from runbook_lib.tenant.view import View


def may_search(view: View) -> bool:
    """Whether there is a token to search with and an open question; a session searches once.

    This tool does not use a token that a person is shown, or that came from the settings.
    """
    memory, is_open = view.memory, view.settled.searches_every_field is None
    is_ours = memory.scim_token is not None and not memory.is_brought and not view.settings.handed_over
    return is_ours and is_open and memory.searched is None


def search(view: View, token: Secret) -> None:
    """Search for an Auth0 user that holds what Entra will search by; keep what it told, and what it settles for the forecast.

    One GET, and none where no user is known to hold such a value. An error is reported, and settles nothing.
    """
    try:
        witness = _witness(view)
        if witness is None:
            return
        url = scim_endpoint_url(view.settings.auth0_domain, view.read(facts.connection).id)
    except RunbookError as failed:
        view.memory.searched = Searched(None, f"What Auth0's SCIM search finds could not be asked ({failed.came_back}).")
        return
    told = view.memory.searched = searched(view.auth0.service.sibling("scim", url, token), witness)
    view.settled = replace(view.settled, searches_every_field=told.finds)
    if told.finds is not None and _hangs_on_it(view.foretold):
        view.forget(facts.forecast)


def _hangs_on_it(forecast: Forecast | None) -> bool:
    """Whether a forecast told a person's fate by two readings of the search; if so, the caller makes it again."""
    people = forecast.people if forecast else ()
    return any(SEARCH_WORDS in text for one in people for text in (one.reading, *(other.reading for other in one.others)))


def _witness(view: View) -> Witness | None:
    """Return the test user's Auth0 user as a witness, else the one that the latest forecast came across."""
    scim_fields = fields_by_path(wanted_scim_rows(view))
    attributes = view.read(facts.matching_attributes)
    names = [name for _, name in unlisted(attributes, scim_fields)]
    for profile in view.read(facts.test_user_profiles) if names else ():
        values = {name: profile.attribute(name) for name in names}
        if found := witness_of(profile.user_id, values, attributes, scim_fields):
            return found
    return view.foretold.witness if names and view.foretold else None
