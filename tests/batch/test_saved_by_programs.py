"""Tenants files as Excel, Numbers, LibreOffice and PowerShell save them, and values as people paste them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from runbook_lib.core.errors import SettingsError
from runbook_lib.settings.model import COLUMNS
from runbook_lib.settings.tenants_file import read_tenants
from tests.builders import GOOD

HEADER = ",".join(COLUMNS)


@pytest.fixture(autouse=True)
def _secrets(monkeypatch):
    for name in ("AUTH0_SECRET", "ENTRA_SECRET"):
        monkeypatch.setenv(name, "value-in-the-environment")


def row(**changes):
    cells = {**GOOD, "auth0_client_secret": "env:AUTH0_SECRET", "entra_client_secret": "env:ENTRA_SECRET", **changes}
    return ",".join(cells[name] for name in COLUMNS)


def table(*rows, header=HEADER, end="\n"):
    return end.join([header, *rows, ""])


@pytest.fixture
def read(tmp_path):
    """Return the tenants of a file with these octets or this text: read(content)."""

    def tenants(content, name="tenants.csv"):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_tenants(tmp_path / name)

    return tenants


def refused(read, content):
    with pytest.raises(SettingsError) as caught:
        read(content)
    return caught.value


# As programs save them -------------------------------------------------------------------------------------------------

QUOTED = "\n".join(",".join(f'"{cell}"' for cell in line.split(",")) for line in table(row()).strip().split("\n"))
SAVED = {
    "PowerShell's type line": f"#TYPE System.Management.Automation.PSCustomObject\r\n{QUOTED}\r\n",
    "PowerShell 5.1 with -Encoding Unicode": f"#TYPE Selected\r\n{QUOTED}\r\n".encode("utf-16"),
    "columns used once": table(f"{row()},,", header=f"{HEADER},,"),
    "rows beneath": table(row(), "," * 12, "," * 12),
    "Excel's first line for its delimiter": "sep=;\r\n" + table(row(), end="\r\n").replace(",", ";"),
    "Excel where the comma divides decimals": table(row(), end="\r\n").replace(",", ";"),
    "Excel's UTF-8": b"\xef\xbb\xbf" + table(row(), end="\r\n").encode(),
    "Excel's Unicode text": table(row(), end="\r\n").replace(",", "\t").encode("utf-16"),
    "UTF-16 without a mark": table(row()).encode("utf-16-le"),
    "Numbers with the table's title": "Table 1" + "," * HEADER.count(",") + "\n" + table(row()),
    "a report's two lines above": "Tenants of 2026\n\n" + table(row(), end="\r\n").replace(",", ";"),
    "bars between the cells": table(row()).replace(",", "|"),
    "old Macs' line ends": table(row(), end="\r"),
    "a header typed by hand": table(row(), header=HEADER.replace("_", " ").title()),
    "spaces about the names": table(row(), header=HEADER.replace(",", " , ")),
    "a text of MS-DOS, which ends with a mark": table(row()) + "\x1a",
    "comments between the rows": f"# ours\n{table(row())}# later{',' * HEADER.count(',')}\n# more\n",
    "two files joined, the header twice": table(row(), HEADER),
    "spaces that do not break": table(row(), header=HEADER.replace(",", "\u00a0,")),
}


@pytest.mark.parametrize("content", SAVED.values(), ids=SAVED)
def test_a_file_is_read_whichever_program_saved_it(content, read):
    [tenant] = read(content)
    expected = {**GOOD, "auth0_client_secret": "env:AUTH0_SECRET", "entra_client_secret": "env:ENTRA_SECRET"}
    assert {name: getattr(tenant, name) for name in COLUMNS} == expected


def test_excels_plain_csv_of_western_windows_keeps_its_letters(read):
    content = table(row(name="M\u00fcller & S\u00f6hne")).encode("cp1252")
    assert [tenant.name for tenant in read(content)] == ["M\u00fcller & S\u00f6hne"]


@pytest.mark.parametrize(
    ("name", "encoding", "end"),
    [
        ("O\u2019Brien \u2013 S\u00f6hne", "cp1252", "\r\n"),
        ("L\u2019Or\u00e9al", "cp1252", "\r\n"),
        ("S\u00e3o Paulo", "cp1252", "\r\n"),
        ("\u00c9COLE", "cp1252", "\r\n"),
        ("Caf\u00e9 R\u00e9union", "mac_roman", "\n"),
        ("M\u00fcller & S\u00f6hne", "mac_roman", "\r\n"),
        ("\u00c4rzte Mar\u00eda", "mac_roman", "\r"),  # old Macs' line ends say which encoding it is
        ("M\u00fcller & S\u00f6hne", "cp850", "\r\n"),
        ("Espa\u00f1a", "cp850", "\r\n"),
    ],
)
def test_the_plain_csv_of_a_mac_or_of_ms_dos_keeps_its_letters_too(name, encoding, end, read):
    assert [tenant.name for tenant in read(table(row(name=name), end=end).encode(encoding))] == [name]


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        ("Mar\u00eda", "mac_roman"),  # Mar\u2019a in Windows: as good a word
        ("Dvo\u0159\u00e1k", "cp1250"),
        ("I\u015f\u0131k", "cp1254"),
        ("S\u0153ur", "iso-8859-15"),
        ("\u0160iauliai", "cp1257"),
        ("\u6771\u4eac", "cp932"),
        ("contoso", "utf-32"),
    ],
)
def test_letters_that_could_be_others_are_not_guessed(name, encoding, read):
    assert refused(read, table(row(name=name)).encode(encoding)).do_now == "Save it as CSV UTF-8 (comma delimited)"


def test_the_plain_csv_of_another_windows_is_named_with_its_row(read):
    error = refused(read, table(row(), row(name="\u041c\u043e\u0441\u043a\u0432\u0430", auth0_connection="x")).encode("cp1251"))
    assert (error.row, error.do_now) == (3, "Save it as CSV UTF-8 (comma delimited)")


@pytest.mark.parametrize("octets", [b"PK\x03\x04rest of a workbook", b"\xd0\xcf\x11\xe0rest"])
def test_a_workbook_is_named(octets, read):
    assert "is a workbook" in str(refused(read, octets))


def test_rows_are_numbered_as_a_spreadsheet_shows_them(read):
    two_lines = row(name='"two\nlines"')
    assert "row 4, column turn_on" in str(refused(read, table(row(), "", row(name="b", auth0_connection="b", turn_on="maybe"))))
    assert refused(read, "sep=,\n" + table(row(turn_on="maybe"))).row == 2
    assert refused(read, "#TYPE X\n" + table(row(turn_on="maybe"))).row == 3
    assert "row 3, column turn_on" in str(refused(read, table(two_lines, row(name="b", auth0_connection="b", turn_on="maybe"))))


def test_a_value_in_a_column_without_a_name_is_named(read):
    assert refused(read, table(f"{row()},note,", header=f"{HEADER},,")).row == 2
    assert refused(read, table(f"note,{row()}", header=f",{HEADER}")).row == 2


def test_an_empty_column_in_front_is_left_out(read):
    assert len(read(table(f",{row()},", header=f",{HEADER},"))) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (f'"{HEADER}"\n"{row()}"\n', "the first row is one cell"),
        (table(row()).replace(",", " ~ "), "the first row is one cell"),
        (f"{row()}\n{row(name='b')}\n", "the first row names no column. Write the names into it: name, auth0_domain"),
        ("\n".join(f"{name},x" for name in HEADER.split(",")), "Turn the table: one row for each tenant"),
    ],
)
def test_a_first_row_without_names_is_told_as_such(content, words, read):
    assert words in str(refused(read, content))


@pytest.mark.parametrize(
    "column", ["name", "auth0_domain", "auth0_connection", "entra_tenant", "scim_app_name", "test_user", "cloud"]
)
def test_an_empty_cell_is_said_to_be_empty(column, read):
    assert str(refused(read, table(row(**{column: " "})))).startswith(
        f"Reading the settings (row 2, column {column}): is empty. "
    )


def test_a_space_of_a_web_page_is_a_space(read):
    assert read(table(row(scim_app_name="Acme\u00a0SCIM\u202fApp")))[0].scim_app_name == "Acme SCIM App"


@pytest.mark.parametrize(
    ("column", "cell", "meant"),
    [
        ("turn_on", "TRUE", "yes"),
        ("turn_on", "FALSCH", "no"),
        ("turn_on", "VRAI", "yes"),
        ("turn_on", "No", "no"),
        ("turn_on", "VERDADEIRO", "yes"),
        ("turn_on", "\u041b\u041e\u0416\u042c", "no"),
        ("turn_on", "YANLI\u015e", "no"),
        ("token_lifetime_days", "Never", "never"),
        ("token_lifetime_days", "365.0", "365"),
        ("token_lifetime_days", "'365", "365"),
        ("token_lifetime_days", '"=""365"""', "365"),
        ("cloud", "Public", "public"),
        ("name", "contoso\u00a0", "contoso"),
        ("name", "\u201ccontoso\u201d", "contoso"),
        ("name", "\u200bcontoso", "contoso"),
        ("name", "'0123", "0123"),
        ("test_user", "mailto:adele@contoso.com", "adele@contoso.com"),
        ("test_user", "<adele@contoso.com>", "adele@contoso.com"),
        ("test_user", "Adele Vance <adele@contoso.com>;", "adele@contoso.com"),
        ("entra_client_id", "{11111111-1111-4111-8111-111111111111}", "11111111-1111-4111-8111-111111111111"),
        ("auth0_connection", "https://manage.auth0.com/dashboard/eu/a/connections/enterprise/waad/con_AbC1/settings", "con_AbC1"),
        ("entra_client_id", "11111111\u20131111\u20134111\u20138111\u2013111111111111", "11111111-1111-4111-8111-111111111111"),
        ("auth0_client_secret", "env: AUTH0_SECRET", "env:AUTH0_SECRET"),
        ("auth0_client_secret", "env:'AUTH0_SECRET'", "env:AUTH0_SECRET"),
        ("entra_client_secret", "ENV:ENTRA_SECRET", "env:ENTRA_SECRET"),
    ],
)
def test_a_value_is_read_as_it_can_only_be_meant(column, cell, meant, read):
    [tenant] = read(table(row(**{column: cell})))
    assert getattr(tenant, column) == meant


