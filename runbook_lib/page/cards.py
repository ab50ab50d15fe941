"""The pieces of the page: the values for each piece's template, made from the page's state alone."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

from runbook_lib.engine.result import StepResult
from runbook_lib.engine.status import Status, Tone
from runbook_lib.engine.values import Table
from runbook_lib.page.ending import CYCLE, TOMORROW, files_of, is_on, sentence, token_end
from runbook_lib.page.form import AUTH0_METHODS
from runbook_lib.page.handover import beside_card
from runbook_lib.page.labels import DEMOS, LEGEND, changes, lead, on_page, permission_table, proof, safe_way
from runbook_lib.page.needs import needs
from runbook_lib.page.state import PageState, touched
from runbook_lib.services.wire_words import NEW_CONNECTIONS_PAGE

Values = dict[str, Any]


def start(state: PageState) -> Values:
    """Return what the connect card shows."""
    return {
        "title": "Connect",
        "where": state.where,
        "stopped": next((number for number, result in list(state.results.items()) if Status(result.status).is_bad), ""),
        "connecting": state.connecting,
        "form": state.connecting.form,
        "ins": state.connecting.sign_ins,
        "people": state.connecting.people,
        "trouble": state.connecting.trouble,
        "busy": state.busy.get("start", ""),
        "is_open": state.session is not None,
        "demo": state.demo,
        "demos": tuple(DEMOS.items()),
        "demo_about": DEMOS.get(state.demo, ""),
        "overview": _overview(state),
        "auth0_methods": AUTH0_METHODS,
        "needs": needs(state.procedure.by_thing),
        "permissions": functools.partial(permission_table, state.procedure.by_thing),
        "number": state.procedure.number_of,
        "sections": state.procedure.by_thing.sections,
        "new_page": NEW_CONNECTIONS_PAGE,
    }


def _overview(state: PageState) -> Table:
    if state.session is None:
        return Table("", (), ())
    settings = state.session.settings
    rows = [("Auth0 connection", settings.auth0_connection), ("Entra tenant", settings.entra_tenant)]
    rows += [("New enterprise application", settings.scim_app_name), ("Test user", settings.test_user)]
    return Table("What this page works on", ("what", "which"), tuple(rows))


def rail(state: PageState) -> Values:
    """Return what the header and the list of all steps show."""
    done = [number for number in state.changeable if _row(state, number)["tone"] == Tone.DONE]
    handed = [number for number in state.changeable if _row(state, number)["tone"] == Tone.HAND]
    about = f"{len(done)} of {len(state.changeable)} changes" + (f", {len(handed)} handed over" if handed else "")
    return {
        "name": state.name,
        "connection": state.connection,
        "is_sandbox": state.is_sandbox,
        "about": about if state.session else "Not connected",
        "percent": round(100 * len(done) / max(1, len(state.changeable))),
        "work": " ".join(f"{_place(at)} {words}" for at, words in list(state.busy.items())[-1:]),
        "sections": [
            {"title": section.heading, "rows": [_row(state, n) for n in section.numbers]} for section in state.procedure.sections
        ],
        "here": state.at.step,
        "legend": LEGEND,
        "folder": state.folder,
    }


def _place(at: str) -> str:
    return f"Step {at}:" if at[:1].isdigit() else ""


def _row(state: PageState, number: str) -> dict[str, str]:
    result, row = state.results.get(number), state.procedure.row(number)
    word, icon, tone = "Open", "○", Tone.IDLE
    if number in state.busy:
        word, icon, tone = "Working", "◌", Tone.DUE
    elif result is not None:
        status = Status(result.status)
        word, icon, tone = status.word, status.icon, status.tone
        if result.kind == "stage" and status is Status.PLANNED:
            word = "Saved later"
    return {"step": number, "title": row.title, "short": row.label, "word": word, "icon": icon, "tone": tone}


def step(state: PageState, number: str) -> Values:
    """Return what the card of a step shows."""
    result, row = state.results.get(number), _row(state, number)
    is_here = state.at.step == number
    return {
        "step": number,
        "title": row["title"],
        "result": result,
        "kind": result.status if result else "",
        "icon": row["icon"],
        "word": row["word"],
        "lead": lead(result) if result else "",
        "proof": proof(result) if result else "",
        "waiting": "Connect at the top of the page first.",
        "busy": state.busy.get(number, ""),
        "can_apply": state.can_apply(number),
        "link": state.links.get(number),
        "extra": beside_card(state.session, result),
        "grid": state.mapping if state.has_editor(number) and state.mapping.rows else None,
        "is_open": is_here,
        "presses": state.at.presses if is_here and state.at.is_led else 0,
        "next": _next(state, number) if is_here else None,
        "people": _people(state, number),
        "connection": state.connection,
        "safe_way": safe_way(result) if result else None,
        "screen": state.procedure.row(number).screen,
        "read_at": f"{state.read_at[number]:%H:%M:%S} UTC" if number in state.read_at else "",
        "changes": changes(result) if result else None,
        "remedy": on_page(result.remedy or "") if result else "",
        "can_undo": number in state.undoable,
    }


def _next(state: PageState, number: str) -> dict[str, str] | None:
    """Return where the button under a finished step leads: the next open step or the end; None for an unfinished step."""
    if not state.is_finished(number) or number in state.busy:
        return None
    following = state.next_step
    if not following:
        return {"step": "", "title": "", "about": ""}
    return {"step": following, "title": state.procedure.row(following).title, "about": _about(state, following)}


def _about(state: PageState, number: str) -> str:
    """Return about how long a step takes; empty when that is unknown. The sandbox answers at once."""
    screen = state.procedure.row(number).screen
    if screen is None or not state.can_apply(number):
        return ""
    return f"about {1 if state.is_sandbox else screen.seconds} s"


def _people(state: PageState, number: str) -> int | None:
    """Return the number of people that the user has to type before this step; None where a click is enough, as in the sandbox."""
    if number != state.start or not state.asks_for_people or state.session is None:
        return None
    return touched(state.session)


def section(state: PageState, number: str) -> Values:
    """Return what is shown above the steps of a section."""
    numbers = state.procedure.section(number).numbers
    done = sum(_row(state, row)["tone"] == Tone.DONE for row in numbers)
    return {
        "number": number,
        "words": f"{done} of {len(numbers)} steps of this section are done.",
        "waits": _awaited(state, numbers),
        "due": len(state.due(number)),
        "busy": any(row in state.busy for row in numbers),
        "title": state.procedure.section(number).title,
    }


def _awaited(state: PageState, numbers: Iterable[str]) -> str:
    """Return the unfinished step that must come first, because these steps wait for it; empty when none waits."""
    waits = next((result.waits_for for row in numbers if (result := state.results.get(row)) and result.waits_for), "")
    while (before := state.results.get(waits)) and before.waits_for:
        waits = before.waits_for
    return "" if state.is_finished(waits) else waits


def _to_do(result: StepResult) -> str:
    """Return what to do about an open step, in the page's words; empty if its own button is the only thing to press."""
    if result.hazards:
        return f"Read what is dangerous about it at step {result.step}; take the safe way there, or accept it."
    return on_page(result.remedy or "")


