"""What all commands say, refuse and leave: without secrets, hidden characters shown, as JSON where that is asked for."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import click
from click.core import ParameterSource

from runbook_lib.core.display import cut, visible
from runbook_lib.core.errors import NO_ROOM
from runbook_lib.core.secret import scrubber

INTERRUPTED = 130  # the exit code after Ctrl-C
_AS_JSON, _TO_GO_ON = "runbook.as_json", "runbook.to_go_on"  # in the context that all commands share
_PIPED = 10_000  # columns, where nothing is cut: a program reads it


class Commands(click.Group):
    """Ends in words that there is no room for files, or that Ctrl-C was pressed; all else is a defect and looks like one."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; whether it answers in JSON is known before its arguments, which may be wrong."""
        name, command, rest = super().resolve_command(ctx, args)
        can_json = command is not None and any(parameter.name == "as_json" for parameter in command.params)
        ctx.meta[_AS_JSON] = can_json and "--json" in rest
        return name, command, rest

    def invoke(self, ctx: click.Context) -> Any:
        """Carry a command out."""
        try:
            return super().invoke(ctx)
        except click.ClickException as wrong:
            if ctx.meta.get(_AS_JSON):
                _error_as_json(type(wrong).__name__, wrong.exit_code, message=wrong.format_message())
            raise
        except OSError as refused:
            if refused.errno not in NO_ROOM:
                raise
            end(
                1, "Writing files", str(refused), "Make room, then run again; a run's summary is written again by: report RUN_DIR"
            )
        except KeyboardInterrupt:
            end(INTERRUPTED, "Carrying out the command", "it was interrupted", str(ctx.meta.get(_TO_GO_ON, "Start it again")))


def shown(text: str) -> str:
    """Return the text for a terminal. It is scrubbed here as well: where the locale is ASCII, click writes past our stream."""
    return visible(scrubber.scrub(text))


def say(text: str) -> None:
    """Write a message to standard error."""
    click.echo(shown(text), err=True)


def print_line(text: str) -> None:
    """Write a line of the result to standard output."""
    click.echo(shown(text))


def print_json(parts: Iterable[str]) -> None:
    """Write JSON, which may come in parts, to standard output as one line."""
    for part in parts:
        click.echo(scrubber.scrub(part), nl=False)
    click.echo()


def refuse(wrong: Exception, code: int) -> NoReturn:
    """Say an error and end with the exit code; as JSON on standard output too, where that was asked for.

    It is said line by line where it has several: each is shown by itself, so that no value can begin a line of its own.
    """
    for line in getattr(wrong, "lines", ()) or (str(wrong),):
        say(line)
    known = ("attempted", "came_back", "do_now", "row", "column", "status", "code", "request_id")
    found = {name: getattr(wrong, name) for name in known if getattr(wrong, name, None) not in (None, "")}
    _error_as_json(type(wrong).__name__, code, message=str(wrong), **found)
    sys.exit(code)


def end(code: int, attempted: str, came_back: str, do_now: str) -> NoReturn:
    """End with the exit code and a message of three parts."""
    message = f"{attempted}: {came_back}. {do_now}."
    say(message)
    _error_as_json("Ended", code, message=message, attempted=attempted, came_back=came_back, do_now=do_now)
    sys.exit(code)


def _error_as_json(kind: str, code: int, **about: Any) -> None:
    context = click.get_current_context(silent=True)
    if context is not None and context.meta.get(_AS_JSON):
        print_json([json.dumps({"error": {"kind": kind, "exit_code": code, **about}}, ensure_ascii=False)])


def program() -> str:
    """Return how this command line was started: as a module, or by the name that is installed."""
    name = Path(sys.argv[0]).stem
    return name if name == "inbound-scim-runbook" else "python -m runbook_lib"


def command_line(*words: object) -> str:
    """Return a command of ours as a person would type it."""
    return f"{program()} {shlex.join(map(str, words))}"


def again(**changes: object) -> str:
    """Return this very command as it was typed, with other options changed or added; None leaves one out, and so --json."""
    context = click.get_current_context()
    words: list[object] = [context.info_name or ""]
    for parameter in context.command.params:
        name = str(parameter.name)
        is_typed = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        value = changes[name] if name in changes else context.params[name] if is_typed else None
        words += _words(parameter, None if name == "as_json" else value)
    return command_line(*words)


def _words(parameter: click.Parameter, value: object) -> Iterator[object]:
    if value is None or value is False or value == ():
        return
    values = value if isinstance(value, tuple) else (value,)
    for one in values:
        if isinstance(parameter, click.Option):
            yield parameter.opts[0]
        if value is not True:
            yield one


def next_commands(following: Iterable[tuple[str, str]]) -> None:
    """Say what to do next: why, and the command to copy."""
    for why, command in following:
        click.echo(err=True)
        say(f"Next, {why}:" if command else f"Next: {why}.")
        if command:
            say(f"  {command}")


def as_next(following: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    """Return the same for JSON."""
    return [{"why": why, "command": command} for why, command in following]


def on_interrupt(do_now: str) -> None:
    """Set what is said after Ctrl-C from here on."""
    click.get_current_context().meta[_TO_GO_ON] = do_now


def width() -> int:
    """Return the columns of the terminal; where the result goes to a program or a file nothing is cut."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else _PIPED


@contextmanager
def one_line() -> Iterator[Any]:
    """Give what tells on one line of a terminal what is at work, written over each time; elsewhere it writes nothing."""
    is_seen = sys.stderr.isatty()

    def tell(text: str) -> None:
        if is_seen:
            columns = shutil.get_terminal_size().columns
            click.echo(f"\r\x1b[K{cut(shown(text), columns - 1)}", err=True, nl=False)

    try:
        yield tell
    finally:
        if is_seen:
            click.echo("\r\x1b[K", err=True, nl=False)


def new_folder(out: Path | None) -> Path:
    """Return a new run folder, or say why there is none and end: nothing was sent."""
    from runbook_lib.batch.runner import new_run_folder
    from runbook_lib.core.errors import SettingsError

    try:
        return new_run_folder(out)
    except SettingsError as wrong:
        refuse(wrong, 2)
