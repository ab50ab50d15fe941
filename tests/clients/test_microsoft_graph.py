"""What gets into a path or a filter of Graph: GUIDs and escaped texts, whatever an answer held."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbook_lib.services.auth0 import management as auth0
from runbook_lib.services.entra import graph

ID = "00000000-0000-4000-8000-000000000001"
HOSTILE = ["", "../x", "x/../y", f"{ID}/../..", f"{ID}?x", f"{ID}#", "' or 1 eq 1", "common", "%2e%2e", f" {ID}", f"{ID}\n"]
BUILDERS = {
    "notes": lambda odd: graph.patch_notes(odd, None),
    "template": lambda odd: graph.instantiate(odd, "x"),
    "assign": lambda odd: graph.assign(odd, (ID,), ID),
    "unassign": lambda odd: graph.unassign(odd, ("x",)),
    "job": lambda odd: graph.delete_job(odd, "scim.1"),
    "start": lambda odd: graph.start_job(odd, "scim.1"),
    "pause": lambda odd: graph.pause_job(odd, "scim.1"),
    "schema": lambda odd: graph.put_schema(odd, "scim.1", {}),
    "validate": lambda odd: graph.validate_credentials(odd, "scim.1"),
    "secrets": lambda odd: graph.put_credentials_as_they_are(odd, {}),
    "application": lambda odd: graph.delete_application(odd),
    "user": lambda odd: graph.provision_on_demand(ID, "scim.1", "r", odd),
}


@pytest.mark.parametrize("odd", HOSTILE)
@pytest.mark.parametrize("name", BUILDERS)
def test_only_a_guid_gets_into_a_path(name, odd):
    with pytest.raises(ValueError, match="UUID"):
        BUILDERS[name](odd)


@given(st.text(min_size=1, max_size=40).filter(lambda text: text not in (".", "..")))
def test_no_id_leads_out_of_its_folder(odd):
    job, assignment = graph.delete_job(ID, odd).path, graph.unassign(ID, (odd,)).body["requests"][0]["url"]
    token = auth0.delete_scim_token(odd, odd).path
    assert (job.count("/"), assignment.count("/"), token.count("/")) == (5, 4, 7)
    assert not set(job + assignment + token) & set("?#\\ '")


@pytest.mark.parametrize("odd", ["", ".", ".."])
def test_what_means_the_folder_itself_is_no_id(odd):
    """urllib3 takes dot segments away, so that a DELETE would go to what is above."""
    for build in (
        lambda: graph.delete_job(ID, odd),
        lambda: graph.unassign(ID, (odd,)),
        lambda: auth0.delete_scim_token("con_1", odd),
    ):
        with pytest.raises(ValueError, match="is no id"):
            build()


@given(st.text(max_size=40))
def test_a_literal_ends_where_it_should(text):
    inside = graph.literal(text)
    assert inside.replace("''", "").count("'") == 0
    assert inside.replace("''", "'") == text


def test_a_masked_value_is_never_sent_back():
    with pytest.raises(ValueError, match="masked"):
        graph.put_credentials_as_they_are(ID, {"SecretToken": "*"})


def test_nothing_here_can_restart_a_job():
    assert "restart" not in Path(graph.__file__).read_text(encoding="utf-8")
