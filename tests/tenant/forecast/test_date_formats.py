"""Dates in .NET's custom formats: learn.microsoft.com, custom date and time format strings, and dotnet/runtime's parser."""

from __future__ import annotations

import pytest

from runbook_lib.tenant.forecast.date_formats import reformatted
from runbook_lib.tenant.forecast.expressions import CannotTell

SECONDS = "yyyy-MM-dd HH:mm:ss"


@pytest.mark.parametrize(
    ("text", "read_as", "wanted"),
    [
        ("2009-06-15 13:45:30", SECONDS, "2009-06-15 13:45:30"),
        ("2009-06-01", "yyyy-MM-dd", "2009-06-01 00:00:00"),
        ("6/1/2009", "M/d/yyyy", "2009-06-01 00:00:00"),
        ("12/31/2009", "M/d/yyyy", "2009-12-31 00:00:00"),
        ("06.01.2009 7", "MM.dd.yyyy H", "2009-06-01 07:00:00"),
        ("06.01.2009 23", "MM.dd.yyyy H", "2009-06-01 23:00:00"),
        ("2009-06-15T13:45", "yyyy-MM-ddTHH:mm", "2009-06-15 13:45:00"),
        ("2009-06-15 01:45:30 PM", "yyyy-MM-dd hh:mm:ss tt", "2009-06-15 13:45:30"),
        ("2009-06-15 01:45:30 AM", "yyyy-MM-dd hh:mm:ss tt", "2009-06-15 01:45:30"),
        ("2009-06-15 12:45:30 PM", "yyyy-MM-dd h:mm:ss tt", "2009-06-15 12:45:30"),
        ("2009-06-15 12:45:30 AM", "yyyy-MM-dd h:mm:ss tt", "2009-06-15 00:45:30"),
        ("2009-06-15 9 PM", "yyyy-MM-dd h tt", "2009-06-15 21:00:00"),
        ("2009-06-15 12", "yyyy-MM-dd hh", "2009-06-15 00:00:00"),  # no half is given: before noon
        ("2009-06-15 11", "yyyy-MM-dd h", "2009-06-15 11:00:00"),
        ("2009-06-15 13 PM", "yyyy-MM-dd HH tt", "2009-06-15 13:00:00"),
        ("2009-06-15 12 PM", "yyyy-MM-dd HH tt", "2009-06-15 12:00:00"),
        ("2009-06-15 11 AM", "yyyy-MM-dd HH tt", "2009-06-15 11:00:00"),
        ("20150123105347.1Z", "yyyyMMddHHmmss.fZ", "2015-01-23 10:53:47"),
        ("2015-01-23 10:53:47.1234567", f"{SECONDS}.fffffff", "2015-01-23 10:53:47"),
        ("2015-01-23Z", "yyyy-MM-ddK", "2015-01-23 00:00:00"),
        ("2015-01-23", "yyyy-MM-ddK", "2015-01-23 00:00:00"),
        ("on 2015-01-23", "'on 'yyyy-MM-dd", "2015-01-23 00:00:00"),
        ("h2015, 01: 23", "\\hyyyy, MM: dd", "2015-01-23 00:00:00"),
        ("2015-01-23", "yyyy-MM-dd''", "2015-01-23 00:00:00"),
    ],
)
def test_a_date_is_read_by_its_format(text, read_as, wanted):
    assert reformatted(text, read_as, SECONDS) == wanted


@pytest.mark.parametrize(
    ("text", "written_as", "wanted"),
    [
        ("2009-06-05 03:04:09", "yyyy/MM/dd", "2009/06/05"),
        ("2009-06-05 03:04:09", "yy", "09"),
        ("2115-06-05 03:04:09", "yy", "15"),
        ("0009-06-05 03:04:09", "yyyy", "0009"),
        ("2009-06-05 03:04:09", "M.d", "6.5"),
        ("2009-12-15 03:04:09", "M.d", "12.15"),
        ("2009-06-05 03:04:09", "HH:mm:ss", "03:04:09"),
        ("2009-06-05 03:04:09", "H:mm", "3:04"),
        ("2009-06-05 15:04:09", "H:mm", "15:04"),
        ("2009-06-05 15:04:09", "h:mm tt", "3:04 PM"),
        ("2009-06-05 15:04:09", "hh:mm tt", "03:04 PM"),
        ("2009-06-05 03:04:09", "hh:mm tt", "03:04 AM"),
        ("2009-06-05 12:00:00", "h tt", "12 PM"),
        ("2009-06-05 00:00:00", "hh tt", "12 AM"),
        ("2009-06-05 11:59:59", "h tt", "11 AM"),
        ("2009-06-05 11:59:59", "'day' d \\d, yyyyTZ", "day 5 d, 2009TZ"),
        ("2009-06-05 11:59:59", "''d.", "5."),
    ],
)
def test_a_date_is_written_by_its_format(text, written_as, wanted):
    assert reformatted(text, SECONDS, written_as) == wanted


