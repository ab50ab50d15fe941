"""jsonschema, imported without the checkers of formats that no rule here uses.

On import, jsonschema 4.26.0 tries optional packages: `rfc3987_syntax` compiles a grammar in pure Python, and `isoduration`
imports arrow with all its languages. JupyterLab installs both. They are 1.3 s of the processor, twice the rest of the start.
jsonschema does without a package whose import fails.
"""

from __future__ import annotations

import sys

_UNUSED = ("rfc3987_syntax", "isoduration")

_blocked = [name for name in _UNUSED if sys.modules.setdefault(name, None) is None]  # type: ignore[arg-type]  # an import fails
try:
    from jsonschema import Draft202012Validator, FormatChecker
    from jsonschema.exceptions import ValidationError, best_match
finally:
    for _name in _blocked:
        sys.modules.pop(_name, None)

__all__ = ["Draft202012Validator", "FormatChecker", "ValidationError", "best_match"]
