"""A tenants file is read whole and refused whole."""

from __future__ import annotations

from itertools import islice, product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbook_lib.batch.summary import TenantRow, summary_csv, summary_html
from runbook_lib.core.errors import SettingsError
from runbook_lib.core.secret import scrubber
from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD
from runbook_lib.settings.model import COLUMNS
from runbook_lib.settings.pasted import as_meant, damage
from runbook_lib.settings.table_text import SIZE_LIMIT
from runbook_lib.settings.tenants_file import read_tenants
from tests.builders import GOOD, SANDBOX

HEADER = ",".join(COLUMNS)


@pytest.fixture(autouse=True)
def secrets(monkeypatch):
    monkeypatch.setenv("A", "value-of-a")
    monkeypatch.setenv("B", "value-of-b")


def row(**changes):
    return ",".join({**GOOD, **changes}[column] for column in COLUMNS)


def written(tmp_path, *rows, header=HEADER, end="\n", encoding="utf-8"):
    path = tmp_path / "tenants.csv"
    path.write_bytes(end.join((header, *rows, "")).encode(encoding))
    return path


def entry(**changes):
    """Return one tenant as YAML."""
    lines = [f"{key}: {value}" for key, value in {**GOOD, **changes}.items()]
    return "- " + "\n  ".join(lines) + "\n"


def written_yaml(tmp_path, text):
    path = tmp_path / "tenants.yaml"
    path.write_text(text)
    return path


def refusal(path):
    with pytest.raises(SettingsError) as refused:
        read_tenants(path)
    assert refused.value.__cause__ is None
    return refused.value


@pytest.mark.parametrize(("end", "encoding"), [("\n", "utf-8"), ("\r\n", "utf-8-sig"), ("\r\n", "utf-8"), ("\n\n", "utf-8")])
def test_values_stay_as_written(tmp_path, end, encoding):
    names = ["NA", "007", "null", "no", "1e3", "12:30:45"]
    rows = [row(name=name, auth0_connection=f"connection-{name}", scim_app_name=f"SCIM {name}") for name in names]
    assert [tenant.name for tenant in read_tenants(written(tmp_path, *rows, end=end, encoding=encoding))] == names


def test_every_column_of_a_row_is_read(tmp_path):
    [tenant] = read_tenants(written(tmp_path, row()))
    assert {name: getattr(tenant, name) for name in COLUMNS} == GOOD


def test_columns_may_stand_in_any_order_and_optional_ones_be_left_out(tmp_path):
    kept = [name for name in reversed(COLUMNS) if name not in ("cloud", "turn_on")]
    path = written(tmp_path, ",".join(GOOD[name] for name in kept), header=",".join(kept))
    [tenant] = read_tenants(path)
    assert (tenant.name, tenant.cloud, tenant.turn_on) == ("contoso", "public", "yes")


def test_a_quoted_cell_may_hold_a_comma(tmp_path):
    [tenant] = read_tenants(written(tmp_path, row(scim_app_name='"Acme, SCIM ""new"""')))
    assert tenant.scim_app_name == 'Acme, SCIM "new"'


@given(st.lists(st.text(alphabet="abcXYZ0189 -.&'=+\u00e4\u00df\u4e2d", min_size=1, max_size=20), min_size=1, max_size=5))
def test_names_come_back_as_typed_or_the_file_is_refused(tmp_path_factory, names):
    typed = [as_meant("name", name) for name in names]  # without a spreadsheet's apostrophe
    rows = [
        row(name=f'"{name}"', auth0_connection=f"connection-{number}", scim_app_name=f"SCIM {number}")
        for number, name in enumerate(names)
    ]
    path = written(tmp_path_factory.mktemp("file"), *rows)
    is_whole = not any(damage("name", name) for name in typed)  # a formula
    if all(typed) and is_whole and len({name.casefold() for name in typed}) == len(typed):
        assert [tenant.name for tenant in read_tenants(path)] == typed
    else:
        assert "name" in str(refusal(path))


