"""Where the settings ask for it, Microsoft evaluates the expressions of the mapping too, and differences are named."""

from __future__ import annotations

from runbook_lib.sandbox.entra_engine.expressions.grammar import parsed


def last(run):
    return next(row for row in run.rows if row["step"] == "4.3")


def asked(run):
    return [entry for entry in run.history if entry["path"].endswith("/parseExpression")]


def test_by_default_nobody_is_asked(carry_out, tenant):
    run = carry_out(tenant("half-done"), "plan")
    assert (asked(run), "parseExpression" in last(run)["reason"]) == ([], False)


def test_expressions_that_both_evaluate_alike_are_counted(customer, carry_out, tenant):
    found = customer("half-done")
    rows = [row for row in found.mapping["attributeMappings"] if row["source"]["type"] == "Function"]
    run = carry_out(tenant("half-done", compare_expressions="yes"), "plan")
    assert len(asked(run)) == 5 * len(rows)
    assert f"Microsoft evaluated {5 * len(rows)} expressions (parseExpression); 0 of its results differ" in last(run)["reason"]


def test_an_expression_that_is_open_here_is_named_with_what_microsoft_says(customer, carry_out, tenant):
    """What Append makes of null is documented nowhere; Microsoft's evaluator knows."""
    customer("half-done").row("title")["source"] = parsed('Append([companyName], "!")')
    run = carry_out(tenant("half-done", compare_expressions="yes"), "plan")
    [table] = [table for table in last(run)["tables"] if table["title"] == "Expressions that Microsoft evaluates differently"]
    assert {(row[0], row[1], row[4]) for row in table["rows"]} == {("title", 'Append([companyName], "!")', "nothing")}
    assert all(row[3].startswith("cannot tell (") for row in table["rows"])
    assert len(table["rows"]) == 5


def test_a_refusal_is_told_once_and_stops_nothing(control, carry_out, tenant):
    control("POST", "/faults", [{"service": "graph", "method": "POST", "path": "*/parseExpression", "nth": 1, "kind": "403"}])
    run = carry_out(tenant("half-done", compare_expressions="yes"), "plan")
    assert len(asked(run)) == 1
    assert "This run asked Microsoft to evaluate active and got no result (answer 403" in last(run)["reason"]
    assert run.status == "pending"
