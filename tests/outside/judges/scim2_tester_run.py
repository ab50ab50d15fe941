"""scim2-tester: RFC 7643 and 7644 conformance of the SCIM endpoint, each finding by check.

The client is told what resources there are, since the endpoint publishes no schema.
"""

import json
import os
import warnings

import httpx2
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_models import Bulk, ChangePassword, EnterpriseUser, ETag, Filter, Patch, ServiceProviderConfig, Sort, User
from scim2_tester import check_server

warnings.simplefilter("ignore", DeprecationWarning)  # scim2-client's own, about how it is told of the models
http = httpx2.Client(
    base_url=os.environ["SCIM_BASE"], headers={"Authorization": f"Bearer {os.environ['SCIM_TOKEN']}"}, timeout=20
)
off = {"supported": False}
config = ServiceProviderConfig(
    patch=Patch(supported=True),
    bulk=Bulk(**off, max_operations=0, max_payload_size=0),
    filter=Filter(supported=True, max_results=100),
    change_password=ChangePassword(**off),
    sort=Sort(**off),
    etag=ETag(**off),
    authentication_schemes=[],
)
client = SyncSCIMClient(http, resource_models=(User[EnterpriseUser],), service_provider_config=config)
for result in check_server(client, raise_exceptions=False, resource_types=["User"]):
    told = {"check": result.title, "status": result.status.name, "reason": str(result.reason or "")[:400]}
    print(json.dumps({**told, "about": str(result.data)[:200]}), flush=True)
