"""A table three ways: as HTML, in words, as pandas to work on."""

from __future__ import annotations

import subprocess
import sys

from runbook_lib import tables
from runbook_lib.change import Table
from runbook_lib.notebook import NotebookSession, View
from runbook_lib.session import Session
from runbook_lib.settings import RunMode

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
    session = NotebookSession(Session(tenant("fresh"), mode=RunMode.PLAN, out=tmp_path / "run" / "fresh"))
    shown = {number: session.do(number) for number in ("0.1", "0.2", "1.1", "1.2", "1.3", "1.4")}
    session.summary()
    changes, *_ = session.frames("1.2")
    assert list(changes.columns) == ["on", "field", "before", "after"]
    assert changes.equals(shown["1.2"].frames()[0])


def test_nothing_brings_pandas_before_it_is_asked_for():
    code = "import sys, runbook_lib.notebook, runbook_lib.batch.command; print('pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
