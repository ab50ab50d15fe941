"""What `pytest --nbval notebooks/` needs, as typed: where the sanitize file is, and a folder that is gone afterwards.

Without `--nbval` or `--nbval-lax` nothing here does anything, and no notebook is collected.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

SANITIZE = Path(__file__).parent / "tests" / "notebooks" / "sanitize.cfg"
OUTPUTS_VARIABLE = "INBOUND_SCIM_OUTPUTS"  # read by the pages' kernels
_outputs = pytest.StashKey[tempfile.TemporaryDirectory]()


def pytest_configure(config: pytest.Config) -> None:
    """Let nbval use the sanitize file and the Python that runs it, and let the pages write into a folder of their own."""
    if not (config.getoption("--nbval", False) or config.getoption("--nbval-lax", False)):
        return
    config.option.nbval_sanitize_with = config.option.nbval_sanitize_with or str(SANITIZE)
    if not config.option.nbval_kernel_name:
        config.option.nbval_current_env = True
    config.stash[_outputs] = tempfile.TemporaryDirectory(prefix="nbval-")
    os.environ.setdefault(OUTPUTS_VARIABLE, config.stash[_outputs].name)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove what the pages left."""
    if _outputs in config.stash:
        folder = config.stash[_outputs]
        if os.environ.get(OUTPUTS_VARIABLE) == folder.name:
            del os.environ[OUTPUTS_VARIABLE]
        folder.cleanup()
