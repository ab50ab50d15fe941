"""What happens when a person does something on the connect card."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from runbook_lib.core.errors import RunbookError
from runbook_lib.core.json_text import parsed
from runbook_lib.page.connecting import Connecting
from runbook_lib.page.desk import Desk
from runbook_lib.page.earlier import CHOICES, earlier_tenants
from runbook_lib.page.handover import with_hand_over
from runbook_lib.page.panel import Fields
from runbook_lib.run.report import write_private
from runbook_lib.run.sign_ins import open_view
from runbook_lib.settings.model import TenantSettings
from runbook_lib.settings.process import output_name

SIGN_INS: Mapping[str, tuple[str, Callable[[Connecting], None]]] = {  # the place of the button, and what it does
    "sign-in-auth0": ("auth0", Connecting.sign_in_to_auth0),
    "take-over-auth0": ("auth0", Connecting.take_over_auth0),
    "sign-in-entra": ("entra", Connecting.sign_in_to_entra),
}
NO_SETTINGS = ("where", "demo", "connection", "person", "search", "need-")  # fields that are no settings


class StartEvents:
    """The connect card's events. `demos` reads the sandbox's tenants, starting one where none runs."""

    def __init__(self, desk: Desk, demos: Callable[[], tuple[TenantSettings, ...]]) -> None:
        self._desk, self._demos, self._connecting = desk, demos, desk.connecting
        self._has_landed = False

    def heard(self, event: str, value: str, fields: Fields) -> None:
        """Do what the person asked for."""
        desk, connecting = self._desk, self._connecting
        if event in ("where", "demo"):
            desk.where, desk.demo = fields.get("where", desk.where), fields.get("demo", desk.demo)
            desk.do(self.open_demo if desk.where == "sandbox" else desk.close_tenant)
        elif event == "cancel":
            connecting.sign_ins.cancel()
        elif event == "again-auth0":
            connecting.leave_auth0()
        elif event == "again-entra":
            connecting.sign_ins.entra = None
        elif event == "earlier":
            desk.do(lambda: self._go_on_with(value))
        elif event == "search":
            connecting.people.find(fields.get("search", ""))
        else:
            self._on_form(event, value, fields)
        desk.draw("start")

    def _go_on_with(self, key: str) -> None:
        """Fill the form from a tenant of an earlier run; the start shows what is wrong with its files."""
        try:
            self._connecting.go_on_with(key, self._desk.folder.parent)
            self._desk.where = "real"
        except RunbookError as error:
            self._connecting.fail(error, "start")
        self._desk.draw("start", "rail")

    def _on_form(self, event: str, value: str, fields: Fields) -> None:
        connecting = self._connecting
        is_typing = event == "typing"
        connecting.form.take(
            {name: text for name, text in fields.items() if name not in NO_SETTINGS and not name.startswith("need")}
        )
        if is_typing:
            if connecting.trouble and connecting.trouble.column == value:
                connecting.trouble = None  # the person is correcting it
        elif event == "connection":
            self._connect("connection", "Reading", lambda: connecting.choose(value))
        elif event == "person":
            self._connect("plan", "Reading", lambda: connecting.choose_person(value))
        elif event in SIGN_INS:
            at, work = SIGN_INS[event]
            if not connecting.refuses(at):
                self._connect(at, "Signing in", lambda: self._sign_in(work))
        elif event == "plan" and not connecting.refuses("plan"):
            self._connect("plan", "Planning", self._open_chosen)

    def _sign_in(self, work: Callable[[Connecting], None]) -> None:
        """Sign in, then lead on: the button that had the focus is gone."""
        work(self._connecting)
        self._connecting.signed_in += 1

    def _connect(self, at: str, words: str, work: Callable[[], None]) -> None:
        """Run `work`, which calls the services, and show its outcome at the button."""

        def watched() -> None:
            desk, connecting = self._desk, self._connecting
            connecting.trouble, desk.busy["start"] = None, words
            desk.draw("start", "rail")
            try:
                work()
            except RunbookError as error:
                connecting.fail(error, at)
            finally:
                desk.busy.pop("start", None)
                desk.draw("start", "rail")

        self._desk.do(watched)

    # Opening ----------------------------------------------------------------------------------------------------------

    def open_demo(self) -> None:
        """Open the tenant of the sandbox that is chosen, as the worker's own work."""
        self._desk.close_tenant()
        self._connect("start", "Starting", self._open_demo)

    def _open_demo(self) -> None:
        desk = self._desk
        settings = next(tenant for tenant in with_hand_over(self._demos()) if tenant.name == desk.demo)
        self._connecting.form.sandbox = settings.cloud
        self._open(settings)

    def given(self, settings: TenantSettings) -> None:
        """Connect by the parameters of the notebook. A device code needs a person to ask for it."""
        known = {name: str(value) for name, value in settings.model_dump().items() if isinstance(value, str | int)}
        self._connecting.form.values |= known
        if settings.entra_client_secret or not settings.entra_client_id:
            self._connect("start", "Signing in", lambda: self._open(settings))

    def _open(self, settings: TenantSettings) -> None:
        settings = _with_mapping_of(self._desk.folder / output_name(settings.name), settings)
        self._desk.open_tenant(open_view(settings, deadline=self._desk.stop))
        if not self._has_landed:
            self._has_landed = True
            self.land()

    def _open_chosen(self) -> None:
        view, desk = self._connecting.finish(), self._desk
        view.settings = _with_mapping_of(desk.folder / output_name(view.settings.name), view.settings)
        desk.open_tenant(view, is_press=True)
        write_private(desk.folder / CHOICES, json.dumps(self._connecting.form.kept(), indent=1))

    def land(self) -> None:
        """Lead to the start: running all cells has left the reader at the end of the page."""
        if start := self._desk.pieces.panel("start"):
            start.land_on("scim-start")

    def remember(self) -> None:
        """Fill the form with what was chosen before the kernel was restarted, or is given by `lab`. No secret is among it."""
        path = self._desk.folder / CHOICES
        self._connecting.earlier = earlier_tenants(self._desk.folder)
        if not path.exists():
            return
        kept, form = parsed(path.read_text(encoding="utf-8")), self._connecting.form
        cloud = str(kept.get("cloud", ""))
        if cloud.startswith("sandbox:") and Path(cloud.removeprefix("sandbox:")).exists():
            form.sandbox = cloud
        form.take(_texts(kept))
        self._desk.where = "real"


def _texts(kept: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in kept.items()}


def _with_mapping_of(out: Path, settings: TenantSettings) -> TenantSettings:
    """Return the settings with the mapping that was planned in this folder before the kernel was restarted."""
    path = out / "settings.json"
    kept = parsed(path.read_text(encoding="utf-8")) if path.exists() and not settings.mapping else {}
    if (kept.get("auth0_domain"), kept.get("auth0_connection")) != (settings.auth0_domain, settings.auth0_connection):
        return settings
    return TenantSettings.from_parameters({**settings.model_dump(), "mapping": kept.get("mapping") or ()})
