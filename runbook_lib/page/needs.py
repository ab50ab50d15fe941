"""What a person needs before a real tenant: what to grant on both sides, where, and what to send to the administrator."""

from __future__ import annotations

from dataclasses import dataclass

from runbook_lib.core.step_numbers import StepNumbers
from runbook_lib.services.wire_words import AUTH0_SCOPES, GRAPH_PERMISSIONS
from runbook_lib.settings.clouds import CLOUDS
from runbook_lib.tenant.console_links import AUTH0, Link
from runbook_lib.tenant.things import Thing


@dataclass(frozen=True)
class Need:
    """One prerequisite: what it is, where to create it, and the names to grant (name, what needs it)."""

    key: str
    what: str
    link: Link | None = None
    then: str = ""
    grants: tuple[tuple[str, str], ...] = ()

    @property
    def names(self) -> str:
        """All names to grant, one a line, to be copied."""
        return "\n".join(name for name, _ in self.grants)


@dataclass(frozen=True)
class Needs:
    """The prerequisites of each side, and the paragraph for the customer's administrator."""

    auth0: tuple[Need, ...]
    entra: tuple[Need, ...]
    letter: str


def needs(numbers: StepNumbers) -> Needs:
    """Return what a real tenant needs. The names are those that the sign-ins are later checked for."""
    graph = tuple((names[0], numbers.put_in(purpose)) for purpose, names in GRAPH_PERMISSIONS.items())
    graph = tuple(dict(reversed(graph)).items())[::-1]  # a name that serves two purposes stands once
    needed = {name: numbers.put_in(steps) for name, steps in AUTH0_SCOPES.items()}
    auth0 = tuple((name, f"step {steps}" if steps[0].isdigit() else steps) for name, steps in needed.items())
    return Needs(_in_auth0(auth0), _in_entra(graph, numbers.of(Thing.TEST_USER)), _letter(tuple(name for name, _ in graph)))


def _in_auth0(grants: tuple[tuple[str, str], ...]) -> tuple[Need, ...]:
    return (
        Need(
            "application",
            "An application of the type Machine to Machine exists in the Auth0 tenant.",
            Link("Open Applications in Auth0", f"{AUTH0}/#/applications"),
            "Its client id and client secret are on its Settings tab.",
        ),
        Need(
            "scopes",
            f"The application holds {len(grants)} permissions of the Auth0 Management API.",
            Link("Open APIs in Auth0", f"{AUTH0}/#/apis"),
            "Then Auth0 Management API > Machine to Machine Applications > the application.",
            grants,
        ),
    )


def _in_entra(grants: tuple[tuple[str, str], ...], test_user_step: str) -> tuple[Need, ...]:
    registrations = f"{CLOUDS['public'].portal}/#view/Microsoft_AAD_RegisteredApps/ApplicationsListBlade"
    return (
        Need(
            "registration",
            "An app registration exists, and Allow public client flows is Yes.",
            Link("Open App registrations in Entra", registrations),
            "With that setting you sign in with a code and need no secret.",
        ),
        Need(
            "consent",
            f"The app registration holds {len(grants)} permissions of Microsoft Graph, with admin consent.",
            Link("Open App registrations in Entra", registrations),
            "Then the registration > API permissions > Add a permission > Microsoft Graph.",
            grants,
        ),
        Need(
            "person",
            "A person for the test has access to the sign-in application and has signed in before.",
            None,
            f"Step {test_user_step} updates this one person before anyone else.",
        ),
    )


def _letter(names: tuple[str, ...]) -> str:
    """Return the paragraph that goes to the customer's administrator before the first meeting."""
    return (
        "We would like to connect your Microsoft Entra tenant to our application by SCIM. Entra then tells the application when "
        "a person's data changes and when a person leaves. Please prepare three things before we meet. "
        'First, register an application in Microsoft Entra, set "Allow public client flows" to Yes, and grant it these delegated '
        f"permissions of Microsoft Graph with admin consent: {', '.join(names)}. "
        "Second, send us the tenant id and the application (client) id; neither is a secret. "
        "Third, name one person who may serve as a test user and who has signed in to our application before. "
        "Your users stay signed in, and the set-up creates no users. "
        "Before we turn it on, we show you what will happen to each person."
    )
