"""Anything in any order: runs, undo, faults, kills, time, the provisioning engine, and people who edit by hand meanwhile."""

from __future__ import annotations

import copy
import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from runbook_lib.sandbox.auth0.routes import new_token
from runbook_lib.sandbox.entra_engine import engine
from tests.reliability.laboratory import ALL_KINDS, Laboratory, user_mapping

OURS = ("userid_attribute", "useCommonEndpoint", "waad_common_endpoint", "set_user_root_attributes")


class Customer(RuleBasedStateMachine):
    """One customer that everything happens to."""

    @initialize(furnished=st.booleans())
    def begin(self, furnished):
        self.folder = Path(tempfile.mkdtemp(prefix="scim-"))
        self.lab = Laboratory(self.folder, furnished=furnished)
        self.people = set(self.lab.world.auth0.users)
        self.foreign = self.options()
        self.locked_out: list[str] = []
        self.watch_starts()

    def teardown(self):
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)

    def watch_starts(self):
        """Take down the people that a start would lock out: assigned and disabled in Entra, with a profile that may sign in."""
        handler = self.lab.simulation._routed

        def watched(call):
            if call.method == "POST" and call.path.endswith("/start"):
                assigned = self.assigned()
                self.locked_out += [
                    user["displayName"] for user in self.may_sign_in() if user["id"] in assigned and not user["accountEnabled"]
                ]
            return handler(call)

        self.lab.simulation._routed = watched

    def may_sign_in(self):
        """The people of Entra with a profile in Auth0 that is not blocked."""
        profiles = self.lab.world.auth0.users.values()
        active = {(profile.get("email") or "").lower() for profile in profiles if not profile.get("blocked")}
        return [user for user in self.lab.entra.users.values() if (user["mail"] or "").lower() in active]

    def assigned(self):
        """The ids of the users that the first cycle reaches: assigned to our application, themselves or by their group."""
        ours = {principal["id"] for principal in self.lab.applications()}
        ids = {a["principalId"] for a in self.lab.entra.assignments if a["resourceId"] in ours}
        return ids | {member for group in ids for member in self.lab.entra.members.get(group, [])}

    def options(self):
        return copy.deepcopy({key: value for key, value in self.lab.connection["options"].items() if key not in OURS})

    # The tool ------------------------------------------------------------------------------------------------------------

    @rule(mode=st.sampled_from(["apply", "apply", "plan"]), where=st.sampled_from(["here", "here", "there"]))
    def run(self, mode, where):
        outcome = self.lab.run(mode, machine=where)
        if mode == "plan":
            assert outcome.writes == []

    @rule(number=st.integers(1, 100), kind=st.sampled_from(ALL_KINDS))
    def run_and_break(self, number, kind):
        self.lab.break_at(number, kind)
        self.lab.run()
        self.lab.mend()

    @rule(back=st.integers(0, 2), number=st.integers(0, 40), kind=st.sampled_from(ALL_KINDS))
    def undo(self, back, number, kind):
        run = self.lab.runs - back
        if run < 1 or not (self.lab.out(run) / "journal.jsonl").exists():
            return
        if number:
            self.lab.break_at(number, kind)
        self.lab.undo(run)
        self.lab.mend()

    @rule(seconds=st.sampled_from([5, 600, 5000]))
    def time_passes(self, seconds):
        self.lab.elapsed_s += seconds
        self.lab.world.clock.advance(seconds)

    # Everybody else --------------------------------------------------------------------------------------------------------

    @rule(key=st.sampled_from(["x_theirs", "app_domain", "icon_url"]), value=st.one_of(st.none(), st.text(max_size=5)))
    def somebody_edits_an_option(self, key, value):
        connection, *_ = self.lab.before
        self.lab.connection["options"][key] = connection["options"][key] = value
        self.foreign = self.options()

    @rule()
    def somebody_edits_the_endpoint(self):
        self.lab.connection["options"]["useCommonEndpoint"] = True

    @rule()
    def somebody_makes_a_token(self):
        found = self.lab.world.auth0.provisioning.get(self.lab.connection["id"])
        if found and len(found.tokens) < 2:
            document, text = new_token(self.lab.world, ["get:users"], None)
            found.tokens.append(document)
            found.token_values[document["token_id"]] = text
            self.lab.foreign_tokens.add(document["token_id"])

    @rule(which=st.integers(0, 13))
    def somebody_disables_or_enables_a_person(self, which):
        person = list(self.lab.entra.users.values())[which]
        person["accountEnabled"] = not person["accountEnabled"]

    @rule(which=st.integers(0, 13))
    def somebody_leaves(self, which):
        """Disable one of those who may still sign in: the one that a start would lock out."""
        active = self.may_sign_in()
        if active:
            active[which % len(active)]["accountEnabled"] = False

    @rule(which=st.integers(0, 50))
    def somebody_takes_an_assignment_away(self, which):
        mine = [a for a in self.lab.entra.assignments if a["resourceId"] in {p["id"] for p in self.lab.applications()}]
        if mine:
            self.lab.entra.assignments.remove(mine[which % len(mine)])

    @rule()
    def somebody_turns_create_on(self):
        for saved in self.lab.entra.provisioning.values():
            for schema in saved.schemas.values():
                user_mapping(schema)["flowTypes"] = "Add,Update,Delete"

    @rule()
    def entra_works(self):
        """Run a cycle of each job that is on and that no action has spoilt since."""
        for saved in self.lab.entra.provisioning.values():
            for job_id, job in saved.jobs.items():
                if job["schedule"]["state"] == "Active" and not self.lab.wrongs():
                    engine.run_cycle(self.lab.world, job_id)

    # What always holds -----------------------------------------------------------------------------------------------------

    @invariant()
    def nothing_of_others_is_lost(self):
        if hasattr(self, "lab"):
            assert self.options() == self.foreign
            assert self.lab.foreign_tokens <= {token["token_id"] for token in self.lab.tokens()}

    @invariant()
    def no_start_while_a_condition_is_false(self):
        if hasattr(self, "lab"):
            assert [wrong for wrong in self.lab.early_starts if wrong != "2 own tokens"] == []

    @invariant()
    def nobody_is_locked_out_by_a_start(self):
        if hasattr(self, "lab"):
            assert self.locked_out == []

    @invariant()
    def nobody_is_created(self):
        if hasattr(self, "lab"):
            assert set(self.lab.world.auth0.users) <= self.people


def test_in_any_order_nothing_of_others_is_lost_and_nobody_is_created(trials, figure):
    examples = trials(12, 400)
    run_state_machine_as_test(
        Customer,
        settings=settings(
            max_examples=examples,
            stateful_step_count=12,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    figure("state machine: histories of 12 events", examples)
