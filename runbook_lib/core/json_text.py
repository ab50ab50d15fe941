"""JSON from outside: answers, journals and files that another program may have written."""

from __future__ import annotations

import json
from typing import Any


def parsed(content: str | bytes) -> Any:
    """Return what JSON says. Raises `ValueError` for a text that is none, also for brackets nested without end."""
    try:
        return json.loads(content)
    except RecursionError:  # json does not turn it into a ValueError
        raise ValueError("nested too deeply") from None
