"""The SCIM endpoint URL and the token for it: its text can be read once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any

from runbook_lib.core.errors import StepBlocked, StepWaits
from runbook_lib.core.secret import Secret
from runbook_lib.engine.readings import Fact
from runbook_lib.engine.step import Kind, Step, TakeBack, Yield
from runbook_lib.engine.values import (
    Change,
    Diff,
    Finding,
    Handover,
    Table,
)
from runbook_lib.http.message import Response
from runbook_lib.services.auth0 import management as auth0
from runbook_lib.services.auth0.management import (
    delete_scim_token,
    post_scim_token,
)
from runbook_lib.services.auth0.models import Connection, ScimToken
from runbook_lib.services.entra.models import SavedCredentials, SynchronizationJob
from runbook_lib.services.wire_words import (
    SCIM_TOKEN_LIMIT,
)
from runbook_lib.settings.model import TenantSettings
from runbook_lib.steps.body import check, ensure
from runbook_lib.steps.by_hand import CONNECTION, ENTRA, done_without, in_auth0, together
from runbook_lib.steps.credentials import (
    UNLISTED,
    are_unlisted,
    credential_differences,
    entra_holds_a_token,
    is_exact,
    may_be_of,
    may_be_ours,
    orphans,
)
from runbook_lib.steps.undoing.others import refuse_live
from runbook_lib.steps.undoing.readings import On, running_jobs, tokens_in_entra
from runbook_lib.steps.undoing.undo import Seen, Undo, left, undone
from runbook_lib.tenant import facts
from runbook_lib.tenant.things import Thing
from runbook_lib.tenant.token_memory import Memory
from runbook_lib.tenant.token_scopes import in_words, wanted_scopes
from runbook_lib.tenant.view import View
from runbook_lib.tenant.written import Written


def _endpoint(settings: TenantSettings) -> Handover:
    return Handover(
        f"{CONNECTION} > Provisioning > SCIM Setup",
        ("Copy the SCIM Endpoint URL and the Client ID (tab Settings). Send both back. Neither is a secret.",),
        (
            ("Send back", f"SCIM Endpoint URL, as https://{settings.auth0_domain}/scim/v2/connections/con_…"),
            ("Send back", "Client ID"),
        ),
    )


def _token(settings: TenantSettings) -> Handover:
    ends = "never" if settings.token_lifetime_s is None else f"in {settings.token_lifetime_days} days"
    return Handover(
        f"{CONNECTION} > Provisioning > SCIM Setup > Generate New Token",
        (
            "Auth0 allows two tokens per connection. Delete a token only if it is not in use.",
            "Auth0 shows the token once. Send it back through a safe channel, never with this sheet.",
        ),
        (("Expires", ends),),
    )


def _scopes(settings: TenantSettings) -> Handover:
    return Handover(
        f"{CONNECTION} > Provisioning > SCIM Setup > Generate New Token",
        ("Select exactly these scopes. With post:users Entra could create duplicate users.",),
        tuple(("Scope", scope) for scope in wanted_scopes(settings)),
    )


_MAKE = (
    f"Open the page (python -m runbook_lib lab), press Make and show the token once at step {Thing.TOKEN.step}, and "
    "send it through a safe channel, separately from handover.html"
)


_SEND = (
    "Send the token through a safe channel, separately from handover.html. If you lose it, make another at step "
    f"{Thing.TOKEN.step} of the page"
)


def token_to_hand_over(
    connection: Connection, tokens: tuple[ScimToken, ...] | None, memory: Memory, settings: TenantSettings
) -> Iterator[Yield]:
    """Make a token only when a person asks for it, since that person has to see it.

    Why: Auth0 shows its text once. A headless run would lose the text, or would have to write it down. When the person asks
    again, an unused token that this tool made is replaced: its text is lost, or was never sent.
    """
    yield from token_table(tokens or ())
    where = f"SCIM tokens of {connection.name}"
    ours = memory.own_token_ids - ({memory.scim_token_id} if memory.scim_token is not None else set())
    unused = [token for token in tokens or () if token.token_id in ours and token.last_used_at is None]
    used = [token for token in tokens or () if is_exact(token, wanted_scopes(settings)) and token.last_used_at]
    others = [token for token in tokens or () if token not in unused]
    if memory.scim_token is not None:
        yield Finding("This run made a new token. The page that asked for it shows it once.")
        yield Handover("", remedy=_SEND)
        return
    if memory.asks_for_token:
        if tokens is None:
            raise StepWaits(Thing.SCIM_CONFIGURATION, "The SCIM configuration that a token belongs to")
        for token in unused:
            gone = Diff(where, token.token_id, "made by this tool, never used", "deleted")
            yield Change(where, (gone,), delete_scim_token(connection.id, token.token_id))
        refuse_at_limit(others, memory)
        yield _new_token(where, connection, tuple(token.token_id for token in tokens), memory, settings)
        return
    if used:
        latest = max(used, key=lambda token: token.last_used_at or "")
        yield Finding(f"Verified from Auth0: token {latest.token_id} was last used {(latest.last_used_at or '')[:10]}.")
        return
    if unused:
        yield Finding(f"The token exists ({named(unused, memory)}), but Entra has not used it yet.")
        yield Handover("", remedy=_SEND)
        return
    refuse_at_limit(others, memory)
    yield Finding(f"No token with exactly {in_words(settings)} has been used yet.")
    yield Handover("", remedy=_MAKE)


def _new_token(where: str, connection: Connection, there: tuple[str, ...], memory: Memory, settings: TenantSettings) -> Change:
    lifetime = "never ends" if settings.token_lifetime_s is None else f"{settings.token_lifetime_days} days"
    diff = Diff(where, "new token", "", f"{', '.join(wanted_scopes(settings))}; {lifetime}; to be shown once")
    request = post_scim_token(connection.id, wanted_scopes(settings), settings.token_lifetime_s)
    undo = {"kind": UNDO.kind, "connection": connection.id}
    return Change(where, (diff,), request, receive=kept_in(memory), before=there, undo=undo)


NEAR = timedelta(days=30)


@check(
    Thing.ENDPOINT,
    by_hand=in_auth0(_endpoint, "provisioning", lambda settings: settings.scim_endpoint),
    reads=(facts.endpoint_url,),
)
def copy_endpoint_url(endpoint_url: str, settings: TenantSettings) -> Iterator[Yield]:
    """Copy the SCIM endpoint URL.

    No API returns it; it is built from the domain and the connection id.
    """
    yield Finding(endpoint_url)


@ensure(
    Thing.TOKEN,
    by_hand=together(
        in_auth0(_token, "provisioning", lambda settings: settings.scim_token and "the token"),
        done_without(
            ENTRA, token_to_hand_over, Kind.ENSURE, (facts.connection, facts.scim_tokens, facts.memory), (facts.scim_tokens,)
        ),
    ),
    undone_by=lambda: (UNDO,),
    reads=(facts.connection, facts.scim_tokens, facts.saved_credentials, facts.job, facts.memory, facts.endpoint_url),
    touches=(facts.scim_tokens,),
)
def generate_token(
    connection: Connection,
    tokens: tuple[ScimToken, ...] | None,
    saved: SavedCredentials,
    job: SynchronizationJob | None,
    memory: Memory,
    endpoint_url: str,
    settings: TenantSettings,
) -> Iterator[Yield]:
    """Generate a SCIM token.

    Why: Auth0 shows its text once; the text stays in memory until it is saved in Entra.
    Blocked when: two tokens exist that this tool did not make. It never deletes those.
    """
    where = f"SCIM tokens of {connection.name}"
    yield from (*token_table(tokens or ()), *_in_doubt(tokens or (), memory))
    if are_unlisted(saved, tokens, memory, endpoint_url, settings):
        yield Finding(f"{UNLISTED} This run makes no other token and waits until Entra lists them.")
        return
    yield from _without(orphans(tokens or (), memory, saved), connection.id, where)
    if memory.scim_token is not None and memory.scim_token_id in {token.token_id for token in tokens or ()}:
        yield Finding(f"This session keeps the new token in memory until step {Thing.CREDENTIALS.step} saves it.")
        return
    scopes = wanted_scopes(settings)
    is_complete = not credential_differences(saved, endpoint_url, settings)
    if tokens and is_complete and entra_holds_a_token(tokens, saved, job, memory, endpoint_url, scopes):
        yield Finding(f"Entra holds a token with exactly {in_words(settings)}, and has used it.")
        yield from _more_than_one(tokens, memory, scopes)
        yield from _near_its_end(tokens, memory, scopes)
        return
    if saved.works is False:
        yield Finding("Entra's connection test with its saved token fails: the token has expired or was deleted.")
    diff = _wanted_token(where, scopes, settings)
    if tokens is None:
        raise StepWaits(Thing.SCIM_CONFIGURATION, "The SCIM configuration that a token belongs to", (diff,))
    _refuse_a_third(tokens, memory, saved)
    request = post_scim_token(connection.id, scopes, settings.token_lifetime_s)
    there, undo = tuple(one.token_id for one in tokens), {"kind": UNDO.kind, "connection": connection.id}
    shows = None if orphans(tokens, memory, saved) else _answered(tokens)
    yield Change(diff.on, (diff,), request, receive=kept_in(memory), before=there, undo=undo, shows=shows)


def _answered(there: tuple[ScimToken, ...]) -> Callable[[Response], tuple[tuple[Fact[Any], tuple[ScimToken, ...]], ...]]:
    """Return the function that adds the new token, from Auth0's answer, to the tokens that were read right before.

    Source: Management API description, POST /connections/{id}/scim-configuration/tokens: 201 with id, scopes and times. The
    connection test with the token proves it, and the start reads the list again.
    """

    def shows(answer: Response) -> tuple[tuple[Fact[Any], tuple[ScimToken, ...]], ...]:
        return ((facts.scim_tokens, (*there, ScimToken.from_wire(answer.body))),)

    return shows


def _without(useless: tuple[ScimToken, ...], connection_id: str, where: str) -> Iterator[Change]:
    for orphan in useless:
        gone = Diff(where, orphan.token_id, "created by an earlier run; its value was never received", "deleted")
        yield Change(where, (gone,), delete_scim_token(connection_id, orphan.token_id))


def _wanted_token(where: str, scopes: tuple[str, ...], settings: TenantSettings) -> Diff:
    lifetime = "never ends" if settings.token_lifetime_s is None else f"{settings.token_lifetime_days} days"
    return Diff(where, "new token", "", f"{', '.join(scopes)}; {lifetime}")


def _near_its_end(tokens: tuple[ScimToken, ...], memory: Memory, scopes: tuple[str, ...]) -> Iterator[Yield]:
    """Name the day on which provisioning stops, if that day is near: no service warns the administrators."""
    used = [token for token in tokens if is_exact(token, scopes) and token.last_used_at]
    latest = max(used, key=lambda token: token.last_used_at or "", default=None)
    if latest is None or latest.ends_at is None or memory.auth0_now is None:
        return
    left = latest.ends_at - memory.auth0_now
    if left < NEAR:
        yield Finding(
            f"Token {latest.token_id} expires on {latest.ends_at:%Y-%m-%d}, in {left.days} days. After that day Entra "
            "provisions no one. A run after that day makes a new token."
        )


def _in_doubt(tokens: tuple[ScimToken, ...], memory: Memory) -> Iterator[Yield]:
    """Name tokens that may be useless. Only a person can decide, because others may have made them at that moment."""
    if maybe := may_be_ours(tokens, memory):
        ids = ", ".join(token.token_id for token in maybe)
        yield Finding(
            f"This tool asked Auth0 for a token and got no response. Auth0 lists {ids} from that time. This run leaves "
            "it in place: if no administrator made it by hand, delete it in the Auth0 dashboard (Provisioning > SCIM "
            "Setup)."
        )


def _refuse_a_third(tokens: tuple[ScimToken, ...], memory: Memory, saved: SavedCredentials) -> None:
    useless = orphans(tokens, memory, saved)
    refuse_at_limit([token for token in tokens if token not in useless], memory)


def refuse_at_limit(left: Sequence[ScimToken], memory: Memory) -> None:
    """Raise `StepBlocked` when the tokens that this tool keeps leave no room for another one."""
    if len(left) >= SCIM_TOKEN_LIMIT:
        raise StepBlocked(
            f"The connection has {len(left)} SCIM tokens already, the most Auth0 allows: {named(left, memory)}",
            "Delete the one that is not in use (Provisioning > SCIM Setup in the Auth0 dashboard), then run again",
        )


def _more_than_one(tokens: tuple[ScimToken, ...], memory: Memory, scopes: tuple[str, ...]) -> Iterator[Yield]:
    """Name what a run on another machine may have left: this tool made it, and only that machine's journal knows."""
    fitting = [token for token in tokens if is_exact(token, scopes)]
    if len(fitting) > 1:
        yield Finding(f"Entra uses one of {len(fitting)} such tokens ({named(fitting, memory)}): delete one that is not in use.")


