"""papermill's engine `runbook`: papermill's own, except that it never writes a secret or the state of widgets to disk.

    papermill --engine runbook notebooks/inbound_scim.ipynb page.ipynb -p name contoso …

papermill writes each parameter twice into the page, before the page can refuse it. This engine looks at the parameters first.
Nothing of papermill is imported at the top: papermill imports this module while it imports itself (papermill 2.7.0, engines).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


class RunbookEngine:
    """What papermill calls by the name `runbook`."""

    @classmethod
    def execute_notebook(cls, nb: Any, kernel_name: str, output_path: str | None = None, **options: Any) -> Any:
        """Execute a page that papermill has filled with parameters; return the page.

        Raises `SettingsError` for parameters that cannot be used, as an error of usage under papermill's command line; then
        nothing was written and nothing was sent. Under that command line an error of a cell is shown as a line too.
        """
        from runbook_lib.core.errors import SettingsError

        try:
            _check(nb.metadata.get("papermill", {}).get("parameters", {}), _sources_of_parameters(nb))
        except SettingsError as wrong:
            raise _for_command_line(wrong) from None
        executed = _executed(nb, kernel_name, output_path, options)
        _tell_error_in_a_line(executed, output_path)
        return executed

    @classmethod
    def nb_kernel_name(cls, nb: Any, name: str | None = None) -> Any:
        """Return the kernel for a page, as papermill's own engine does."""
        from papermill.engines import NBClientEngine

        return NBClientEngine.nb_kernel_name(nb, name)

    @classmethod
    def nb_language(cls, nb: Any, language: str | None = None) -> Any:
        """Return the language of a page, as papermill's own engine does."""
        from papermill.engines import NBClientEngine

        return NBClientEngine.nb_language(nb, language)


def _sources_of_parameters(page: Any) -> str:
    return "\n".join(cell.source for cell in page.cells if "parameters" in cell.metadata.get("tags", []))


def _check(parameters: Mapping[str, Any], defaults: str) -> None:
    """Raise `SettingsError` for parameters that the page would refuse. `defaults` is the source of its parameters cell."""
    from runbook_lib.settings import parameters as known

    given = known.as_texts(parameters)
    known.refuse_literal_secrets(given, is_on_page=False)
    names = known.FLEET_PARAMETERS if "tenants_file" in defaults else known.PAGE_PARAMETERS
    known.refuse_unknown(given, names, is_on_page=False)
    known.mode_of(given.get("mode"))


def _for_command_line(wrong: Exception) -> Exception:
    """Return the error for the caller: papermill's command shows one of click's as a line, any other as a traceback."""
    import click

    return click.UsageError(str(wrong)) if click.get_current_context(silent=True) else wrong


def _tell_error_in_a_line(page: Any, output_path: str | None) -> None:
    """Raise an error of a cell for papermill's command line, the page being saved with papermill's mark at the cell.

    papermill raises it itself when the engine returns; its command then shows 25 lines of its own code ahead of the message.
    """
    import click
    from papermill.exceptions import PapermillExecutionError
    from papermill.execute import raise_for_execution_errors

    if output_path is None or not click.get_current_context(silent=True):
        return
    try:
        raise_for_execution_errors(page, output_path)
    except PapermillExecutionError as failed:
        raise click.ClickException(f"{failed.ename}: {failed.evalue}") from None


def _executed(nb: Any, kernel_name: str, output_path: str | None, options: Mapping[str, Any]) -> Any:
    from papermill.engines import NBClientEngine

    from runbook_lib.batch.kernels.local import over_ipc

    with _for_its_owner_only(), _folder_for_sockets() as sockets:
        ours = {
            "store_widget_state": False,  # a password typed into a widget would be stored with it
            "extra_arguments": ["--HistoryManager.enabled=False"],  # IPython would keep the parameters in its history file
            "config": over_ipc(sockets),
        }
        return NBClientEngine.execute_notebook(nb, kernel_name, output_path, **{**options, **ours})


@contextlib.contextmanager
def _for_its_owner_only() -> Iterator[None]:
    """Let this process and the kernels it starts make files that only their owner may read."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


@contextlib.contextmanager
def _folder_for_sockets() -> Iterator[Path]:
    """Make a folder with a short path, for a socket's path may have some hundred characters only; remove it at the end."""
    folder = tempfile.mkdtemp(prefix="scim-", dir="/tmp" if os.name == "posix" else None)  # noqa: S108 - mode 0700
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
