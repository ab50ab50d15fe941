"""`$filter`, `$search`, `$orderby`, `$select`, `$top` and pages, as Graph takes and refuses them."""

from __future__ import annotations

import pytest

from tests.sandbox.graph_world import ORIGIN, Graph

UNSUPPORTED = "Request_UnsupportedQuery"


@pytest.fixture(scope="module")
def shared() -> Graph:
    return Graph()


@pytest.fixture
def graph(shared: Graph) -> Graph:
    """Queries change nothing, so one world serves them all."""
    return shared


def names(graph: Graph, query: str, **headers: str) -> list[str]:
    return [entry["displayName"] for entry in graph.get(f"/users?$select=displayName&{query}", **headers)["value"]]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("userPrincipalName eq 'adele@fresh.onmicrosoft.com'", ["Adele Vance"]),
        ("displayName eq 'ADELE vance'", ["Adele Vance"]),
        ("mail eq 'adele.vance@fresh.example'", ["Adele Vance"]),
        ("startswith(displayName,'Jo')", ["Johanna Lorenz", "Joni Sherman"]),
        ("startsWith(displayName, 'joh')", ["Johanna Lorenz"]),
        ("startswith(displayName,'A') and jobTitle eq 'Engineer'", ["Adele Vance"]),
        ("startswith(displayName,'Joni') or startswith(mail,'lee')", ["Joni Sherman", "Lee Gu"]),
        ("displayName eq 'Lee Gu' or displayName eq 'Joni Sherman' and accountEnabled eq false", ["Lee Gu"]),
        ("surname in ('Gu', 'Vance')", ["Adele Vance", "Lee Gu"]),
        ("accountEnabled eq false", []),
        ("displayName eq 'O''Neill and eq or'", []),
    ],
)
def test_filters_find_who_they_name(graph, text, found):
    assert names(graph, f"$filter={text}") == found


def test_an_apostrophe_in_a_name_is_doubled_in_a_literal():
    graph = Graph()
    graph.person("Lee Gu")["displayName"] = "Lee O'Neill and Sons"
    assert names(graph, "$filter=displayName eq 'Lee O''Neill and Sons'") == ["Lee O'Neill and Sons"]


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("shoeSize eq 'x'", "BadRequest", "Could not find a property named 'shoeSize' on type 'microsoft.graph.user'."),
        ("faxNumber eq 'x'", UNSUPPORTED, "Unsupported or invalid query filter clause specified for property 'faxNumber'"),
        ("accountEnabled eq 'true'", "BadRequest", "incompatible types"),
        ("displayName eq true", "BadRequest", "incompatible types"),
        ("displayName eq Adele", "BadRequest", "incompatible types"),
        ("displayName = 'x'", "BadRequest", "Invalid filter clause"),
        ("", "BadRequest", "Invalid filter clause"),
        ("surname in (" + ",".join(["'x'"] * 16) + ")", UNSUPPORTED, "operators: 16. Max allowed: 15."),
        ("displayName ne 'x'", "BadRequest", "does not simulate"),
        ("not startswith(displayName,'x')", "BadRequest", "does not simulate"),
        ("(displayName eq 'x')", "BadRequest", "does not simulate"),
        ("otherMails/any(m:m eq 'x')", "BadRequest", "does not simulate"),
        ("displayName gt 'x'", "BadRequest", "does not simulate"),
    ],
)
def test_filters_that_graph_or_the_sandbox_does_not_take_are_refused(graph, text, code, words):
    status, actual, message = graph.refusal("GET", f"/users?$filter={text}")
    assert (status, actual) == (400, code)
    assert words in message


def test_an_unknown_property_cannot_be_selected(graph):
    words = "Parsing OData Select and Expand failed: Could not find a property named 'shoeSize' on type 'microsoft.graph.user'."
    assert graph.refusal("GET", "/users?$select=id,shoeSize") == (400, "BadRequest", words)


