"""Auth0's side of the running sandbox, called over HTTPS."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from runbook_lib.sandbox.server import Sandbox
from tests.sandbox.auth0_http import Auth0, Scim


@pytest.fixture
def management(sandbox: Sandbox) -> Iterator[Auth0]:
    made = Auth0(sandbox)
    yield made
    made.session.close()


@pytest.fixture
def endpoint(management: Auth0) -> Scim:
    return Scim(management)