@pytest.mark.parametrize(
    ("column", "cell", "words"),
    [
        ("auth0_client_id", "1.23457E+12", "was turned into a number by the spreadsheet"),
        ("token_lifetime_days", "05.01.1901", "was turned into a date by the spreadsheet"),
        ("test_user", "#N/A", "is a spreadsheet's error"),
        ("scim_app_name", "=A1&B1", "is a formula"),
        ("scim_app_name", "#\u00a1VALOR!", "is a spreadsheet's error"),
        ("scim_app_name", "#N/D", "is a spreadsheet's error"),
        ("token_lifetime_days", "1.000", "is neither a number of days"),  # a thousand, and not one
        ("token_lifetime_days", '"1,000"', "is neither a number of days"),
        ("name", "M\u00c3\u00bcller", "misread; type the value again, perhaps M\u00fcller"),
        ("name", "M\u221a\u00baller", "misread; type the value again, perhaps M\u00fcller"),
        ("name", "M\ufffdller", "where another program has lost a letter"),
        ("scim_app_name", '"Acme\nSCIM"', "holds the invisible character U+000A; a line end; write the value on one line"),
    ],
)
def test_what_a_spreadsheet_has_done_to_a_value_is_named(column, cell, words, read):
    error = refused(read, table(row(**{column: cell})))
    assert (error.row, error.column) == (2, column)
    assert words in str(error)


