"""The end of the page: what was done in one sentence, the files to open, what comes by itself, and what to look at tomorrow."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from runbook_lib.engine.status import Status, Tone
from runbook_lib.page.state import PageState, touched
from runbook_lib.run.tenant_run import Session
from runbook_lib.settings.process import page_folder
from runbook_lib.tenant import facts

CYCLE = (  # entra-docs, how-provisioning-works: initial cycle, then one about every 40 minutes
    "Entra begins the first cycle within minutes. It takes 20 minutes to some hours, by the number of people. "
    "After it Entra repeats a cycle about every 40 minutes."
)
TOMORROW = (
    "Entra > the new enterprise application > Provisioning: the last cycle succeeded and the job is not in quarantine.",
    "Entra > the same page > Provisioning logs: no person stands as failed. Compare a few people with the forecast.",
    "Auth0 > User Management > Users: a person whose name changed in Entra shows the new name.",
)


@dataclass(frozen=True)
class FileShown:
    """A file that the run left. `address`, below the server's own, opens it; empty where the page is not served by `lab`."""

    what: str
    path: str
    address: str


FILES = {
    "report.html": "Report",
    "handover.html": "Sheet for the other side",
    "forecast.csv": "Forecast, person by person",
    "token-end.ics": "Calendar file for the token's end",
}


def files_of(session: Session) -> tuple[FileShown, ...]:
    """Return the files of the run that a person may want, in order, those that are there."""
    out, root = session.out, page_folder()
    is_served = root is not None and out.is_relative_to(root)
    return tuple(
        FileShown(what, str(out / name), f"files/{quote(str((out / name).relative_to(root)))}" if is_served and root else "")
        for name, what in FILES.items()
        if (out / name).exists()
    )


def token_end(session: Session) -> datetime | None:
    """Return when the token that Entra holds ends, None while there is none, it never ends, or it is not known.

    By the latest list: a step that makes or deletes a token reads the list again, or adds the new one to it.
    """
    view = session.view
    tokens = view.last(facts.scim_tokens) or ()
    own = [token for token in tokens if token.token_id in view.memory.own_token_ids]
    return max((token.ends_at for token in own or tokens if token.ends_at), default=None)


def sentence(state: PageState) -> str:
    """Return in one sentence how the tenant stands."""
    results = dict(state.results)  # a plan that is being made adds to them
    if not results:
        return "Connect first."
    waiting = [number for number in state.changeable if not state.is_finished(number)]
    bad = [number for number, result in results.items() if Status(result.status).is_bad]
    if bad:
        return f"Step {bad[0]} has stopped; {_counted(len(waiting), 'change')} of {len(state.changeable)} are left."
    if handed := [number for number in waiting if number in results and Status(results[number].status).tone is Tone.HAND]:
        return f"{_counted(len(handed), 'change')} wait for the administrator of the other side; the sheet below is for them."
    if waiting:
        return f"{_counted(len(waiting), 'change')} of {len(state.changeable)} are left. The next one is step {state.next_step}."
    if state.start not in state.changeable:
        return "Everything is set up, and provisioning stays off, as you chose."
    people = touched(state.session) if state.session else 0
    told = f" The forecast names {_counted(people, 'person', 'people')} that the next cycle will change." if people else ""
    return f"Done: Entra now tells Auth0 about changes to people and about leavers of {state.connection}.{told}"


def _counted(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def is_on(state: PageState) -> bool:
    """Whether provisioning is on, as far as the page has seen."""
    result = state.results.get(state.start)
    return result is not None and state.start in state.changeable and Status(result.status).tone is Tone.DONE
