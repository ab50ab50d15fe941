"""One tenant as seen through both services: its settings, its clients, its sign-ins, and what is remembered of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from runbook_lib.core.secret import Secret
from runbook_lib.engine.readings import KeptReadings
from runbook_lib.http.ahead import Asked
from runbook_lib.http.refusals import api_error
from runbook_lib.http.service import Service
from runbook_lib.services.auth0.management import Auth0Management
from runbook_lib.services.entra.graph import MicrosoftGraph
from runbook_lib.services.sign_in import SignIn, waits_for_a_person
from runbook_lib.settings.clouds import Cloud
from runbook_lib.settings.model import TenantSettings
from runbook_lib.tenant.forecast.people import Readings
from runbook_lib.tenant.forecast.values import Forecast
from runbook_lib.tenant.things import Thing
from runbook_lib.tenant.token_memory import Memory


@dataclass
class View(KeptReadings):
    """One tenant as seen through both services. Readings are shared between steps and age.

    `typed` are the secrets that references `memory:NAME` of the settings mean: those that a person typed on a page. `foretold` is
    the latest forecast, for the files of the run; None where none was made.
    """

    settings: TenantSettings
    cloud: Cloud
    auth0: Auth0Management
    graph: MicrosoftGraph
    auth0_sign_in: SignIn
    entra_sign_in: SignIn
    memory: Memory = field(default_factory=Memory)
    run: str = "run@here"
    typed: Mapping[str, Secret] = field(default_factory=dict, repr=False)
    foretold: Forecast | None = field(default=None, repr=False)
    settled: Readings = field(default_factory=Readings)  # what a probe has settled for this tenant

    @property
    def services(self) -> Mapping[str, Service]:
        """Both services, by the name that requests call them."""
        return {"auth0": self.auth0.service, "graph": self.graph.service}

    @property
    def lists_late(self) -> Service:
        """Graph lists assignments and saved credentials only after a while."""
        return self.graph.service

    @property
    def inside(self) -> Mapping[str, str]:
        """What is in a thing: until an application is known everywhere, nothing in it is."""
        return {"/synchronization": Thing.APPLICATION}

    @property
    def may_read_ahead(self) -> bool:
        """Whether both sign-ins work without a person."""
        return not waits_for_a_person(self.entra_sign_in)

    def take(self, answers: Iterable[tuple[Asked, Any]]) -> None:
        """Take Auth0 answers that the runner read for all its kernels; None: there is no such object. Each is used once."""
        service = self.auth0.service
        for asked, body in answers:
            gone = api_error(f"GET {service.base_url}{asked[0]}", 404, None, {}, service="auth0") if body is None else None
            service.ahead.keep(asked, self.clock(), body, gone)
