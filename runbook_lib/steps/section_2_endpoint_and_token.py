"""Section 2: retrieve the SCIM endpoint URL and a token."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from runbook_lib import facts
from runbook_lib.change import Change, Diff, Finding, Table
from runbook_lib.clients.auth0_management import delete_scim_token, post_scim_token
from runbook_lib.errors import StepBlocked, StepWaits
from runbook_lib.facts import Memory
from runbook_lib.http import Response
from runbook_lib.models import Connection, SavedCredentials, ScimToken, SynchronizationJob
from runbook_lib.secret import Secret
from runbook_lib.settings import TenantSettings
from runbook_lib.steps.credentials import credential_differences, entra_holds_a_token, is_exact, orphans
from runbook_lib.steps.kinds import Yield, check, ensure
from runbook_lib.vocabulary import SCIM_TOKEN_LIMIT, SCIM_TOKEN_SCOPES


@check("2.1", reads=(facts.endpoint_url,))
def copy_endpoint_url(endpoint_url: str, settings: TenantSettings) -> Iterator[Yield]:
    """Copy the SCIM endpoint URL.

    Documented: SCIM Setup tab, SCIM Endpoint URL. No API answers it; it is built from the domain and the connection id.
    """
    yield Finding(endpoint_url)


@ensure(
    "2.2",
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

    Documented: Generate New Token, with an expiration date if desired, scopes of step 2.3.
    Why: its text is shown once; it stays in memory until step 3.6 hands it to Entra.
    Blocked when: two tokens exist that this tool did not make. It never deletes those.
    """
    yield from token_table(tokens or ())
    where = f"SCIM tokens of {connection.name}"
    for orphan in orphans(tokens or (), memory, saved):
        gone = Diff(where, orphan.token_id, "made by an earlier run, of no use to anybody", "deleted")
        yield Change(where, (gone,), delete_scim_token(connection.id, orphan.token_id))
    if memory.scim_token is not None and memory.scim_token_id in {token.token_id for token in tokens or ()}:
        yield Finding("A new token is in this session's memory until step 3.6.")
        return
    is_complete = not credential_differences(saved, endpoint_url, settings)
    if tokens and is_complete and entra_holds_a_token(tokens, saved, job, memory, endpoint_url):
        yield Finding("Entra holds a token with exactly the three scopes, and has used it.")
        yield from _more_than_one(tokens, memory)
        return
    lifetime = "never ends" if settings.token_lifetime_s is None else f"{settings.token_lifetime_days} days"
    diff = Diff(where, "new token", "", f"{', '.join(SCIM_TOKEN_SCOPES)}; {lifetime}")
    if tokens is None:
        raise StepWaits("1.3", "The SCIM configuration that a token belongs to", (diff,))
    _refuse_a_third(tokens, memory, saved)
    request = post_scim_token(connection.id, SCIM_TOKEN_SCOPES, settings.token_lifetime_s)
    there = tuple(token.token_id for token in tokens)
    undo = {"kind": "token", "connection": connection.id}
    yield Change(diff.on, (diff,), request, receive=kept_in(memory), before=there, undo=undo)


def _refuse_a_third(tokens: tuple[ScimToken, ...], memory: Memory, saved: SavedCredentials) -> None:
    useless = orphans(tokens, memory, saved)
    refuse_at_limit([token for token in tokens if token not in useless], memory)


def refuse_at_limit(left: Sequence[ScimToken], memory: Memory) -> None:
    """Raise `StepBlocked` when Auth0 would make no further token beside those that stay."""
    if len(left) >= SCIM_TOKEN_LIMIT:
        raise StepBlocked(
            f"The connection has {len(left)} SCIM tokens already, the most Auth0 allows: {named(left, memory)}",
            "Delete the one that is not in use (Provisioning > SCIM Setup in the Auth0 dashboard), then run again",
        )


def _more_than_one(tokens: tuple[ScimToken, ...], memory: Memory) -> Iterator[Yield]:
    """Name what a run on another machine may have left: this tool made it, and only that machine's journal knows."""
    fitting = [token for token in tokens if is_exact(token)]
    if len(fitting) > 1:
        yield Finding(f"Entra uses one of {len(fitting)} such tokens ({named(fitting, memory)}): delete one that nobody uses.")


def named(tokens: Iterable[ScimToken], memory: Memory) -> str:
    """Return the tokens by id, with who made them and when they were last used."""
    return "; ".join(
        f"{token.token_id}, {'made by this tool, ' if token.token_id in memory.own_token_ids else ''}"
        f"last used {(token.last_used_at or 'never')[:10]}"
        for token in tokens
    )


def kept_in(memory: Memory) -> Callable[[Response], dict[str, str]]:
    """Return what keeps a new token's text in memory and gives its id to the journal."""

    def receive(answer: Response) -> dict[str, str]:
        token, token_id = Secret(answer.at("token")), answer.at("token_id")
        memory.scim_token, memory.scim_token_id = token, token_id
        memory.own_token_ids |= {memory.scim_token_id}
        return {"token": memory.scim_token_id}

    return receive


@check("2.3", reads=(facts.scim_tokens, facts.memory))
def token_scopes(tokens: tuple[ScimToken, ...] | None, memory: Memory, settings: TenantSettings) -> Iterator[Yield]:
    """Give the token exactly the scopes get:users, patch:users and delete:users.

    Documented: select these three. Why: with post:users Entra could create second users.
    """
    if not any(is_exact(token) for token in tokens or ()):
        raise StepWaits("2.2", f"A token with exactly {', '.join(SCIM_TOKEN_SCOPES)}")
    yield Finding("A token with exactly the three scopes exists.")


def token_table(tokens: tuple[ScimToken, ...]) -> Iterator[Yield]:
    """Show the tokens, without their ids, which change from run to run."""
    if tokens:
        rows = tuple(
            (f"token {number}", ", ".join(sorted(token.scopes)), "yes" if token.last_used_at else "never")
            for number, token in enumerate(tokens, 1)
        )
        yield Table("SCIM tokens", ("token", "scopes", "used"), rows)
