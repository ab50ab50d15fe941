"""What all tenants of one Auth0 tenant share is read once a run, and only plans take it."""

from collections import Counter
from pathlib import Path

from runbook_lib.batch.runner import Options, run_tenants
from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD
from runbook_lib.sandbox.server import Sandbox
from runbook_lib.settings.model import RunMode
from runbook_lib.settings.tenants_file import read_tenants
from tests.batch.test_runner import Silent

LISTS = ("/api/v2/connections", "/api/v2/connections-scim-configurations")
NAMES = ("fresh", "complete", "half-done", "tenant-0001", "tenant-0002")


def test_a_plan_of_a_fleet_asks_auth0_three_times_a_tenant_and_reads_the_lists_once(tmp_path):
    with Sandbox(seed=3, tenants=2) as sandbox:
        tenants = [one for one in read_tenants(Path(sandbox.ready["tenants_file"])) if one.name in NAMES]
        outcomes, _ = run_tenants(tenants, Options(OLDER_AZURE_AD, RunMode.PLAN, jobs=2), tmp_path, Silent())
        asked = Counter(one["path"] for one in sandbox.simulation.history if one["service"] == "auth0")
    statuses = {outcome.name: outcome.status for outcome in outcomes}
    assert statuses == {name: "unchanged" if name == "complete" else "pending" for name in NAMES}
    assert [asked.pop(path) for path in LISTS] == [1, 1]
    assert asked.pop("/oauth/token") == 1
    assert sum(count for path, count in asked.items() if path.endswith("/default-mapping")) == 1
    assert sum(asked.values()) - 1 <= 3 * len(NAMES)


def test_a_fleet_that_applies_asks_auth0_for_its_default_mapping_once_and_reads_every_connection_itself(tmp_path):
    with Sandbox(seed=3, tenants=3) as sandbox:
        tenants = [one for one in read_tenants(Path(sandbox.ready["tenants_file"])) if one.name.startswith(("fresh", "tenant-"))]
        outcomes, _ = run_tenants(tenants, Options(OLDER_AZURE_AD, RunMode.APPLY, jobs=2), tmp_path, Silent())
        asked = [one for one in sandbox.simulation.history if one["service"] == "auth0" and one["method"] == "GET"]
        named = [one["query"] for one in asked if one["path"] == "/api/v2/connections"]
    assert len(tenants) >= 4
    assert {outcome.name: outcome.status for outcome in outcomes}["fresh"] == "done"
    assert sum(one["path"].endswith("/default-mapping") for one in asked) == 1
    assert not any(one["path"].endswith("connections-scim-configurations") for one in asked)
    assert {one.auth0_connection for one in tenants} <= {query.removeprefix("name=") for query in named}


def test_what_is_shared_is_on_no_disk(tmp_path):
    with Sandbox(seed=3, tenants=2) as sandbox:
        tenants = [one for one in read_tenants(Path(sandbox.ready["tenants_file"])) if one.name in NAMES]
        run_tenants(tenants, Options(OLDER_AZURE_AD, RunMode.PLAN, jobs=2), tmp_path, Silent())
        secrets = [
            one["options"]["client_secret"] for one in sandbox.world.auth0.connections.values() if one["strategy"] == "waad"
        ]
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) > len(NAMES)
    assert not [secret for secret in secrets for content in written if secret.encode() in content]
