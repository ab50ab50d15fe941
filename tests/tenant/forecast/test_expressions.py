"""The examples of entra-docs, functions-for-customizing-application-data, and what it leaves open."""

from datetime import UTC, datetime

import pytest

from runbook_lib.tenant.forecast.arguments import Person
from runbook_lib.tenant.forecast.evaluation import evaluate, flowing
from runbook_lib.tenant.forecast.expressions import CannotTell, attributes_of, parse, read_source

PERSON = {
    "userPrincipalName": "John.Doe@contoso.com",
    "mail": None,
    "givenName": "John",
    "surname": "Doe",
    "state": "QLD",
    "country": "USA",
    "department": None,
    "telephoneNumber": "+91 9998887777",
    "mobile": "+91 8887779999",
    "empty": "",
    "IsSoftDeleted": "False",
    "accountEnabled": True,
    "roles": ("Admin",),
    "proxyAddresses": ("smtp:a@contoso.com", "SMTP:b@contoso.com"),
    "hired": "2012-03-16-07:00",
}
NOON = datetime(2021, 8, 25, 17, 41, 18, tzinfo=UTC)


def value(text, **others):
    return evaluate(parse(text), Person(PERSON | others, lambda: NOON))


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ('Append([userPrincipalName], ".test")', "John.Doe@contoso.com.test"),
        ("CBool([givenName] = [givenName])", True),
        ('CBool("0")', False),
        ("CStr([accountEnabled])", "True"),
        ("Coalesce([mail],[userPrincipalName])", "John.Doe@contoso.com"),
        ('Coalesce([mail], "")', ""),
        ("Coalesce([mail], [department])", None),
        ("Count([proxyAddresses])", 2),
        ('IIF([country]="USA",[country],[department])', "USA"),
        ('IIF([country]<>"USA","away",IIF([state]="QLD","True","False"))', "True"),
        ("IsNull([mail])", True),
        ("IsNullOrEmpty([empty])", True),
        ("IsPresent([empty])", False),
        ("IsString([givenName])", True),
        ("IgnoreFlowIfNullOrEmpty([department])", None),
        ("Item([proxyAddresses], 1)", "smtp:a@contoso.com"),
        ('Join(", ", "", [surname], [givenName])', "Doe, John"),
        ('Join(";", [proxyAddresses], "x")', "smtp:a@contoso.com;SMTP:b@contoso.com;x"),
        ('Left("John Doe", 3)', "Joh"),
        ('Left("John", 0)', ""),
        ('Left("John", -1)', "John"),
        ('Left("John", 9)', "John"),
        ('Left([mail], 3)', ""),
        ('Right("John Doe", 3)', "Doe"),
        ('Len("Zoë")', 3),
        ("Append(Mid([givenName], 1, 3), Mid([surname], 1, 5))", "JohDoe"),
        ('NormalizeDiacritics("Zoë Müller-Łódź Søren ÆÅß")', "Zoe Muller-Lodz Soeren AEAss"),
        ('Not("True")', False),
        ('Not("False")', True),
        ("Not([mail])", True),
        ("Now()", NOON),
        ('PCase("PABLO GONSALVES (SECOND)")', "Pablo Gonsalves (Second)"),
        ("""PCase("PINTO-DE'SILVA", " '-")""", "Pinto-De'Silva"),
        ('PCase(Join(" ","GREGORY","JAMES"))', "Gregory James"),
        ("Redact([givenName])", "John"),
        ('Replace("Product Developer","Product Developer", , , "Software Engineer", , )', "Software Engineer"),
        ('Replace("jsmith","<username>", , , , , "<username>@contoso.com")', "jsmith@contoso.com"),
        (r'Replace([telephoneNumber], , "\\+(?<isdCode>\\d* )(?<phoneNumber>\\d{10})", , "${phoneNumber}", , )', "9998887777"),
        (r'Replace("+1 (999) 888-7777", , "[()\\s-]+", , "", , )', "+19998887777"),
        (r'Replace("545 Tremont Street", ,"(?<streetNumber>^\\d*)","streetNumber", "888", , )', "888 Tremont Street"),
        ('Replace([userPrincipalName], , "(?<Suffix>@(.)*)", "Suffix", "", , )', "John.Doe"),
        (
            r'Replace([empty], , "\\+(?<isdCode>\\d* )(?<phoneNumber>\\d{10})", "phoneNumber" , , [mobile], )',
            "8887779999",
        ),
        ('Replace("john_doe72", , "[a-zA-Z_]*", , "", , )', "72"),
        ('Replace("john.doe@contoso.com", "@contoso.com", , ,"", ,)', "john.doe"),
        ("SingleAppRoleAssignment([roles])", "Admin"),
        ('Split("PermissionSetOne, PermissionSetTwo", ",")', ("PermissionSetOne", "PermissionSetTwo")),
        ('StripSpaces(" a b ")', "ab"),
        ('Switch([state], "Australia/Sydney", "NSW", "Australia/Sydney","QLD", "Australia/Brisbane")', "Australia/Brisbane"),
        ('Switch([state], "Australia/Sydney", "nsw", "x", "qld", "y")', "Australia/Sydney"),
        ('Switch([IsSoftDeleted], , "False", "True", "True", "False")', "True"),
        ('Switch([mail], "Default Value", "true", "1", "", "0")', "0"),
        ('Switch([state], , "NSW", "x")', None),
        ('ToLower(Join("@", NormalizeDiacritics(StripSpaces(Join(".", "Jo Hn", "Smïth"))), "c.com"))', "john.smith@c.com"),
        ('ToUpper("straße")', "STRAßE"),
        ('Trim("  a b ")', "a b"),
        ('Word("The quick brown fox",3," ")', "brown"),
        ('Word("This,string!has&many separators",3,",!&#")', "has"),
        ('Word("one two",3," ")', ""),
        ('Word([mail],1," ")', ""),
        ('FormatDateTime("20150123105347.1Z", , "yyyyMMddHHmmss.fZ", "yyyy-MM-dd")', "2015-01-23"),
        ('DateDiff("d", "2021-08-18+08:00", "2021-08-31+08:00")', 13),
        ('DateDiff("d", Now(), CDate([hired]))', -3449),
        ('DateDiff("ww", Now(), CDate([hired]))', -493),
        ('DateDiff("m", Now(), CDate([hired]))', -113),
        ('DateDiff("yyyy", Now(), CDate([hired]))', -9),
        ('DateDiff("d", "2021-08-31+08:00", "2021-08-31+08:00")', 0),
        ('DateDiff("h", "2021-08-24", "2021-08-25")', 24),
        ('DateDiff("n", "2021-08-24", "2021-08-25")', 1440),
        ('DateDiff("s", "2021-08-24", "2021-08-25")', 86400),
        ('IIF(DateDiff("d", Now(), CDate([hired])) > 5, "False", "True")', "True"),
        ("[givenName]", "John"),
        ('"Constant \\"text\\" \\\\"', 'Constant "text" \\'),
    ],
)  # fmt: skip
def test_an_expression_gives_what_the_reference_page_shows(expression, wanted):
    assert value(expression) == wanted


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        ('CDate("2020-03-16-07:00")', "3/16/2020 7:00:00 AM"),
        ('CDate("2021-06-30+08:00")', "6/29/2021 4:00:00 PM"),
        ('CDate("2009-06-15T01:45:30-07:00")', "6/15/2009 8:45:30 AM"),
        ('DateAdd("d", 7, CDate([hired]))', "3/23/2012 7:00:00 AM"),
        ('DateAdd("d", -10, CDate([hired]))', "3/6/2012 7:00:00 AM"),
        ('DateAdd("ww", 2, CDate([hired]))', "3/30/2012 7:00:00 AM"),
        ('DateAdd("m", 10, CDate([hired]))', "1/16/2013 7:00:00 AM"),
        ('DateAdd("yyyy", 2, CDate([hired]))', "3/16/2014 7:00:00 AM"),
        ("Now()", "8/25/2021 5:41:18 PM"),
        ('Append(CDate("8/25/2021 5:41:18 PM"), "!")', "8/25/2021 5:41:18 PM!"),
        ("Not([mail])", "True"),
    ],
)
def test_a_time_and_a_boolean_flow_as_the_text_that_the_page_shows(expression, shown):
    assert flowing(value(expression)) == shown


