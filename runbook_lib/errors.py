"""Everything that can go wrong, split by who must act.

RunbookError
├── SettingsError        the operator's input: nothing was sent
├── TransportError       no usable answer came back; `ambiguous` when the request may have taken effect
├── ApiError             a service answered with an error: status, code, message, request id
├── StepBlocked          a condition of the procedure is not met; `remedy` says what to do
├── StepWaits            an object that an earlier step makes is not there yet
├── VerificationFailed   a write was accepted, yet reading back shows something else
├── JournalFailed        the record cannot be written: nothing was sent
└── TenantBusy           another run holds this tenant

Every message has three parts: what was attempted, what came back, what to do now. None holds a secret.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)  # of an `OSError`: for the operator to mend, and no defect


class RunbookError(Exception):
    """Base of all errors of this package. `attempted`, `came_back` and `do_now` are whole sentences without a full stop."""

    def __init__(self, attempted: str, came_back: str, do_now: str) -> None:
        super().__init__(attempted, came_back, do_now)
        self.attempted = attempted
        self.came_back = came_back
        self.do_now = do_now

    def __str__(self) -> str:
        return f"{self.attempted}: {self.came_back}. {self.do_now}."


class SettingsError(RunbookError):
    """Input that cannot be used. `row` counts lines of the tenants file, the header being 1; `column` names the field.

    `place` says both in words, empty when neither is known.
    """

    def __init__(self, came_back: str, do_now: str, *, row: int | None = None, column: str | None = None) -> None:
        self.place = ", ".join(part for part in (f"row {row}" if row else "", f"column {column}" if column else "") if part)
        super().__init__(f"Reading the settings{f' ({self.place})' if self.place else ''}", came_back, do_now)
        self.row = row
        self.column = column


class TransportError(RunbookError):
    """No usable answer. `ambiguous`: the service may have done it all the same; `is_final`: asking again is of no use."""

    def __init__(self, attempted: str, came_back: str, *, ambiguous: bool, is_final: bool = False) -> None:
        do_now = "Run again: what was written is read back first" if ambiguous else "Check the network and run again"
        super().__init__(attempted, came_back, do_now)
        self.ambiguous = ambiguous
        self.is_final = is_final


class ApiError(RunbookError):
    """A service's error answer. `code` and `message` are the service's own words; `request_id` is what its support asks for."""

    def __init__(self, attempted: str, status: int, code: str, message: str, request_id: str, do_now: str) -> None:
        words = " ".join(part for part in (str(status), code, f'"{message}"' if message else "") if part)
        super().__init__(attempted, f"answer {words}{f' (request {request_id})' if request_id else ''}", do_now)
        self.status = status
        self.code = code
        self.message = message
        self.request_id = request_id


class StepBlocked(RunbookError):
    """A condition of the procedure is not met, so nothing is written. `reason` and `remedy` are shown to the operator."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__("Checking the conditions of this step", reason, remedy)
        self.reason = reason
        self.remedy = remedy


class StepWaits(RunbookError):
    """This step needs what `for_step` makes. `planned` are the differences it will then write; empty when it only looks.

    `found` is what the step had to say before, put there by the engine.
    """

    def __init__(self, for_step: str, what: str, planned: Iterable[object] = ()) -> None:
        super().__init__("Looking ahead", f"{what} is made by step {for_step}", f"Carry out step {for_step} first")
        self.for_step = for_step
        self.what = what
        self.planned = tuple(planned)
        self.found = ""


class VerificationFailed(RunbookError):
    """A write was accepted but reading back shows other values. `differences` are the texts of what differs."""

    def __init__(self, on: str, differences: Iterable[str]) -> None:
        self.differences = tuple(differences)
        super().__init__(
            f"Reading back {on} after the write",
            f"still different: {'; '.join(self.differences) or 'the object cannot be read'}",
            "Run again: this step repairs what is left; if it stays, look at the object in the console",
        )


class JournalFailed(RunbookError):
    """The journal cannot be written or read, so nothing may be sent: what is not on record cannot be repaired or undone."""

    def __init__(self, path: object, came_back: str, do_now: str) -> None:
        super().__init__(f"Keeping the journal {path}", came_back, do_now)


class TenantBusy(RunbookError):
    """Another run holds this tenant on this machine."""

    def __init__(self, tenant: str, holder: str = "") -> None:
        came_back = f"another run holds it{f' ({holder})' if holder else ''}"
        super().__init__(f"Taking tenant {tenant}", came_back, "Wait until that run has ended, then run again")


class LeaseLost(Exception):
    """Another task may have taken this tenant over, so that its journal is not ours any more: everything ends at once.

    Not in the tree above: nobody may turn it into a result, which would be written into that journal.
    """

    def __init__(self) -> None:
        super().__init__("the lease on the tenant has run out and another task may be at work on it; nothing more was sent")