def named(tokens: Iterable[ScimToken], memory: Memory) -> str:
    """Return the tokens by id, with who made them and when they were last used."""
    return "; ".join(
        f"{token.token_id}, {_made_by(token, memory)}last used {(token.last_used_at or 'never')[:10]}" for token in tokens
    )


def _made_by(token: ScimToken, memory: Memory) -> str:
    if token.token_id in memory.own_token_ids:
        return "made by this tool, "
    return "perhaps made by this tool, whose request got no response, " if may_be_ours((token,), memory) else ""


def kept_in(memory: Memory) -> Callable[[Response], dict[str, str]]:
    """Return a function that keeps a new token's text in memory and returns its id for the journal."""

    def receive(answer: Response) -> dict[str, str]:
        token, token_id = Secret(answer.at("token")), answer.at("token_id")
        memory.scim_token, memory.scim_token_id = token, token_id
        memory.own_token_ids |= {memory.scim_token_id}
        return {"token": memory.scim_token_id}

    return receive


@check(Thing.TOKEN_SCOPES, by_hand=in_auth0(_scopes, "provisioning"), reads=(facts.scim_tokens, facts.memory))
def token_scopes(tokens: tuple[ScimToken, ...] | None, memory: Memory, settings: TenantSettings) -> Iterator[Yield]:
    """Give the token exactly the scopes get:users, patch:users and delete:users.

    Why: with post:users Entra could create second users. Where the operator wants groups, the
    four scopes for groups come in addition.
    Shown: which of a new token's searches will find people, as one read-only search has settled it for the forecast.
    """
    scopes = wanted_scopes(settings)
    if not any(is_exact(token, scopes) for token in tokens or ()):
        raise StepWaits(Thing.TOKEN, f"A token with exactly {', '.join(scopes)}")
    yield Finding(f"A token with exactly {in_words(settings)} exists.")
    if memory.searched is not None:
        yield Finding(memory.searched.words)


