"""What provision on demand answers: HTTP 200 for failures too, the verdict as JSON inside a text, in two forms."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from runbook_lib.models import Json


@dataclass(frozen=True)
class Verdict:
    """The result in the service's words, lower case, and why. `steps` are (name, status, description)."""

    result: str
    code: str
    message: str
    steps: tuple[tuple[str, str, str], ...]

    @property
    def is_good(self) -> bool:
        """Only success, or skipping because both sides are equal already, is good."""
        return self.result == "success" or (self.result == "skipped" and self.code.lower() == "redundantexport")


def parse_verdict(body: Json) -> Verdict:
    """Read both documented forms: `key` as a JSON object, or a .NET type name beside a JSON array in `value`."""
    key, value = _json(body.get("key")), _json(body.get("value"))
    details = (value[0] if isinstance(value, list) and value else value) or {}
    steps = tuple(
        (str(step.get("name")), str(step.get("status")), str(step.get("description")))
        for step in details.get("provisioningSteps", [])
    )
    info = details.get("statusInfo") or {}
    if isinstance(key, dict):
        reasons = key.get("details") or {}
        return Verdict(
            str(key.get("result", "")).lower(), str(reasons.get("errorCode") or ""), str(reasons.get("errorMessage") or ""), steps
        )
    last = steps[-1][1] if steps else ""
    return Verdict(
        str(info.get("status") or last).lower(), str(info.get("errorCode") or ""), str(info.get("reason") or ""), steps
    )


def _json(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return None
