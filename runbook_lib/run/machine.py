"""What a run needs from the machine on which it runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runbook_lib.http.session import open_session
from runbook_lib.settings.process import lock_folder, realm
from runbook_lib.tenant.app_notes import this_machine


@dataclass(frozen=True)
class Machine:
    """What a session needs of the machine it runs on; tests put their own in its place.

    `open_http` makes the HTTP session for a CA bundle (as `http.open_session`); `sleep` waits seconds; `now` gives aware UTC;
    `clock` counts seconds; `name` tells machines apart in claims, or places where leases are kept; `locks` is the folder of the
    locks; `guard` raises when the lease of this run is lost.
    """

    open_http: Callable[..., Any] = open_session
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    clock: Callable[[], float] = time.monotonic
    name: str = field(default_factory=lambda: realm() or this_machine())
    locks: Path = field(default_factory=lock_folder)
    guard: Callable[[], None] = lambda: None
