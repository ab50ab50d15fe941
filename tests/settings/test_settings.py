"""Settings are refused before anything is sent, in words that never show a secret."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbook_lib.core.errors import SettingsError
from runbook_lib.core.secret import scrubber
from runbook_lib.settings.clouds import CLOUDS
from runbook_lib.settings.model import COLUMNS, EXTRAS, REQUIRED, TenantSettings
from runbook_lib.settings.process import lock_folder, output_name
from runbook_lib.settings.references import resolve
from tests.builders import GOOD, HOSTILE_DOMAINS, SANDBOX

GUID = "00000000-0000-4000-8000-00000000000a"


def good(**changes):
    return TenantSettings.from_parameters({**GOOD, **changes})


def refusal(**changes):
    """Return the whole text of the refusal."""
    with pytest.raises(SettingsError) as refused:
        good(**changes)
    return f"{refused.value} {refused.value!r} {refused.value.__cause__!r}"


@pytest.fixture
def ready_file(tmp_path):
    path = tmp_path / "ready.json"
    path.write_text(json.dumps(SANDBOX))
    return path


def test_the_columns_are_those_of_the_tenants_file_in_order():
    assert (
        ", ".join(COLUMNS)
        == "name, auth0_domain, auth0_connection, auth0_client_id, auth0_client_secret, entra_tenant, entra_client_id, "
        "entra_client_secret, cloud, scim_app_name, test_user, token_lifetime_days, turn_on"
    )
    assert set(REQUIRED) <= set(COLUMNS)


@pytest.mark.parametrize("name", [*COLUMNS, *EXTRAS])
def test_every_setting_explains_itself(name):
    assert TenantSettings.model_fields[name].description


def test_good_settings_are_taken():
    settings = TenantSettings.from_parameters(GOOD)
    assert (settings.token_lifetime_s, settings.turn_on, settings.find_cloud().graph) == (
        31_536_000,
        "yes",
        "https://graph.microsoft.com/v1.0",
    )


@pytest.mark.parametrize("domain", ["acme.auth0.com", "acme.eu.auth0.com", "acme-1.us.auth0.com", "acme.auth0app.com"])
def test_auth0_domains_are_taken(domain):
    assert TenantSettings.from_parameters({**GOOD, "auth0_domain": domain}).auth0_domain == domain


@pytest.mark.parametrize("domain", HOSTILE_DOMAINS)
def test_every_other_domain_is_refused(domain):
    with pytest.raises(SettingsError, match="auth0_domain"):
        TenantSettings.from_parameters({**GOOD, "auth0_domain": domain})


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("entra_tenant", "common"),
        ("entra_tenant", "organizations"),
        ("entra_client_id", "not-a-guid"),
        ("cloud", "https://evil.example"),
        ("cloud", "sandbox:/nowhere.json"),
        ("token_lifetime_days", "0"),
        ("token_lifetime_days", "-1"),
        ("token_lifetime_days", "1e3"),
        ("turn_on", "maybe"),
        ("name", ""),
        ("scim_app_name", "x" * 121),
        ("test_user", "adele\u202e@contoso.com"),
        ("auth0_client_secret", ""),
        ("auth0_client_secret", "env:"),
        ("auth0_client_secret", "env:NOT A NAME"),
        ("auth0_client_secret", "keyring:no-user"),
        ("entra_client_secret", "https://vault.example/secret"),
        ("entra_tenant", "consumers"),
        ("entra_tenant", "10.0.0.1"),
        ("entra_tenant", "contoso.com/../common"),
        ("entra_tenant", ".".join(["a" * 60] * 5)),
        ("entra_client_id", "{00000000-0000-4000-8000-000000000001}"),
        ("cloud", "Public"),
        ("cloud", "sandbox:"),
        ("token_lifetime_days", "3651"),
        ("token_lifetime_days", "\u0663"),
        ("token_lifetime_days", "9" * 5000),
        ("token_lifetime_days", 365),
        ("name", "a\nb"),
        ("name", "a\ud800b"),
        ("scim_app_name", "SCIM\u2066app"),
        ("test_user", ".."),
        ("test_user", "adele"),
        ("test_user", "adele@contoso.com/../me"),
        ("test_user", "adele@contoso.com?$select=id"),
        ("test_user", ""),
        ("deletion_threshold", 0),
        ("accept", ("everything",)),
        ("assign", ("",)),
        ("mapping", ({"scim": "userName"},)),
        ("mapping", ({"scim": "userName", "auth0": "email", "more": "x"},)),
    ],
)
def test_a_bad_value_is_refused_by_the_name_of_its_column(column, value):
    with pytest.raises(SettingsError) as refused:
        TenantSettings.from_parameters({**GOOD, column: value})
    assert column in str(refused.value)


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("test_user", "adele\u202e@contoso.com", "the invisible character U+202E; type the value again by hand"),
        ("test_user", "adele", "neither a user principal name such as adele@contoso.com nor an object id (GUID)"),
        ("entra_tenant", "common", "neither a tenant id (GUID) nor a domain name"),
        ("cloud", "Public", "not one of public, usgov, china or sandbox:READY_FILE"),
    ],
)
def test_a_refusal_says_what_would_be_right(column, value, words):
    assert words in refusal(**{column: value})


@pytest.mark.parametrize(
    "value",
    [
        "Contoso-Production-Europe-West-1-Azure-AD-Connection-2024",
        "CONTOSO-PRODUCTION-azure-active-directory-2024-west",
        "a" * 100,
    ],
)
def test_a_long_name_is_no_secret(value):
    assert good(auth0_connection=value).auth0_connection == value


def test_a_domain_may_be_as_long_as_dns_allows():
    name = ".".join(["a" * 63] * 3 + ["b" * 61])
    assert len(name) == 253
    assert good(entra_tenant=name).entra_tenant == name
    assert "entra_tenant" in refusal(entra_tenant=f"{name}b")


@pytest.mark.parametrize("column", ["auth0_client_secret", "entra_client_secret"])
@pytest.mark.parametrize(
    "secret", ["Zx9-very-secret-value", "very-secret\u200bvalue", f"tok_{'a' * 16}.very-secret", "-----BEGIN very-secret"]
)
def test_a_literal_secret_is_refused_and_not_repeated(column, secret):
    words = refusal(**{column: secret})
    assert column in words
    assert "very-secret" not in words


@pytest.mark.parametrize("column", ["name", "auth0_connection", "auth0_client_id", "scim_app_name", "test_user", "cloud"])
@pytest.mark.parametrize(
    "value",
    [
        f"tok_{'A' * 16}.{'0a' * 32}",
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.sig",
        f"aB38Q~{'xY7_' * 8}Zz",  # a client secret of Entra
        "q7Xz_pLmN4-RtYuI9oPaSdFgHjKlZxCvBnM3qWeRtYuIo5PaSdFgHj-lKzXcVbNm",  # one of Auth0
    ],
)
def test_a_token_in_any_other_column_is_refused_and_not_repeated(column, value):
    """A name is a folder's name and a heading: cut or turned into a slug it would pass every scrubber."""
    with pytest.raises(SettingsError, match="give a reference to the secret instead") as refused:
        TenantSettings.from_parameters({**GOOD, column: value})
    assert (refused.value.column, value[:12] in str(refused.value)) == (column, False)