@pytest.mark.parametrize(
    ("column", "cell", "meant"),
    [
        ("auth0_domain", "https://acme.eu.auth0.com/", "acme.eu.auth0.com"),
        ("auth0_domain", "https://acme.eu.auth0.com/api/v2/", "acme.eu.auth0.com"),
        ("auth0_domain", "ACME.eu.auth0.com", "acme.eu.auth0.com"),
        ("auth0_domain", "https://manage.auth0.com/dashboard/eu/acme/applications", "acme.eu.auth0.com"),
        ("entra_tenant", "https://contoso.onmicrosoft.com/", "contoso.onmicrosoft.com"),
        ("entra_tenant", "https://login.microsoftonline.com/11111111-1111-4111-8111-111111111111/v2.0",
         "11111111-1111-4111-8111-111111111111"),
        ("entra_tenant", "https://login.microsoftonline.com/contoso.example/oauth2/v2.0/authorize", "contoso.example"),
        ("entra_tenant", "https://portal.azure.com/#@contoso.onmicrosoft.com/resource", "contoso.onmicrosoft.com"),
        ("entra_tenant", "Contoso (contoso.onmicrosoft.com)", "contoso.onmicrosoft.com"),
        ("entra_tenant", "11111111111141118111111111111111", "11111111-1111-4111-8111-111111111111"),
        ("entra_client_id", "api://11111111-1111-4111-8111-111111111111", "11111111-1111-4111-8111-111111111111"),
        ("test_user", "https://entra.microsoft.com/#view/UserId/11111111-1111-4111-8111-111111111111",
         "11111111-1111-4111-8111-111111111111"),
        ("cloud", "AzureUSGovernment", "usgov"),
        ("cloud", "US Gov", "usgov"),
        ("auth0_client_secret", "$AUTH0_SECRET", "env:AUTH0_SECRET"),
        ("auth0_client_secret", "env:${AUTH0_SECRET}", "env:AUTH0_SECRET"),
        ("entra_client_secret", "%ENTRA_SECRET%", "env:ENTRA_SECRET"),
    ],
)  # fmt: skip
def test_a_pasted_address_is_refused_with_what_was_meant(column, cell, meant, read):
    error = refused(read, table(row(**{column: cell})))
    assert (error.row, error.column) == (2, column)
    assert f"Did you mean {meant}? Correct it" in str(error)


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("", "is empty"),
        ("a" * 300, "is longer than 120 characters"),
    ],
)
def test_a_value_that_is_too_short_or_long_is_told_in_our_words(cell, words, read):
    assert str(refused(read, table(row(name=cell)))).startswith(f"Reading the settings (row 2, column name): {words}. Correct it")


