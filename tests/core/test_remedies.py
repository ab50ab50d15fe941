"""The table of remedies: whole, sourced, explained in the docs, and found by what services really say."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from runbook_lib.core.errors import ApiError, StepBlocked
from runbook_lib.core.remedies import table
from runbook_lib.core.secret import Secret
from runbook_lib.http.message import Response
from runbook_lib.http.refusals import api_error
from runbook_lib.http.retry import Pace
from runbook_lib.http.service import Service
from runbook_lib.http.session import SignInSession, open_session
from runbook_lib.services.entra import batches
from runbook_lib.services.entra.batches import GraphService
from runbook_lib.services.entra.permissions import needed_for
from runbook_lib.services.sign_in import Auth0ClientCredentials, EntraSignIn, microsoft_remedy
from tests.misbehaving import say
from tests.remedies_page import PAGE, page

PACKAGE = Path(__file__).parent.parent.parent / "runbook_lib"


def code_of(text):
    return text.rpartition("(see: ")[2].rstrip(").")


# The table ----------------------------------------------------------------------------------------------------------------


def test_the_docs_explain_every_code_as_the_table_has_it():
    assert PAGE.read_text(encoding="utf-8") == page(), "write it again by: python -m tests.remedies_page"


def test_every_code_that_the_package_names_is_in_the_table():
    named = {code for path in PACKAGE.rglob("*.py") for code in re.findall(r"RB-\d{3}", path.read_text(encoding="utf-8"))}
    assert named - set(table()) == set()


def test_every_remedy_that_no_answer_leads_to_is_named_by_the_package():
    named = {code for path in PACKAGE.rglob("*.py") for code in re.findall(r"RB-\d{3}", path.read_text(encoding="utf-8"))}
    assert {one.code for one in table().values() if not one.codes} - named == set()


def test_no_answer_of_a_service_has_two_remedies():
    seen = [(one.service, code) for one in table().values() for code in one.codes]
    assert sorted(seen) == sorted(set(seen))


def test_every_remedy_has_a_title_an_imperative_an_explanation_and_a_source():
    for one in table().values():
        assert all((one.title, one.now, one.about, one.source)), one.code
        assert one.now[0].isupper(), one.code
        assert not one.now.endswith("."), one.code
        assert "mend" not in one.now + one.about, one.code


# Microsoft's sign-in -------------------------------------------------------------------------------------------------------

# Of Microsoft's error page: what client credentials, device codes and refreshed tokens can meet, and what is at fault then.
MET = {
    "AADSTS7000215": "RB-201", "AADSTS7000222": "RB-202", "AADSTS7000218": "RB-203", "AADSTS700016": "RB-204",
    "AADSTS70001": "RB-204", "AADSTS7000112": "RB-205", "AADSTS90002": "RB-206", "AADSTS900382": "RB-207",
    "AADSTS53003": "RB-208", "AADSTS530032": "RB-208", "AADSTS50131": "RB-208", "AADSTS53000": "RB-208",
    "AADSTS500021": "RB-209", "AADSTS700024": "RB-210", "AADSTS500133": "RB-210", "AADSTS700027": "RB-211",
    "AADSTS50012": "RB-211", "AADSTS65001": "RB-212", "AADSTS90094": "RB-212", "AADSTS500011": "RB-212",
    "AADSTS50105": "RB-230", "AADSTS501051": "RB-230", "AADSTS500014": "RB-231", "AADSTS5000225": "RB-232",
    "AADSTS50064": "RB-215", "AADSTS80013": "RB-224", "AADSTS50146": "RB-229", "AADSTS16001": "RB-225", "AADSTS7000216": "RB-203",
    "AADSTS70019": "RB-213", "AADSTS70018": "RB-214", "AADSTS50034": "RB-215",
    "AADSTS50057": "RB-215", "AADSTS50020": "RB-215", "AADSTS50076": "RB-216", "AADSTS50079": "RB-216",
    "AADSTS700082": "RB-217", "AADSTS70043": "RB-217", "AADSTS50173": "RB-217", "AADSTS90033": "RB-218",
    "AADSTS50196": "RB-218", "AADSTS50001": "RB-219", "AADSTS700025": "RB-220", "AADSTS900144": "RB-221",
    "AADSTS1000502": "RB-608",
    "AADSTS50032": "RB-211", "AADSTS70016": "RB-213", "AADSTS90125": "RB-215", "AADSTS70044": "RB-217",
    "AADSTS50180": "RB-224", "AADSTS50058": "RB-225", "AADSTS50140": "RB-225", "AADSTS130004": "RB-226",
    "AADSTS120012": "RB-227", "AADSTS75011": "RB-228", "AADSTS50011": "RB-228", "AADSTS50124": "RB-229",
    "AADSTS65002": "RB-222", "AADSTS53011": "RB-223", "AADSTS80001": "RB-224", "AADSTS123456789": "RB-299",
}  # fmt: skip


@pytest.mark.parametrize(("told", "code"), MET.items())
def test_each_number_of_microsofts_page_has_the_remedy_of_its_cause(told, code):
    answer = {"error": "invalid_client", "error_description": f"{told}: Words of Microsoft.\r\nTrace ID: 1"}
    assert code_of(microsoft_remedy(answer)) == code


@pytest.mark.parametrize("error", ["unauthorized_client", "invalid_request", "access_denied", "invalid_scope", "server_error"])
def test_a_number_tells_more_than_the_word_of_the_protocol(error):
    """Microsoft answers 700016 with unauthorized_client, 900144 with invalid_request (reference-error-codes)."""
    for told, code in MET.items():
        if code != "RB-299":
            assert code_of(microsoft_remedy({"error": error, "error_description": f"{told}: Words."})) == code
    assert code_of(microsoft_remedy({"error": "unauthorized_client", "error_description": "AADSTS123456789: New."})) == "RB-220"


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ("AADSTS90002: Tenant 'nosuch.example' not found. Check that you have the correct tenant ID.", "RB-206"),
        ("AADSTS900382: The tenant is of another cloud.", "RB-207"),
    ],
)
def test_an_unknown_tenant_is_told_in_microsofts_words(told, code, serve, ca_bundle):
    body = {"error": "invalid_tenant", "error_description": f"{told}\r\nTrace ID: 1"}
    server = serve(lambda handler, _: say(handler, 400, body))
    with pytest.raises(StepBlocked) as refused:
        entra(server.url, ca_bundle).grant()
    assert (refused.value.reason, code_of(refused.value.remedy)) == (f"Microsoft refused the sign-in: {told}", code)


def entra(url, ca_bundle, credential="outage-test-secret"):
    session = open_session(ca_bundle, SignInSession(Pace(total_s=0.0), lambda _: None))
    return EntraSignIn(
        authority=url,
        tenant="11111111-1111-4111-8111-111111111111",
        client_id="22222222-2222-4222-8222-222222222222",
        credential=credential,
        resource="https://graph.microsoft.com",
        session=session,
        known_authority=False,
    )


def signing_in(refusal, status):
    """Answer like Microsoft's sign-in that refuses: discovery, then the refusal."""

    def answer(handler, _):
        if handler.command == "GET":
            base = f"https://{handler.headers['Host']}/11111111-1111-4111-8111-111111111111"
            document = {"issuer": f"{base}/v2.0", "authorization_endpoint": f"{base}/a", "token_endpoint": f"{base}/t"}
            return say(handler, 200, document)
        return say(handler, status, refusal)

    return answer


