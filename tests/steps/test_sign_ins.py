"""The two sign-ins, literals in and findings out.

0.2 Check both sign-ins, their permissions, and that both sides mean the same Entra tenant
"""

from __future__ import annotations

import pytest

from runbook_lib.core.secret import Secret
from runbook_lib.engine.values import Finding, Table
from runbook_lib.services.auth0.models import SeenUsers
from runbook_lib.services.entra.models import Organization
from runbook_lib.services.sign_in import Grant
from runbook_lib.services.wire_words import AUTH0_SCOPES, GRAPH_PERMISSIONS, SCIM_LOG_SCOPES
from tests.builders import connection, planned, refusal, said, tables
from tests.steps.sheet import AUTH0, ENTRA, without

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
    [found] = said("0.2", connection=connection(**options), seen_users=SeenUsers(users))
    assert found.endswith(words)


# With one sign-in alone

OTHER_GUID, OWN_GUID = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"


def test_0_2_without_entra_says_what_it_cannot_check():
    finding, table = planned("0.2", ENTRA)
    assert finding == Finding(
        "Signed in to Auth0. This run does not sign in to Entra: the administrator of contoso.onmicrosoft.com carries out "
        "sections 3 and 4, following handover.html. This run cannot check that the connection belongs to that Entra tenant. User "
        "ids are pairwise: the attribute is sub, and 3 users exist. This is an older connection, so this procedure applies."
    )
    assert table == Table("Connection", ("what", "value"), (("User ID attribute type", "sub"), ("Users", "3")))
    [_, table] = planned("0.2", ENTRA, connection=connection())
    assert table.rows[0] == ("User ID attribute type", "(absent)")


def test_0_2_without_entra_says_that_the_connection_names_the_tenant():
    named = connection(userid_attribute="sub", tenant_domain="contoso.onmicrosoft.com")
    assert "The connection names the same Entra tenant. " in said("0.2", ENTRA, connection=named)[0]


def test_0_2_without_entra_refuses_the_connection_of_another_tenant_where_both_are_named_by_id():
    other, own = connection(tenantId=OTHER_GUID), connection(tenantId=OWN_GUID)
    reason, remedy = refusal("0.2", without("entra", entra_tenant=OWN_GUID), connection=other)
    assert (reason, remedy) == (
        f"The connection belongs to Entra tenant {OTHER_GUID}, but the settings name {OWN_GUID}",
        "Set entra_tenant to the Entra tenant that the connection uses",
    )
    assert said("0.2", without("entra", entra_tenant=OWN_GUID), connection=own)
    assert said("0.2", ENTRA, connection=other)
    assert said("0.2", without("entra", entra_tenant=OWN_GUID), connection=connection(tenant_domain="fabrikam.com"))
    assert said("0.2", without("entra", entra_tenant=OWN_GUID), connection=connection())


def test_0_2_without_entra_refuses_an_auth0_token_that_lacks_a_scope():
    first, *others = AUTH0_SCOPES
    reason, _ = refusal("0.2", ENTRA, auth0_grant=grant(*others))
    assert reason == f"The Auth0 token lacks {first}"


NO_LOG = "The Auth0 token lacks read:logs, so this run cannot read the SCIM log and can verify less."


@pytest.mark.parametrize(
    ("permissions", "told"),
    [(None, False), (AUTH0_SCOPES, True), *[((*AUTH0_SCOPES, scope), False) for scope in SCIM_LOG_SCOPES]],
)
def test_0_2_without_entra_says_when_the_log_cannot_be_read(permissions, told):
    given = Grant(Secret("a-canary"), None if permissions is None else frozenset(permissions))
    assert (NO_LOG in said("0.2", ENTRA, auth0_grant=given)) is told


def test_0_2_without_auth0_says_what_it_cannot_check():
    assert planned("0.2", AUTH0) == [
        Finding(
            "Signed in to the Entra tenant Contoso. This run does not sign in to Auth0: the administrator of acme.eu.auth0.com "
            "carries out sections 1 and 2, following handover.html. This run cannot check whether the connection belongs to this "
            "Entra tenant, or whether it is an older connection."
        )
    ]


def test_0_2_without_auth0_refuses_a_graph_token_that_lacks_a_permission():
    assert refusal("0.2", AUTH0, entra_grant=grant())[0].startswith("The Graph token cannot ")
