"""The page of a handed-over side: each card says what its administrator does, and a new token is shown once."""

from __future__ import annotations

from markupsafe import Markup

from runbook_lib.core.step_numbers import sections_in
from runbook_lib.engine.result import StepResult
from runbook_lib.page.panel import Panel, drawn
from runbook_lib.run.tenant_run import Session
from runbook_lib.settings.model import TenantSettings
from runbook_lib.steps.by_hand import AUTH0
from runbook_lib.tenant.things import Thing

SHOWN_S = 300  # then it is gone from the page, copied or not
WORD = {  # what the other side's administrator must have confirmed
    "entra": "The administrator has told me that all on the sheet is done and that provisioning is on.",
    "auth0": f"The owner of the Auth0 side has confirmed {sections_in(AUTH0)}.",
}


def with_hand_over(demos: tuple[TenantSettings, ...]) -> tuple[TenantSettings, ...]:
    """Return the demo tenants and one more: `fresh`, as it is when this side does not sign in to Entra."""
    nobody = {"name": "hand-over", "entra_client_id": "", "entra_client_secret": ""}
    return (*demos, *(tenant.model_copy(update=nobody) for tenant in demos if tenant.name == "fresh"))


def beside_card(session: Session | None, result: StepResult | None) -> Markup:
    """Return what the card of a handed-over step shows in addition; nothing for other steps."""
    if session is None or result is None or session.settings.handed_over is None:
        return Markup("")
    side = session.settings.handed_over
    makes_token = (
        side == "entra" and result.step == session.procedure.number_of(Thing.TOKEN) and result.status not in ("BLOCKED", "FAILED")
    )
    is_asked = result.step == session.procedure.number_of(Thing.START) and result.status == "HANDOVER"
    shown = drawn(
        "handover",
        result=result,
        makes_token=makes_token,
        takes_word=session.procedure.by_thing.put_in(WORD[side]) if is_asked else "",
    )
    return Markup(shown)  # noqa: S704 - a template that escapes


def make_token(session: Session, card: Panel) -> StepResult:
    """Make a token by the session's writer and show it on its card, once. Raises `TenantBusy`."""
    result, token = session.make_token()
    if token is not None:
        card.show_once(token, label="SCIM token, shown once", seconds=SHOWN_S)
    return result
