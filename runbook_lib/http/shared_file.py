"""A small file that the processes of this machine share: one at a time has it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Any

from filelock import lock_descriptor

_LOOK_AGAIN_S = 0.001  # while another process has the file, which it keeps for some 50 microseconds


@contextmanager
def held(path: Path) -> Iterator[FileIO]:
    """Open a file for reading and writing, made when missing and for its owner only; no other process has it meanwhile.

    The death of a process frees it.
    """
    with FileIO(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as opened:
        lock_descriptor(opened.fileno(), poll_interval=_LOOK_AGAIN_S)  # held until the file is closed
        yield opened


def name_of(key: str) -> str:
    """Return the name of the file that holds what is known of a key, such as a host or a URL."""
    return f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.json"


def write_over(opened: FileIO, before: bytes, document: dict[str, Any]) -> None:
    """Write a document over what the file held, as JSON with blanks behind it, in one call, which no kill cuts in two."""
    opened.seek(0)
    opened.write(json.dumps(document).encode().ljust(len(before)))