CASES = [
    (
        "invalid_grant",
        "AADSTS53003: Access has been blocked by Conditional Access policies. The access policy does not allow token issuance.",
        "Ask the administrator which Conditional Access policy blocked it",
    ),
    (
        "invalid_client",
        "AADSTS700024: Client assertion is not within its valid time range. Current time: 2026-01-05T09:00:00Z, assertion valid "
        "from 2026-01-05T10:00:00Z, expiry time of assertion 2026-01-05T10:10:00Z.",
        "Set this machine's clock",
    ),
]


@pytest.mark.parametrize(("error", "told", "do_now"), CASES)
def test_a_refusal_of_microsofts_stands_in_the_message_with_the_remedy_of_its_cause(error, told, do_now, serve, ca_bundle):
    server = serve(signing_in({"error": error, "error_description": f"{told}\r\nTrace ID: 1"}, 400))
    with pytest.raises(StepBlocked) as refused:
        entra(server.url, ca_bundle).grant()
    assert refused.value.reason == f"Microsoft refused the sign-in: {told}"
    assert refused.value.remedy.startswith(do_now)


# Auth0 and Graph -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (401, {"error": "access_denied", "error_description": "Unauthorized"}, "RB-301"),
        (401, {"error": "invalid_client", "error_description": "Client authentication failed"}, "RB-301"),
        (403, {"error": "access_denied", "error_description": "Service not enabled within domain: https://x/api/v2/"}, "RB-302"),
        (403, {"error": "access_denied", "error_description": 'Client is not authorized to access "x". Create a "client-grant"'},
         "RB-303"),
        (403, {"error": "unauthorized_client", "error_description": "Grant type 'client_credentials' not allowed"}, "RB-304"),
        (403, {"error": "access_denied", "error_description": "Client has not been granted scopes: read:x"}, "RB-303"),
        (403, {"error": "access_denied", "error_description": "Not during the freeze of changes"}, "RB-308"),
        (403, {"error": "access_denied"}, "RB-303"),
        (404, {"error": "not_found"}, "RB-305"),
        (400, {"error": "invalid_request", "error_description": "Bad"}, "RB-306"),
    ],
)  # fmt: skip
def test_each_refusal_of_auth0s_token_endpoint_has_its_remedy(status, body, code, serve, ca_bundle):
    server = serve(lambda handler, _: say(handler, status, body))
    asked = Service("auth0", server.url, session=open_session(ca_bundle), pace=Pace(total_s=0.0))
    with pytest.raises(StepBlocked) as refused:
        Auth0ClientCredentials(asked, "acme.auth0.com", "id", Secret("outage-test-secret")).grant()
    assert code_of(refused.value.remedy) == code


