"""Put the notebooks into the wheel: `notebooks/` of the clone becomes `runbook_lib/notebooks/`. All else is in pyproject.toml."""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

CLONE = Path(__file__).resolve().parent


class BuildWithNotebooks(build_py):
    """Copies the notebooks when a wheel is built. An editable install reads those of the clone."""

    def run(self) -> None:
        """Build from an empty folder: setuptools would keep modules there that the clone no longer has."""
        if self.editable_mode:
            super().run()
            return
        shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()
        target = Path(self.build_lib, "runbook_lib", "notebooks")
        target.mkdir(parents=True)
        for page in sorted((CLONE / "notebooks").glob("*.ipynb")):
            shutil.copyfile(page, target / page.name)


setup(cmdclass={"build_py": BuildWithNotebooks})
