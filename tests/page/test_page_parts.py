"""Parts of the page that need no browser: the form, what to grant, Stop, choices of earlier runs, the calendar file."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime

import pytest

from runbook_lib.core.errors import SettingsError, StepBlocked, TransportError
from runbook_lib.engine.status import Status
from runbook_lib.page.connecting import Connecting
from runbook_lib.page.earlier import choices_of_row, choices_of_run, earlier_tenants, lay_out
from runbook_lib.page.form import Form
from runbook_lib.page.labels import LEGEND
from runbook_lib.page.mapping_editor import NOTHING_MORE, ONLY_LOGIN, MappingEditor
from runbook_lib.page.needs import needs
from runbook_lib.page.stop import Stop
from runbook_lib.page.trouble import trouble_of
from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD
from runbook_lib.run.token_end import token_end_event
from runbook_lib.services.auth0.models import ScimMappingRow
from runbook_lib.services.wire_words import AUTH0_SCOPES
from runbook_lib.tenant.scim_mapping import surviving_login, wrong_with_auth0


@pytest.mark.parametrize(
    ("pasted", "read"),
    [
        ("https://acme.eu.auth0.com/", "acme.eu.auth0.com"),
        ("“acme.eu.auth0.com”", "acme.eu.auth0.com"),
        ("https://manage.auth0.com/dashboard/eu/acme/applications", "acme.eu.auth0.com"),
        ("https://localhost:8443/", "localhost:8443"),
    ],
)
def test_a_pasted_address_is_read_as_it_is_meant_and_the_form_says_so(pasted, read):
    form = Form()
    form.take({"auth0_domain": pasted, **({"cloud": "sandbox:/tmp/ready.json"} if "localhost" in pasted else {})})
    form.wrong.pop("cloud", None)
    assert (form.values["auth0_domain"], form.cleaned, form.wrong) == (read, {"auth0_domain": f"Read as {read}."}, {})


def test_a_custom_domain_is_never_turned_into_another():
    form = Form()
    form.take({"auth0_domain": "login.acme.com"})
    assert form.values["auth0_domain"] == "login.acme.com"
    assert form.wrong["auth0_domain"].startswith("is not of the form")


def test_a_secret_survives_the_typing_mistake_of_another_field_and_goes_with_its_way_to_sign_in():
    form = Form()
    form.take({"auth0_domain": "not a domain", "auth0_secret": "s3cret"})
    assert form.wrong
    form.take({"auth0_domain": "acme.eu.auth0.com", "auth0_secret": ""})
    assert form.has_secret("auth0_secret")
    assert form.secrets["auth0_client_secret"].reveal() == "s3cret"
    form.take({"auth0_method": "token"})
    assert not form.has_secret("auth0_secret")


def test_an_error_of_the_form_names_its_field_and_no_parameter():
    told = trouble_of(SettingsError("is missing", "Fill it in, or auth0_domain", column="auth0_connection"), "auth0", 1)
    assert (told.headline, told.remedy) == ("The connection is missing", "Fill it in, or the Auth0 domain")


def test_the_service_s_own_words_are_apart_from_what_the_form_says():
    blocked = StepBlocked("Microsoft refused the sign-in: AADSTS7000215 Invalid client secret", "Correct entra_client_secret")
    told = trouble_of(blocked, "entra", 1)
    assert told.headline == "Microsoft refused the sign-in"
    assert told.details == "AADSTS7000215 Invalid client secret"
    assert "entra_client_secret" not in told.remedy


def test_what_to_grant_is_what_the_sign_ins_are_checked_for():
    every = needs(OLDER_AZURE_AD.by_thing)
    [scopes] = [need for need in every.auth0 if need.grants]
    [consent] = [need for need in every.entra if need.grants]
    assert [name for name, _ in scopes.grants] == list(AUTH0_SCOPES)
    assert len({name for name, _ in consent.grants}) == len(consent.grants)
    assert all(name in every.letter for name, _ in consent.grants)


def test_stop_sends_nothing_more_and_ends_waits_until_new_work_begins():
    stop = Stop()
    stop.check("Reading")
    stop.press()
    with pytest.raises(TransportError, match="you pressed Stop") as stopped:
        stop.check("Reading")
    assert (stopped.value.ambiguous, stopped.value.is_final) == (False, True)
    with pytest.raises(TransportError, match="you pressed Stop"):
        stop.sleep(3600)
    stop.begin()
    stop.sleep(0)


ROW = {
    "name": "contoso",
    "auth0_domain": "acme.eu.auth0.com",
    "auth0_connection": "contoso-azure-ad",
    "auth0_client_id": "aBcD1234",
    "auth0_client_secret": "env:AUTH0_SECRET",
    "entra_tenant": "contoso.onmicrosoft.com",
    "entra_client_id": "11111111-1111-4111-8111-111111111111",
    "entra_client_secret": "env:ENTRA_SECRET",
    "scim_app_name": "Acme SCIM",
    "test_user": "adele@contoso.com",
}
CHOICES = {
    **{name: text for name, text in ROW.items() if "secret" not in name},
    "cloud": "public",
    "token_lifetime_days": "365",
    "deletion_threshold": "20",
    "turn_on": "yes",
    "auth0_method": "client",
    "entra_method": "secret",
}


def test_a_row_of_a_tenants_file_fills_the_form_with_everything_but_the_secrets(tmp_path):
    path = tmp_path / "tenants.csv"
    path.write_text(f"{','.join(ROW)}\n{','.join(ROW.values())}\n")
    assert choices_of_row(path, "contoso") == CHOICES
    with pytest.raises(SettingsError, match="has no tenant fabrikam; it has contoso"):
        choices_of_row(path, "fabrikam")


def test_a_run_is_gone_on_with_and_its_executed_page_is_kept(tmp_path):
    (tmp_path / "contoso").mkdir()
    (tmp_path / "contoso" / "settings.json").write_text(json.dumps(ROW))
    assert choices_of_run(tmp_path, None) == CHOICES
    (tmp_path / "page.ipynb").write_text("executed")
    lay_out(tmp_path, CHOICES, "page.ipynb")
    assert choices_of_run(tmp_path, None) == CHOICES
    [kept] = tmp_path.glob("page-*.ipynb")
    assert kept.read_text() == "executed"
    (tmp_path / "empty").mkdir()
    with pytest.raises(SettingsError, match="holds no tenant"):
        choices_of_run(tmp_path / "empty", None)


def test_the_real_tenants_of_earlier_runs_are_offered_once_each_and_fill_the_form_without_secrets(tmp_path):
    now = tmp_path / "20261129-090000-1"
    for run, name, changes in (
        ("20261127-090000-1", "contoso", {}),
        ("20261128-090000-1", "contoso", {"test_user": "alex@contoso.com"}),
        ("20261128-100000-1", "fresh", {"cloud": "sandbox:/tmp/ready.json", "auth0_connection": "fresh-azure-ad"}),
        (now.name, "here", {"auth0_connection": "of-this-page"}),
    ):
        (tmp_path / run / name).mkdir(parents=True)
        (tmp_path / run / name / "settings.json").write_text(json.dumps({**ROW, "cloud": "public", **changes}))
    stamp = iter(range(1_795_000_000, 1_796_000_000, 3600))
    for path in sorted(tmp_path.glob("*/*/settings.json")):
        os.utime(path, (at := next(stamp), at))
    (tmp_path / "20261128-110000-1" / "broken").mkdir(parents=True)
    (tmp_path / "20261128-110000-1" / "broken" / "settings.json").write_text("{")
    [found] = earlier_tenants(now)
    assert (found.key, found.name, found.connection) == ("20261128-090000-1/contoso", "contoso", "contoso-azure-ad")
    assert found.choices(tmp_path) == {**CHOICES, "test_user": "alex@contoso.com"}

    connecting = Connecting(lambda: None, earlier=(found,))
    connecting.go_on_with(found.key, tmp_path)
    assert connecting.form.values["auth0_client_id"] == ROW["auth0_client_id"]
    assert connecting.form.secrets == {}
    assert connecting.focus[0] == "auth0_client_secret"
    assert "Only secrets have to be typed" in connecting.filled


def test_edited_rows_say_what_each_attribute_would_lose():
    saved = (
        ScimMappingRow("userName", "upn"),
        ScimMappingRow("displayName", "name"),
        ScimMappingRow("title", "app_metadata.title"),
    )
    editor = MappingEditor()
    editor.look(saved, saved, ())
    assert editor.losses == ()
    editor.survives_login()
    assert editor.losses == (("name", ONLY_LOGIN),)
    editor.undo()
    editor.remove(str(editor.shown[2].key))
    assert editor.losses == (("app_metadata.title", NOTHING_MORE),)


def test_the_page_explains_each_state_once():
    assert len({word for _, word, _, _ in LEGEND}) == len(LEGEND) == len(Status)
    assert all(words for _, _, words, _ in LEGEND)


def test_rows_that_survive_a_login_keep_what_entra_finds_people_by():
    rows = (
        ScimMappingRow("userName", "upn"),
        ScimMappingRow('emails[type eq "work"].value', "email"),
        ScimMappingRow("active", "blocked"),
        ScimMappingRow("displayName", "name"),
        ScimMappingRow("title", "app_metadata.title"),
    )
    changed = (*rows[:3], ScimMappingRow("displayName", "app_metadata.name"), rows[4])
    assert surviving_login(rows) == changed
    editor = MappingEditor()
    editor.look(rows, rows, ())
    editor.survives_login()
    assert (editor.rows, editor.survives) == (changed, True)


def test_a_mistyped_auth0_attribute_is_not_planned_and_the_right_one_is_proposed():
    row = ScimMappingRow('emails[type eq "work"].value', "emaill")
    assert wrong_with_auth0("emaill", (row,), ()).endswith("did you mean email")


def test_the_token_s_end_is_a_whole_day_event_with_a_reminder_and_no_line_is_too_long():
    now, end = datetime(2026, 11, 28, 9, 0, tzinfo=UTC), datetime(2027, 11, 28, 9, 0, tzinfo=UTC)
    text = token_end_event("Contoso; Europe, with a long name indeed", "con_1", end, now)
    lines = text.split("\r\n")
    assert max(len(line.encode()) for line in lines) <= 75
    unfolded = text.replace("\r\n ", "").split("\r\n")
    assert "DTSTART;VALUE=DATE:20271128" in unfolded
    assert "TRIGGER:-P14D" in unfolded
    assert "SUMMARY:Contoso\\; Europe\\, with a long name indeed: the SCIM token of connection con_1 ends" in unfolded
