"""The test user of provision on demand. The step forecasts their fate first, because provision on demand writes at once.

Source: entra-docs, provision-on-demand (it exports like a cycle), and its known limitations: an unassigned person is disabled.
"""

from __future__ import annotations

from runbook_lib.core.errors import StepBlocked
from runbook_lib.services.auth0.models import Auth0User
from runbook_lib.settings.model import TenantSettings
from runbook_lib.steps import forecast_gate
from runbook_lib.tenant.forecast.values import Fate, HarmKind, PersonForecast
from runbook_lib.tenant.things import Thing

_ANOTHER = f"Set test_user to another person, whose forecast in step {Thing.START.step} is update"
_ACCEPTABLE = (HarmKind.OVERWRITE, HarmKind.CANNOT_TELL)  # of a single person; the rest would be harm for the sake of a test


def refuse_harm(person: PersonForecast | None, profile: Auth0User, settings: TenantSettings) -> None:
    """Raise `StepBlocked` when provision on demand would harm the test user or another person, skip them, or find two users.

    `person` is None when the forecast does not cover them: then their fate is unknown.
    """
    if person is None:
        raise StepBlocked(f"The forecast does not cover the test user of {profile.user_id}", _ANOTHER)
    for kind in person.harms:
        if kind not in _ACCEPTABLE or not settings.accepts(kind.accept_word, 1):
            raise StepBlocked(f"With provision on demand, {forecast_gate.harm((person,), kind)}", _ANOTHER)
    if not person.in_scope and Fate.CANNOT_TELL not in person.fates:
        raise StepBlocked(
            f"Entra would skip {person.person}, who is outside the scope of the job: {person.scope_reason}",
            f"Set test_user to a person who meets the scoping filter that step {Thing.MAPPINGS.step} shows",
        )
    if person.fates == (Fate.NO_USER,):
        raise StepBlocked(
            f"Entra would not find {profile.user_id} for {person.person}: of the person's matching attributes, by default "
            f"the user name ({person.upn}) and the mail address ({person.mail or 'none'}), the Auth0 user has none in the mapped "
            "field",
            "Let the person sign in once, which updates both in Auth0, or set test_user to another person",
        )
    if person.fate is Fate.TWO_USERS:
        users = ", ".join(person.auth0_users)
        why = f"Entra would find several Auth0 users for {person.person}: {users}"
        raise StepBlocked(why, "Set test_user to another person")
    if person.auth0_users and person.matched_by and profile.user_id not in person.auth0_users:
        users = ", ".join(person.auth0_users)
        raise StepBlocked(
            f"Entra would update {users} instead of {profile.user_id}, which has the mail address of {person.person}",
            "Set test_user to another person",
        )
