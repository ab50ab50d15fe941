"""A tenants file is read whole and refused whole."""

from __future__ import annotations

import pytest

from runbook_lib.batch.summary import summary_csv, summary_html
from runbook_lib.batch.tenants_file import read_tenants
from runbook_lib.errors import SettingsError
from runbook_lib.settings import COLUMNS
from tests.test_settings import GOOD


@pytest.fixture
def secrets(monkeypatch):
    monkeypatch.setenv("A", "value-of-a")
    monkeypatch.setenv("B", "value-of-b")


def row(**changes):
    return ",".join({**GOOD, **changes}[column] for column in COLUMNS)


def written(tmp_path, *rows, header=",".join(COLUMNS), end="\n", encoding="utf-8"):
    path = tmp_path / "tenants.csv"
    path.write_bytes(end.join((header, *rows, "")).encode(encoding))
    return path


@pytest.mark.usefixtures("secrets")
@pytest.mark.parametrize(("end", "encoding"), [("\n", "utf-8"), ("\r\n", "utf-8-sig")])
def test_values_stay_as_written(tmp_path, end, encoding):
    path = written(tmp_path, row(name="NA"), row(name="007", auth0_connection="other"), end=end, encoding=encoding)
    assert [tenant.name for tenant in read_tenants(path)] == ["NA", "007"]


@pytest.mark.usefixtures("secrets")
def test_yaml_carries_what_a_row_cannot(tmp_path):
    path = tmp_path / "tenants.yaml"
    lines = [f"  {key}: {value}" for key, value in GOOD.items() if key != "name"]
    path.write_text("\n".join(["- name: no", *lines, "  accept: [turn-common-endpoint-off]", "  deletion_threshold: 14", ""]))
    [tenant] = read_tenants(path)
    assert (tenant.name, tenant.accept, tenant.deletion_threshold) == ("no", ("turn-common-endpoint-off",), 14)


@pytest.mark.usefixtures("secrets")
@pytest.mark.parametrize(
    ("rows", "header", "words"),
    [
        ([], None, "names no tenant"),
        ([row()], ",".join(COLUMNS) + ",extra", "extra"),
        ([row() + ",more"], None, "row 2"),
        ([row(), row(name="CONTOSO", auth0_connection="x")], None, "same name as row 2"),
        ([row(), row(name="other")], None, "same connection as row 2"),
        ([row(auth0_client_secret="Zx9-very-secret-value")], None, "not a reference"),
        ([row(auth0_client_secret="env:MISSING")], None, "env:MISSING"),
        ([row(auth0_domain="evil.com#.auth0.com"), row(name="b", cloud="mars")], None, "several problems"),
        ([row(name="a\x00b")], None, "NUL"),
    ],
)
def test_a_bad_file_is_refused_with_row_and_column(tmp_path, rows, header, words):
    path = written(tmp_path, *rows, header=header or ",".join(COLUMNS))
    with pytest.raises(SettingsError) as refused:
        read_tenants(path)
    assert words in str(refused.value)
    assert "very-secret" not in str(refused.value)


def test_summaries_neutralise_formulas_and_markup():
    rows = [{"name": "=HYPERLINK(1)", "status": "done", "about": "<script>", "folder": "x"}]
    assert "'=HYPERLINK(1)" in summary_csv(rows)
    assert "<script>" not in summary_html(rows)
