"""What happens when a person does something on the card of a step, of a section, on the rail or at the end."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Mapping

from runbook_lib.page.desk import Desk
from runbook_lib.page.mapping_editor import MappingEditor
from runbook_lib.page.panel import Fields
from runbook_lib.page.tenant_at_work import TenantAtWork
from runbook_lib.settings.model import RunMode
from runbook_lib.tenant.things import Thing

MAPPING_EDITS: Mapping[str, Callable[[MappingEditor, str], None]] = {
    "mapping-add": lambda editor, _value: editor.add(),
    "mapping-missing": MappingEditor.add_missing,
    "mapping-remove": MappingEditor.remove,
    "mapping-default": lambda editor, _value: editor.back_to_default(),
    "mapping-survives": lambda editor, _value: editor.survives_login(),
    "mapping-undo": lambda editor, _value: editor.undo(),
}


class StepEvents:
    """The events of everything below the connect card.

    `reset_sandbox` gets the cloud of the sandbox and starts it over; `reopen` opens the sandbox's tenant that is chosen.
    """

    def __init__(self, desk: Desk, reset_sandbox: Callable[[str], None], reopen: Callable[[], None]) -> None:
        self._desk, self._reset_sandbox, self._reopen = desk, reset_sandbox, reopen

    def heard(self, event: str, value: str, fields: Fields) -> None:
        """Do what the person asked for."""
        desk, tenant = self._desk, self._desk.tenant
        if event == "stop":
            desk.stop.press()
        elif tenant is None:
            return
        elif event == "next":
            desk.go_to(value)
        elif event == "apply-section":
            self._press(desk.state.due(value), f"section {value}")
        elif event == "apply":
            self._press([value], f"step {value}", lambda: self._check_people(tenant, value, fields))
        elif event == "undo-step":
            self._show_undo(tenant, value)
        elif event.startswith("mapping"):
            self._on_mapping(tenant, event, value, fields)
        else:
            self._on_card(tenant, event, value, fields)

    def _check_people(self, tenant: TenantAtWork, number: str, fields: Fields) -> None:
        """Hold a start whose number of people has not been typed, where the page asks for it. Raises `StepBlocked`."""
        if number == self._desk.state.start and self._desk.state.asks_for_people:
            tenant.check_people(number, fields)

    def _on_card(self, tenant: TenantAtWork, event: str, value: str, fields: Fields) -> None:
        """Handle the buttons of a step's card except Apply."""
        card = self._desk.pieces.panel(f"step {value}")
        does: dict[str, Callable[[], None]] = {
            "accept": lambda: tenant.accept(value, fields),
            "look": lambda: tenant.look_again(value),
            "take-word": tenant.confirm_other_side,
        }
        if card is not None:
            does["make-token"] = lambda: tenant.make_token(value, card)
        if event in does:
            self._do(does[event], at=f"step {value}", step=value)

    def _press(self, numbers: Iterable[str], at: str, first: Callable[[], None] = lambda: None) -> None:
        """Apply steps, the last of them open, then lead on."""
        tenant = self._desk.tenant
        if tenant is None:
            return

        def work() -> None:
            first()
            last = tenant.press(numbers)
            if last:
                self._desk.at = self._desk.at.to(last)

        self._do(work, at)

    def _do(self, work: Callable[[], None], at: str, step: str = "") -> None:
        """Let the worker do something, then lead on, from `step` where one is named: its card is where the person is."""

        def led() -> None:
            with self._desk.at_work("Reading every step again"):
                work()
            if step:
                self._desk.at = self._desk.at.to(step)
            self._desk.lead_on(is_press=True)

        self._desk.do(led, at)

    def _on_mapping(self, tenant: TenantAtWork, event: str, value: str, fields: Fields) -> None:
        number, editor = self._desk.procedure.number_of(Thing.SCIM_MAPPING), tenant.mapping
        editor.take(fields)
        if event in MAPPING_EDITS:
            MAPPING_EDITS[event](editor, value)
        if event == "mapping-undo" or (event == "mapping-plan" and not editor.wrong):
            self._desk.do(tenant.plan_mapping, at=f"step {number}")
        self._desk.draw(f"step {number}", f"section {self._desk.procedure.section(number).number}")

    def at_the_end(self, event: str, value: str, fields: Fields) -> None:
        """Do what the person asked for at the end of the page."""
        desk, tenant = self._desk, self._desk.tenant
        if tenant is None:
            return
        if event == "report":
            desk.do(tenant.write_report, at="end")
        elif event == "undo-plan":
            self._show_undo(tenant, "")
        elif event == "undo":
            desk.do(lambda: self._undone(tenant, fields), at="end")
        elif event == "reset":
            desk.do(self._reset, at="end")
        else:
            self.heard(event, value, fields)

    def _show_undo(self, tenant: TenantAtWork, since: str) -> None:
        """Show at the end of the page what an undo from a step on would take back, of everything where none is named."""

        def work() -> None:
            tenant.undo_since = since
            if since and (end := self._desk.pieces.panel("end")):
                end.jump_to("scim-undo")
            tenant.undo(RunMode.PLAN, {})

        self._desk.do(work, at="end")

    def _undone(self, tenant: TenantAtWork, fields: Fields) -> None:
        """Take everything back, then show the tenant as it is now."""
        tenant.undo(RunMode.APPLY, fields)
        table, view, since = tenant.undone, tenant.session.view, tenant.undo_since
        view.forget()
        self._desk.open_tenant(view)
        if self._desk.tenant is not None:
            self._desk.tenant.undone, self._desk.tenant.is_undone, self._desk.tenant.undo_since = table, True, since
        self._desk.draw()
        if end := self._desk.pieces.panel("end"):
            end.jump_to("scim-summary")

    def _reset(self) -> None:
        """Start the sandbox over, with the files of its runs in this folder, and open its tenant again."""
        desk = self._desk
        desk.close_tenant()
        self._reset_sandbox(desk.connecting.form.sandbox)
        for path in desk.folder.glob("*/settings.json"):
            if str(json.loads(path.read_text(encoding="utf-8")).get("cloud", "")).startswith("sandbox:"):
                shutil.rmtree(path.parent)
        self._reopen()
