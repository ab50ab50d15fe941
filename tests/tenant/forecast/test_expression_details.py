"""Conditions, dates, letters and regular expressions of the mapping language, case by case.

Sources: entra-docs, functions-for-customizing-application-data; learn.microsoft.com, .NET's custom formats, regular expression
language and TextInfo.ToTitleCase; Graph's attributeMappingSource for parameters by key.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from runbook_lib.tenant.forecast import dotnet
from runbook_lib.tenant.forecast.arguments import Person, text_of
from runbook_lib.tenant.forecast.evaluation import evaluate, flowing
from runbook_lib.tenant.forecast.expressions import CannotTell, attributes_of, parse, read_source

PERSON = {
    "city": "Oslo",
    "empty": "",
    "none": None,
    "no_values": (),
    "several": ("a", "b"),
    "yes": "TRUE",
    "no": "false",
    "other": "maybe",
    "number": "7",
    "isOn": True,
}


def value(text):
    return evaluate(parse(text), Person(PERSON))


def refusal(work):
    with pytest.raises(CannotTell) as unknown:
        work()
    return str(unknown.value)


# Conditions ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("left", "operator", "right", "holds"),
    [
        ("7", "=", "7", True),
        ("7", "=", "7.0", True),
        ("7", "=", "8", False),
        ("7", "<>", "8", True),
        ("7", "<>", "7", False),
        ("7", "<", "8", True),
        ("8", "<", "8", False),
        ("9", "<", "8", False),
        ("8", "<=", "8", True),
        ("9", "<=", "8", False),
        ("9", ">", "8", True),
        ("8", ">", "8", False),
        ("-9", ">", "8", False),
        ("8", ">=", "8", True),
        ("7", ">=", "8", False),
        ("10", ">", "9", True),  # as numbers, not as texts
        ('"Oslo"', "=", "[city]", True),
        ('"Bergen"', "=", "[city]", False),
        ('"Bergen"', "<>", "[city]", True),
        ('"Oslo"', "<>", "[city]", False),
        ('"7"', "=", "[number]", True),
    ],
)
def test_a_condition_compares_numbers_and_texts(left, operator, right, holds):
    assert value(f"CBool({left} {operator} {right})") is holds
    assert value(f'IIF({left} {operator} {right}, "yes", "no")') == ("yes" if holds else "no")


@pytest.mark.parametrize(
    ("condition", "chosen"),
    [("[yes]", "a"), ("[no]", "b"), ("[isOn]", "a"), ("Not([isOn])", "b"), ('"True"', "a"), ("IsPresent([city])", "a")],
)
def test_a_condition_may_be_a_truth_value_or_its_text(condition, chosen):
    assert value(f'IIF({condition}, "a", "b")') == chosen


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ('IIF([other], "a", "b")', "the condition of IIF is neither true nor false"),
        ('IIF([empty], "a", "b")', "empty is empty, and the condition of IIF fails on that"),
        ('IIF([no_values], "a", "b")', "no_values is empty, and the condition of IIF fails on that"),
        ('IIF("" = [city], "a", "b")', "what a comparison with an empty value gives is not documented"),
        ('CBool([none] = "x")', "what a comparison with an empty value gives is not documented"),
        ('CBool([no_values] = "x")', "what a comparison with an empty value gives is not documented"),
        ('CBool([city] = "OSLO")', "whether a condition regards capitals is not documented"),
        ('CBool("a" < "b")', "how texts are ordered in a condition is not documented"),
        ('CBool("7" < "b")', "how texts are ordered in a condition is not documented"),
        ('CBool([several] = "a")', "a null or a list of values where a text is needed"),
        ('Left("x", "one")', "Left needs a number and got 'one'"),
        ('Left("x", 1.5)', "Left needs a number and got '1.5'"),
        ('Left([several], 1)', "Left of a null or of a list is not documented"),
        ('Append([city], [several])', "Append of a null or of a list is not documented"),
        ('CDate("yesterday")', "'yesterday' is no date of a form that the reference page shows"),
        ('CDate("2021-02-30")', "'2021-02-30' is no date"),
        ('DateAdd("q", 1, "2021-01-01")', "the interval 'q' is not documented"),
        ('DateDiff("q", "2021-01-01", "2021-01-02")', "the interval 'q' is not documented"),
        ('FormatDateTime("x", "y", "yyyy", "yy")', "FormatDateTime with DateTimeStyles is not foretold here"),
        (r'Replace([city], , "O\\Z", , "", , )', r"the regular expression O\Z holds an end that Python spells otherwise"),
        ('Replace([city], , "(", , "", , )', "the regular expression ( cannot be translated (missing ), unterminated subpattern at position 0)"),  # noqa: E501
        ('Replace([city], , "O", , "$`", , )', "the substitution $` is not foretold here"),
        ('Replace([city], , "(?<a>O)(s)", , "$1", , )', "groups with and without names are counted differently in .NET"),
        ('Left("😀", 1)', "a character would be cut in two"),
    ],
)  # fmt: skip
def test_what_is_not_documented_is_said_in_words(expression, why):
    assert refusal(lambda: value(expression)) == why


def test_a_list_flows_only_into_an_attribute_of_several_values():
    assert refusal(lambda: flowing(("a", "b"))) == "a list of values flows only into a multi-valued attribute"
    assert [flowing(one) for one in (None, "", (), "x", True, 7)] == [None, None, None, "x", "True", "7"]


def test_a_null_and_a_list_are_no_text():
    for one in (None, ("a",), ()):
        assert refusal(lambda one=one: text_of(one)) == "a null or a list of values where a text is needed"


# Letters -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("culture", ["tr-TR", "az", "AZ-Latn", "lt-LT", "el"])
def test_cultures_whose_letters_change_by_rules_of_their_own_are_not_foretold(culture):
    for change in (dotnet.lower, dotnet.upper):
        assert refusal(lambda change=change: change("i", culture)) == (
            f"letters of the culture {culture} change case by rules of their own"
        )


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("Straße", "straße", "STRAßE"),
        ("İıſ", "İıſ", "İıſ"),  # the invariant culture leaves these three alone
        ("ÄÉŁ", "äéł", "ÄÉŁ"),
        ("ﬁ", "ﬁ", "ﬁ"),  # a ligature whose capitals would be two letters
        ("Ab1-", "ab1-", "AB1-"),
    ],
)
def test_letters_change_case_one_by_one(text, low, high):
    assert (dotnet.lower(text), dotnet.upper(text)) == (low, high)
    assert (dotnet.lower(text, "en-US"), dotnet.upper(text, "de")) == (low, high)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("o'neill-smith jones", "O'neill-Smith Jones"),
        ("a\tb\u00adc", "A\tB\u00adC"),  # a control character and a soft hyphen end a word
        ("a\u00a0b", "A\u00a0B"),
        ("a+b$c", "A+B$C"),
        ("a_b", "A_B"),
        ("3rd 4th", "3Rd 4Th"),
        ("a3b", "A3b"),  # a digit within a word does not end it
        ("e\u0301a", "E\u0301a"),  # nor does a mark
        ("mcDONALD", "Mcdonald"),
        ("", ""),
    ],
)
def test_title_case_begins_each_word(text, wanted):
    assert dotnet.title(text) == wanted


def test_texts_are_counted_in_units_of_utf_16():
    assert (dotnet.length("a😀b"), dotnet.part("a😀b", 1, 3), dotnet.part("abc", 1, 9)) == (4, "😀", "bc")


# Regular expressions ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "replacement", "text", "wanted"),
    [
        ("b", "[$&]", "abc", "a[b]c"),
        ("b", "$$", "abc", "a$c"),
        ("(a)(b)?", "$2-$1", "ac", "-ac"),
        ("(?<first>a)", "${first}!", "ab", "a!b"),
        ("(a)", "${1}2", "ab", "a2b"),
        ("(a)", "$9", "ab", "$9b"),  # no such group: left as it stands
        ("(a)", "${none}", "ab", "${none}b"),
        ("(?<x>a)(?<y>b)", "$2$1", "ab", "ba"),
        ("(?<x>a)(b)", "-", "ab", "-"),
        ("b\\z", "!", "ab", "a!"),
        ("\\\\", "/", "a\\b", "a/b"),
        ("\\\\Z", "-", "a\\Z", "a-"),
    ],
)
def test_matches_are_replaced_as_dotnet_does(pattern, replacement, text, wanted):
    assert dotnet.substitute(dotnet.pattern(pattern), replacement, text) == wanted


@pytest.mark.parametrize(
    ("pattern", "what"),
    [
        ("(?P<a>b)", "a group in Python's spelling"),
        ("(?<a-b>c)", "a balancing group"),
        ("(?(1)a|b)", "an alternation by condition"),
        ("(?n)a", "an option of .NET's own"),
        ("(?i-n:a)", "an option of .NET's own"),
        ("\\P{L}", "an escape that Python lacks"),
        ("\\cA", "an escape that Python lacks"),
        ("\\G", "an escape that Python lacks"),
        ("\\k<a>", "an escape that Python lacks"),
        ("[a-z-[b]]", "a subtraction of characters"),
        ("a++", "a possessive quantifier"),
        ("(?'a'b)", "a group named in quotes"),
    ],
)
def test_what_python_reads_otherwise_is_not_foretold(pattern, what):
    assert refusal(lambda: dotnet.pattern(pattern)) == f"the regular expression {pattern} holds {what}"


# Times -----------------------------------------------------------------------------------------------------------------------

NOON = "2021-08-25T12:00:00Z"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (NOON, "8/25/2021 12:00:00 PM"),
        ("2021-08-25T11:59:59", "8/25/2021 11:59:59 AM"),
        (" 2021-08-25 00:05 ", "8/25/2021 12:05:00 AM"),
        ("2021-08-25T12:00:00.123+05:45", "8/25/2021 6:15:00 AM"),
        ("2021-08-25T12:00:00-10:30", "8/25/2021 10:30:00 PM"),
        ("8/25/2021", "8/25/2021 12:00:00 AM"),
        ("8/25/2021 12:30:00 AM", "8/25/2021 12:30:00 AM"),
        ("8/25/2021 12:30:00 PM", "8/25/2021 12:30:00 PM"),
        ("8/25/2021 1:30:09 PM", "8/25/2021 1:30:09 PM"),
    ],
)
def test_a_text_is_read_as_a_utc_time(text, wanted):
    read = dotnet.date(text)
    assert (dotnet.shown(read), read.tzinfo) == (wanted, UTC)


@pytest.mark.parametrize(
    ("interval", "count", "start", "wanted"),
    [
        ("h", 5, NOON, "8/25/2021 5:00:00 PM"),
        ("n", -90, NOON, "8/25/2021 10:30:00 AM"),
        ("s", 61, NOON, "8/25/2021 12:01:01 PM"),
        ("m", 1, "2021-01-31", "2/28/2021 12:00:00 AM"),
        ("m", 1, "2020-01-31", "2/29/2020 12:00:00 AM"),
        ("m", -1, "2021-03-31", "2/28/2021 12:00:00 AM"),
        ("m", 11, "2021-01-30", "12/30/2021 12:00:00 AM"),
        ("m", 4, "2021-01-31", "5/31/2021 12:00:00 AM"),
        ("yyyy", 1, "2020-02-29", "2/28/2021 12:00:00 AM"),
        ("yyyy", -4, "2020-02-29", "2/29/2016 12:00:00 AM"),
    ],
)
def test_a_time_moves_by_intervals(interval, count, start, wanted):
    assert dotnet.shown(dotnet.later(dotnet.date(start), interval, count)) == wanted


SATURDAY, SUNDAY, MONDAY = "2021-08-21", "2021-08-22", "2021-08-23"


@pytest.mark.parametrize(
    ("interval", "first", "second", "wanted"),
    [
        ("ww", SATURDAY, SUNDAY, 1),  # weeks are counted by their Sundays
        ("ww", SUNDAY, SATURDAY, -1),
        ("ww", SUNDAY, MONDAY, 0),
        ("ww", SUNDAY, "2021-08-28", 0),
        ("ww", MONDAY, "2021-08-30", 1),
        ("ww", "2021-08-25", "2022-08-25", 52),
        ("d", "2021-08-25T13:00:00", "2021-08-26T12:00:00", 0),
        ("d", "2021-08-26T12:00:00", "2021-08-25T13:00:00", 0),
        ("m", "2021-01-15", "2021-03-15", 2),
        ("m", "2021-01-15", "2021-03-20", 2),
        ("m", "2021-03-15", "2021-01-15", -2),
        ("m", "2021-03-15", "2021-01-10", -2),
        ("m", "2021-03-15", "2021-03-15", 0),
        ("yyyy", "2019-06-01", "2021-06-01", 2),
        ("yyyy", "2021-06-01", "2019-06-01", -2),
    ],
)
def test_intervals_between_two_times(interval, first, second, wanted):
    assert dotnet.between(interval, dotnet.date(first), dotnet.date(second)) == wanted


@pytest.mark.parametrize(
    ("interval", "first", "second"),
    [
        ("m", "2021-01-15", "2021-03-14"),
        ("m", "2021-03-14", "2021-01-15"),
        ("yyyy", "2019-06-02", "2021-06-01"),
        ("yyyy", "2021-06-01", "2019-06-02"),
    ],
)
def test_months_and_years_that_are_not_whole_are_not_foretold(interval, first, second):
    assert refusal(lambda: dotnet.between(interval, dotnet.date(first), dotnet.date(second))) == (
        f"whether DateDiff counts whole {interval} or changes of the calendar is not known"
    )


def test_a_time_stays_a_time_among_functions():
    clock = Person({}, lambda: datetime(2021, 8, 25, 17, 41, 18, 5, tzinfo=UTC))
    assert evaluate(parse('DateDiff("s", Now(), DateAdd("s", 5, Now()))'), clock) == 5


# As Graph gives a source ----------------------------------------------------------------------------------------------------


def attribute(name):
    return {"type": "Attribute", "name": name, "expression": f"[{name}]", "parameters": []}


def constant(text):
    return {"type": "Constant", "name": text, "expression": f'"{text}"', "parameters": []}


def function(name, *parameters, text=None):
    listed = [{"key": key, "value": source} for key, source in parameters]
    return {"type": "Function", "name": name, "expression": text, "parameters": listed}


CITY = ("source", attribute("city"))


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        (function("Coalesce", ("source", attribute("none")), ("defaultValue", constant("x"))), "x"),
        (function("Join", ("separator", constant("-")), CITY, ("source", constant("x"))), "Oslo-x"),
        (function("Switch", CITY, ("defaultValue", constant("?")), ("key", constant("Oslo")), ("value", constant("N"))), "N"),
        (function("Replace", CITY, ("OldValue", constant("O")), ("ReplacementValue", constant("o"))), "oslo"),
        (function("Replace", CITY, ("RegexPattern", constant("s.*")), ("ReplacementValue", constant(""))), "O"),
        (
            function(
                "Replace",
                CITY,
                ("RegexPattern", constant("(?<end>o)$")),
                ("RegexGroupName", constant("end")),
                ("ReplacementValue", constant("0")),
            ),
            "Osl0",
        ),
        (
            function(
                "Replace",
                ("source", attribute("none")),
                ("RegexPattern", constant("(?<all>.+)")),
                ("RegexGroupName", constant("all")),
                ("ReplacementAttributeName", attribute("city")),
            ),
            "Oslo",
        ),
        (function("ToUpper", CITY, ("culture", constant("en-US"))), "OSLO"),
        (function("IsNull", ("expression", attribute("none"))), True),
        (function("IsNullOrEmpty", ("expression", attribute("empty"))), True),
        (function("IsPresent", ("expression", attribute("city"))), True),
        (function("IgnoreFlowIfNullOrEmpty", ("Expression", attribute("city"))), "Oslo"),
        (function("Not", ("source", function("Not", ("source", attribute("isOn"))))), True),
        ({"type": "Attribute", "name": "", "expression": "[city]"}, "Oslo"),
        ({"type": "Attribute", "expression": " [city] "}, "Oslo"),
        ({"type": "Attribute", "name": "city", "expression": "[none]"}, "Oslo"),
        ({"type": "Constant", "name": "x", "expression": '"y"'}, "x"),
        ({"type": "Constant", "name": None, "expression": None}, ""),
        ({"expression": "ToLower([city])"}, "oslo"),
        (function("Mid", CITY, text="Mid([city], 2, 2)"), "sl"),
        ({"type": "Function", "name": "ToLower", "expression": "ToLower([city])", "parameters": None}, "oslo"),
    ],
)
def test_a_source_is_read_by_its_keys_and_its_text(source, wanted):
    if source.get("name") == "Mid":
        source = {**source, "parameters": [{"key": "unknown", "value": constant("x")}]}
    assert evaluate(read_source(source), Person(PERSON)) == wanted


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (function("Guid"), "the function Guid is not foretold here"),
        (function("ToLower", ("source", None)), "ToLower has a parameter without a value"),
        ({**function("ToLower"), "parameters": ["x"]}, "ToLower has a parameter without a value"),
        (function("ToLower", ("Text", constant("x"))), "ToLower has a parameter Text, which no public page names"),
        ({"type": "Function", "name": "", "expression": ""}, "the function  is not foretold here"),
        ({}, "the expression '' cannot be read"),
        ({"type": "Attribute", "name": ""}, "the expression '' cannot be read"),
    ],
)
def test_a_source_that_cannot_be_read_says_why(source, why):
    assert refusal(lambda: read_source(source)) == why


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[a] [b]", "the expression '[a] [b]' cannot be read"),
        ("ToLower([a]) ;", "the expression 'ToLower([a]) ;' cannot be read from character 13 on"),
        ("CBool([a] =)", "a side of = is missing"),
        ("CBool(= [a])", "a side of = is missing"),
        ("Append([a] [b])", "the arguments of Append cannot be read"),
        ("Append([a], [b], [c])", "Append takes 2 arguments, not 3"),
        ("Now", "the expression 'Now' cannot be read"),
        (r'"\d"', r"the text '\\d' has a backslash before a character for which that is not documented"),
    ],
)
def test_a_text_that_cannot_be_read_says_why(text, why):
    assert refusal(lambda: parse(text)) == why


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("  ToLower( [city] )  ", "oslo"),
        ('"a\\\\d"', "a\\d"),
        ('"a\nb\\"\n"', 'a\nb"\n'),
        ('Switch([city], , "Oslo", "N", , )', "N"),
        ('Coalesce([none], , "x")', "x"),
        ("Append(ToLower([city]), ToUpper([city]))", "osloOSLO"),
        ("-7", "-7"),
        ("1.5", "1.5"),
    ],
)
def test_a_text_is_read(text, wanted):
    assert value(text) == wanted


def test_the_attributes_of_every_part_are_needed():
    assert attributes_of(parse('IIF([a] = [b], Join(",", [c], [d]), [e])')) == {"a", "b", "c", "d", "e"}
