"""The words of the page: what each state, section, demo tenant and step is called."""

from __future__ import annotations

from runbook_lib.change import Table
from runbook_lib.engine import StepResult
from runbook_lib.guided.connecting import SignedIn
from runbook_lib.steps import STEPS

WORDS = {
    "UNCHANGED": "Already right",
    "PLANNED": "To do",
    "CHANGED": "Done",
    "PASSED": "Checked",
    "NOTED": "Note",
    "HANDOVER": "Handed over",
    "SKIPPED": "Skipped",
    "BLOCKED": "Stopped",
    "FAILED": "Failed",
}
DONE = ("UNCHANGED", "CHANGED", "PASSED")
TONES = {**dict.fromkeys(DONE, "done"), "PLANNED": "due", "BLOCKED": "stop", "FAILED": "stop"}
SECTIONS = {
    "0": "Before you start",
    "1": "1 Settings in Auth0",
    "2": "2 Endpoint and token",
    "3": "3 Provisioning in Entra",
    "4": "4 Testing",
}
DEMOS = {
    "fresh": "An older connection, nothing done yet.",
    "complete": "Everything is done: nothing is left to do.",
    "half-done": "Somebody stopped half way.",
    "oid-with-users": "Refused: user ids come from the object id.",
    "common-endpoint": "Refused: people of other directories sign in here.",
    "token-limit": "Refused: two SCIM tokens already.",
    "no-options-scope": "Refused: the sign-in may not read the options.",
    "many-assignments": "Hundreds of people to assign.",
    "hand-over": "Entra is somebody else's: what they do there, and a token that is shown once.",
}
SHORT = {
    "0.1": "Connection type",
    "0.2": "Sign-ins",
    "1.1": "Find connection",
    "1.2": "User id is sub",
    "1.3": "Sync and SCIM on",
    "1.4": "SCIM user id",
    "1.5": "SCIM mapping",
    "2.1": "Endpoint URL",
    "2.2": "SCIM token",
    "2.3": "Token scopes",
    "3.1": "Sign-in app",
    "3.2": "SCIM app",
    "3.3": "Assignments",
    "3.4": "Provisioning job",
    "3.5": "Tenant URL",
    "3.6": "Save credentials",
    "3.7": "Create is off",
    "3.8": "externalId row",
    "3.9": "Object id",
    "3.10": "Work email row",
    "3.11": "Match by email",
    "3.12": "Save mappings",
    "3.13": "Back",
    "4.1": "Ready to test",
    "4.2": "Test one user",
    "4.3": "Turn on",
}
MAPPING_STEP = "1.5"
TITLES = {step.number: step.title for step in STEPS}


def lead(result: StepResult) -> str:
    """Return the first sentence of a card."""
    if result.hazard:
        return "This change is dangerous and needs your word for it."
    usual = {
        "UNCHANGED": "Already as wanted.",
        "PLANNED": "This will be written when you press Apply.",
        "CHANGED": "Written, and read back.",
        "PASSED": "As it should be.",
        "SKIPPED": "Not done.",
        "HANDOVER": "This is for whoever takes care of the other side.",
    }
    return result.reason or usual.get(result.status, "")


def permission_table(info: SignedIn) -> Table:
    """Return which permissions a sign-in has, in words."""
    rows = tuple((entry.name, "✓ there" if entry.is_there else "✖ missing", entry.needed_for) for entry in info.permissions)
    return Table("Permissions", ("permission", "", "needed for"), rows)
