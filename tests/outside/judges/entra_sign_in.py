"""azure-identity and msgraph-sdk: sign-in and the Graph calls the runbook makes, through Microsoft's own clients."""

import asyncio
import json
import os
from urllib.parse import urlsplit

from azure.identity import ClientSecretCredential
from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_authentication_azure.azure_identity_authentication_provider import AzureIdentityAuthenticationProvider
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph.generated.models.synchronization_job_application_parameters import SynchronizationJobApplicationParameters
from msgraph.generated.models.synchronization_job_subject import SynchronizationJobSubject
from msgraph.generated.models.synchronization_secret import SynchronizationSecret
from msgraph.generated.models.synchronization_secret_key_string_value_pair import SynchronizationSecretKeyStringValuePair
from msgraph.generated.service_principals.item.synchronization.jobs.item.provision_on_demand import (
    provision_on_demand_post_request_body,
)
from msgraph.generated.service_principals.item.synchronization.secrets.secrets_put_request_body import SecretsPutRequestBody
from msgraph.generated.service_principals.service_principals_request_builder import ServicePrincipalsRequestBuilder

ProvisionOnDemandPostRequestBody = provision_on_demand_post_request_body.ProvisionOnDemandPostRequestBody


def told(check: str, found: object) -> None:
    print(json.dumps({"check": check, "found": found}, default=str), flush=True)


graph = os.environ["GRAPH"]
host = f"https://{urlsplit(graph).netloc}"
credential = ClientSecretCredential(
    os.environ["ENTRA_TENANT"],
    os.environ["ENTRA_CLIENT_ID"],
    os.environ["ENTRA_CLIENT_SECRET"],
    authority=os.environ["ENTRA_AUTHORITY"],
    disable_instance_discovery=True,
)


async def written(client: GraphServiceClient, principal_id: str) -> None:
    """Write as the runbook does, as far as this client can: pause, save a credential, start, provision one person on demand."""
    sync = client.service_principals.by_service_principal_id(principal_id).synchronization
    [job] = (await sync.jobs.get()).value
    one_job = sync.jobs.by_synchronization_job_id(job.id)
    await one_job.pause.post()
    told("paused", (await one_job.get()).schedule.state)
    keep = SynchronizationSecretKeyStringValuePair(key=SynchronizationSecret.SyncAll, value="false")
    await sync.secrets.put(SecretsPutRequestBody(value=[keep]))
    schema = await one_job.schema.get()
    [rule] = schema.synchronization_rules
    told("mappings", [len(mapping.attribute_mappings) for mapping in rule.object_mappings])
    try:
        await one_job.schema.patch(schema)
    except ODataError as refused:
        told("schema by PATCH", refused.response_status_code)
    await one_job.start.post()
    told("started", (await one_job.get()).schedule.state)
    person = (await client.users.get()).value[0]
    subject = SynchronizationJobSubject(object_id=person.id, object_type_name="User")
    parameters = SynchronizationJobApplicationParameters(subjects=[subject], rule_id=rule.id)
    answer = await one_job.provision_on_demand.post(ProvisionOnDemandPostRequestBody(parameters=[parameters]))
    verdict = json.loads(answer.value)
    told("on demand", [verdict["action"], verdict["statusInfo"]["status"]])


async def main() -> None:
    token = credential.get_token(f"{host}/.default")
    told("azure-identity", token.token.count("."))
    provider = AzureIdentityAuthenticationProvider(credential, scopes=[f"{host}/.default"], allowed_hosts=["localhost"])
    adapter = GraphRequestAdapter(provider)
    adapter.base_url = graph
    client = GraphServiceClient(request_adapter=adapter)
    told("organization", [one.display_name for one in (await client.organization.get()).value])
    query = ServicePrincipalsRequestBuilder.ServicePrincipalsRequestBuilderGetQueryParameters(
        filter=f"displayName eq '{os.environ['APPLICATION']}'"
    )
    [principal] = (await client.service_principals.get(RequestConfiguration(query_parameters=query))).value
    assigned = (await client.service_principals.by_service_principal_id(principal.id).app_role_assigned_to.get()).value
    told("assigned", len(assigned))
    jobs = (await client.service_principals.by_service_principal_id(principal.id).synchronization.jobs.get()).value
    told("jobs", [job.template_id for job in jobs])
    await written(client, principal.id)
    told("users", len((await client.users.get()).value))
    try:
        await client.users.by_user_id("nobody@nowhere.example").get()
    except ODataError as refused:
        told("unknown user", [refused.response_status_code, refused.error.code])


asyncio.run(main())
