"""Connect to a tenant: the form, the two sign-ins and the test user, as one state that the connect card shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from runbook_lib.core.errors import RunbookError, SettingsError
from runbook_lib.page.earlier import EarlierTenant
from runbook_lib.page.form import ENTRA_METHODS, Form
from runbook_lib.page.person_finder import PersonFinder
from runbook_lib.page.sign_ins import SignIns
from runbook_lib.page.trouble import Trouble, trouble_of
from runbook_lib.settings.model import TenantSettings
from runbook_lib.tenant.view import View


@dataclass
class Connecting:
    """The state of the connect card.

    `is_told`: this side does not sign in to Auth0, and has taken over what its owner sent. `focus` is the field that the last
    press leads to, with a number that makes it one of its own each time. `earlier` are tenants of earlier runs; `filled` says
    which of them the form was filled from. `signed_in` counts the sign-ins, each of which leads the focus on to the next stage.
    """

    on_change: Callable[[], None]
    form: Form = field(default_factory=Form)
    people: PersonFinder = field(default_factory=PersonFinder)
    trouble: Trouble | None = None
    focus: tuple[str, int] = ("", 0)
    is_told: bool = False
    earlier: tuple[EarlierTenant, ...] = ()
    filled: str = ""
    signed_in: int = 0
    _troubles: int = 0

    def __post_init__(self) -> None:
        self.sign_ins = SignIns(self.on_change)

    # What went wrong --------------------------------------------------------------------------------------------------

    def fail(self, error: RunbookError, at: str) -> None:
        """Show an error under the button at a place; one about a field stands under the field, which takes the focus."""
        self._troubles += 1
        self.trouble = trouble_of(error, at, self._troubles)
        if isinstance(error, SettingsError) and self.trouble.column:
            self.form.wrong.setdefault(self.trouble.column, error.came_back)
            self._lead_to(self.trouble.column)

    def refuses(self, at: str) -> bool:
        """Say at a button which fields have to be corrected first; False where all can be used."""
        if not self.form.wrong:
            return False
        column, words = next(iter(self.form.wrong.items()))
        self.fail(SettingsError(words, "Correct the field; everything else that you typed is kept", column=column), at)
        return True

    def _lead_to(self, column: str) -> None:
        self.focus = (column, self._troubles)

    def go_on_with(self, key: str, outputs: Path) -> None:
        """Fill the form with everything but the secrets of a tenant of an earlier run. Raises `SettingsError`."""
        tenant = next(tenant for tenant in self.earlier if tenant.key == key)
        self.form.take(tenant.choices(outputs))
        self.filled = f"Filled in as the run of {tenant.when:%d %B %Y, %H:%M} UTC had it. Only secrets have to be typed."
        self._troubles += 1
        self._lead_to("auth0_client_secret")

    # Auth0 ------------------------------------------------------------------------------------------------------------

    def sign_in_to_auth0(self) -> None:
        """Sign in to Auth0, and choose the connection if only one is possible."""
        self.is_told = False
        self._need_secret("auth0_client_secret", "auth0_secret")
        self.sign_ins.to_auth0(self.form)
        wanted = self.form.values.get("auth0_connection", "")
        same = [one for one in self.sign_ins.candidates if wanted in (one.connection.id, one.connection.name) and wanted]
        if chosen := (same[0] if same else self.sign_ins.only_older):
            self.choose(chosen.connection.id)

    def leave_auth0(self) -> None:
        """Sign out of Auth0 and forget the secret: the next tenant has another one."""
        self.sign_ins.leave_auth0()
        self.people.forget()
        self.is_told = False
        self.form.secrets.pop("auth0_client_secret", None)

    def take_over_auth0(self) -> None:
        """Take over what the owner of the Auth0 side has sent, or note that nothing has come yet. Raises `SettingsError`."""
        self.sign_ins.leave_auth0()
        self.form.draft()
        for column in ("auth0_domain", "auth0_connection"):  # the endpoint, when it is there, tells them
            self.form.require(column, "Fill it in, or fill in the SCIM endpoint URL, which tells it")
        if self.form.values.get("scim_endpoint") and "scim_token" not in self.form.secrets:
            raise SettingsError("is missing", "Paste the SCIM token that came with the endpoint", column="scim_token")
        self.is_told = True

    def choose(self, connection_id: str) -> None:
        """Choose a connection: its name becomes the tenant's, its Entra tenant the one to sign in to."""
        connection, values = self.sign_ins.choose(connection_id), self.form.values
        is_same = values.get("auth0_connection") in (connection.id, connection.name)
        values["auth0_connection"] = connection.id
        self.people.forget()
        if is_same and values.get("name"):
            return  # everything else was filled in for this connection
        values["name"] = connection.name
        if connection.entra_tenant_names:
            values["entra_tenant"] = connection.entra_tenant_names[0]
        values["scim_app_name"] = f"{connection.display_name or connection.name} SCIM"

    # Entra ------------------------------------------------------------------------------------------------------------

    def sign_in_to_entra(self) -> None:
        """Sign in, find the application of the sign-in from the connection, and who has access to it."""
        self.people.forget()
        if self.form.entra_method in ("secret", "token"):
            self._need_secret("entra_client_secret", "entra_secret")
        organization = self.sign_ins.to_entra(self.form)
        values, chosen = self.form.values, self.sign_ins.chosen
        if self.is_told:
            values["name"] = f"{organization}, {values['auth0_connection']}"
            values.setdefault("scim_app_name", "Auth0 SCIM")
        client_id = chosen.connection.oidc_client_id if chosen else values.get("oidc_client_id", "")
        if self.sign_ins.graph is not None:
            self.people.read(self.sign_ins.graph, client_id or "")
        if self.people.oidc and values.get("test_user"):
            self.choose_person(values["test_user"])

    def choose_person(self, user_id: str) -> None:
        """Choose the test user."""
        chosen = self.sign_ins.chosen
        connection = chosen.connection.name if chosen else ""
        found = self.people.choose(user_id, self.sign_ins.graph, self.sign_ins.management, connection)
        if found is not None:
            self.form.values["test_user"] = found.user_principal_name

    def _need_secret(self, column: str, field_name: str) -> None:
        if not self.form.has_secret(field_name):
            raise SettingsError("is missing", "Type or paste it; it is kept in memory only", column=column)

    # The end ----------------------------------------------------------------------------------------------------------

    @property
    def is_ready(self) -> bool:
        """Whether the form holds everything that a plan needs."""
        is_signed_in = self.sign_ins.entra is not None or self.form.entra_method == "handover"
        if not self.knows_auth0 or self.form.wrong or not is_signed_in:
            return False
        if self.types_person:
            return bool(self.form.values.get("test_user"))
        return bool(self.people.person and self.people.oidc)

    @property
    def missing(self) -> str:
        """What a plan still needs, as a sentence; empty when it needs nothing."""
        if self.is_ready:
            return ""
        if self.form.wrong:
            return "Correct the fields that are marked first."
        return "Choose a test user first."

    @property
    def knows_auth0(self) -> bool:
        """Whether the Auth0 side is settled: a connection that is not a newer one is chosen, or the side is handed over."""
        chosen = self.sign_ins.chosen
        return self.is_told or (chosen is not None and chosen.verdict.kind != "newer")

    @property
    def types_person(self) -> bool:
        """Whether the user has to type the test user's name, since this side cannot list who has access."""
        return self.form.entra_method == "handover" or (self.is_told and not self.form.values.get("oidc_client_id"))

    def finish(self) -> View:
        """Return the view of the tenant, signed in on both sides. Raises `SettingsError`."""
        if self.missing:
            raise SettingsError("is not chosen yet", self.missing.rstrip("."), column="test_user")
        settings = TenantSettings.from_parameters(self.form.parameters())
        self.sign_ins.stand_in(settings)
        ins = self.sign_ins
        if ins.management is None or ins.graph is None:
            raise ValueError("not signed in yet")
        holders = ins.holders
        typed, cloud = self.form.secrets, settings.find_cloud()
        return View(settings, cloud, ins.management, ins.graph, holders["auth0"], holders["entra"], typed=typed)

    @property
    def entra_methods(self) -> Mapping[str, str]:
        """The ways to sign in to Entra; one side has to be ours."""
        return {way: words for way, words in ENTRA_METHODS.items() if way != "handover" or not self.is_told}
