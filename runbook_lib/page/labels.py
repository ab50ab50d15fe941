"""The words of the page that no step has: demo tenants, cards, permissions."""

from __future__ import annotations

import re

from runbook_lib.core.step_numbers import StepNumbers
from runbook_lib.engine.result import StepResult
from runbook_lib.engine.status import Status
from runbook_lib.engine.values import Table
from runbook_lib.page.sign_ins import SignedIn
from runbook_lib.services.wire_words import NEW_CONNECTIONS_PAGE
from runbook_lib.tenant.console_links import Link

_RUN_AGAIN = re.compile(r"\brun (?:it )?again(?: with --resume)?\b")
DEMOS = {
    "fresh": "An older connection, nothing done yet.",
    "complete": "Everything is done: nothing is left to do.",
    "half-done": "An earlier run stopped half way.",
    "oid-with-users": "Refused: user ids come from the object id.",
    "common-endpoint": "Refused: people from other directories sign in here.",
    "token-limit": "Refused: two SCIM tokens already.",
    "no-options-scope": "Refused: the sign-in may not read the options.",
    "many-assignments": "Hundreds of people to assign.",
    "people": "Each fate a person can have at the start, once.",
    "hand-over": "The customer's administrator does Entra: their instructions, and a token that is shown once.",
}


_MEANINGS = {  # for the states whose steps always give their own reason
    Status.NOTED: "Nothing has to be done or written here.",
    Status.BLOCKED: "Nothing was written. A person has to act first.",
    Status.FAILED: "A service refused, or did not answer.",
}
LEGEND = tuple((one.icon, one.word, _MEANINGS.get(one) or one.sentence, one.tone) for one in Status)


SAFE_WAYS = {  # a hazard, and the document or the place that avoids it
    "change-user-id-attribute": Link("Open the document for this connection", NEW_CONNECTIONS_PAGE),
}


def lead(result: StepResult) -> str:
    """Return the first sentence of a card."""
    if result.hazards:
        return "This change is dangerous. Nothing is written unless you accept it below."
    return result.reason or Status(result.status).sentence


def proof(result: StepResult) -> str:
    """Return one line of what a step shows: a write's before and after, else what is due, else what it found."""
    if result.diffs and result.status in ("CHANGED", "PLANNED"):
        shown = [f"{diff.field}: {diff.before or '(nothing)'} → {diff.after or '(removed)'}" for diff in result.diffs[:2]]
        more = f" and {len(result.diffs) - 2:,} more" if len(result.diffs) > 2 else ""
        return "; ".join(shown) + more
    return lead(result)


def changes(result: StepResult) -> Table:
    """Return what a step changes, or has changed, as a table: before and after once it is done, now and wanted before."""
    is_done = result.status == Status.CHANGED
    title, ends = ("What was changed", ("before", "after")) if is_done else ("What will change", ("now", "wanted"))
    rows = tuple((diff.on, diff.field, diff.before or "(nothing)", diff.after or "(removed)") for diff in result.diffs)
    return Table(title, ("where", "what", *ends), rows)


def on_page(remedy: str) -> str:
    """Return what to do, in the words of the page: its user types no command and presses Look again."""
    return _RUN_AGAIN.sub("press Look again", remedy)


def safe_way(result: StepResult) -> Link | None:
    """Return the document or place that leads to the safe way around a step's hazards; None if there is none."""
    return next((SAFE_WAYS[hazard.name] for hazard in result.hazards if hazard.name in SAFE_WAYS), None)


def permission_table(numbers: StepNumbers, info: SignedIn) -> Table:
    """Return which permissions a sign-in has, in words."""
    rows = tuple(
        (entry.name, "✓ there" if entry.is_there else "✖ missing", numbers.put_in(entry.needed_for)) for entry in info.permissions
    )
    return Table("Permissions", ("permission", "", "needed for"), rows)