OPEN = (Status.PLANNED, Status.BLOCKED, Status.FAILED, Status.HANDOVER)


def end(state: PageState) -> Values:
    """Return what the summary shows."""
    left = [result for result in list(state.results.values()) if result.status in OPEN and result.kind != "stage"]
    rows = tuple((r.step, r.title, f"{Status(r.status).icon} {Status(r.status).word}", _to_do(r)) for r in left)
    ends = token_end(state.session) if state.session else None
    comes = [CYCLE] if is_on(state) else []
    if ends:
        comes.append(f"The SCIM token ends on {ends:%d %B %Y} (UTC). Provisioning stops then; the calendar file says so.")
    return {
        "heading": f"Summary{f' for {state.name}' if state.name else ''}",
        "words": sentence(state),
        "todo": Table("What is left", ("step", "what", "state", "what to do"), rows),
        "ready": bool(state.results),
        "busy": state.busy.get("end", ""),
        "files": files_of(state.session) if state.session and state.written else (),
        "comes": comes,
        "tomorrow": TOMORROW if is_on(state) else (),
        "console": state.links.get(state.start),
        "undone": state.undone,
        "is_undone": state.is_undone,
        "undo_since": state.undo_since,
        "is_sandbox": state.is_sandbox,
        "connection": state.connection,
    }
