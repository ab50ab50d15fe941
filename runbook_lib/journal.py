"""The record of a tenant's run: append-only JSON lines, each on disk before the next thing happens.

Every intent is written before its request and every outcome after it, so that a run killed at any moment leaves a truth that
resume, undo and the reports can read. Status comes from here, never from the notebook's own metadata.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runbook_lib.secret import scrubber

VERSION = 1


@dataclass(frozen=True)
class Journal:
    """The journal of one tenant in one run. `clock` gives aware UTC times."""

    path: Path
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    def write(self, event: str, **facts: Any) -> None:
        """Append one event and wait until the disk has it. Raises `OSError`: then no request may be sent."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        record = {"v": VERSION, "time": self.clock().isoformat(timespec="milliseconds"), "event": event, **facts}
        line = scrubber.scrub(json.dumps(record, ensure_ascii=False)) + "\n"
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, line.encode())
            os.fsync(handle)
        finally:
            os.close(handle)

    def events(self) -> tuple[dict[str, Any], ...]:
        """Return all events, oldest first; empty when there is no journal."""
        return tuple(read_events(self.path)) if self.path.exists() else ()


def read_events(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the events of a journal. A torn last line is what a kill leaves and is passed over; a torn middle is an error."""
    lines = path.read_bytes().splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            event = json.loads(line)
        except ValueError:
            if number == len(lines):
                return
            raise ValueError(f"{path}: line {number} is not readable") from None
        if event.get("v", 0) > VERSION:
            raise ValueError(f"{path} was written by a newer version of this tool")
        yield event


def made_by_us(folder: Path, kind: str) -> frozenset[str]:
    """Return the ids of all things of a kind that any run below `folder` (`<run>/<tenant>/journal.jsonl`) made."""
    return frozenset(
        str(event["made"][kind])
        for path in folder.glob("*/*/journal.jsonl")
        for event in read_events(path)
        if event["event"] == "outcome" and kind in (event.get("made") or {})
    )
