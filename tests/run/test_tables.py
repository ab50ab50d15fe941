"""A table three ways: as HTML, in words, as pandas to work on."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from runbook_lib.engine.values import Table
from runbook_lib.notebook import NotebookSession, View
from runbook_lib.run import tables
from runbook_lib.settings.model import RunMode
from runbook_lib.tenant.forecast.values import Fate, FieldChange, PersonForecast
from tests.builders import tenant_session

TABLE = Table("Mapping", ("target", "source"), (("externalId", "mailNickname"), ("<b>$x$</b>", "a\u202eb")))


def test_cells_are_escaped_visible_and_set_left():
    page = tables.html(TABLE)
    assert page.count('<td style="text-align: left">') == 4
    assert page.count('<th style="text-align: left">') == 2
    assert "&lt;b&gt;<span>$</span>x<span>$</span>&lt;/b&gt;" in page
    assert "a<span>\\</span>u202eb" in page


def test_words_stand_in_columns():
    assert tables.text(TABLE).splitlines() == [
        "target      source",
        "externalId  mailNickname",
        "<b>$x$</b>  a\\u202eb",
    ]
    assert tables.text(Table("None", ("target", "source"), ())) == "target  source"


def test_of_a_very_long_table_the_beginning_is_shown_and_how_much_more_there_is():
    long = Table("Who", ("who", "what"), tuple((f"person {n}", "assigned") for n in range(1, 10_001)))
    for shown in (tables.html(long), tables.text(long)):
        assert ("person 200<" in shown or "person 200 " in shown, "person 201" in shown) == (True, False)
        assert "… and 9,800 more" in shown
        assert "results.json" in shown
    [frame] = tables.frames([long])
    assert len(frame) == 10_000
    just = Table("Who", ("who", "what"), long.rows[: tables.ROWS_SHOWN])
    assert "more" not in tables.text(just)


def test_frames_have_a_row_for_each_row():
    [frame] = View("", "", (TABLE,)).frames()
    assert frame.to_dict("list") == {"target": ["externalId", "<b>$x$</b>"], "source": ["mailNickname", "a\\u202eb"]}
    [empty] = tables.frames([Table("None", ("target", "source"), ())])
    assert (len(empty), list(empty.columns)) == (0, ["target", "source"])


def test_a_steps_tables_are_there_to_work_on(tenant, tmp_path):
    session = NotebookSession(tenant_session(tenant("fresh"), mode=RunMode.PLAN, out=tmp_path / "run" / "fresh"))
    shown = {number: session.do(number) for number in ("0.1", "0.2", "1.1", "1.2", "1.3", "1.4")}
    session.summary()
    changes, *_ = session.frames("1.2")
    assert list(changes.columns) == ["on", "field", "before", "after"]
    assert changes.equals(shown["1.2"].frames()[0])


CHANGES = Table("Changes", ("on", "field", "before", "after"), (("a", "<b>$", "off", "on"), ("a", "same", "on", "on")))


def test_what_changes_is_coloured_and_nothing_else_and_each_run_shows_the_same():
    page = tables.styled(CHANGES, "1-2-0")
    assert page == tables.styled(CHANGES, "1-2-0")
    assert re.findall(r"(row\d+_col\d+) {", page) == ["row0_col2", "row0_col3"]
    assert page.count("<td") == 8
    assert ('class="dataframe"' in page, 'id="T_1-2-0"' in page) == (True, True)
    assert "&lt;b&gt;<span>$</span>" in page


def test_under_our_own_runner_a_page_has_the_same_words_and_colours_without_pandas():
    code = (
        "import sys; from runbook_lib.engine.values import Table; from runbook_lib.run import tables; "
        "print(tables.shown(Table('', ('before', 'after'), (('off', 'on'),)), 'x')); print('pandas' in sys.modules)"
    )
    own = {**os.environ, "INBOUND_SCIM_RUNNER": "run"}
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=own).stdout
    assert said.splitlines()[-1] == "False"
    assert re.findall(r'<td style="text-align: left; color: (#\w+)[^>]*>(\w+)', said) == [("#6e7781", "off"), ("#1a7f37", "on")]


def test_of_a_very_long_table_the_styled_beginning_says_how_much_more_there_is():
    long = Table("Who", ("before", "after"), tuple(("", f"person {number}") for number in range(1, 10_001)))
    page = tables.styled(long, "x")
    assert ("person 200<" in page, "person 201<" in page, "… and 9,800 more" in page) == (True, False, True)
    assert "row200_col" not in page.partition("</style>")[0]  # the line that says so is no change


def test_a_written_steps_evidence_is_read_after_the_write_and_the_mappings_show_both(carry_out, tenant):
    rows = {row["step"]: row for row in carry_out(tenant("fresh")).rows}
    shown = {step: {table["title"]: table["rows"] for table in row["tables"]} for step, row in rows.items()}
    assert shown["1.3"]["Connection settings"] == (("Sync at each login", "on", "on"), ("SCIM", "on", "on"))
    assert {row[2] for row in shown["3.3"]["Who has access"]} == {"yes"}
    mappings = {row[0]: row[1:] for row in shown["3.12"]["Attribute mappings before and after"]}
    assert mappings["externalId"] == ("mailNickname", "objectId", "", "", "source")
    assert mappings['emails[type eq "work"].value'] == ("mail", "mail", "", "2", "precedence")
    assert mappings["(Target Object Actions)"] == ("Add, Update, Delete", "Update, Delete", "", "", "actions")


def test_people_are_a_frame_with_a_row_each():
    change = FieldChange("app_metadata.department", "Sales", None)
    person = PersonForecast(
        "Adele Vance", "1", "adele@x.example", None, True, "direct", Fate.UPDATE, ("waad|1",), "externalId", (change,)
    )
    [row] = tables.frame_of_people([person]).to_dict("records")
    assert (row["person"], row["fate"], row["auth0_user"], row["in_scope"]) == ("Adele Vance", "update", "waad|1", "direct")
    assert row["changes"] == str(change)


def test_nothing_brings_pandas_before_it_is_asked_for():
    code = "import sys, runbook_lib.notebook, runbook_lib.batch.command; print('pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
