"""What executes a page, imported without the one thing that takes longest and is of no use here."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_GRAMMAR = "rfc3987_syntax"
_importing = threading.Lock()


@contextmanager
def without_grammar() -> Iterator[None]:
    """Import nbformat, and what needs it, without the grammar of international addresses.

    nbformat imports jsonschema, which compiles that grammar in pure Python on import where its optional package is installed, as
    JupyterLab has it be: 2 s of 2.2 s, as long as several tenants take (jsonschema 4.26.0). No schema of a page has such an
    address, and jsonschema does without when the import fails.
    """
    with _importing:
        is_ours = sys.modules.setdefault(_GRAMMAR, None) is None  # type: ignore[arg-type]  # None: an import fails
        try:
            yield
        finally:
            if is_ours:
                sys.modules.pop(_GRAMMAR, None)  # a sandbox in this process does the same
