"""Everything that can go wrong, split by who must act.

RunbookError
├── SettingsError        the operator's input: nothing was sent
├── TransportError       no usable answer came back; `ambiguous` when the request may have taken effect
├── ApiError             a service answered with an error: status, code, message, request id
├── StepBlocked          a condition of the procedure is not met; `remedy` says what to do
├── StepWaits            an object that an earlier step makes is not there yet
├── VerificationFailed   a write was accepted, yet reading back shows something else
├── JournalFailed        the record cannot be written: nothing was sent
├── TenantNotDone        a page ran to its end and its tenant failed, was blocked or interrupted
├── NoSuchStep           a cell names a step or a section that the procedure does not have
└── TenantBusy           another run holds this tenant

Every message has three parts: what was attempted, what came back, what to do now. None holds a secret.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

from runbook_lib.core.step_numbers import number_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)  # of an `OSError`: the operator fixes it


class RunbookError(Exception):
    """Base of all errors of this package. `attempted`, `came_back` and `do_now` are whole sentences without a full stop."""

    def __init__(self, attempted: str, came_back: str, do_now: str) -> None:
        super().__init__(attempted, came_back, do_now)
        self.attempted = attempted
        self.came_back = came_back
        self.do_now = do_now

    def __str__(self) -> str:
        return f"{self.attempted}: {_ended(self.came_back)} {_ended(self.do_now)}"

    def __reduce__(self) -> tuple[Any, ...]:
        """Let an error be copied and sent to another process: its arguments are not those of its class."""
        return _restored, (type(self), self.args, self.__dict__)

    def _render_traceback_(self) -> list[str]:
        """Return what a page shows of this error (IPython asks an error for it): the message says what to do, no code does."""
        return [f"{type(self).__name__}: {self}"]


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith(("?", ".", "!")) else f"{sentence}."


def _restored(kind: type[RunbookError], args: tuple[Any, ...], state: dict[str, Any]) -> RunbookError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(state)
    return error


class SettingsError(RunbookError):
    """Input that cannot be used. `row` counts lines of the tenants file, the header being 1; `column` names the field.

    `place` says both in words, empty when neither is known. `parts` are (column, what is wrong with it) where several are.
    """

    def __init__(
        self,
        came_back: str,
        do_now: str,
        *,
        row: int | None = None,
        column: str | None = None,
        parts: Iterable[tuple[str, str]] = (),
    ) -> None:
        self.place = ", ".join(part for part in (f"row {row}" if row else "", f"column {column}" if column else "") if part)
        super().__init__(f"Reading the settings{f' ({self.place})' if self.place else ''}", came_back, do_now)
        self.row = row
        self.column = column
        self.parts = tuple(parts)
        self.lines: tuple[str, ...] = ()  # the message line by line, where it has several


class TransportError(RunbookError):
    """No usable answer. `ambiguous`: the service may have done it all the same; `is_final`: asking again is of no use.

    `is_outage`: the service cannot be reached at all, by this request or by another.
    """

    def __init__(
        self,
        attempted: str,
        came_back: str,
        *,
        ambiguous: bool,
        is_final: bool = False,
        is_outage: bool = False,
        do_now: str = "",
    ) -> None:
        usual = "Run again: the run first reads whether the write took effect" if ambiguous else "Check the network and run again"
        super().__init__(attempted, came_back, do_now or usual)
        self.ambiguous = ambiguous
        self.is_final = is_final
        self.is_outage = is_outage


class ApiError(RunbookError):
    """A service's error answer. `code` and `message` are the service's own words; `request_id` is what its support asks for.

    `is_partly_done`: of several writes in one request others are done, or may be; `made` holds the ids of what those made.
    """

    def __init__(self, attempted: str, status: int, code: str, message: str, request_id: str, do_now: str) -> None:
        words = " ".join(part for part in (str(status), code, f'"{message}"' if message else "") if part)
        super().__init__(attempted, f"answer {words}{f' (request {request_id})' if request_id else ''}", do_now)
        self.status = status
        self.code = code
        self.message = message
        self.request_id = request_id
        self.is_final = False  # whether it has been tried again as often as it may be
        self.is_partly_done = False
        self.made: Mapping[str, str] = {}


class StepBlocked(RunbookError):
    """A condition of the procedure is not met, so nothing is written. `reason` and `remedy` are shown to the operator."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__("Checking the conditions of this step", reason, remedy)
        self.reason = reason
        self.remedy = remedy


class StepWaits(RunbookError):
    """This step needs a thing that another step makes. `planned` are the differences it will then write; empty for a look.

    `thing` is empty where no step makes it. `found`, `tables` and `hazards` are what the step had to say before, put there by the
    engine. `came_back` and `do_now` replace the usual words.
    """

    def __init__(self, thing: str, what: str, planned: Iterable[object] = (), *, came_back: str = "", do_now: str = "") -> None:
        number = number_of(thing)
        super().__init__(
            "Looking ahead", came_back or f"{what} is made by step {number}", do_now or f"Carry out step {number} first"
        )
        self.thing = thing
        self.what = what
        self.planned = tuple(planned)
        self.found = ""
        self.tables: tuple[Any, ...] = ()
        self.hazards: tuple[Any, ...] = ()


class VerificationFailed(RunbookError):
    """A write was accepted but reading back shows other values. `differences` are the texts of what differs."""

    def __init__(self, on: str, differences: Iterable[str]) -> None:
        self.differences = tuple(differences)
        super().__init__(
            f"Reading back {on} after the write",
            f"these values still differ: {'; '.join(self.differences) or 'the object cannot be read'}",
            "Run again: this step repairs the remaining differences; if they persist, look at the object in the console",
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

    Not in the tree above: no caller may turn it into a result, which would be written into that journal.
    """

    def __init__(self) -> None:
        super().__init__("the lease on the tenant has expired and another task may be working on it; this task sent nothing more")


class TenantNotDone(RunbookError):
    """A page ran to its end, and its tenant failed, was blocked or interrupted. By this error another tool's runner learns it."""

    def __init__(self, tenant: str, status: str, about: str) -> None:
        do_now = "The summary above says what to do at each step; then run again"
        super().__init__(f"Carrying out the procedure for {tenant}", f"{status}, {about.rstrip('.')}", do_now)


class NoSuchStep(RunbookError):
    """A cell asks for a step or a section that the procedure does not have. `known` are the numbers that it has."""

    def __init__(self, number: object, known: Iterable[str]) -> None:
        super().__init__(f"Looking for step {number}", "the procedure has no such step", f"Known are {', '.join(known)}")