@given(st.text(min_size=8, max_size=80).filter(lambda text: text.strip() and "very-secret:" not in text))
def test_no_refusal_ever_repeats_a_secret_column(text):
    secret = f"very-secret:{text}"  # no reference begins so
    assert "very-secret:" not in refusal(auth0_client_secret=secret, entra_client_secret=secret)


def test_all_bad_columns_are_named_at_once():
    words = refusal(entra_tenant="common", turn_on="maybe", token_lifetime_days="0")
    assert all(column in words for column in ("entra_tenant", "turn_on", "token_lifetime_days"))


def test_a_missing_setting_is_said_to_be_missing():
    with pytest.raises(SettingsError) as refused:
        TenantSettings.from_parameters({name: value for name, value in GOOD.items() if name != "test_user"}, row=7)
    assert str(refused.value) == (
        "Reading the settings (row 7, column test_user): is missing. Correct it and run again; nothing was sent."
    )


def test_an_unknown_parameter_names_the_one_that_was_meant():
    with pytest.raises(SettingsError, match="auth0_domain"):
        TenantSettings.from_parameters({**GOOD, "auth0_domian": "x"})


def test_an_unknown_parameter_that_is_no_name_is_not_repeated():
    with pytest.raises(SettingsError) as refused:
        TenantSettings.from_parameters({**GOOD, "Zx9-very-secret-value": "x"})
    assert "very-secret" not in str(refused.value)