@pytest.mark.parametrize(
    "content", ["<html><table><tr><td>name", '[{"name": "contoso"}]', '{"tenants": []}', "{\\rtf1 name}", "%PDF-1.7\n"]
)
def test_a_file_of_another_kind_is_named(content, read):
    assert "instead of a table. Save it as CSV UTF-8" in str(refused(read, content))


def test_yaml_under_the_name_of_a_table_is_named(read):
    assert str(refused(read, "- name: contoso\n")) == (
        "Reading the settings: the file holds YAML instead of a table. Name it .yaml."
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("- name: a\n\ttest_user: b\n", "(row 2): the YAML cannot be read. Replace the tabs by spaces"),
        ("- name: a\n---\n- name: b\n", "remove the lines --- between the tenants"),
        ("- name: @a\n", "Put the value into quotes"),
        ("- name: *a\n", "Put the value into quotes"),
        ("- name: a: b\n", "Put a value with a colon into quotes"),
        ("tenants:\n", "contains no tenant"),
    ],
)
def test_yaml_that_cannot_be_read_names_its_repair(content, words, read):
    with pytest.raises(SettingsError) as caught:
        read(content, "tenants.yaml")
    assert words in str(caught.value)


def test_a_table_under_the_name_of_yaml_is_named(read):
    with pytest.raises(SettingsError, match=r"is not a list of tenants\. Name the file \.csv if it is a table"):
        read(table(row()), "tenants.yaml")


def test_a_row_with_too_few_cells_is_told_to_have_all_of_them(read):
    error = refused(read, table("contoso,acme.eu.auth0.com"))
    assert (error.row, error.came_back) == (2, "2 cells where the header has 13")
    assert error.do_now == "Write a comma for each empty cell too"
    assert "2 cells where the header has 13 in 2 rows: 2 to 3. Write a comma" in str(refused(read, table("a,b", "c,d")))


@pytest.mark.parametrize(
    "cell",
    ["https://acme.auth0.com@evil.com/", "https://evil.com/acme.auth0.com", "https://acme.auth0.com.evil.com/", "evil.com"],
)
def test_no_address_of_others_is_ever_proposed(cell, read):
    """Nor is a portal's address a tenant."""
    assert "Did you mean" not in str(refused(read, table(row(entra_tenant="https://portal.azure.com/#view/Users"))))
    assert "Did you mean" not in str(refused(read, table(row(auth0_domain=cell))))


