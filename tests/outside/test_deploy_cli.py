"""auth0-deploy-cli: exports the sandbox's connections and takes its own export back."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from tests.outside.installing import NODE_MODULES


def kept(options: dict[str, Any]) -> dict[str, Any]:
    """Return options without what the client leaves out of an import: nulls, and the secret, for which it exports a placeholder.

    It says that "the existing value on Auth0 will be preserved"; by the API description a PATCH replaces `options` whole.
    """
    return {key: value for key, value in options.items() if value is not None and key != "client_secret"}


def test_deploy_cli_exports_connections_and_imports_what_it_exported(judge, node, auth0_settings, sandbox, tmp_path: Path):
    node("auth0_node.mjs")
    auth0 = sandbox.world.auth0
    before = copy.deepcopy(auth0.connections)
    scim = {key: copy.deepcopy(side.configuration["mapping"]) for key, side in auth0.provisioning.items()}
    command = ["node", str(NODE_MODULES / "auth0-deploy-cli" / "lib" / "index.js")]
    config, folder = tmp_path / "config.json", tmp_path / "exported"
    config.write_text(json.dumps({**auth0_settings, "AUTH0_INCLUDED_ONLY": ["connections"], "AUTH0_ALLOW_DELETE": False}))
    exported = judge.run([*command, "export", "-c", str(config), "-f", "directory", "-o", str(folder)])
    assert exported.returncode == 0, exported.stdout[-3000:] + exported.stderr[-3000:]
    names = {json.loads(path.read_text())["name"] for path in (folder / "connections").glob("*.json")}
    assert names == {one["name"] for one in before.values() if one["strategy"] != "auth0"}

    imported = judge.run([*command, "import", "-c", str(config), "-i", str(folder)])
    assert imported.returncode == 0, imported.stdout[-3000:] + imported.stderr[-3000:]
    refused = [entry for entry in sandbox.simulation.history if entry["status"] >= 400 and entry["method"] != "GET"]
    assert refused == []
    for key, one in before.items():
        assert kept(auth0.connections[key]["options"]) == kept(one["options"]), one["name"]
        assert {**auth0.connections[key], "options": None} == {**one, "options": None}
    assert {key: side.configuration["mapping"] for key, side in auth0.provisioning.items()} == scim