def test_a_quota_of_tokens_that_is_used_up_has_its_own_remedy(serve, ca_bundle):
    body = {"error": "too_many_requests", "error_description": "The tokens of this month are used up"}
    server = serve(lambda handler, _: say(handler, 429, body, Retry_After="86400"))
    asked = Service("auth0", server.url, session=open_session(ca_bundle), pace=Pace(total_s=0.0))
    with pytest.raises(ApiError) as refused:
        Auth0ClientCredentials(asked, "acme.auth0.com", "id", Secret("outage-test-secret")).grant()
    assert code_of(refused.value.do_now) == "RB-307"


def auth0(code, message="", error="Bad Request"):
    return {"statusCode": 400, "error": error, "errorCode": code, "message": message}


def graph(code, message=""):
    return {"error": {"code": code, "message": message}}


@pytest.mark.parametrize(
    ("service", "status", "body", "code"),
    [
        ("auth0", 401, auth0("invalid_token"), "RB-311"),
        ("auth0", 403, auth0("insufficient_scope", "Insufficient scope, expected any of: read:scim_config"), "RB-312"),
        ("auth0", 403, auth0("insufficient_entitlement", "Please upgrade your subscription"), "RB-313"),
        ("auth0", 403, auth0("", 'Updating the "options" property requires the "update:connections_options" scope'), "RB-314"),
        ("auth0", 404, auth0("inexistent_connection"), "RB-315"),
        ("auth0", 404, auth0("", "This connection type does not support SCIM. Try another"), "RB-319"),
        ("auth0", 400, auth0("", "SCIM cannot be enabled when the Azure AD common endpoint is used."), "RB-317"),
        ("auth0", 400, auth0("invalid_body"), "RB-320"),
        ("auth0", 409, auth0(""), "RB-325"),
        ("auth0", 429, auth0("too_many_requests"), "RB-323"),
        ("auth0", 503, None, "RB-324"),
        ("graph", 401, graph("InvalidAuthenticationToken"), "RB-401"),
        ("graph", 403, graph("Authorization_RequestDenied", "Insufficient privileges"), "RB-402"),
        ("graph", 401, graph("UnknownError"), "RB-403"),
        ("graph", 403, graph("Authentication_RequestFromNonPremiumTenantOrB2CTenant"), "RB-404"),
        ("graph", 404, graph("Request_ResourceNotFound"), "RB-405"),
        ("graph", 400, graph("Request_BadRequest"), "RB-406"),
        ("graph", 429, graph("TooManyRequests"), "RB-407"),
        ("graph", 503, graph("serviceNotAvailable"), "RB-408"),
        ("graph", 400, graph("UnknownError", json.dumps({"Message": "no", "Code": "InvalidNotificationSettings"})), "RB-413"),
        ("graph", 400, graph("BadRequest", json.dumps({"Code": "CredentialsMissing", "Message": "none"})), "RB-412"),
        ("graph", 400, graph("AzureDirectoryCredentialValidationUnavailable", "no"), "RB-501"),
    ],
)
def test_each_answer_of_a_service_has_the_remedy_of_its_cause(service, status, body, code):
    error = api_error("GET https://acme.auth0.com/api/v2/x", status, body, {}, service=service)
    assert isinstance(error, ApiError)
    assert code_of(error.do_now) == code


