"""After a cycle: read what happened to the people of a forecast, and compare it with the forecast."""

from __future__ import annotations

from runbook_lib.core.errors import ApiError
from runbook_lib.engine.values import Table
from runbook_lib.services.wire_words import EXTERNAL_ID
from runbook_lib.tenant import facts
from runbook_lib.tenant.forecast.happened import Happened, happened
from runbook_lib.tenant.forecast.reading import SEARCH_LIMIT
from runbook_lib.tenant.forecast.values import Forecast
from runbook_lib.tenant.view import View

COLUMNS = ("person", "user name in Entra", "foretold", "as foretold", "what differs", "provisioning log")
_ROOTS = ("user_id", "blocked", "app_metadata", "user_metadata")


def look_back(view: View, forecast: Forecast) -> tuple[Happened, ...]:
    """Return what happened to each person of a forecast. Read after the cycle.

    A search ends at 1,000 users; an export job reads more. If the settings decline it, a person who is not among the first 1,000
    counts as having no Auth0 user.

    Raises `ApiError`, `TransportError`. Without permission for the provisioning log, Auth0's users alone tell.
    """
    connection, scim = view.read(facts.connection), view.read(facts.scim_configuration)
    fields = {change.field.partition(".")[0] for person in forecast.people for change in person.changes}
    roots = sorted({*_ROOTS, *fields})
    total, profiles = view.auth0.users_of_connection(connection.name, roots)
    if total > SEARCH_LIMIT and view.settings.read_users_by_export == "yes":
        profiles = view.auth0.exported_users(connection.id, roots)
    external_id = scim.auth0_attribute(EXTERNAL_ID) if scim else None
    return happened(forecast, profiles, external_id, _log(view))


def _log(view: View) -> dict[str, str] | None:
    job = view.read(facts.job)
    try:
        return view.graph.provisioning_log(job.id) if job else None
    except ApiError as error:
        if error.status in (401, 403, 429):
            return None
        raise


def table_of(found: tuple[Happened, ...]) -> Table:
    """Return forecast and outcome as a table, a row a person, those whose forecast was wrong first."""
    rows = sorted(found, key=lambda one: (one.is_as_foretold is not False, one.person.person.lower()))
    words = {True: "yes", False: "no", None: "was not foretold"}
    return Table(
        "Forecast and what the cycle did",
        COLUMNS,
        tuple(
            (one.person.called, one.person.upn, str(one.person.fate), words[one.is_as_foretold], one.words, one.log)
            for one in rows
        ),
    )