def test_settings_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        good().name = "other"


def test_texts_are_stripped_and_composed():
    settings = good(name="  A\u0308rger ", entra_tenant=" Contoso.OnMicrosoft.com ", test_user=f" {GUID} ")
    assert (settings.name, settings.entra_tenant, settings.test_user) == ("\u00c4rger", "contoso.onmicrosoft.com", GUID)


@pytest.mark.parametrize("user", ["adele@contoso.com", "o'neil@contoso.com", "ada_x.com#EXT#@contoso.onmicrosoft.com", GUID])
def test_users_are_taken_by_principal_name_or_object_id(user):
    assert good(test_user=user, assign=(user,)).assign == (user,)


@pytest.mark.parametrize(("days", "seconds"), [("", None), ("never", None), ("1", 86_400), ("3650", 315_360_000)])
def test_a_lifetime_is_whole_days_or_without_end(days, seconds):
    assert good(token_lifetime_days=days).token_lifetime_s == seconds


@pytest.mark.parametrize(
    ("word", "meant"), [("YES", "yes"), ("True", "yes"), ("1", "yes"), ("", "yes"), ("No", "no"), ("FALSE", "no"), ("0", "no")]
)
def test_the_switch_knows_the_usual_words(word, meant):
    assert good(turn_on=word).turn_on == meant


@pytest.mark.parametrize("reference", ["env:A", "file:/run/secrets/a b", "keyring:auth0/acme/eu"])
def test_references_stay_as_written(reference):
    assert good(auth0_client_secret=reference).auth0_client_secret == reference


def test_a_cloud_is_one_row_of_the_table():
    assert {name: (cloud.authority, cloud.graph, cloud.is_sandbox) for name, cloud in CLOUDS.items()} == {
        "public": ("https://login.microsoftonline.com", "https://graph.microsoft.com/v1.0", False),
        "usgov": ("https://login.microsoftonline.us", "https://graph.microsoft.us/v1.0", False),
        "china": ("https://login.partner.microsoftonline.cn", "https://microsoftgraph.chinacloudapi.cn/v1.0", False),
    }


def test_the_sandbox_is_read_from_its_ready_file_without_the_control_token(ready_file):
    settings = good(cloud=f"sandbox:{ready_file}", auth0_domain="localhost:4001")
    cloud = settings.find_cloud()
    assert (cloud.authority, cloud.graph, cloud.resource, cloud.ca_bundle, cloud.auth0_domain, cloud.is_sandbox) == (
        "https://localhost:4002",
        "https://localhost:4003/v1.0",
        "https://localhost:4003",
        "/somewhere/ca.pem",
        "localhost:4001",
        True,
    )
    assert (cloud.name, cloud.portal) == ("sandbox", CLOUDS["public"].portal)
    assert cloud.template_id == CLOUDS["public"].template_id
    assert "the-control-token" not in repr(cloud) + repr(settings) + scrubber.scrub("a log that says the-control-token")


def test_a_ready_file_without_a_control_token_is_as_good(tmp_path):
    path = tmp_path / "ready.json"
    path.write_text(json.dumps({key: value for key, value in SANDBOX.items() if key != "control_token"}))
    assert good(cloud=f"sandbox:{path}", auth0_domain="localhost:4001").find_cloud().is_sandbox
    assert scrubber.scrub("None and XXXX stay") == "None and XXXX stay"


