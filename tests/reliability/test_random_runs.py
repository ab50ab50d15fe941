"""Several faults in one run, more in its re-run, and in undo: fixed seeds, one right end state."""

from __future__ import annotations

import copy
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from runbook_lib.tenant.app_notes import Marker
from tests.reliability.laboratory import ALL_KINDS, Laboratory, number_of_the_request

TRIES = 6  # runs without further faults until everything must be right; two are expected
RUN_LENGTH = 100
UNDO_LENGTH = 40
LATER_S = 600  # Entra lists within five minutes what it has saved


def broken_runs(folder: Path, seed: int) -> tuple[Laboratory, random.Random, bool]:
    """Two to five faults, some in the first run and the rest in the next; say whether a report was untrue."""
    folder.mkdir()
    dice = random.Random(seed)
    laboratory = Laboratory(folder, furnished=dice.random() < 0.5)
    untrue = False
    faults = dice.randint(2, 5)
    for count in (dice.randint(1, faults), faults):
        for _ in range(count):
            laboratory.break_at(dice.randint(1, RUN_LENGTH), dice.choice(ALL_KINDS))
        untrue |= laboratory.run().status in ("done", "unchanged") and bool(laboratory.wrongs())
        faults -= count
        if not faults:
            break
    laboratory.mend()
    return laboratory, dice, untrue


def converged_after(laboratory: Laboratory) -> int | None:
    """Run without faults until all is right; return how many runs that took, or None."""
    for number in range(1, TRIES + 1):
        outcome = laboratory.run()
        if outcome.status in ("done", "unchanged"):
            return number if not laboratory.wrongs() else None
        laboratory.follow_the_remedy(outcome)
    return None


def test_runs_with_several_faults_are_repaired(tmp_path, figure, trials):
    count = trials(15, 2000)
    needed: Counter[int | None] = Counter()
    untrue, early, wrote = [], [], []
    for seed in range(count):
        laboratory, _, lied = broken_runs(tmp_path / str(seed), seed)
        needed[converged_after(laboratory)] += 1
        untrue += [seed] * lied
        early += [seed] * bool(laboratory.early_starts)
        wrote += [seed] * bool(laboratory.run().writes)
    figure("random: runs with 2 to 5 faults", count)
    figure("random: not converged", needed[None])
    figure("random: re-runs needed", ", ".join(f"{n}: {needed[n]}" for n in sorted(n for n in needed if n)))
    figure("random: reports that said done while the state differed", len(untrue))
    assert (needed[None], untrue, early, wrote) == (0, [], [], [])


def what_was_there(laboratory: Laboratory) -> tuple[Any, ...]:
    """What undo has to bring back: all of the customer but a person's profile, empty notes and a guard that stays on."""
    auth0, entra = laboratory.world.auth0, laboratory.entra
    principals = {key: {**value, "notes": value["notes"] or None} for key, value in entra.service_principals.items()}
    schemas = [without(schema, "version") for p in entra.provisioning.values() for schema in p.schemas.values()]
    tokens = {key: [token["token_id"] for token in p.tokens] for key, p in auth0.provisioning.items()}
    configurations = {key: without(p.configuration, "updated_on") for key, p in auth0.provisioning.items()}
    assigned = sorted((a["principalId"], a["resourceId"]) for a in entra.assignments)
    return copy.deepcopy((auth0.connections, configurations, tokens, entra.applications, principals, schemas, assigned))


