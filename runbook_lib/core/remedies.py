"""The one table of remedies: for each cause what a message tells the operator to do, and a code that the docs explain.

The table is data: `remedies.toml`, next to this module. Every message that names a remedy ends with its code, `(see: RB-104)`;
`docs/troubleshooting.md` has a paragraph for each, made by `as_markdown`.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_TABLE = Path(__file__).with_name("remedies.toml")
_UNNAMED = {
    "host": "the service",
    "file": "FILE",
    "scope": "that it names",
    "permissions": "the missing permission, which the check of both sign-ins names",
}
DOCS = "docs/troubleshooting.md"
_PHRASE = 12  # letters from which on a code is looked for within a text
_GENERAL = frozenset({"access_denied", "accessdenied", "badrequest", "request_badrequest", "invalidrequest", "forbidden"})
SECTIONS = {
    "1": "Networks and machines",
    "2": "Microsoft's sign-in",
    "3": "Auth0",
    "4": "Microsoft Graph",
    "5": "SCIM, as Entra tells it",
    "6": "Credential files",
}


@dataclass(frozen=True)
class Remedy:
    """One cause. `now` is an imperative without a full stop; `about` is Markdown.

    `codes` are the `service`'s own words for it, in lower case.
    """

    code: str
    title: str
    now: str
    about: str
    source: str
    service: str = ""
    codes: tuple[str, ...] = ()

    def words(self, **names: str) -> str:
        """Return what to do now, with names filled in and the code that the docs explain."""
        return f"{self.now.format_map(_UNNAMED | names)} (see: {self.code})"


@functools.cache
def table() -> dict[str, Remedy]:
    """Return all remedies by their code."""
    with _TABLE.open("rb") as opened:
        rows = tomllib.load(opened)
    return {
        code: Remedy(
            code,
            row["title"],
            row["now"],
            row["about"],
            row["source"],
            row.get("from", ""),
            tuple(str(known).lower() for known in row.get("codes", ())),
        )
        for code, row in rows.items()
    }


@functools.cache
def _by_service(service: str) -> dict[str, Remedy]:
    return {known: remedy for remedy in table().values() if remedy.service == service for known in remedy.codes}


def remedy(code: str) -> Remedy:
    """Return a remedy by its code, such as RB-104."""
    return table()[code]


def find(service: str, *words: str, text: str = "") -> Remedy | None:
    """Return the remedy for a service's answer, None when the table has none.

    `words` are codes of the answer, the most telling first; each is looked up whole. Before those that say nothing of the cause
    (a status, "BadRequest") the `text` of the answer is searched for the longer phrases of the table.
    """
    known = _by_service(service)
    asked = [word.lower() for word in words]
    if telling := next((word for word in asked if word in known and not _is_general(word)), ""):
        return known[telling]
    lower = text.lower()
    if told := next((phrase for phrase in known if len(phrase) >= _PHRASE and not _is_general(phrase) and phrase in lower), ""):
        return known[told]
    return next((known[word] for word in asked if word in known), None)


def _is_general(word: str) -> bool:
    return word.isdigit() or word in _GENERAL


def as_markdown() -> str:
    """Return the paragraphs of `docs/troubleshooting.md`, a heading for each code."""
    return "\n".join(_paragraphs())


def _paragraphs() -> Iterator[str]:
    section = ""
    for one in table().values():
        if (named := SECTIONS[one.code.removeprefix("RB-")[0]]) != section:
            section = named
            yield f"## {section}\n"
        yield f"### {one.code}: {one.title}\n"
        yield f"**Do now:** {one.now.format_map(_UNNAMED)}.\n"
        yield f"{one.about}\n"
        if one.codes:
            prefix = "AADSTS" if one.service == "microsoft" else ""
            shown = (f"{prefix}{known}" if known.isdigit() and prefix else known for known in one.codes)
            yield f"Answers: {', '.join(f'`{known}`' for known in shown)}.\n"
        yield f"Source: {one.source}.\n"
