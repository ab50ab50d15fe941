"""The two sign-ins, literals in and findings out.

0.2 Check both sign-ins, their permissions, and that both sides mean the same Entra tenant
"""

from __future__ import annotations

import pytest

from runbook_lib.core.secret import Secret
from runbook_lib.engine.values import Table
from runbook_lib.services.entra.models import Organization
from runbook_lib.services.sign_in import Grant
from runbook_lib.services.wire_words import AUTH0_SCOPES, GRAPH_PERMISSIONS
from tests.builders import connection, refusal, said, tables

ALL_PERMISSIONS = {names[0] for names in GRAPH_PERMISSIONS.values()}


def grant(*permissions):
    return Grant(Secret("grant-canary"), frozenset(permissions))


def test_0_2_names_the_tenant_and_the_page_that_the_connection_belongs_to():
    assert said("0.2", auth0_grant=grant(*AUTH0_SCOPES), entra_grant=grant(*ALL_PERMISSIONS)) == [
        "Both sign-ins work and belong to the Entra tenant Contoso. User ids are pairwise: the attribute is sub, and 3 "
        "users exist. This is an older connection, so this procedure applies."
    ]
    assert tables("0.2") == [Table("Connection", ("what", "value"), (("User ID attribute type", "sub"), ("Users", "3")))]


def test_0_2_takes_tokens_that_do_not_say_what_they_allow():
    assert said("0.2", auth0_grant=Grant(Secret("a-canary"), None), entra_grant=Grant(Secret("b-canary"), None))


@pytest.mark.parametrize("scope", AUTH0_SCOPES)
def test_0_2_refuses_an_auth0_token_that_lacks_one_scope(scope):
    reason, remedy = refusal("0.2", auth0_grant=grant(*(set(AUTH0_SCOPES) - {scope})))
    assert (reason, remedy) == (
        f"The Auth0 token lacks {scope}",
        "Grant these scopes to the Auth0 application, then run again",
    )


@pytest.mark.parametrize("names", GRAPH_PERMISSIONS.values())
def test_0_2_refuses_a_graph_token_without_any_of_the_permissions_for_a_purpose(names):
    others = {permission for permissions in GRAPH_PERMISSIONS.values() for permission in permissions} - set(names)
    assert refusal("0.2", entra_grant=grant(*others))[0].startswith("The Graph token cannot ")


def test_0_2_names_the_missing_permission_and_what_it_is_for():
    reason, remedy = refusal("0.2", entra_grant=grant(*(ALL_PERMISSIONS - {"AppRoleAssignment.ReadWrite.All"})))
    assert reason == "The Graph token cannot assign users and groups (3.3): it lacks AppRoleAssignment.ReadWrite.All"
    assert remedy == (
        "Grant the app registration AppRoleAssignment.ReadWrite.All and have an administrator grant consent, then run again"
    )


@pytest.mark.parametrize(("purpose", "names"), GRAPH_PERMISSIONS.items())
def test_0_2_takes_any_one_of_the_permissions_for_a_purpose(purpose, names):
    rest = {found[0] for other, found in GRAPH_PERMISSIONS.items() if other != purpose}
    for name in names:
        assert said("0.2", entra_grant=grant(name, *rest))


@pytest.mark.parametrize("options", [{"tenantId": "another"}, {"tenant_domain": "Fabrikam.com"}, {"domain": "fabrikam.com"}])
def test_0_2_refuses_a_connection_of_another_entra_tenant(options):
    reason, remedy = refusal("0.2", connection=connection(**options))
    named = next(iter(options.values())).lower()
    assert reason == f"The connection belongs to Entra tenant {named}, but the Graph token belongs to Contoso"
    assert remedy == "Set entra_tenant to the Entra tenant that the connection uses"


@pytest.mark.parametrize("options", [{"tenantId": "THE-ID"}, {"tenant_domain": "Contoso.COM"}, {"domain": "contoso.com"}, {}])
def test_0_2_takes_the_tenant_by_its_id_or_a_domain_in_any_case(options):
    organization = Organization("The-Id", "Contoso", frozenset({"contoso.com"}))
    assert said("0.2", connection=connection(userid_attribute="sub", **options), organization=organization)


@pytest.mark.parametrize(
    ("options", "users", "words"),
    [
        ({"userid_attribute": "oid"}, 3, "This is a newer connection, so follow Auth0's page New Connections."),
        ({"userid_attribute": "sub"}, 0, "A person must decide whether this procedure applies."),
        ({"useCommonEndpoint": True}, 3, "A person must decide whether this procedure applies."),
    ],
)
def test_0_2_says_which_page_another_connection_is_for(options, users, words):
    [found] = said("0.2", connection=connection(**options), user_count=users)
    assert found.endswith(words)
