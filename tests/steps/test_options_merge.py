"""What steps 1.2 to 1.5 and 2.2 write: everything that was read goes back, and nothing secret is put on record."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from runbook_lib.change import Change, Diff, Finding, Table
from runbook_lib.errors import StepBlocked, StepWaits, TransportError
from runbook_lib.facts import Memory
from runbook_lib.http import Response
from runbook_lib.models import Connection, SavedCredentials, ScimConfiguration, ScimMappingRow, ScimToken, SynchronizationJob
from runbook_lib.secret import Secret
from runbook_lib.settings import MappingOverride, TenantSettings
from runbook_lib.steps import section_1_auth0_settings as section_1
from runbook_lib.steps import section_2_endpoint_and_token as section_2
from runbook_lib.steps.credentials import tenant_url
from tests.steps.test_steps import URL
from tests.test_settings import GOOD

SETTINGS = TenantSettings.from_parameters(GOOD)
OPTIONS = {"client_id": "x", "client_secret": "options-canary", "null": None, "deep": {"list": [1, None, {"é": False}]}}
CONNECTION = Connection("con_1", "c", "Shown", "waad", OPTIONS, {"metadata": {"a": "b"}})
MAPPING = (ScimMappingRow("active", "blocked"), ScimMappingRow("userName", "preferred_username"))
SCIM = ScimConfiguration("con_1", "c", "externalId", MAPPING)
PATH = "/api/v2/connections/con_1"


def connection(**options):
    return replace(CONNECTION, options={**OPTIONS, **options})


def done(step, *values, settings=SETTINGS):
    return list(step.function(*values, settings))


def changes(step, *values, settings=SETTINGS):
    return [entry for entry in done(step, *values, settings=settings) if isinstance(entry, Change)]


# 1.1 to 1.3


def test_1_1_names_the_connection():
    assert done(section_1.find_connection, CONNECTION) == [Finding("c, shown as Shown.")]
    assert done(section_1.find_connection, replace(CONNECTION, display_name=None)) == [Finding("c, shown as c.")]


def test_1_2_sends_all_options_back_and_the_display_name():
    wrong = connection(userid_attribute="oid", useCommonEndpoint=True, waad_common_endpoint=True)
    [change] = changes(section_1.pairwise_subject, wrong, 3)
    assert change.request.line == f"PATCH {PATH}"
    wanted = {**OPTIONS, "userid_attribute": "sub", "useCommonEndpoint": False, "waad_common_endpoint": False}
    assert change.request.body == {"options": wanted, "display_name": "Shown"}
    assert change.on == "connection c"
    assert [(diff.field, diff.before, diff.after) for diff in change.diffs] == [
        ("User ID attribute type", "oid", "sub"),
        ("Use common endpoint", "on", "off"),
    ]


def test_a_connection_without_display_name_gets_none():
    [change] = changes(section_1.pairwise_subject, replace(CONNECTION, display_name=None), 3)
    assert change.request.body == {"options": {**OPTIONS, "userid_attribute": "sub"}}


def test_undo_holds_only_the_changed_keys_and_no_secret():
    [change] = changes(section_1.pairwise_subject, connection(userid_attribute="oid", useCommonEndpoint=True), 3)
    assert change.undo == {
        "kind": "options",
        "connection": "con_1",
        "before": {"userid_attribute": "oid", "useCommonEndpoint": True},
        "after": {"userid_attribute": "sub", "useCommonEndpoint": False},
    }
    [change] = changes(section_1.pairwise_subject, CONNECTION, 3)
    assert (change.undo["before"], change.undo["after"]) == ({}, {"userid_attribute": "sub"})
    assert "canary" not in json.dumps(change.undo) + str(change.diffs) + repr(change)


def test_1_3_leaves_only_its_own_key_out():
    first, second = changes(section_1.sync_and_scim_on, connection(set_user_root_attributes="on_first_login"), None)
    assert first.request.body == {"options": OPTIONS, "display_name": "Shown"}
    assert first.diffs == (Diff("connection c", "Sync at each login", "off (on_first_login)", "on"),)
    assert first.undo == {
        "kind": "options",
        "connection": "con_1",
        "before": {"set_user_root_attributes": "on_first_login"},
        "after": {},
    }
    assert (first.hazard, second.on, second.diffs) == (None, "connection c", (Diff("connection c", "SCIM", "off", "on"),))
    assert second.request.line == f"POST {PATH}/scim-configuration"
    assert second.undo == {"kind": "scim-configuration", "connection": "con_1"}
    assert changes(section_1.sync_and_scim_on, CONNECTION, SCIM) == []


@pytest.mark.parametrize("options", [None, {}])
@pytest.mark.parametrize(("step", "more"), [(section_1.pairwise_subject, 3), (section_1.sync_and_scim_on, SCIM)])
def test_options_that_were_not_readable_are_never_written(options, step, more):
    with pytest.raises(StepBlocked, match=r"options are not readable\. See step 0\.1"):
        done(step, replace(CONNECTION, options=options), more)


def test_reading_back_misses_nothing_that_was_sent_or_was_there():
    [change] = changes(section_1.pairwise_subject, CONNECTION, 3)
    after = connection(userid_attribute="sub", added=1)
    assert change.confirm(after) == ()
    assert change.confirm(replace(after, options={**OPTIONS, "userid_attribute": "sub", "deep": {}})) == ("options.deep.list",)
    assert change.confirm(replace(after, display_name="c")) == ("display_name",)
    assert change.confirm(replace(after, others={})) == ("metadata",)


def test_hazards_say_what_would_happen():
    [oid] = changes(section_1.pairwise_subject, connection(userid_attribute="oid", useCommonEndpoint=True), 3)
    assert oid.hazard.name == "change-user-id-attribute"
    assert "3 users exist" in oid.hazard.why
    [common] = changes(section_1.pairwise_subject, connection(useCommonEndpoint=True), 3)
    assert common.hazard.name == "turn-common-endpoint-off"
    assert common.hazard.why.startswith("The common endpoint is on")


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({}, ("(absent)", "off", "on")),
        (
            {"userid_attribute": "oid", "useCommonEndpoint": True, "set_user_root_attributes": "never_on_login"},
            ("oid", "on", "off"),
        ),
    ],
)
def test_1_2_shows_the_settings_first(options, found):
    table = done(section_1.pairwise_subject, connection(**options), 3)[0]
    names, wanted = ("User ID attribute type", "Use common endpoint", "Sync at each login"), ("sub", "off", "on")
    rows = tuple(zip(names, found, wanted, strict=True))
    assert table == Table("Connection settings", ("setting", "found", "wanted"), rows)


# 1.4 and 1.5


def test_1_4_writes_the_configuration_whole_and_reads_it_back():
    wrong = replace(SCIM, user_id_attribute="userName")
    [change] = changes(section_1.user_id_from_external_id, wrong)
    assert change.diffs == (Diff("SCIM configuration of c", "User ID attribute", "userName", "externalId"),)
    assert change.on == "SCIM configuration of c"
    rows = [["active", "blocked"], ["userName", "preferred_username"]]
    assert change.undo == {
        "kind": "scim-mapping",
        "connection": "con_1",
        "before": {"user_id_attribute": "userName", "mapping": rows},
        "after": {"user_id_attribute": "externalId", "mapping": rows},
    }
    assert change.confirm(SCIM) == ()
    for after in (None, wrong, replace(SCIM, mapping=MAPPING[:1])):
        assert change.confirm(after) == ("user id attribute or mapping",)
    assert done(section_1.user_id_from_external_id, SCIM) == []


@pytest.mark.parametrize(
    ("step", "more", "words"),
    [
        (section_1.user_id_from_external_id, (), "The SCIM configuration, which starts with externalId,"),
        (section_1.review_mapping, ((),), "The SCIM mapping, which starts as the default,"),
    ],
)
def test_1_4_and_1_5_wait_for_scim(step, more, words):
    with pytest.raises(StepWaits) as waits:
        done(step, None, *more)
    assert (waits.value.for_step, waits.value.what) == ("1.3", words)


@pytest.mark.parametrize("row", [None, ScimMappingRow("active", "other"), ScimMappingRow("other", "blocked")])
def test_1_5_is_blocked_unless_active_maps_to_blocked(row):
    with pytest.raises(StepBlocked, match=r"no row active -> blocked.*Add that row"):
        done(section_1.review_mapping, replace(SCIM, mapping=(MAPPING[1], *((row,) if row else ()))), ())


def test_1_5_writes_the_mapping_of_the_settings_and_keeps_the_user_id_attribute():
    rows = (MappingOverride(scim="active", auth0="blocked"), MappingOverride(scim="userName", auth0="other"))
    settings = SETTINGS.model_copy(update={"mapping": (*rows, MappingOverride(scim="title", auth0="app_metadata.title"))})
    scim = replace(SCIM, mapping=(*MAPPING, ScimMappingRow("gone", "x")), user_id_attribute="userName")
    [change] = done(section_1.review_mapping, scim, (), settings=settings)
    on = "SCIM configuration of c"
    assert change.diffs == (
        Diff(on, "userName", "preferred_username", "other"),
        Diff(on, "gone", "x", ""),
        Diff(on, "title", "", "app_metadata.title"),
    )
    assert change.request.line == f"PATCH {PATH}/scim-configuration"
    assert change.request.body == {
        "user_id_attribute": "userName",
        "mapping": [
            {"scim": "active", "auth0": "blocked"},
            {"scim": "userName", "auth0": "other"},
            {"scim": "title", "auth0": "app_metadata.title"},
        ],
    }
    without = SETTINGS.model_copy(update={"mapping": rows[1:]})
    with pytest.raises(StepBlocked):
        done(section_1.review_mapping, scim, (), settings=without)


def test_1_5_shows_the_mapping_beside_the_default():
    default = (MAPPING[0], ScimMappingRow("userName", "other"), ScimMappingRow("title", "app_metadata.title"))
    extra = (ScimMappingRow("x:manager", "app_metadata.manager"), ScimMappingRow("mail", "email"))
    found, table = done(section_1.review_mapping, replace(SCIM, mapping=(*MAPPING, *extra)), default)
    assert found.text == (
        "4 rows differ from the default. Login and SCIM both write preferred_username, email: the last writer wins."
        " The row for manager makes Entra fail on later syncs (Auth0 support): consider removing it in Entra."
    )
    assert table == Table(
        "SCIM mapping beside the default",
        ("SCIM attribute", "Auth0 attribute", "beside the default"),
        (
            ("active", "blocked", ""),
            ("userName", "preferred_username", "changed, was other"),
            ("x:manager", "app_metadata.manager", "extra"),
            ("mail", "email", "extra"),
            ("title", "app_metadata.title", "missing here"),
        ),
    )
    words = "The mapping is the default. Login and SCIM both write preferred_username: the last writer wins."
    assert done(section_1.review_mapping, SCIM, MAPPING)[0].text == words


# 2.1 to 2.3

SCOPES = frozenset({"get:users", "patch:users", "delete:users"})
GUARD = json.dumps({"DeleteThresholdEnabled": True, "DeleteThresholdValue": 14})
SAVED = SavedCredentials(
    {"BaseAddress": tenant_url(URL), "SecretToken": "*", "SyncNotificationSettings": GUARD, "SyncAll": "false"}
)
JOB = SynchronizationJob("job", "scim", "Active", "Active", None)


def token(name, used=None, scopes=SCOPES):
    return ScimToken(name, scopes, "2026-01-01T00:00:00Z", None, used)


def generated(tokens, saved=SAVED, job=JOB, memory=None, settings=SETTINGS):
    values = (CONNECTION, tokens, saved, job, memory or Memory(), URL)
    return [entry for entry in done(section_2.generate_token, *values, settings=settings) if not isinstance(entry, Table)]


def test_2_1_shows_the_endpoint():
    assert done(section_2.copy_endpoint_url, URL) == [Finding(URL)]


def test_2_2_makes_a_token_and_keeps_its_text_in_memory_alone():
    memory = Memory(own_token_ids=frozenset({"earlier"}))
    [change] = generated((token("foreign"),), memory=memory)
    assert change.on == "SCIM tokens of c"
    assert change.diffs == (Diff("SCIM tokens of c", "new token", "", "get:users, patch:users, delete:users; 365 days"),)
    assert change.request.line == f"POST {PATH}/scim-configuration/tokens"
    assert change.request.body == {"scopes": ["get:users", "patch:users", "delete:users"], "token_lifetime": 365 * 86_400}
    assert (change.before, change.undo) == (("foreign",), {"kind": "token", "connection": "con_1"})
    assert change.receive(Response(201, {"token": "text-canary", "token_id": "tok_new"})) == {"token": "tok_new"}
    assert (memory.scim_token.reveal(), memory.scim_token_id) == ("text-canary", "tok_new")
    assert memory.own_token_ids == {"earlier", "tok_new"}


@pytest.mark.parametrize("body", [{"token": "text-canary"}, {"token_id": "tok_new"}, None])
def test_2_2_an_answer_cut_short_leaves_the_memory_alone(body):
    memory = Memory()
    [change] = generated((), memory=memory)
    with pytest.raises(TransportError):
        change.receive(Response(201, body))
    assert memory == Memory()


def test_2_2_a_token_that_never_ends_has_no_lifetime():
    [change] = generated((), settings=SETTINGS.model_copy(update={"token_lifetime_days": "never"}))
    assert change.request.body == {"scopes": ["get:users", "patch:users", "delete:users"]}
    assert change.diffs[0].after.endswith("; never ends")


def test_2_2_makes_none_while_one_is_in_memory_or_at_work():
    new = Memory(scim_token=Secret("text-canary"), scim_token_id="new")
    assert generated((token("new"),), memory=new) == [Finding("A new token is in this session's memory until step 3.6.")]
    assert isinstance(generated((token("other"),), memory=new)[0], Change)
    held = generated((token("a", "2026-01-02"),))
    assert held == [Finding("Entra holds a token with exactly the three scopes, and has used it.")]


@pytest.mark.parametrize(
    "changes",
    [
        {"saved": SavedCredentials({**SAVED.values, "SyncAll": "true"})},
        {"saved": SavedCredentials({**SAVED.values, "SecretToken": ""})},
        {"job": None},
    ],
)
def test_2_2_makes_one_where_entra_has_not_all_it_needs(changes):
    assert isinstance(generated((token("a", "2026-01-02"),), **changes)[0], Change)


def test_2_2_waits_for_scim():
    with pytest.raises(StepWaits) as waits:
        generated(None)
    assert (waits.value.for_step, waits.value.what) == ("1.3", "The SCIM configuration that a token belongs to")
    assert [diff.field for diff in waits.value.planned] == ["new token"]


def test_2_2_deletes_an_orphan_and_says_why():
    gone, made = generated((token("own"), token("foreign")), memory=Memory(own_token_ids=frozenset({"own"})))
    assert (gone.on, gone.undo) == ("SCIM tokens of c", None)
    assert gone.diffs == (Diff("SCIM tokens of c", "own", "made by an earlier run, of no use to anybody", "deleted"),)
    assert gone.request.line == f"DELETE {PATH}/scim-configuration/tokens/own"
    assert made.before == ("own", "foreign")


def test_2_2_never_deletes_a_foreign_token_to_make_room():
    with pytest.raises(StepBlocked) as blocked:
        generated((token("a"), token("b", "2026-01-02T03:04:05Z", frozenset())))
    assert blocked.value.reason == (
        "The connection has 2 SCIM tokens already, the most Auth0 allows: a, last used never; b, last used 2026-01-02"
    )
    assert blocked.value.remedy.startswith("Delete the one that is not in use")
    memory = Memory(own_token_ids=frozenset({"a"}), given_token_ids=("a",))
    with pytest.raises(StepBlocked, match="a, made by this tool, last used never; b, last used never"):
        generated((token("a"), token("b")), memory=memory)


def test_2_2_and_2_3_show_the_tokens_without_ids():
    values = (CONNECTION, (token("a", "2026"), token("b", None, frozenset({"z", "y"}))), SAVED, JOB, Memory(), URL)
    table = next(entry for entry in done(section_2.generate_token, *values) if isinstance(entry, Table))
    rows = (("token 1", "delete:users, get:users, patch:users", "yes"), ("token 2", "y, z", "never"))
    assert table == Table("SCIM tokens", ("token", "scopes", "used"), rows)
    assert not [entry for entry in done(section_2.generate_token, CONNECTION, (), *values[2:]) if isinstance(entry, Table)]


def test_2_3_is_content_with_one_exact_token():
    words = "A token with exactly the three scopes exists."
    assert done(section_2.token_scopes, (token("a", scopes=frozenset()), token("b")), Memory()) == [Finding(words)]
    for tokens in (None, (), (token("a", scopes=SCOPES | {"post:users"}),)):
        with pytest.raises(StepWaits) as waits:
            done(section_2.token_scopes, tokens, Memory())
        assert (waits.value.for_step, waits.value.what[:22]) == ("2.2", "A token with exactly g")