@pytest.mark.parametrize("expression", ["[mail]", "[empty]", "ToLower([mail])", 'Replace([mail], "a", , , "b", , )'])
def test_null_and_empty_never_flow(expression):
    assert flowing(value(expression)) is None


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ('Join(" ", [givenName], [mail])', "what Join makes of null is not documented"),
        ('Append([mail], ".test")', "Append of a null or of a list is not documented"),
        ('IIF([department]="x","a","b")', "department is empty, and the condition of IIF fails on that"),
        ('IIF(IsPresent([mail]),"a","b")', "mail is empty, and the condition of IIF fails on that"),
        ('IIF([country]="usa","a","b")', "whether a condition regards capitals is not documented"),
        ('IIF([country]>"T","a","b")', "how texts are ordered in a condition is not documented"),
        ('Coalesce([empty], "x")', "whether Coalesce passes over an empty text is not documented"),
        ("[unread]", "the attribute unread is not known"),
        ("IsString([mail])", "whether IsString is true of null is not documented"),
        ("Mid([givenName], 5, 1)", "what Mid gives beyond the text is not documented"),
        ("Right([givenName], 9)", "what Right gives beyond the text is not documented"),
        ("Item([proxyAddresses], 3)", "what Item gives outside the values is not documented"),
        ('Switch([state], "x", "a")', "Switch has a key without a value"),
        ('Replace([state], "a", , , , , )', "Replace with Find is not documented"),
        (r'Replace([state], , "\\p{L}", , "", , )', r"the regular expression \p{L} holds an escape that Python lacks"),
        (r'Replace([state], , "[a-z-[q]]", , "", , )', "the regular expression [a-z-[q]] holds a subtraction of characters"),
        (r'Replace([state], , "(?<a>Q)(L)", , "$1", , )', "groups with and without names are counted differently in .NET"),
        ('Word("a,,b",2,",")', "whether Word counts nothing between two delimiters as a word is not documented"),
        ('ToLower([state], "tr-TR")', "letters of the culture tr-TR change case by rules of their own"),
        ('DateDiff("m", "2020-12-31", "2021-01-01")', "whether DateDiff counts whole m or changes of the calendar is not known"),
        ('SingleAppRoleAssignment([proxyAddresses])', "the person has several roles, or the role is not known"),
    ],
)  # fmt: skip
def test_what_no_public_page_states_is_not_foretold(expression, why):
    with pytest.raises(CannotTell) as unknown:
        value(expression)
    assert str(unknown.value) == why


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Guid()",
        "SelectUniqueValue([a], [b])",
        "tolower([a])",
        "Append([a], [b], [c])",
        'Join("a" [b])',
        "[a] [b]",
        r'"\d"',
        "Now(",
    ],
)
def test_text_that_is_none_of_the_language_or_another_function_is_not_foretold(text):
    with pytest.raises(CannotTell):
        parse(text)