@given(octets=st.binary(max_size=200), suffix=st.sampled_from([".csv", ".yaml"]))
def test_no_octets_at_all_get_past_as_anything_but_a_refusal(tmp_path_factory, octets, suffix):
    path = tmp_path_factory.mktemp("file") / f"tenants{suffix}"
    path.write_bytes(octets)
    refusal(path)


@pytest.mark.parametrize("top", ["{}", "tenants:\n{}"])
def test_yaml_carries_what_a_row_cannot(tmp_path, top):
    more = "  accept: [turn-common-endpoint-off]\n  deletion_threshold: 014\n  assign: [adele@contoso.com]\n"
    path = written_yaml(tmp_path, top.format(entry(name="no") + more + "  mapping:\n  - {scim: userName, auth0: username}\n"))
    [tenant] = read_tenants(path)
    assert (tenant.name, tenant.accept, tenant.deletion_threshold, tenant.assign) == (
        "no",
        ("turn-common-endpoint-off",),
        14,
        ("adele@contoso.com",),
    )
    assert [(mapped.scim, mapped.auth0) for mapped in tenant.mapping] == [("userName", "username")]


def test_yaml_values_stay_as_written(tmp_path):
    names = ["no", "NA", "0123", "12:30:45", "null", "~", "1.0"]
    entries = [entry(name=name, auth0_connection=f"c-{n}", scim_app_name=f"SCIM {n}") for n, name in enumerate(names)]
    path = written_yaml(tmp_path, "".join(entries))
    assert [tenant.name for tenant in read_tenants(path)] == names


