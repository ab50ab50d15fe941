"""The templates of everything that is made here for a person to read. Texts of strangers are escaped, hidden characters shown."""

from __future__ import annotations

import functools
import re
from typing import Any

from jinja2 import Environment, PackageLoader, Template, select_autoescape
from markupsafe import Markup

from runbook_lib.visible import as_html, visible


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
    # `shown` also where MathJax is at work, `plain` inside of attributes, `code` in Markdown.
    environment.filters |= {"shown": lambda text: Markup(as_html(text)), "plain": visible, "code": as_code}  # noqa: S704 - as_html escapes
    return environment


def _shown(value: Any) -> Any:
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def as_code(text: str) -> str:
    """Return a text as Markdown that shows it as it is: a code span in which nothing is markup, fenced longer than any in it."""
    shown = " ".join(visible(text).split()) or " "
    fence = "`" * (max(map(len, re.findall("`+", shown)), default=0) + 1)
    pad = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{pad}{shown}{pad}{fence}"