# Problems --------------------------------------------------------------------------------------------------------------


def many(count, **changes):
    return [row(name=f"t-{n}", auth0_connection=f"c-{n}", **changes) for n in range(count)]


def test_equal_problems_are_told_once_with_their_rows(read):
    error = refused(read, table(*many(306, test_user="")))
    assert str(error).splitlines() == [
        "Reading the settings: 306 problems in 306 rows",
        "  column test_user is empty in 306 rows: 2 to 307",
        "The whole file is refused. Correct it and run again; nothing was sent.",
    ]


def test_rows_that_do_not_follow_one_another_are_named_by_runs(read):
    rows = many(9)
    for place in (0, 1, 2, 5, 7):
        rows[place] = rows[place].replace(",yes", ",maybe")
    assert "column turn_on is neither yes nor no in 5 rows: 2 to 4, 7, 9" in str(refused(read, table(*rows)))


def test_ten_kinds_of_problems_are_told_and_the_rest_counted(read):
    rows = [
        row(name=f"t-{n}", auth0_connection=f"c-{n}", scim_app_name=f"App {n}", auth0_client_secret=f"env:MISSING_{n}")
        for n in range(13)
    ]
    lines = str(refused(read, table(*rows))).splitlines()
    assert (len(lines), lines[-2]) == (13, "  and 3 more kinds of problems")


def test_a_guess_is_shown_for_one_of_many_rows(read):
    error = refused(read, table(*many(3, auth0_domain="https://acme.eu.auth0.com/")))
    assert "in 3 rows: 2 to 4. In row 2: did you mean acme.eu.auth0.com?" in str(error)


def test_the_command_prints_each_problem_on_a_line_of_its_own(tmp_path):
    (tmp_path / "tenants.csv").write_text(table(*many(3, test_user=""), row(turn_on="maybe")))
    command = [sys.executable, "-m", "runbook_lib", "run", str(tmp_path / "tenants.csv"), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "80"})
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "Reading the settings: 4 problems in 4 rows",
        "  column test_user is empty in 3 rows: 2 to 4",
        "  row 5, column turn_on: is neither yes nor no",
        "The whole file is refused. Correct it and run again; nothing was sent.",
    ]


# Greedy input ----------------------------------------------------------------------------------------------------------


def yaml(read, text):
    with pytest.raises(SettingsError) as caught:
        read(text, "tenants.yaml")
    return str(caught.value)


def test_aliases_that_grow_are_refused_before_anything_is_built(read):
    bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))
    assert "aliases make it too large" in yaml(read, f"{bomb}? *a11\n: x\n")


def test_an_alias_in_the_place_of_a_key_is_bounded_too(read):
    bomb = "- &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(f"- &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))
    assert "aliases make it too large" in yaml(read, f"{bomb}- ? *a11\n  : x\n")


def test_plain_aliases_are_still_read(read):
    lines = "".join(f"  {name}: {value!r}\n" for name, value in {**GOOD, "turn_on": "no"}.items() if "secret" not in name)
    secrets = "  auth0_client_secret: env:AUTH0_SECRET\n  entra_client_secret: env:ENTRA_SECRET\n"
    text = "-" + (lines + secrets)[1:] + "  assign: &people [adele@contoso.com]\n"
    other = "-" + (lines + secrets)[1:].replace("'contoso'", "'other'").replace(GOOD["auth0_connection"], "c-2").replace(
        GOOD["scim_app_name"], "Other SCIM"
    )
    assert [tenant.assign for tenant in read(text + other + "  assign: *people\n", "tenants.yaml")] == [
        ("adele@contoso.com",)
    ] * 2


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
def test_a_pipe_or_a_device_is_refused_at_once(read, tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    for path in (tmp_path / "pipe.csv", "/dev/zero"):
        with pytest.raises(SettingsError, match="not a regular file"):
            read_tenants(tmp_path / path)


def test_a_ready_file_that_is_a_device_is_refused_at_once(read):
    assert "names a ready file that does not exist" in str(refused(read, table(row(cloud="sandbox:/dev/zero"))))
