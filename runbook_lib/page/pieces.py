"""The pieces that stand on the page, each with the template that it shows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from runbook_lib.page.panel import Fields, Panel

OnEvent = Callable[[str, str, Fields], None]


@dataclass(frozen=True)
class _Piece:
    panel: Panel
    template: str
    values: Callable[[], Mapping[str, Any]]


class Pieces:
    """All pieces by name. One thread draws at a time: with two, the one with the older state could draw last."""

    def __init__(self) -> None:
        self._pieces: dict[str, _Piece] = {}
        self._drawing = threading.RLock()

    def add(
        self, name: str, words: str, template: str, values: Callable[[], Mapping[str, Any]], on_event: OnEvent | None = None
    ) -> Panel:
        """Put a piece on the page and draw it. `values` makes what its template gets; `words` stand in without a browser."""
        panel = Panel(words, on_event)
        self._pieces[name] = _Piece(panel, template, values)
        self.draw(name)
        return panel

    def panel(self, name: str) -> Panel | None:
        """Return the piece of a name, None before its cell was run."""
        piece = self._pieces.get(name)
        return piece.panel if piece else None

    def draw(self, *names: str) -> None:
        """Show the named pieces as things are now, or all of them; names that no cell has asked for are passed over."""
        with self._drawing:
            for name in names or tuple(self._pieces):  # cells may add some meanwhile
                if piece := self._pieces.get(name):
                    piece.panel.show(piece.template, **piece.values())

    def close(self) -> None:
        """Take all pieces from the page: they would look alive although no kernel answers."""
        for piece in self._pieces.values():
            piece.panel.close()
