"""Files in a folder that others may write into as well: nothing is followed, nothing of others is written over."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)  # Windows has no such links without special rights


def own_folder(folder: Path) -> None:
    """Make a folder for this user alone. Raises `OSError` for a link, and for what belongs to another user."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    refuse_of_others(folder)


def refuse_of_others(folder: Path) -> None:
    """Raise `OSError` when a folder is a link, also one of this user's, or belongs to another user."""
    try:
        about = folder.lstat()
    except FileNotFoundError:
        return
    if folder.is_symlink():
        raise OSError(errno.EACCES, "is a link, which is not followed", str(folder))
    if hasattr(os, "getuid") and about.st_uid != os.getuid():
        raise OSError(errno.EACCES, "belongs to another user", str(folder))


@contextlib.contextmanager
def replaced(path: Path) -> Iterator[TextIO]:
    """Give a new file to write into, which takes the place of `path` as a whole when the block ends well.

    Its name cannot be foreseen and it must not be there yet, so that no link leads the writing elsewhere.
    """
    own_folder(path.parent)
    part = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_FOLLOW, 0o600)
    try:
        # Half a character, as a service may send one, cannot be written; as an escape it can, and JSON reads it back.
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as writer:
            yield writer
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
