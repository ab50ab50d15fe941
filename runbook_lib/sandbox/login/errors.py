"""Errors of Microsoft login, with AADSTS numbers. Source: Microsoft's error code page; texts as quoted in public issues."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from runbook_lib.sandbox.exchange import Answer, Call
from runbook_lib.sandbox.world import World


class Refused(Exception):
    """A request that login refuses."""

    def __init__(self, status: int, code: str, number: int, text: str) -> None:
        super().__init__(text)
        self.status, self.code, self.number, self.text = status, code, number, text


def body(world: World, status: int, message: str) -> Any:
    """Return the body of an error that has no words of its own."""
    text = message or "A transient error has occurred. Please try again."
    return answer(world, Refused(status, "temporarily_unavailable", 90033, text), None).body


def answer(world: World, refused: Refused, call: Call | None) -> Answer:
    """Return the answer to a refused request; the correlation id is the caller's `client-request-id` when it sent a GUID."""
    now = world.clock.now.strftime("%Y-%m-%d %H:%M:%SZ")
    trace, correlation = world.ids.guid(), world.ids.guid()
    correlation = _guid(call.headers.get("client-request-id", "") if call else "") or correlation
    words = f"AADSTS{refused.number}: {refused.text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {now}"
    return Answer(
        refused.status,
        {
            "error": refused.code,
            "error_description": words,
            "error_codes": [refused.number],
            "timestamp": now,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": f"https://login.microsoftonline.com/error?code={refused.number}",
        },
    )


def _guid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        return ""


def no_tenant(name: str) -> Refused:
    """Return the refusal of an unknown tenant."""
    text = f"Tenant '{name}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud."
    return Refused(400, "invalid_tenant", 90002, text)


def no_application(client_id: str, tenant: str) -> Refused:
    """Return the refusal of a client the tenant does not know."""
    words = "This can happen if the application has not been installed by the administrator of the tenant."
    text = f"Application with identifier '{client_id}' was not found in the directory '{tenant}'. {words}"
    return Refused(400, "unauthorized_client", 700016, text)


def missing(name: str) -> Refused:
    """Return the refusal of a form without a field."""
    return Refused(400, "invalid_request", 900144, f"The request body must contain the following parameter: '{name}'.")


def no_credential() -> Refused:
    """Return the refusal of a confidential request without credential; a device code request of a confidential client is one."""
    text = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
    return Refused(401, "invalid_client", 7000218, text)


def wrong_secret(client_id: str) -> Refused:
    """Return the refusal of a wrong client secret."""
    words = "Ensure the secret being sent in the request is the client secret value, not the client secret ID,"
    return Refused(
        401, "invalid_client", 7000215, f"Invalid client secret provided. {words} for a secret added to app '{client_id}'."
    )


def expired_secret(client_id: str) -> Refused:
    """Return the refusal of a right secret that has run out."""
    words = "Visit the Azure portal to create new keys for your app: https://aka.ms/NewClientSecret."
    return Refused(401, "invalid_client", 7000222, f"The provided client secret keys for app '{client_id}' are expired. {words}")


def bad_assertion(number: int) -> Refused:
    """Return the refusal of a client assertion: 700027 signature, 700024 time, 700023 audience, 700021 application."""
    texts = {
        700027: "Client assertion contains an invalid signature. [Reason - The key was not found.]",
        700024: "Client assertion is not within its valid time range.",
        700023: "Client assertion audience claim does not match Realm issuer.",
        700021: "Client assertion application identifier doesn't match 'client_id' parameter.",
    }
    return Refused(401, "invalid_client", number, texts[number])


def scope_without_default(scope: str) -> Refused:
    """Return the refusal of a client credentials request for single permissions."""
    words = "Client credential flows must have a scope value with /.default suffixed to the resource identifier"
    return Refused(
        400, "invalid_scope", 1002012, f"The provided value for scope {scope} is not valid. {words} (application ID URI)."
    )


def bad_scope(scope: str) -> Refused:
    """Return the refusal of a scope that names nothing (client credentials page, example)."""
    words = "The provided value for the input parameter 'scope' is not valid."
    return Refused(400, "invalid_scope", 70011, f"{words} The scope {scope} is not valid.")


def two_resources(scope: str) -> Refused:
    """Return the refusal of scopes of two APIs at once (Microsoft's error code page)."""
    words = "Provided value for the input parameter scope isn't valid because it contains more than one resource."
    return Refused(400, "invalid_scope", 28000, f"{words} Scope {scope} isn't valid.")


def no_consent(client_id: str) -> Refused:
    """Return the refusal of a permission without consent (Microsoft's error code page)."""
    words = "Send an interactive authorization request for this user and resource."
    text = f"The user or administrator has not consented to use the application with ID '{client_id}'. {words}"
    return Refused(400, "invalid_grant", 65001, text)


def no_resource(resource: str, tenant: str) -> Refused:
    """Return the refusal of a token for another API than the simulated Graph."""
    return Refused(
        400, "invalid_resource", 500011, f"The resource principal named {resource} was not found in the tenant named {tenant}."
    )
