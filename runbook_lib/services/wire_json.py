"""JSON of the services, read leniently: what every model starts from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Json = Mapping[str, Any]


def listed(value: Any) -> list[Any]:
    """Return a wire list without its nulls; null itself is read as an empty list.

    A published template schema has null where the reference documents an object (`scope`), so lists are read as leniently.
    """
    return [entry for entry in value or () if entry is not None]
