"""A piece of the page: HTML rendered here and shown by the browser, which reports what the person does.

Everything the person typed comes as a message. A secret is therefore never part of the widget's state, which notebooks save
on request, and the field that held it is emptied in the browser in the same moment.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from runbook_lib.core.secret import Secret, scrubber
from runbook_lib.core.templates import template
from runbook_lib.page.kernel_guard import ticket_for

Fields = Mapping[str, str]
_HERE = Path(__file__).parent
log = logging.getLogger("runbook_lib.page")


def drawn(piece: str, **values: Any) -> str:
    """Return a template of `templates/page` as HTML, every value escaped, hidden characters shown, no secret in it."""
    return scrubber.scrub(template(f"page/{piece}.html.j2").render(**values))


class Panel(anywidget.AnyWidget):
    """One piece of the page. `on_event(name, value, fields)` gets what the person does; `words` stand in where no browser is."""

    _esm = _HERE / "panel.js"
    _css = _HERE / "panel.css"
    html = traitlets.Unicode("").tag(sync=True)

    def __init__(self, words: str, on_event: Callable[[str, str, Fields], None] | None = None) -> None:
        super().__init__()
        self._words = words
        self._on_event = on_event
        self.on_msg(self._heard)

    def show(self, piece: str, **values: Any) -> None:
        """Show a template of `templates/page`, see `drawn`."""
        self.html = drawn(piece, **values)

    def close(self) -> None:
        """Take this piece from the page and let go of all that the kernel keeps for it."""
        layout = self.layout
        super().close()
        layout.close()

    def jump_to(self, anchor: str) -> None:
        """Bring an element of the page into view."""
        self.send({"jump": anchor})

    def land_on(self, anchor: str) -> None:
        """Bring an element into view when all cells have run, unless the person does something before."""
        self.send({"land": anchor})

    def show_once(self, secret: Secret, *, label: str, seconds: int) -> None:
        """Show a secret next to a copy button until the user hides it, for at most `seconds`. No widget state holds it."""
        self.send({"secret": ticket_for(secret), "label": label, "seconds": seconds})

    def _heard(self, _widget: Any, message: Any, _buffers: Any) -> None:
        if not isinstance(message, dict):
            return
        fields = {str(name): str(value) for name, value in (message.get("fields") or {}).items()}
        try:
            if self._on_event is not None and message.get("event") != "beat":
                self._on_event(str(message.get("event")), str(message.get("value") or ""), fields)
        except Exception:  # noqa: BLE001 - a page has no other place for a bug than its log and one line
            self.send({"alert": broke()})
        finally:
            self.send({"heard": True})  # without an answer the page shows that it has lost its kernel

    def __repr__(self) -> str:
        return self._words


def broke() -> str:
    """Log the current exception with all details and return the one line that the person sees."""
    reference = secrets.token_hex(3)
    log.exception("reference %s", reference)
    return f"Something broke that should not (reference {reference}). Details are in the log; the services were left as they are."
