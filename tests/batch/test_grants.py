"""One token for each Auth0 tenant and run, let go, and no longer looked for in every text, when its last tenant has ended."""

from __future__ import annotations

import pytest

from runbook_lib.batch import shared_tokens as grants
from runbook_lib.batch.shared_tokens import Grants
from runbook_lib.core.secret import Secret, scrubber
from runbook_lib.services.sign_in import Grant


@pytest.fixture
def fetched(monkeypatch):
    """Answer with a token a client id; return which were asked for, in order."""
    asked = []

    def fetch(tenant, _breaker):
        asked.append(tenant.auth0_client_id)
        return Grant(Secret(f"planted-token-of-{tenant.auth0_client_id}"), None)

    monkeypatch.setattr(grants, "fetched_grant", fetch)
    return asked


def named(tenant, name, client_id):
    return tenant("fresh").model_copy(update={"name": name, "auth0_client_id": client_id})


def test_a_token_is_fetched_once_and_forgotten_when_the_last_that_shares_it_has_ended(fetched, tenant):
    shared = [named(tenant, name, "shared-client") for name in "ab"]
    alone = named(tenant, "c", "other-client")
    own = Grants([*shared, alone])
    for one in (*shared, alone):
        assert own.variables_for(one)
    assert fetched == ["shared-client", "other-client"]
    text = "planted-token-of-shared-client planted-token-of-other-client"
    own.ended(shared[0])
    own.ended(alone)
    assert scrubber.scrub(text) == "*** planted-token-of-other-client"
    assert own.variables_for(shared[1])
    assert fetched == ["shared-client", "other-client"]
    own.ended(shared[1])
    assert scrubber.scrub(text) == text


def test_where_nobody_said_who_is_in_the_run_everything_is_kept(fetched, tenant):
    own = Grants()
    one = named(tenant, "a", "kept-client")
    own.variables_for(one)
    own.ended(one)
    own.variables_for(one)
    assert fetched == ["kept-client"]
    assert scrubber.scrub("planted-token-of-kept-client") == "***"
