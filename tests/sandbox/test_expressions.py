"""The mapping language, asked of Graph's parseExpression over HTTPS.

Source: entra-docs functions-for-customizing-application-data.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.sandbox.live import Live

PERSON: dict[str, Any] = {
    "AddressLineData": "545 Tremont Street",
    "BusinessTitle": "Product Developer",
    "UserID": "jsmith",
    "country": "USA",
    "department": "Sales",
    "extensionAttribute1": "20150123105347.1Z",
    "extensionAttribute5": "PermissionSetOne, PermissionSetTwo",
    "givenName": "John",
    "mail": "john.doe@contoso.com",
    "mobile": "+91 8887779999",
    "proxyAddresses": ["SMTP:john@contoso.com", "smtp:jd@contoso.com"],
    "state": "QLD",
    "surname": "Doe",
    "telephoneNumber": "",
    "userPrincipalName": "John.Doe@contoso.com",
}

# The page's own examples, each with its output.
DOCUMENTED = [
    (r'Append([userPrincipalName], ".test")', "John.Doe@contoso.com.test"),
    (r"Coalesce([nothing],[userPrincipalName])", "John.Doe@contoso.com"),
    (r"CBool([state] = [state])", "True"),
    (r'CDate("2020-03-16-07:00")', "3/16/2020 7:00:00 AM"),
    (r'CDate("2021-06-30+08:00")', "6/29/2021 4:00:00 PM"),
    (r'CDate("2009-06-15T01:45:30-07:00")', "6/15/2009 8:45:30 AM"),
    (r'DateAdd("d", 7, CDate("2012-03-16-07:00"))', "3/23/2012 7:00:00 AM"),
    (r'DateAdd("d", -10, CDate("2012-03-16-07:00"))', "3/6/2012 7:00:00 AM"),
    (r'DateAdd("ww", 2, CDate("2012-03-16-07:00"))', "3/30/2012 7:00:00 AM"),
    (r'DateAdd("m", 10, CDate("2012-03-16-07:00"))', "1/16/2013 7:00:00 AM"),
    (r'DateAdd("yyyy", 2, CDate("2012-03-16-07:00"))', "3/16/2014 7:00:00 AM"),
    (r'DateDiff("d", CDate("2021-08-18+08:00"), CDate("2021-08-31+08:00"))', "13"),
    (r'DateDiff("d", CDate("8/25/2021 5:41:18 PM"), CDate("2012-03-16-07:00"))', "-3449"),
    (r'DateDiff("ww", CDate("8/25/2021 5:41:18 PM"), CDate("2012-03-16-07:00"))', "-493"),
    (r'DateDiff("m", CDate("8/25/2021 5:41:18 PM"), CDate("2012-03-16-07:00"))', "-113"),
    (r'DateDiff("yyyy", CDate("8/25/2021 5:41:18 PM"), CDate("2012-03-16-07:00"))', "-9"),
    (r'DateDiff("n", CDate("2021-08-24"), CDate("2021-08-25"))', "1440"),
    (r'DateDiff("s", CDate("2021-08-24"), CDate("2021-08-25"))', "86400"),
    (r'FormatDateTime([extensionAttribute1], , "yyyyMMddHHmmss.fZ", "yyyy-MM-dd")', "2015-01-23"),
    (r'IIF([country]="USA",[country],[department])', "USA"),
    (r'IIF([country]="USA",IIF([state]="CA","True","False"),"False")', "False"),
    (r"Item([proxyAddresses], 1)", "SMTP:john@contoso.com"),
    (r'Join(", ", "", [surname], [givenName])', "Doe, John"),
    (r'Left("John Doe", 3)', "Joh"),
    (r"Append(Mid([givenName], 1, 3), Mid([surname], 1, 5))", "JohDoe"),
    (r'NormalizeDiacritics("Zoë")', "Zoe"),
    (r'PCase("PABLO GONSALVES (SECOND)")', "Pablo Gonsalves (Second)"),
    (r"""PCase("PINTO-DE'SILVA"," '-")""", "Pinto-De'Silva"),
    (r'PCase(Join(" ","GREGORY","JAMES"))', "Gregory James"),
    (r'Replace([BusinessTitle],"Product Developer", , , "Software Engineer", , )', "Software Engineer"),
    (r'Replace([UserID],"<username>", , , , , "<username>@contoso.com")', "jsmith@contoso.com"),
    (r'Replace("+91 9998887777", , "\\+(?<isdCode>\\d* )(?<phoneNumber>\\d{10})", , "${phoneNumber}", , )', "9998887777"),
    (r'Replace([AddressLineData], ,"(?<streetNumber>^\\d*)","streetNumber", "888", , )', "888 Tremont Street"),
    (r'Replace([userPrincipalName], , "(?<Suffix>@(.)*)", "Suffix", "", , )', "John.Doe"),
    (
        r'Replace([telephoneNumber], , "\\+(?<isdCode>\\d* )(?<phoneNumber>\\d{10})", "phoneNumber" , , [mobile], )',
        "8887779999",
    ),
    (r'Replace("john_doe72", , "[a-zA-Z_]*", , "", , )', "72"),
    (r'Replace([mail], "@contoso.com", , ,"", ,)', "john.doe"),
    (r'Switch([state], "Australia/Sydney", "NSW", "Australia/Sydney","QLD", "Australia/Brisbane")', "Australia/Brisbane"),
    (r'Switch([telephoneNumber], "Default Value", "true", "1", "", "0")', "0"),
    (r'Switch([nothing],[nothing],"","Other")', "Other"),
    (r'ToLower(Join("@", StripSpaces(Join(".",  [givenName], [surname])), "contoso.com"))', "john.doe@contoso.com"),
    (r'Word("The quick brown fox",3," ")', "brown"),
    (r'Word("This,string!has&many separators",3,",!&#")', "has"),
    (r'IgnoreFlowIfNullOrEmpty(Switch("x", "", "3443", "Dr."))', ""),
]

# What follows from the page's words, without an example of its own.
DERIVED = [
    (r'Left("John", 0)', ""),
    (r'Left("John", -1)', "John"),
    (r'Left("John", 9)', "John"),
    (r"Left([nothing], 2)", ""),
    (r'Right("John Doe", 3)', "Doe"),
    (r'Mid("John", 3, 9)', "hn"),
    (r'Len("John")', "4"),
    (r'Trim("  a b ")', "a b"),
    (r'Join("-", "a", [proxyAddresses])', "a-SMTP:john@contoso.com-smtp:jd@contoso.com"),
    (r'Not("True")', "False"),
    (r'Not("true")', "True"),
    (r"Not([nothing])", "True"),
    (r"IsPresent([telephoneNumber])", "False"),
    (r"IsNullOrEmpty([telephoneNumber])", "True"),
    (r"IsNull([telephoneNumber])", "False"),
    (r"IsNull([nothing])", "True"),
    (r"IsString([givenName])", "True"),
    (r'Switch("a", , "A", "1", "a", "2")', "2"),
    (r'Word("one two", 3, " ")', ""),
    (r'Word("one two", 0, " ")', ""),
    ('NormalizeDiacritics("Ærø Łódź Straße \u1ed1")', "AEroe Lodz Strasse \u1ed1"),
    (r'ToUpper("straße")', "STRAßE"),
    (r'FormatDateTime("3/5/2026 7:08:09 PM", , "M/d/yyyy h:mm:ss tt", "yyyy-MM-ddTHH:mm:ss.fff\Z")', "2026-03-05T19:08:09.000Z"),
    (r'FormatDateTime("5 Mar 2026", , "d MMM yyyy", "dddd, dd MMMM yy")', "Thursday, 05 March 26"),
    (r'"a \\ \"quoted\" text"', 'a \\ "quoted" text'),
    (r"&HF", "15"),
    (r'Replace("a.b.c", ".", , , "-", , )', "a-b-c"),
    (r'Replace("price 5", , "(\\d)", , "$$$1", , )', "price $5"),
]


@pytest.fixture(scope="module")
def live(running_sandbox) -> Iterator[Live]:
    running_sandbox.reset(7)
    with requests.Session() as session:
        session.trust_env, session.verify = False, running_sandbox.ready["ca_bundle"]
        found = Live(running_sandbox, lambda *_: None, session)
        found.sign_in()
        yield found


def evaluated(live: Live, expression: str) -> dict[str, Any]:
    properties = [{"key": name, "value": value} for name, value in PERSON.items()]
    body = {"expression": expression, "testInputObject": {"definition": None, "properties": properties}}
    answer = live.call("POST", f"{live.job}/schema/parseExpression", body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@pytest.mark.parametrize(("expression", "output"), DOCUMENTED)
def test_the_pages_examples_give_the_pages_outputs(live, expression, output):
    found = evaluated(live, expression)
    assert (found["error"], found["evaluationResult"]) == (None, [output])


@pytest.mark.parametrize(("expression", "output"), DERIVED)
def test_the_pages_words_hold_where_it_has_no_example(live, expression, output):
    found = evaluated(live, expression)
    assert (found["error"], found["evaluationResult"]) == (None, [output])


def test_several_values_are_several_results(live):
    assert evaluated(live, 'Split([extensionAttribute5], ",")')["evaluationResult"] == ["PermissionSetOne", "PermissionSetTwo"]


def test_now_is_the_sandboxs_time(live):
    assert evaluated(live, "Now()")["evaluationResult"] == [f"1/5/2026 9:00:{live.sandbox.world.clock.now.second:02d} AM"]


@pytest.mark.parametrize(
    "expression",
    [
        'SelectUniqueValue("a", "b")',
        'Switch("a", "b", "c")',
        'Mid("John", 0, 2)',
        'Left("John", "x")',
        'CDate("yesterday")',
        "CDate([nothing])",
        'Replace("a", , "(", , "b", , )',
        'Replace("a", , , , , , )',
        'DateAdd("fortnight", 1, CDate("2026-01-01"))',
        'DateAdd("yyyy", 99999, CDate("2026-01-01"))',
        "ToLower([proxyAddresses])",
        'IIF(IsNullOrEmpty([telephoneNumber]),"Other",[country])',
    ],
)
def test_what_cannot_be_evaluated_says_so(live, expression):
    found = evaluated(live, expression)
    assert (found["parsingSucceeded"], found["evaluationSucceeded"], found["evaluationResult"]) == (True, False, [])
    assert found["error"]["code"] == "ExpressionEvaluationError"


@pytest.mark.parametrize(
    "expression", ["", "Join(", 'Join(" ", [a]', "[a] [b]", "[a", '"a', "Left(1 2)", "=", ")", "(" * 500, "A(" * 100 + ")" * 100]
)
def test_what_cannot_be_parsed_says_so(live, expression):
    found = evaluated(live, expression)
    assert (found["parsingSucceeded"], found["parsedExpression"]) == (False, None)
    assert found["error"]["code"] == "ExpressionParsingError"