def test_a_list_holds_exactly_what_was_selected(graph):
    page = graph.get("/users?$select=id,jobTitle&$top=1")
    assert page["@odata.context"] == "https://graph.microsoft.com/v1.0/$metadata#users(id,jobTitle)"
    assert [set(entry) for entry in page["value"]] == [{"id", "jobTitle"}]


def test_a_search_needs_its_header_and_looks_for_beginnings_of_words(graph):
    status, code, words = graph.refusal("GET", '/users?$search="displayName:van"')
    assert (status, code) == (400, UNSUPPORTED)
    assert words.endswith("only works through MSGraph with a special request header: 'ConsistencyLevel: eventual'")
    eventual = {"consistencylevel": "eventual"}
    assert names(graph, '$search="displayName:van"', **eventual) == ["Adele Vance"]
    assert names(graph, '$search="displayName:ance"', **eventual) == []
    assert names(graph, '$search="displayName:gu" OR "mail:adele"', **eventual) == ["Adele Vance", "Lee Gu"]
    assert names(graph, '$search="displayName:lee" AND "displayName:gu"', **eventual) == ["Lee Gu"]


@pytest.mark.parametrize("text", ["displayName:van", '"van"', '"jobTitle:x"'])
def test_a_search_in_another_form_is_refused(graph, text):
    assert graph.refusal("GET", f"/users?$search={text}", consistencylevel="eventual")[:2] == (400, UNSUPPORTED)


def test_a_count_comes_with_an_advanced_query_and_is_otherwise_refused(graph):
    counted = graph.get("/users?$count=true&$top=1", consistencylevel="eventual")
    assert (counted["@odata.count"], len(counted["value"])) == (14, 1)
    assert graph.refusal("GET", "/users?$count=true")[0] == 400


def test_an_order_is_kept_and_refused_with_a_filter(graph):
    ordered = names(graph, "$orderby=displayName desc")
    assert ordered == sorted(ordered, reverse=True)
    refused = graph.refusal("GET", "/users?$orderby=displayName&$filter=startswith(displayName,'J')")
    assert refused == (400, UNSUPPORTED, "Sorting not supported for current query.")
    assert graph.refusal("GET", "/servicePrincipals?$orderby=displayName")[0] == 400


# quoted by several public clients
@pytest.mark.parametrize("size", ["0", "-1", "1000"])
def test_a_page_size_out_of_range_is_refused_in_graphs_words(graph, size):
    words = f"Invalid page size specified: '{size}'. Must be between 1 and 999 inclusive."
    assert graph.refusal("GET", f"/users?$top={size}") == (400, UNSUPPORTED, words)


def test_a_page_size_that_is_no_number_is_refused(graph):
    assert graph.refusal("GET", "/users?$top=ten")[:2] == (400, "BadRequest")


def test_pages_repeat_the_query_and_end(graph):
    everyone = names(graph, "$top=999")
    first = graph.get("/users?$select=displayName,id&$top=9&$filter=accountEnabled eq true")
    assert first["@odata.nextLink"].startswith(
        f"{ORIGIN}/v1.0/users?$select=displayName%2Cid&$top=9&$filter=accountEnabled+eq+true"
    )
    second = graph.get(first["@odata.nextLink"])
    assert "@odata.nextLink" not in second
    assert [entry["displayName"] for entry in (*first["value"], *second["value"])] == everyone


@pytest.mark.parametrize("token", ["1", "%ff", "bm9ib2R5"])
def test_a_page_token_that_means_nothing_has_expired(graph, token):
    assert graph.refusal("GET", f"/users?$skiptoken={token}")[:2] == (400, "Directory_ExpiredPageToken")


def test_who_joins_between_two_pages_moves_nobody():
    graph = Graph()
    first = graph.get("/users?$top=10&$select=id")
    newcomer = {**graph.person("Lee Gu"), "id": "00000000-0000-4000-8000-00000000beef"}
    graph.tenant.users = {newcomer["id"]: newcomer, **graph.tenant.users}
    second = graph.get(first["@odata.nextLink"])
    ids = [entry["id"] for entry in (*first["value"], *second["value"])]
    assert len(ids) == len(set(ids)) == 14