@pytest.mark.parametrize(
    ("rows", "header", "place", "words"),
    [
        ([], HEADER, "", "contains no tenant"),
        ([row()], f"{HEADER},extra", "row 1, column extra", "no such column"),
        ([row()], HEADER.replace("turn_on", "turn_off"), "row 1, column turn_off", "Did you mean turn_on"),
        ([row()], HEADER.replace("turn_on", "name"), "row 1, column name", "twice"),
        ([row()], HEADER.replace("turn_on", "mapping"), "row 1, column mapping", "Write a YAML file"),
        ([row()], HEADER.replace(",", ";"), "row 2", "1 cells where the header has 13"),
        (["a,b"], "name,test_user", "row 1, column auth0_domain, auth0_connection", "is missing"),
        ([row() + ",more"], HEADER, "row 2", "14 cells where the header has 13"),
        ([row(), "", "contoso"], HEADER, "row 4", "1 cells"),
        ([row(name='"two\nlines"')], HEADER, "row 2, column name", "invisible character U+000A"),
        ([row(name='"open')], HEADER, "row 2", "cannot be read"),
        ([row(), row(name="CONTOSO", auth0_connection="x")], HEADER, "row 3, column name", "same name as row 2"),
        ([row(name="\u00c4"), row(name="A\u0308", auth0_connection="x")], HEADER, "row 3, column name", "same name as row 2"),
        ([row(), row(name="other")], HEADER, "row 3, column auth0_connection", "same connection as row 2"),
        (
            [row(), row(name="other", auth0_connection="x", scim_app_name=GOOD["scim_app_name"].upper())],
            HEADER,
            "row 3, column scim_app_name",
            "the same enterprise application as row 2",
        ),
        ([row(auth0_client_secret="Zx9-very-secret")], HEADER, "row 2, column auth0_client_secret", "not a reference"),
        ([row(entra_client_secret="env:MISSING")], HEADER, "row 2, column entra_client_secret", "env:MISSING"),
        ([row(auth0_client_secret="file:missing")], HEADER, "row 2, column auth0_client_secret", "cannot be read"),
        (
            [row(entra_client_id="", entra_client_secret="", auth0_client_id="", auth0_client_secret="")],
            HEADER,
            "row 2, column auth0",
            "one side",
        ),
        ([row(name="a\x00b")], HEADER, "", "NUL"),
    ],
)
def test_a_bad_file_is_refused_with_row_and_column(tmp_path, rows, header, place, words):
    refused = refusal(written(tmp_path, *rows, header=header))
    assert refused.place.startswith(place)
    assert words in str(refused)
    assert "very-secret" not in f"{refused} {refused!r}"


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("", "", "contains no tenant"),
        ("[]", "", "contains no tenant"),
        ("tenants: []", "", "contains no tenant"),
        ("tenants", "", "not a list of tenants"),
        ("- contoso", "", "not a list of tenants"),
        (f"defaults: {{}}\ntenants:\n{entry()}", "", "not a list of tenants"),
        (f"tenants:\n{entry()}tenants:\n{entry()}", "", "not a list of tenants"),
        (entry() + "  turn_on: no\n", "row 1, column turn_on", "twice"),
        (f"# ours\n\n{entry()}  extra: x\n", "row 3, column extra", "no such setting"),
        (f"{entry()}{entry(name='other')}", "row 14, column auth0_connection", "same connection as row 1"),
        (entry() + "  accept: [unblok]\n", "row 1, column accept", "Did you mean unblock? Correct it"),
        (
            entry() + "  accepted: [{hazard: block, count: many}]\n",
            "row 1, column accepted",
            "entry 1, count is not a whole number.",
        ),
        (entry() + "  deletion_threshold: 0\n", "row 1, column deletion_threshold", "is less than 1."),
        (entry() + "  deletion_threshold: 9000000\n", "row 1, column deletion_threshold", "is more than 100000."),
        (entry() + "  mapping: [userName]\n", "row 1, column mapping", "entry 1 is not a mapping of names to values."),
        (entry() + "  accept: [everything]\n", "row 1, column accept", "entry 1 is not one of turn-common-endpoint-off"),
        (entry() + "  assign: []\n", "row 1, column assign", "list is empty"),
        (entry() + "  mapping:\n", "row 1, column mapping", "list is empty"),
        (entry() + "  mapping: {scim: a, auth0: b}\n", "row 1, column mapping", "is not a list"),
        (entry(name="[a, b]"), "row 1, column name", "is not a text"),
        (entry() + " turn_on: no\n", "row ", "cannot be read"),
        (entry() + "---\n" + entry(), "row ", "cannot be read"),
        ("[" * 5_000, "", "nested too deeply"),
        ("- &a [*a]", "", "refer to each other in a circle"),
        (entry() + '  "Zx9-very-secret": x\n', "row 1, column (not a name)", "no such setting"),
        (entry() + '  "Zx9-very-secret": x\n' * 2, "row 1, column (not a name)", "twice"),
        (entry(auth0_client_secret="[very-secret]"), "row 1, column auth0_client_secret", "is not a text"),
    ],
)
def test_a_bad_yaml_file_is_refused_with_line_and_key(tmp_path, text, place, words):
    refused = refusal(written_yaml(tmp_path, text))
    assert refused.place.startswith(place)
    assert words in str(refused)
    assert "very-secret" not in f"{refused} {refused!r}"


def test_all_problems_of_a_file_are_told_together_one_line_each(tmp_path):
    rows = [
        row(auth0_domain="evil.com#.auth0.com"),
        row(name="b", auth0_connection="b", cloud="mars", turn_on="maybe"),
        row(name="c", auth0_connection="c", entra_client_secret="env:MISSING"),
        row(name="C", auth0_connection="d"),
    ]
    assert str(refusal(written(tmp_path, *rows))).splitlines() == [
        "Reading the settings: 5 problems in 4 rows",
        "  row 2, column auth0_domain: is not of the form <tenant>.auth0.com or <tenant>.<region>.auth0.com; a custom "
        "domain does not work here: use the tenant's own domain from the Auth0 dashboard",
        "  row 3, column cloud: is not one of public, usgov, china or sandbox:READY_FILE",
        "  row 3, column turn_on: is neither yes nor no",
        "  row 4, column entra_client_secret: env:MISSING is empty or not set. Set it, then run again; nothing was sent",
        "  row 5, column name: the same name as row 4. Give each tenant a name of its own",
        "The whole file is refused. Correct it and run again; nothing was sent.",
    ]


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        (b"\xff\xfen\x00a\x00", "no such column"),
        ("name\n\u041c\u044e\u043b\u043b\u0435\u0440\n".encode("cp1251"), "not UTF-8"),
        (b"x" * (SIZE_LIMIT + 1), "larger than"),
        (f"{HEADER}\n{'x' * 200_000}".encode(), "cannot be read"),
        (None, "cannot be read"),
    ],
)
def test_what_is_no_text_file_is_refused(tmp_path, octets, words):
    path = tmp_path / "tenants.csv"
    if octets is not None:
        path.write_bytes(octets)
    assert words in str(refusal(path))