def token_table(tokens: tuple[ScimToken, ...]) -> Iterator[Yield]:
    """Show the tokens, without their ids, which change from run to run."""
    if tokens:
        rows = tuple(
            (f"token {number}", ", ".join(sorted(token.scopes)), "yes" if token.last_used_at else "never")
            for number, token in enumerate(tokens, 1)
        )
        yield Table("SCIM tokens", ("token", "scopes", "used"), rows)


# Taking back ---------------------------------------------------------------------------------------------------------


def _tokens_of_that_time(entry: Written, view: View) -> Seen:
    tokens = view.read(facts.scim_tokens)
    likely = may_be_of(tokens or (), view.memory.doubted(entry.kind))
    ids = ", ".join(token.token_id for token in likely)
    return Seen(bool(likely), f"Auth0 lists {ids}." if likely else "Auth0 lists no token from that time.")


def take_back(undo: Undo, number: str, entry: Written) -> Step:
    """Delete the SCIM token that the run made, by its id, unless Entra may still hold it."""
    running, held_tokens, token_id = running_jobs(undo.record), tokens_in_entra(undo.record), str(entry.ids["token"])

    def delete(
        tokens: tuple[ScimToken, ...] | None, connection: Connection, on: On, held: frozenset[str], _settings: Any
    ) -> Iterator[Yield]:
        if token_id not in [token.token_id for token in tokens or ()]:
            yield Finding("The token is gone.")
            return
        diff = Diff(f"SCIM tokens of {connection.name}", token_id, "made by this run", "deleted")
        guard = refuse_live(undo, on, (diff,))
        if token_id in held and not undo.is_plan:
            yield left(f"Left in place: Entra may still hold {token_id}.")
            return
        yield Change(diff.on, (diff,), auth0.delete_scim_token(connection.id, token_id), guard=guard)

    reads = (facts.scim_tokens, facts.connection, running, held_tokens)
    return undo.step(number, entry, "Delete the SCIM token", delete, *reads, touches=(facts.scim_tokens, running, held_tokens))


UNDO: TakeBack = undone(
    take_back, Thing.TOKEN, "a SCIM token", needs={"connection": str}, made="token", look=_tokens_of_that_time
)
