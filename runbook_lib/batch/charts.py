"""The chart of a fleet: for each step the number of tenants in each state, in patterns and numbers."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from html import escape

from runbook_lib.batch.summary import TenantRow
from runbook_lib.engine.status import Tone
from runbook_lib.procedures.procedure import Procedure

# What a bar is made of, from the left: word, tone, statuses of a step. A step that has no result was not reached.
_PARTS = (
    ("as wanted", Tone.DONE, ("UNCHANGED", "CHANGED", "PASSED", "NOTED")),
    ("to do", Tone.DUE, ("PLANNED",)),
    ("handed over", Tone.HAND, ("HANDOVER",)),
    ("stopped", Tone.STOP, ("BLOCKED", "FAILED", "INTERRUPTED")),
    ("not reached", Tone.IDLE, ("SKIPPED", "")),
)
_ROW, _LABEL, _BAR = 18, 330, 420  # pixels
# Each part has a pattern of its own: neither a colour-blind person nor a black-and-white printer tells the colours apart.
_PATTERNS = {
    Tone.DONE: '<rect width="8" height="8" fill="{0}"/>',
    Tone.DUE: '<rect width="8" height="8" fill="#ffffff"/><circle cx="4" cy="4" r="2.4" fill="{0}"/>',
    Tone.HAND: '<rect width="8" height="8" fill="#ffffff"/><path d="M-2 2L2-2M0 8L8 0M6 10L10 6" stroke="{0}" stroke-width="2.5"/>',  # noqa: E501 - one drawing
    Tone.STOP: '<rect width="8" height="8" fill="{0}"/><path d="M0 0L8 8M8 0L0 8" stroke="#ffffff" stroke-width="1.6"/>',
    Tone.IDLE: '<rect width="8" height="8" fill="#ffffff"/>',
}


class Picture:
    """An SVG picture; where none can be shown, the same in words."""

    def __init__(self, svg: str, words: str) -> None:
        self._svg, self._words = svg, words

    def _repr_svg_(self) -> str:
        return self._svg

    def __repr__(self) -> str:
        return self._words


def chart(rows: Sequence[TenantRow], procedure: Procedure) -> Picture:
    """Draw, for each step, how many tenants are as wanted there, to do, stopped, or not there yet."""
    labels = [textwrap.shorten(f"{row.number} {row.title}", _LABEL // 7, placeholder=" \u2026") for row in procedure]
    bars = [(label, counted(rows, number)) for label, number in zip(labels, procedure.numbers, strict=True)]
    return Picture(svg(bars, len(rows)), _words(bars))


def counted(rows: Sequence[TenantRow], number: str) -> tuple[int, ...]:
    """Return how many tenants are in each part of the bar of a step, from the left."""
    statuses = [_meant(row, number) for row in rows]
    return tuple(sum(status in meant for status in statuses) for _, _, meant in _PARTS)


def _meant(row: TenantRow, number: str) -> str:
    """Return a step's status. A note of a tenant that waits counts as HANDOVER: its step comes after the step that waits."""
    status = row.steps.get(number, {}).get("status", "")
    return "HANDOVER" if status == "NOTED" and row.status == "handover" else status


def _words(bars: Sequence[tuple[str, tuple[int, ...]]]) -> str:
    words = [word for word, _, _ in _PARTS]
    said = [", ".join(f"{n} {word}" for n, word in zip(counts, words, strict=True) if n) for _, counts in bars]
    return "\n".join(f"{label:<{_LABEL // 7}} {text}" for (label, _), text in zip(bars, said, strict=True))


def svg(bars: Sequence[tuple[str, tuple[int, ...]]], total: int) -> str:
    """Return stacked bars. A part has a pattern and says its number, so that colour is not all that tells them apart."""
    width, height = _LABEL + _BAR + 20, (len(bars) + 2) * _ROW + 10
    patterns = "".join(
        f'<pattern id="of-{tone}" width="8" height="8" patternUnits="userSpaceOnUse">{drawn.format(tone.colour)}</pattern>'
        for tone, drawn in _PATTERNS.items()
    )
    marks = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img" font-family="sans-serif" font-size="12"><title>Steps and tenants</title><defs>{patterns}</defs>'
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>'
    ]
    for place, (word, tone, _) in enumerate(_PARTS):
        left = width - (len(_PARTS) - place) * 112
        marks.append(f'<rect x="{left}" y="6" width="18" height="12" fill="url(#of-{tone})" stroke="#1f2328"/>')
        marks.append(f'<text x="{left + 23}" y="16" fill="#1f2328">{word}</text>')
    for line, (label, counts) in enumerate(bars):
        y = (line + 1) * _ROW + 10
        marks.append(f'<text x="{_LABEL - 8}" y="{y + 12}" text-anchor="end" fill="#1f2328">{escape(label)}</text>')
        marks += _bar(counts, total, y)
    return "\n".join([*marks, "</svg>"])


def _bar(counts: tuple[int, ...], total: int, y: int) -> Iterator[str]:
    """Yield one bar's parts, each with its number on a white ground."""
    x = float(_LABEL)
    for count, (_, tone, _) in zip(counts, _PARTS, strict=True):
        if not count:
            continue
        span = _BAR * count / total
        middle, wide = x + span / 2, 8 * len(str(count)) + 4
        yield f'<rect x="{x:.1f}" y="{y}" width="{span:.1f}" height="{_ROW - 3}" fill="url(#of-{tone})" stroke="#1f2328"/>'
        yield f'<rect x="{middle - wide / 2:.1f}" y="{y + 1}" width="{wide}" height="{_ROW - 5}" rx="3" fill="#ffffff"/>'
        yield f'<text x="{middle:.1f}" y="{y + 12}" text-anchor="middle" fill="#1f2328">{count}</text>'
        x += span