@pytest.mark.parametrize(
    ("text", "read_as", "why"),
    [
        ("2009-06-15", "d", "'d' is a standard format, whose result depends on a culture"),
        ("2009-06-15", "", "'' is a standard format, whose result depends on a culture"),
        ("2009-06", "yyyy-MM", "'2009-06' is no date of the format 'yyyy-MM'"),
        ("06-15", "MM-dd", "'06-15' is no date of the format 'MM-dd'"),
        ("2009-15", "yyyy-dd", "'2009-15' is no date of the format 'yyyy-dd'"),
        ("2009-6-15", "yyyy-MM-dd", "'2009-6-15' is no date of the format 'yyyy-MM-dd'"),
        ("2009-06-15 ", "yyyy-MM-dd", "'2009-06-15 ' is no date of the format 'yyyy-MM-dd'"),
        ("2009-06-15", "yyyy-mm-dd", "'2009-06-15' is no date of the format 'yyyy-mm-dd'"),
        ("2009_06_15", "yyyy.MM.dd", "'2009_06_15' is no date of the format 'yyyy.MM.dd'"),
        ("２００９-06-15", "yyyy-MM-dd", "'２００９-06-15' is no date of the format 'yyyy-MM-dd'"),
        ("2009-06-15 1 pm", "yyyy-MM-dd h tt", "'2009-06-15 1 pm' is no date of the format 'yyyy-MM-dd h tt'"),
        ("2009-13-15", "yyyy-MM-dd", "'2009-13-15' is no date"),
        ("2009-02-30", "yyyy-MM-dd", "'2009-02-30' is no date"),
        ("2009-06-15 24", "yyyy-MM-dd HH", "'2009-06-15 24' is no date"),
        ("2009-06-15 13", "yyyy-MM-dd hh", "'2009-06-15 13' is no date"),
        ("2009-06-15 13 AM", "yyyy-MM-dd HH tt", "'2009-06-15 13 AM' is no date"),
        ("2009-06-15 12 AM", "yyyy-MM-dd HH tt", "'2009-06-15 12 AM' is no date"),
        ("2009-06-15 11 PM", "yyyy-MM-dd HH tt", "'2009-06-15 11 PM' is no date"),
        ("2009-06-15 13 01", "yyyy-MM-dd HH hh", "'2009-06-15 13 01' is no date"),
        ("2009-06-15+02:00", "yyyy-MM-ddzzz", "what FormatDateTime does with the zone of '2009-06-15+02:00' is not documented"),
        ("2009-06-15-02:00", "yyyy-MM-ddK", "what FormatDateTime does with the zone of '2009-06-15-02:00' is not documented"),
        ("2009-06-15", "yyyy-MM-dd yyyy", "the format 'yyyy-MM-dd yyyy' names a part twice"),
        ("Jun 15", "MMM dd", "'MMM' in the format 'MMM dd' is not foretold here"),
        ("15.6", "dd.M.yy", "'yy' in the format 'dd.M.yy' is not foretold here"),
        ("2009-06-15 1", "yyyy-MM-dd F", "'F' in the format 'yyyy-MM-dd F' is not foretold here"),
        ("2009-06-15'", "yyyy-MM-dd'", '"\'" in the format "yyyy-MM-dd\'" is not foretold here'),
        ("2009-06-15\\", "yyyy-MM-dd\\", "'\\\\' in the format 'yyyy-MM-dd\\\\' is not foretold here"),
        ("2009-06-15\n", "yyyy-MM-dd\n", "'\\n' in the format 'yyyy-MM-dd\\n' is not foretold here"),
    ],
)
def test_what_is_no_date_of_the_format_or_not_documented_is_not_foretold(text, read_as, why):
    with pytest.raises(CannotTell) as unknown:
        reformatted(text, read_as, SECONDS)
    assert str(unknown.value) == why


@pytest.mark.parametrize("written_as", ["MMM d", "ddd, dd", "yyyyy", "ff.", "zz ", "%d", "K "])
def test_what_depends_on_a_culture_or_a_zone_is_not_written(written_as):
    with pytest.raises(CannotTell, match="is not foretold here"):
        reformatted("2009-06-15 13:45:30", SECONDS, written_as)