def test_now_needs_a_clock():
    with pytest.raises(CannotTell, match="Now depends on when the cycle runs"):
        evaluate(parse("Now()"), Person({}))


# As Graph gives a source -------------------------------------------------------------------------------------------------


def attribute(name):
    return {"type": "Attribute", "name": name, "expression": f"[{name}]", "parameters": []}


def constant(text):
    return {"type": "Constant", "name": text, "expression": f'"{text}"', "parameters": []}


def function(name, *parameters, text=""):
    return {
        "type": "Function",
        "name": name,
        "expression": text,
        "parameters": [{"key": key, "value": source} for key, source in parameters],
    }


def of(source):
    return evaluate(read_source(source), Person(PERSON))


def test_a_switch_with_a_default_reads_its_pairs_by_key():
    pairs = [("switchValue", constant(text)) for text in ("NSW", "Sydney", "QLD", "Brisbane")]
    assert of(function("Switch", ("source", attribute("state")), ("defaultValue", constant("?")), *pairs)) == "Brisbane"
    assert of(function("Switch", *pairs, ("source", attribute("state")))) == "Brisbane"


def test_the_text_counts_where_the_parameters_are_not_given():
    assert of(function("ToLower", text="ToLower([state])")) == "qld"
    assert of(function("Mid", ("unknown", constant("x")), text="Mid([state], 2, 1)")) == "L"


def test_a_text_and_parameters_that_differ_are_not_foretold():
    source = function("Append", ("source", attribute("state")), ("suffix", constant("x")), text='Append([state], "y")')
    with pytest.raises(CannotTell, match="say different things"):
        of(source)


def test_direct_and_constant_sources_are_taken_by_name():
    assert of(attribute("givenName")) == "John"
    assert of(constant("fixed")) == "fixed"


def test_the_attributes_that_an_expression_needs_are_known_before_anybody_is_read():
    node = parse('IIF([country]="USA", Join("-", [givenName], ToLower([surname])), [department])')
    assert attributes_of(node) == {"country", "givenName", "surname", "department"}