@pytest.mark.parametrize("domain", ["acme.auth0.com", "localhost:4002", "localhost", "127.0.0.1:4001"])
def test_the_sandbox_takes_its_own_auth0_domain_only(ready_file, domain):
    assert "auth0_domain" in refusal(cloud=f"sandbox:{ready_file}", auth0_domain=domain)


@pytest.mark.parametrize(
    ("key", "address"),
    [
        ("authority", "http://localhost:4002"),
        ("authority", "https://login.microsoftonline.com"),
        ("authority", "https://localhost:4002@evil.com"),
        ("authority", "https://localhost.evil.com:4002"),
        ("authority", "https://localhost:4002/evil"),
        ("graph", "https://graph.microsoft.com/v1.0"),
        ("graph", "https://localhost:4003\\@evil.com/v1.0"),
        ("graph", 5),
        ("auth0_domain", "acme.auth0.com"),
        ("auth0_domain", "localhost:4001@evil.com"),
        ("auth0_domain", "localhost:4001#.auth0.com"),
    ],
)
def test_a_ready_file_may_name_this_machine_only(ready_file, key, address):
    ready_file.write_text(json.dumps({**SANDBOX, key: address}))
    domain = str(address) if key == "auth0_domain" else SANDBOX["auth0_domain"]
    assert "outside this machine" in refusal(cloud=f"sandbox:{ready_file}", auth0_domain=domain)


@pytest.mark.parametrize("content", ["", "[]", "{}", "not json", '{"authority": null}'])
def test_a_broken_ready_file_is_refused(ready_file, content):
    ready_file.write_text(content)
    assert "ready file" in refusal(cloud=f"sandbox:{ready_file}", auth0_domain="localhost:4001")


NOBODY_AT_ENTRA = {"entra_client_id": "", "entra_client_secret": ""}
NOBODY_AT_AUTH0 = {"auth0_client_id": "", "auth0_client_secret": ""}
GIVEN = {
    **NOBODY_AT_AUTH0,
    "scim_endpoint": f"https://{GOOD['auth0_domain']}/scim/v2/connections/con_AbCdEfGh12345678/",
    "scim_token": "env:SCIM_TOKEN",
    "oidc_client_id": GUID,
}


@pytest.mark.parametrize(
    ("changes", "side"), [({}, None), (NOBODY_AT_ENTRA, "entra"), (NOBODY_AT_AUTH0, "auth0"), (GIVEN, "auth0")]
)
def test_a_side_without_a_sign_in_is_handed_over(changes, side):
    assert good(**changes).handed_over == side


@pytest.mark.parametrize(
    ("changes", "column"),
    [
        ({**NOBODY_AT_ENTRA, **NOBODY_AT_AUTH0}, "auth0_client_secret"),
        ({"auth0_client_secret": ""}, "auth0_client_secret"),
        ({name: GIVEN[name] for name in ("scim_endpoint", "oidc_client_id")}, "scim_endpoint"),
        ({"scim_token": "env:SCIM_TOKEN"}, "scim_token"),
        ({**GIVEN, "scim_endpoint": ""}, "scim_token"),
        ({**GIVEN, "oidc_client_id": ""}, "oidc_client_id"),
        ({**GIVEN, "oidc_client_id": "not-a-guid"}, "oidc_client_id"),
        ({**GIVEN, "scim_token": "Zx9-very-secret-value"}, "scim_token"),
        ({**GIVEN, "auth0_connection": "con_another000000000"}, "scim_endpoint"),
        *(
            ({**GIVEN, "scim_endpoint": url}, "scim_endpoint")
            for url in (
                "https://evil.example/scim/v2/connections/con_AbCdEfGh12345678",
                f"https://{GOOD['auth0_domain']}.evil.example/scim/v2/connections/con_AbCdEfGh12345678",
                f"https://evil.example/{GOOD['auth0_domain']}/scim/v2/connections/con_AbCdEfGh12345678",
                f"http://{GOOD['auth0_domain']}/scim/v2/connections/con_AbCdEfGh12345678",
                f"https://{GOOD['auth0_domain']}/scim/v2/connections/con_AbCdEfGh12345678?x=1",
                f"https://{GOOD['auth0_domain']}/scim/v2/connections/../con_AbCdEfGh12345678",
            )
        ),
    ],
)
def test_sides_that_do_not_hang_together_are_refused(changes, column):
    words = refusal(**changes)
    assert column in words
    assert "very-secret" not in words