@pytest.mark.parametrize("edit", ["", "renamed", "marked", "older"])
def test_undo_leaves_and_names_the_application_whose_answer_was_lost(tmp_path, edit):
    """It may be a colleague's, who made one by hand in that minute: the request is no proof."""
    laboratory = Laboratory(tmp_path)
    laboratory.break_at(number_of_the_request(tmp_path / "whole", "/instantiate"), "kill_after")
    assert laboratory.run().writes[-1].endswith("/instantiate")
    made = laboratory.applications()[0]
    application = next(a for a in laboratory.entra.applications.values() if a["appId"] == made["appId"])
    if edit == "renamed":
        made["displayName"] = "Somebody's own"
    if edit == "marked":
        made["notes"] = str(Marker("con_another"))
    if edit == "older":
        application["createdDateTime"] = "2026-01-05T08:58:00Z"
    undone = laboratory.undo(1)
    assert made["id"] in laboratory.entra.service_principals
    assert not [write for write in undone.writes if write.startswith("DELETE /v1.0")]
    assert "undo again later to check" in (laboratory.out(1) / "undo.json").read_text()
    for _ in range(10):  # the sandbox hides what was made for a number of readings
        again = laboratory.undo(1)
        assert (again.status, again.writes) == ("unchanged", [])
    assert (made["id"] in (laboratory.out(1) / "undo.json").read_text()) == (edit != "renamed")


NAMED_BY = (  # for each part of `what_was_there`: words of a step's title that name what is left of it, or what it is in
    ("connection",),
    ("SCIM configuration", "SCIM on", "SCIM off"),
    ("SCIM token", "SCIM off", "SCIM on"),
    ("application",),
    ("application", "notes"),
    ("mappings", "job", "application"),
    ("assignments", "application"),
)


def titles_left(laboratory: Laboratory) -> list[str]:
    """Return the titles of the steps that say that something is left, the test user's profile aside."""
    rows = json.loads((laboratory.out(1) / "undo.json").read_text())
    return [row["title"] for row in rows if row["status"] == "NOTED" and "Left" in row["reason"]]


def unnamed(laboratory: Laboratory, before: Any) -> list[str]:
    """Return the words of each part that is not as it was, and that no step of the undo's report says it has left."""
    titles = titles_left(laboratory)
    parts = zip(NAMED_BY, before, what_was_there(laboratory), strict=True)
    return [words[0] for words, was, now in parts if was != now and not any(word in title for word in words for title in titles)]


def undo_as_told(laboratory: Laboratory) -> None:
    """Undo until that ends well, and once more later where the report asks for it."""
    for _ in range(TRIES):
        if laboratory.undo(1).status in ("done", "unchanged"):
            break
    if "undo again later" in (laboratory.out(1) / "undo.json").read_text():
        laboratory.elapsed_s += LATER_S
        laboratory.world.clock.advance(LATER_S)
        laboratory.undo(1)


def without(document: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != key}


def test_undo_brings_back_what_was_there_also_when_it_breaks(tmp_path, figure, trials):
    count = trials(10, 500)
    left, second, created, named = [], [], [], 0
    for seed in range(count):
        dice = random.Random(seed)
        (tmp_path / str(seed)).mkdir()
        laboratory = Laboratory(tmp_path / str(seed), furnished=dice.random() < 0.5)
        before = what_was_there(laboratory)
        if dice.random() < 0.5:  # a run that broke is taken back too
            laboratory.break_at(dice.randint(1, RUN_LENGTH), dice.choice(ALL_KINDS))
        laboratory.run()
        laboratory.mend()
        for _ in range(dice.randint(0, 2)):
            laboratory.break_at(dice.randint(1, UNDO_LENGTH), dice.choice(ALL_KINDS))
        laboratory.undo(1)
        laboratory.mend()
        undo_as_told(laboratory)
        left += [(seed, what) for what in unnamed(laboratory, before)]
        named += bool(titles_left(laboratory))
        second += [seed] * bool(laboratory.undo(1).writes)
        created += [seed] * bool(laboratory.early_starts)
    figure("undo: runs taken back, half of them broken, with faults in undo", count)
    figure("undo: something left or lost that the report does not name", len(left))
    figure("undo: something left since nobody knows who made it, and named", named)
    figure("undo: a second undo that wrote something", len(second))
    assert (left, second, created) == ([], [], [])