def test_a_third_scim_token_is_told_from_another_thing_that_is_there_already():
    path = "https://acme.auth0.com/api/v2/connections/con_1/scim-configuration"
    told = [api_error(f"POST {url}", 409, auth0(""), {}, service="auth0").do_now for url in (f"{path}/tokens", path)]
    assert list(map(code_of, told)) == ["RB-318", "RB-325"]


def test_a_missing_scope_is_named():
    body = auth0("insufficient_scope", "Insufficient scope, expected any of: read:scim_config")
    error = api_error("GET https://acme.auth0.com/api/v2/x", 403, body, {}, service="auth0")
    assert "the scope read:scim_config (" in error.do_now


# Microsoft Graph: the permission of the request that was refused -----------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "permission"),
    [
        ("GET", "/servicePrincipals", "Application.Read.All"),
        ("GET", "/applications", "Application.Read.All"),
        ("POST", "/applicationTemplates/8adf8e6e-67b2-4cf2-a259-e3dc5476c621/instantiate", "Application.ReadWrite.All"),
        ("PATCH", "/servicePrincipals/1", "Application.ReadWrite.All"),
        ("DELETE", "/applications/1", "Application.ReadWrite.All"),
        ("GET", "/servicePrincipals/1/appRoleAssignedTo", "Application.Read.All"),
        ("POST", "/servicePrincipals/1/appRoleAssignedTo", "AppRoleAssignment.ReadWrite.All"),
        ("DELETE", "/servicePrincipals/1/appRoleAssignedTo/2", "AppRoleAssignment.ReadWrite.All"),
        ("GET", "/servicePrincipals/1/synchronization/jobs", "Synchronization.ReadWrite.All"),
        ("PUT", "/servicePrincipals/1/synchronization/secrets", "Synchronization.ReadWrite.All"),
        ("POST", "/servicePrincipals/1/synchronization/jobs/2/start", "Synchronization.ReadWrite.All"),
        ("GET", "/users/adele@contoso.com", "User.Read.All"),
        ("GET", "/users/1/memberOf", "GroupMember.Read.All"),
        ("GET", "/groups/1/members", "GroupMember.Read.All"),
        ("GET", "/directory/deletedItems/microsoft.graph.user", "User.Read.All"),
        ("GET", "/organization", "Organization.Read.All"),
        ("GET", "/auditLogs/provisioning", "AuditLog.Read.All"),
        ("GET", "/elsewhere", ""),
    ],
)
def test_each_request_to_graph_names_its_permission(method, path, permission):
    assert needed_for(method, path) == permission


def test_a_refusal_of_graph_names_the_permission_of_that_request(serve, ca_bundle):
    body = b'{"error":{"code":"Authorization_RequestDenied","message":"Insufficient privileges to complete the operation."}}'
    server = serve(lambda handler, _: say(handler, 403, body))
    graph = GraphService("graph", server.url, session=open_session(ca_bundle), pace=Pace(total_s=0.0))
    with pytest.raises(ApiError) as refused:
        graph.read("/auditLogs/provisioning")
    assert refused.value.do_now == (
        "Grant AuditLog.Read.All to the app registration (API permissions > Microsoft Graph) and have an administrator consent "
        "to it, then sign in again (see: RB-402)"
    )


def test_a_refused_assignment_names_its_permission():
    refusal = {"id": "1", "status": 403, "body": {"error": {"code": "Authorization_RequestDenied", "message": "Insufficient"}}}
    [(_, _, do_now)] = batches.refusals(Response(200, {"responses": [refusal]}), ["Assigning Adele"])
    assert do_now.startswith("Grant AppRoleAssignment.ReadWrite.All to the app registration")