def test_references_are_resolved_late_and_named_when_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("A", "value-of-a")
    (tmp_path / "secret").write_text("value-of-file\n")
    assert resolve("env:A").reveal() == "value-of-a"
    assert resolve(f"file:{tmp_path / 'secret'}").reveal() == "value-of-file"
    with pytest.raises(SettingsError, match="env:MISSING"):
        resolve("env:MISSING")
    with pytest.raises(SettingsError, match="cannot be read"):
        resolve("file:/nowhere/at/all")


def test_a_secret_file_of_a_windows_editor_is_read(tmp_path):
    (tmp_path / "secret").write_bytes("\ufeffv\u00e4lue of file\r\n".encode())
    assert resolve(f"file:{tmp_path / 'secret'}").reveal() == "v\u00e4lue of file"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"x" * 65_537, "too large"),
        (b"\xff\xfe", "is empty"),
        (b"\0\1\2\xff\xfe", "neither text"),
        (None, "not a file"),
    ],
)
def test_a_file_that_cannot_be_a_secret_is_refused(tmp_path, content, words):
    path = tmp_path / "secret"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=words):
        resolve(f"file:{path}", column="auth0_client_secret")


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no named pipes")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SettingsError, match="not a file"):
        resolve(f"file:{tmp_path / 'pipe'}")


def test_the_home_of_nobody_is_refused():
    with pytest.raises(SettingsError, match="cannot be read"):
        resolve("file:~no-such-person-here/secret")


def test_a_keyring_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(SettingsError, match="keyring is not installed"):
        resolve("keyring:auth0/acme")


@pytest.mark.parametrize("name", ["fresh", "tenant-0001", "half_done", "7", "x" * 64])
def test_a_plain_name_is_its_folder(name):
    assert output_name(name) == name


@pytest.mark.parametrize(
    ("name", "slug"), [("Fresh", "fresh"), ("con", "con"), ("..", "tenant"), ("\u00c4rger & S\u00f6hne", "arger-sohne")]
)
def test_another_name_is_a_slug_with_a_hash(name, slug):
    assert output_name(name) == f"{slug}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=300))
def test_output_names_stay_in_their_folder(name):
    folder = output_name(name)
    assert folder.isascii()
    assert len(folder) <= 64
    assert not set(folder) & set("/\\.:=")


@given(st.sets(st.text(alphabet="aA\u00e4\u00c4-_ ./", min_size=1, max_size=6), min_size=2, max_size=8))
def test_different_names_get_different_folders(names):
    composed = {good(name=name).name for name in names if name.strip()}
    assert len({output_name(name) for name in composed}) == len(composed)


@pytest.mark.parametrize("name", ["../escaped", "a/b", "C:\\x", "\u00c4rger & S\u00f6hne", "x" * 300, ".", "con", "=cmd()"])
def test_hostile_output_names_are_one_path_part(name):
    assert Path(output_name(name)).parts == (output_name(name),)
    assert output_name(name) != name


@pytest.mark.parametrize("what", ["file", "link"])
def test_something_else_in_place_of_the_folder_of_locks_is_refused(what, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    user = os.getuid() if hasattr(os, "getuid") else os.getlogin()
    place = tmp_path / f"inbound-scim-runbook-{user}"
    place.touch() if what == "file" else place.symlink_to(tmp_path / "nowhere")
    with pytest.raises(SettingsError, match="belongs to another user"):
        lock_folder()
    place.unlink()
    assert lock_folder() == place