def test_a_folder_is_refused(tmp_path):
    assert "cannot be read" in str(refusal(tmp_path))


def test_relative_paths_start_at_the_folder_of_the_file(tmp_path, monkeypatch):
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "auth0").write_text("value-of-auth0")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    written(tmp_path, row(auth0_client_secret="file:keys/auth0"))
    monkeypatch.chdir(elsewhere)
    [tenant] = read_tenants(Path("..") / "tenants.csv")
    reference = Path(tenant.auth0_client_secret.removeprefix("file:"))
    assert reference.is_absolute()
    assert reference.read_text() == "value-of-auth0"


def test_a_relative_ready_file_is_found_beside_the_tenants_file(tmp_path):
    (tmp_path / "ready.json").write_text(str(SANDBOX).replace("'", '"'))
    [tenant] = read_tenants(written(tmp_path, row(cloud="sandbox:ready.json", auth0_domain="localhost:4001")))
    assert tenant.cloud == f"sandbox:{tmp_path / 'ready.json'}"


def test_absolute_paths_and_the_home_stay_as_written(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "secret").write_text("value-of-file")
    references = {"auth0_client_secret": f"file:{tmp_path / 'secret'}", "entra_client_secret": "file:~/secret"}
    [tenant] = read_tenants(written(tmp_path, row(**references)))
    assert {name: getattr(tenant, name) for name in references} == references


def test_summaries_neutralise_formulas_and_markup():
    rows = [TenantRow("=HYPERLINK(1)", "failed", "<script>alert(1)", "x")]
    assert "'=HYPERLINK(1)" in summary_csv(rows, OLDER_AZURE_AD)
    assert "<script>alert" not in summary_html(rows, OLDER_AZURE_AD)


def test_what_a_reference_stands_for_is_not_kept_when_the_file_was_read(sandbox):
    tenants = read_tenants(Path(sandbox.ready["tenants_file"]))
    secret = Path(tenants[0].entra_client_secret.removeprefix("file:")).read_text()
    times = scrubber._times[secret]
    read_tenants(Path(sandbox.ready["tenants_file"]))
    assert scrubber._times[secret] == times


@pytest.mark.parametrize("form", ["csv", "yaml", "csv, one name"])
def test_of_very_many_unknown_columns_the_first_few_are_told(form, tmp_path):
    """50,000 columns in a CSV file; in a YAML file, which is read far more slowly, 2,000."""
    names = ["column_" + "".join(letters) for letters in islice(product("abcdefghij", repeat=5), 50_000)]
    path = tmp_path / ("tenants.yaml" if form == "yaml" else "tenants.csv")
    if form == "yaml":
        path.write_text("- name: acme\n" + "".join(f"  unknown {n}: x\n" for n in range(2_000)))
    else:
        names = names if form == "csv" else ["name"] * 50_000
        path.write_text(",".join(["name", "auth0_domain", *names]) + "\n" + ",".join("x" for _ in range(len(names) + 2)) + "\n")
    with pytest.raises(SettingsError) as refused:
        read_tenants(path)
    told = {
        "csv": "column_aaaaa, column_aaaab, column_aaaac, column_aaaad, column_aaaae, column_aaaaf and 49994 more",
        "yaml": "(not a name) and 1994 more",
        "csv, one name": "name",
    }
    assert f"(row 1, column {told[form]})" in str(refused.value)
    assert len(str(refused.value)) < 1_000
