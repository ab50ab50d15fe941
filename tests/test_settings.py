"""Settings are refused before anything is sent, in words that never show a secret."""

from __future__ import annotations

import pytest

from runbook_lib.errors import SettingsError
from runbook_lib.settings import TenantSettings, output_name, resolve

GOOD = {
    "name": "contoso",
    "auth0_domain": "acme.eu.auth0.com",
    "auth0_connection": "contoso-azure-ad",
    "auth0_client_id": "abc",
    "auth0_client_secret": "env:A",
    "entra_tenant": "contoso.onmicrosoft.com",
    "entra_client_id": "00000000-0000-4000-8000-000000000001",
    "entra_client_secret": "env:B",
    "cloud": "public",
    "scim_app_name": "Acme SCIM",
    "test_user": "adele@contoso.com",
    "token_lifetime_days": "365",
    "turn_on": "yes",
}
HOSTILE_DOMAINS = [
    "",
    "auth0.com",
    ".auth0.com",
    "manage.auth0.com",
    "evil.com",
    "evil.com/.auth0.com",
    "evil.com#.auth0.com",
    "evil.com?.auth0.com",
    "evil.com\\.auth0.com",
    "user@evil.com#t.auth0.com",
    "acme.auth0.com@evil.com",
    "acme.auth0.com:443",
    "acme.auth0.com.evil.com",
    "acme.auth0.com/",
    "https://acme.auth0.com",
    "acme.auth0.com.",
    "-acme.auth0.com",
    "acme-.auth0.com",
    "ACME.auth0.com",
    "acme..auth0.com",
    "a.b.c.auth0.com",
    "acme.notauth0.com",
    "acme.auth0.co",
    "acme.auth0.com%2eevil.com",
    "acme\u3002auth0.com",
    "\u0430cme.auth0.com",
    "acme.auth\uff10.com",
    "127.0.0.1",
    "[::1]",
    "localhost:443",
    "acme auth0.com",
    "acme.auth0.com\x00",
    "acme.\u202eauth0.com",
    f"{'a' * 64}.auth0.com",
    "login.acme.example",
]


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
    ],
)
def test_a_bad_value_is_refused_by_the_name_of_its_column(column, value):
    with pytest.raises(SettingsError) as refused:
        TenantSettings.from_parameters({**GOOD, column: value})
    assert column in str(refused.value)


@pytest.mark.parametrize("column", ["auth0_client_secret", "entra_client_secret"])
def test_a_literal_secret_is_refused_and_not_repeated(column):
    with pytest.raises(SettingsError) as refused:
        TenantSettings.from_parameters({**GOOD, column: "Zx9-very-secret-value"})
    assert column in str(refused.value)
    assert "very-secret" not in str(refused.value) + repr(refused.value)


def test_an_unknown_parameter_names_the_one_that_was_meant():
    with pytest.raises(SettingsError, match="auth0_domain"):
        TenantSettings.from_parameters({**GOOD, "auth0_domian": "x"})


def test_no_way_to_sign_in_to_entra_is_refused():
    with pytest.raises(SettingsError, match="entra_client_id"):
        TenantSettings.from_parameters({**GOOD, "entra_client_id": "", "entra_client_secret": ""})


def test_references_are_resolved_late_and_named_when_missing(monkeypatch, tmp_path):
    monkeypatch.setenv("A", "value-of-a")
    (tmp_path / "secret").write_text("value-of-file\n")
    assert resolve("env:A").reveal() == "value-of-a"
    assert resolve(f"file:{tmp_path / 'secret'}").reveal() == "value-of-file"
    with pytest.raises(SettingsError, match="env:MISSING"):
        resolve("env:MISSING")
    with pytest.raises(SettingsError, match="cannot be read"):
        resolve("file:/nowhere/at/all")


@pytest.mark.parametrize("name", ["../escaped", "a/b", "C:\\x", "\u00c4rger & S\u00f6hne", "x" * 300, ".", "con", "=cmd()"])
def test_output_names_stay_in_their_folder(name):
    folder = output_name(name)
    assert folder.isascii()
    assert len(folder) <= 64
    assert not set(folder) & set("/\\.:=")
