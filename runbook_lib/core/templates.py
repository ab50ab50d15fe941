"""The templates of everything that is made here for a person to read. Texts of strangers are escaped, hidden characters shown."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

from jinja2 import Environment, PackageLoader, Template, select_autoescape
from markupsafe import Markup, escape

from runbook_lib.core.display import as_html, characters, visible

_LONG = 40  # characters of what is no word any more; an object id has 36
_NARROW = 12
_SIGNS = re.compile(r"([/@._:?,|-])(?=\S)")  # of escaped text: an entity has none of them


@functools.cache
def template(name: str) -> Template:
    """Return a template by its path below `templates`; what ends with `.html.j2` is HTML, anything else is not escaped.

    Kept once it is made: compiling one takes as long as some steps, and warm kernels share those they are forked with.
    """
    return _environment().get_template(name)


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("runbook_lib", "templates"),
        autoescape=select_autoescape(("html.j2",), default=False),
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    # Where a text is copied or comes back, as in a field or a value to paste, no word may stand for an address.
    environment.filters |= {
        "exact": lambda text: escape(characters(text)),
        "exact_code": lambda text: Markup(as_code(text, characters)),  # noqa: S704 - of Markdown, where nothing is escaped
    }
    # `narrow` is for cells of a table of many columns, which would not fit on paper.
    environment.filters["split"] = lambda text: Markup(as_split(str(text)))  # noqa: S704 - each part is escaped
    environment.filters["narrow"] = lambda text: Markup(as_split(str(text), _NARROW))  # noqa: S704 - the same
    # `shown` also where MathJax is at work, `plain` inside of attributes, `code` in Markdown.
    environment.filters |= {"shown": lambda text: Markup(as_html(text)), "plain": visible, "code": as_code}  # noqa: S704 - as_html escapes
    return environment


def _shown(value: Any) -> Any:
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def as_split(text: str, longest: int = _LONG) -> str:
    """Return a text as HTML whose ids and addresses may go on in the next line when they are longer; a word never breaks."""
    if len(text) <= longest:  # then no word is longer
        return str(escape(visible(text)))
    return " ".join(_split(word, longest) for word in text.split(" "))


def _split(word: str, longest: int) -> str:
    safe = str(escape(visible(word)))
    return _SIGNS.sub(r"\1<wbr>", safe) if len(word) > longest else safe


def as_code(text: str, shown: Callable[[str], str] = visible) -> str:
    """Return a text as Markdown that shows it as it is: a code span in which nothing is markup, fenced longer than any in it."""
    words = " ".join(shown(text).split()) or " "
    fence = "`" * (max(map(len, re.findall("`+", words)), default=0) + 1)
    pad = " " if words.startswith("`") or words.endswith("`") else ""
    return f"{fence}{pad}{words}{pad}{fence}"
