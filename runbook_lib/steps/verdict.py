"""The answer of provision on demand: HTTP 200 even for failures, with the verdict as JSON inside a text, in two forms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from runbook_lib.core.json_text import parsed
from runbook_lib.core.remedies import find, remedy
from runbook_lib.services.wire_json import Json, listed


@dataclass(frozen=True)
class Verdict:
    """The result in the service's words, lower case, and why. `steps` are (name, status, description).

    `standing` is what Entra says about a person that it skipped: `IsActive`, `IsInProvisioningScope` and the like, as texts.
    """

    result: str
    code: str
    message: str
    steps: tuple[tuple[str, str, str], ...]
    standing: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_good(self) -> bool:
        """Whether the verdict is good: success, or a skip because both sides are equal already."""
        return self.result == "success" or (self.result == "skipped" and self.code.lower() == "redundantexport")

    @property
    def is_filtered_out(self) -> bool:
        """Whether a scoping filter leaves the person out (Microsoft Q&A 12571236 shows how a skip says so)."""
        return self._is_denied("IsInProvisioningScope")

    @property
    def is_not_yet(self) -> bool:
        """Whether the verdict may only mean that a new assignment does not count yet."""
        return find("scim", self.code) == remedy("RB-503") and not self.is_filtered_out and not self.is_disabled

    @property
    def is_token_refused(self) -> bool:
        """Whether the SCIM endpoint refused Entra's token: a code of the connection test, or an HTTP status that Entra tells.

        Unverified: which of them provision on demand answers with. Auth0 answers 401 (its SCIM guide, errors).
        """
        code, told = self.code.lower(), f"{self.code} {self.message}".lower()
        return code.endswith(("invalidcredentials", "invalidcredential")) or code == "401" or "unauthorized" in told

    @property
    def is_disabled(self) -> bool:
        """Whether Entra skipped the person because their account is disabled (Microsoft Q&A 5601366)."""
        return self._is_denied("IsActive")

    def _is_denied(self, name: str) -> bool:
        return self.standing.get(name, "").lower() == "false"


def parse_verdict(body: Any) -> Verdict:
    """Read both documented forms: `key` as a JSON object, or a .NET type name with a JSON array in `value`.

    Null, and anything of another shape than documented, is read as absent: such a verdict is not good. A reason that one part
    lacks is taken from the other.
    """
    told = _object(body)
    key, value = _json(told.get("key")), _json(told.get("value"))
    details = _object(next(iter(listed(value)), {}) if isinstance(value, list) else value)
    found = details.get("provisioningSteps")
    told_steps = [step for step in found if isinstance(step, dict)] if isinstance(found, list) else []
    steps = tuple((_text(one.get("name")), _text(one.get("status")), _text(one.get("description"))) for one in told_steps)
    info = _object(details.get("statusInfo"))
    reasons: Json = {}
    has_reason = info.get("errorCode") or info.get("reason")
    result = info.get("status") or (steps[-1][1] if steps and not has_reason else "")
    if isinstance(key, dict):
        reasons, result = _object(key.get("details")), key.get("result")
    code, message = reasons.get("errorCode") or info.get("errorCode"), reasons.get("errorMessage") or info.get("reason")
    skips = [one for step in told_steps if "SkipReason" in (one := _object(step.get("details")))]
    standing = {str(name): _text(value) for name, value in skips[-1].items()} if skips else {}
    return Verdict(_text(result).lower(), _text(code), _text(message), steps, standing)


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _json(text: Any) -> Any:
    try:
        return parsed(text)
    except (TypeError, ValueError):
        return None
