"""What a page is given as parameters: numbers taken as their texts, unknown names and literal secrets refused by name.

papermill puts any name into the page's own parameters cell and saves it with the page. So the page itself says which names it
does not know, and which value is now on disk that must not be there.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from runbook_lib.core.errors import SettingsError
from runbook_lib.core.secret import looks_like_secret, scrubber
from runbook_lib.settings.model import COLUMNS, CORRECT_IT, SECRET_COLUMNS, RunMode, nearest, unknown_names
from runbook_lib.settings.references import is_reference

PAGE_PARAMETERS = (*COLUMNS, "mode", "out")
FLEET_PARAMETERS = ("tenants_file", "mode", "out", "jobs", "canary")
_WISHES = ("token_lifetime_days", "turn_on")
# What papermill adds of its own accord when asked for the paths: `--inject-paths` and its parts (papermill 2.7.0, cli.py).
_OF_PAPERMILL = ("PAPERMILL_INPUT_PATH", "PAPERMILL_OUTPUT_PATH")
_MARK = "# Parameters"  # the first line of the cell that papermill injects (papermill 2.7.0, translators.codify)
_ON_DISK = "This page now holds it: delete the file and make a new secret"
_OF_SECRETS = ("secret", "password", "passphrase", "pwd", "token", "key", "credential")  # in the names of parameters
_USE_REFERENCE = "Give the name of the place that holds it: env:NAME, file:PATH or keyring:SERVICE/USER"


def as_texts(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that were given, numbers and booleans as their texts.

    None and the empty text mean that a parameter was not given; False and 0 were given. papermill's own paths are left out.
    """
    wanted = {name: value for name, value in given.items() if value is not None and value != "" and name not in _OF_PAPERMILL}
    return {name: str(value) if isinstance(value, bool | int | float) else value for name, value in wanted.items()}


def names_set_in(cells: Iterable[str], known: Sequence[str]) -> tuple[str, ...]:
    """Return the names that the parameter cells among `cells` set, in order, each once, without papermill's own paths.

    A parameter cell starts with papermill's mark, or consists of assignments of which one sets a known parameter.
    """
    found: dict[str, None] = {}
    for cell in cells:
        names = _names_of_assignments(cell)
        if cell.startswith(_MARK) or set(names) & set(known):
            found |= dict.fromkeys(names)
    return tuple(name for name in found if name not in _OF_PAPERMILL)


def _names_of_assignments(cell: str) -> tuple[str, ...]:
    """Return the names that a cell sets; none when it holds anything but assignments of single names."""
    try:
        statements = ast.parse(cell).body
    except (SyntaxError, ValueError):  # a magic, or no Python at all
        return ()
    targets = [_target(statement) for statement in statements]
    return tuple(name for name in targets if name) if all(targets) else ()


def _target(statement: ast.stmt) -> str:
    match statement:
        case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
            return name
    return ""


def refuse_unknown(names: Iterable[str], known: Sequence[str], *, is_on_page: bool = True) -> None:
    """Raise `SettingsError` that names each unknown parameter, and the known one nearest to it.

    `is_on_page` says whether the page that was given it has been written already; then one that seems meant for a secret is
    on disk. It is known here by its name only.
    """
    unknown = [name for name in names if name not in known]
    if not unknown:
        return
    found = unknown_names("parameter", unknown, known)
    if is_on_page and any(_is_for_secret(name) for name in unknown):
        do_now = f"{found.do_now}. If it is the secret itself: {_ON_DISK[0].lower()}{_ON_DISK[1:]}"
        raise SettingsError(found.came_back, do_now, column=found.column)
    raise found


def _is_for_secret(name: str) -> bool:
    return any(word in name.lower() for word in _OF_SECRETS) or nearest(name, (*COLUMNS, *FLEET_PARAMETERS)) in SECRET_COLUMNS


def refuse_literal_secrets(given: Mapping[str, Any], *, is_on_page: bool = True) -> None:
    """Raise `SettingsError` when a parameter holds a secret itself. The scrubber knows the secret from here on.

    `is_on_page` says whether the page that was given it has been written already.
    """
    held = [name for name, value in given.items() if _is_literal(name, value)]
    if not held:
        return
    for name in held:
        for text in _texts_in(given[name]):
            scrubber.register(text)
    do_now = f"{_ON_DISK}. {_USE_REFERENCE}" if is_on_page else f"Nothing was written or sent. {_USE_REFERENCE}"
    raise SettingsError("is not a reference; the value looks like the secret itself", do_now, column=", ".join(held))


def _texts_in(value: Any) -> Iterator[str]:
    """Yield the texts that a value is made of, also those in lists and mappings, as papermill reads them from YAML."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from _texts_in(item)
    elif value is not None:
        yield str(value)


def _is_literal(name: str, value: Any) -> bool:
    if not isinstance(value, str):  # no reference is a list or a mapping
        return name in SECRET_COLUMNS and any(text.strip() for text in _texts_in(value))
    if name in SECRET_COLUMNS:
        return bool(value.strip()) and not is_reference(value.strip())
    return looks_like_secret(value) or ("secret" in name and name not in COLUMNS and not is_reference(value))


def names_a_tenant(given: Mapping[str, Any]) -> bool:
    """Whether parameters say which tenant is meant. Those that do not are wishes for the sandbox's own tenant."""
    return bool(set(given) - set(_WISHES))


def mode_of(value: Any) -> RunMode | None:
    """Return the mode that was asked for, None when none was. Raises `SettingsError` for a word that is no mode."""
    if value is None or value == "":
        return None
    word = str(value).strip()
    if word not in tuple(RunMode):
        near = nearest(word.lower(), tuple(RunMode))
        raise SettingsError(
            "is neither plan nor apply", f"Did you mean {near}? {CORRECT_IT}" if near else CORRECT_IT, column="mode"
        )
    return RunMode(word)


def count_of(name: str, value: Any, *, least: int = 0, most: int = 100_000) -> int:
    """Return a parameter that counts something. Raises `SettingsError` when it is no whole number from `least` to `most`."""
    text = str(value).strip()
    if isinstance(value, bool) or not (text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most):
        raise SettingsError(f"is not a whole number from {least} to {most}", CORRECT_IT, column=name)
    return int(text)
