"""Seven questions that no documentation answers, put to a tenant that the operator chose. Only reads, unless allowed to write.

Each answer is kept without names, ids and secrets, so that it can be sent in. What the forecast can use of them is remembered
for the tenant (`answers`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from runbook_lib.core.errors import ApiError, RunbookError
from runbook_lib.http.message import Request, segment
from runbook_lib.http.service import Service
from runbook_lib.run.redacted import redacted
from runbook_lib.services.auth0.management import delete_scim_token, post_scim_token
from runbook_lib.services.entra import graph
from runbook_lib.services.entra.models import EntraUser
from runbook_lib.services.wire_words import SCIM_TOKEN_SCOPES, USER_NAME
from runbook_lib.steps.verdict import parse_verdict
from runbook_lib.tenant import facts
from runbook_lib.tenant.forecast.matching import unlisted
from runbook_lib.tenant.forecast.reading import fields_by_path
from runbook_lib.tenant.scim_search import number_found, query_of
from runbook_lib.tenant.view import View

DISCOVERY = ("/ServiceProviderConfig", "/ResourceTypes", "/Schemas")
NULL_EXPRESSIONS = ('Join(" ", [givenName], [surname])', 'Append([surname], "!")', "Coalesce([givenName], [surname])")
SHORT_LIFE_S = 901  # the shortest lifetime that Auth0 allows (API description: over 900)
_NO_SCIM = "no SCIM token was given (--scim-token)"


@dataclass(frozen=True)
class Answer:
    """One call. `asked` is empty where it was asked, else why not; `body` has no names in it; `reading` is what it settles."""

    question: str
    call: str
    asked: str = ""
    status: int | None = None
    body: Any = None
    reading: tuple[str, bool] | None = None


@dataclass(frozen=True)
class Probe:
    """What the calls need. `scim` is the SCIM endpoint signed in to with a token that may read; None: those calls are left out.

    `throw_away` is the endpoint of a connection that may get a new user. `disabled` and `unmatched` are people for provision on
    demand: a disabled one may be blocked in Auth0 by it.
    """

    view: View
    scim: Service | None = None
    throw_away: Service | None = None
    disabled: str = ""
    unmatched: str = ""
    may_write: bool = False

    def answers(self) -> Iterator[Answer]:
        """Ask the seven questions, in their order, and yield each answer as it comes."""
        yield from self._search()
        yield from self._discovery()
        yield self._patch()
        yield from self._third_token()
        yield from self._on_demand()
        yield from self._null()
        yield self._new_user_id()

    def _names(self) -> tuple[str, ...]:
        settings, user = self.view.settings, self.view.read(facts.test_user)
        known = (settings.auth0_domain, settings.auth0_connection, settings.entra_tenant, settings.name, settings.scim_app_name)
        return (*known, *((user.user_principal_name, user.mail or "", user.display_name, user.id) if user else ()))

    def _asked(self, question: str, call: str, ask: Callable[[], Any]) -> Answer:
        """Ask, and keep the response whatever it is: a refusal is an answer too."""
        try:
            body = ask()
        except ApiError as refused:
            told = {"code": refused.code, "message": refused.message}
            return Answer(question, call, status=refused.status, body=redacted(told, self._names()))
        except RunbookError as broken:
            return Answer(question, call, asked=redacted({"message": broken.came_back}, self._names())["message"])
        return Answer(question, call, status=200, body=redacted(body, self._names()))

    # 1 and 2: reads of the SCIM endpoint -----------------------------------------------------------------------------------

    def _search(self) -> Iterator[Answer]:
        """Search by userName and by mail, as written and in capitals. A person not found by mail has no user to judge by."""
        user, found = self.view.read(facts.test_user), dict[str, Any]()
        answers = []
        for name, question, attribute, value in _searches(user):
            call = f'GET /Users?filter={attribute} eq "…"'
            if self.scim is None or not value:
                answers.append(Answer(question, call, asked="the test user has no such value" if self.scim else _NO_SCIM))
                continue
            answers.append(
                self._asked(question, call, functools.partial(self._searched, name, query_of(attribute, value), found))
            )
        if user is not None and (finds := self._finds_by_name(user, found)) is not None:
            answers[0] = replace(answers[0], reading=("searches_every_field", finds))
        if number_found(found.get("mail", {})) and "MAIL" in found:
            answers[3] = replace(answers[3], reading=("ignores_case", bool(number_found(found["MAIL"]))))
        yield from answers

    def _finds_by_name(self, user: EntraUser, found: dict[str, Any]) -> bool | None:
        """Return whether Auth0 finds by the field behind userName; None where that is listed, or no user is known to hold it.

        An empty result counts only for a user who holds exactly this name, as the search by mail shows.
        """
        if "userName" not in found or not unlisted((USER_NAME,), fields_by_path(facts.wanted_scim_rows(self.view))):
            return None
        if number_found(found["userName"]):
            return True
        holders = [one for one in found.get("mail", {}).get("Resources") or () if one.get("userName") == user.user_principal_name]
        return False if holders else None

    def _searched(self, name: str, query: tuple[tuple[str, str], ...], found: dict[str, Any]) -> Any:
        body = self.scim.read("/Users", query) if self.scim else {}
        found[name] = body if number_found(body) else {}
        return body

    def _discovery(self) -> Iterator[Answer]:
        for path in (*DISCOVERY, *(f"{path}/" for path in DISCOVERY)):
            question, call = f"2 discovery path {path}", f"GET {path}"
            if self.scim is None:
                yield Answer(question, call, asked=_NO_SCIM)
            else:
                yield self._asked(question, call, functools.partial(self.scim.read, path))

    # 3, 4, 5 and 7: what writes ----------------------------------------------------------------------------------------------

    def _patch(self) -> Answer:
        question, call = "3 PATCH of the test user's active to what it is", "PATCH /Users/{id} active as it is"
        user = self.view.read(facts.test_user)
        if self.scim is None or not self.may_write or user is None or not user.mail:
            return Answer(question, call, asked=_NO_SCIM if self.scim is None else "this call writes; --write allows it")
        scim, mail = self.scim, user.mail

        def ask() -> Any:
            answered = scim.read("/Users", (("filter", f'emails[type eq "work"].value eq "{mail}"'),))
            found: list[Any] = answered.get("Resources") or []
            if len(found) != 1 or found[0].get("active") is not True:
                return {"detail": "the test user was not found once, or is not active"}
            operation = {"op": "replace", "path": "active", "value": True}
            body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [operation]}
            answer = scim.send(Request("scim", "PATCH", f"/Users/{segment(str(found[0]['id']))}", body=body))
            return {"status": str(answer.status), "body": answer.body}

        return self._asked(question, call, ask)

    def _third_token(self) -> Iterator[Answer]:
        question, call = "4 third SCIM token next to one that has expired", "POST …/scim-configuration/tokens"
        connection, tokens = self.view.read(facts.connection_id), self.view.read(facts.scim_tokens) or ()
        now = self.view.auth0.service.date
        ended = [token for token in tokens if now and token.valid_until and token.valid_until < now.isoformat()]
        if not self.may_write or len(tokens) != 2 or not ended:
            why = (
                "this call writes; --write allows it"
                if not self.may_write
                else "the connection has not two tokens, one of them expired"
            )
            yield Answer(question, call, asked=why)
            return

        def ask() -> Any:
            made = self.view.auth0.service.send(post_scim_token(connection, SCIM_TOKEN_SCOPES[:1], SHORT_LIFE_S))
            self.view.auth0.service.send(delete_scim_token(connection, made.at("token_id")))
            return {"status": str(made.status), "detail": "made, and deleted again"}

        yield self._asked(question, call, ask)

    def _on_demand(self) -> Iterator[Answer]:
        for who, name, option in (
            ("a disabled person", self.disabled, "--disabled WHO"),
            ("a person without a match", self.unmatched, "--unmatched WHO"),
        ):
            question, call = f"5 provision on demand of {who}", "POST …/provisionOnDemand"
            user = self.view.graph.user(name) if name and self.may_write else None
            principal, job = self.view.read(facts.enterprise_application), self.view.read(facts.job)
            schema = self.view.read(facts.schema)
            if user is None or principal is None or job is None or schema is None:
                yield Answer(question, call, asked=f"this call writes and needs a job; --write with {option} allows it")
                continue
            request = graph.provision_on_demand(principal.id, job.id, schema.rule_id, user.id)
            names = (user.display_name, user.user_principal_name, user.mail or "")
            yield self._verdict(question, call, request, names, is_disabled=name == self.disabled)

    def _verdict(self, question: str, call: str, request: Request, names: tuple[str, ...], *, is_disabled: bool) -> Answer:
        results: list[str] = []

        def ask() -> Any:
            verdict = parse_verdict(self.view.graph.service.send(request).body)
            results.append(verdict.result)
            steps = [{"name": step[0], "status": step[1], "description": step[2]} for step in verdict.steps]
            return redacted({"result": verdict.result, "code": verdict.code, "message": verdict.message, "steps": steps}, names)

        answer = self._asked(question, call, ask)
        # A skip settles nothing: on demand skips even people that a cycle disables (entra-docs, provision-on-demand).
        return replace(answer, reading=("skips_disabled", False)) if is_disabled and results == ["success"] else answer

    def _new_user_id(self) -> Answer:
        question, call = "7 user_id of a user that SCIM makes", "POST /Users on a throw-away connection"
        if self.throw_away is None or not self.may_write:
            return Answer(question, call, asked="this call makes a user and deletes it; --write with --throw-away URL allows it")
        scim = self.throw_away

        def ask() -> Any:
            mail = "runbook-probe@example.invalid"
            body = {
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
                "userName": mail,
                "externalId": "00000000-0000-4000-8000-000000000001",
                "emails": [{"type": "work", "value": mail, "primary": True}],
            }
            made = scim.send(Request("scim", "POST", "/Users", body=body))
            scim.send(Request("scim", "DELETE", f"/Users/{segment(made.at('id'))}"))
            return {"status": str(made.status), "body": made.body, "detail": _form_of(made.at("id"))}

        return self._asked(question, call, ask)

    # 6: an expression on null -------------------------------------------------------------------------------------------------

    def _null(self) -> Iterator[Answer]:
        principal, job = self.view.read(facts.enterprise_application), self.view.read(facts.job)
        for expression in NULL_EXPRESSIONS:
            question, call = f"6 value of {expression} where surname is null", "POST …/schema/parseExpression"
            if principal is None or job is None:
                yield Answer(question, call, asked="there is no job yet")
                continue
            tested = {"properties": [{"key": "givenName", "value": "Adele"}, {"key": "surname", "value": None}]}
            path = f"/servicePrincipals/{segment(principal.id)}/synchronization/jobs/{segment(job.id)}/schema/parseExpression"
            body = {"expression": expression, "testInputObject": tested}
            request = Request("graph", "POST", path, body=body)
            yield self._asked(question, call, functools.partial(self._evaluated, request))

    def _evaluated(self, request: Request) -> Any:
        answer = self.view.graph.service.ask(request).body
        shown = answer.get("evaluationResult") or []
        return {"evaluationSucceeded": answer.get("evaluationSucceeded"), "result": [str(one) for one in shown]}


def _searches(user: EntraUser | None) -> Iterator[tuple[str, str, str, str]]:
    """Yield name, question, attribute and value of each search; the value is empty where the person has none."""
    name, mail, by_mail = (user.user_principal_name, user.mail or "", 'emails[type eq "work"].value') if user else ("", "", "")
    yield "userName", "1 search by userName for a person who has signed in", "userName", name
    yield "USERNAME", "1 search by userName, in capitals", "userName", name.upper()
    yield "mail", "1 search by mail for a person who has signed in", by_mail, mail
    yield "MAIL", "1 search by mail, in capitals", by_mail, mail.upper()


def _form_of(user_id: str) -> str:
    """Return the form of a user id without identifying parts: its strategy, and the number and lengths of the parts after it."""
    strategy, *parts = user_id.split("|")
    return f"{strategy}|" + "|".join(f"<{len(part)} signs>" for part in parts)
