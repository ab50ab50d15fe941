"""Ask the public advisories about every installed package: python .ci/audit.py.

An index may answer and know no advisories, and then everything would seem to be well. So each source is first asked about a
release that has some; one that does not know them has audited nothing.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCES = ("pypi", "osv")
KNOWN_BAD = "jinja2==3.1.2"  # GHSA-h5c8-rqwp-cp95, GHSA-h75v-3vvj-5mfj and later ones


def advisories(source: str, requirements: str) -> list[str] | None:
    """Return what a source knows against exactly these releases, None when it could not be asked about all of them."""
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder) / "requirements.txt"
        listed.write_text(requirements)
        command = [sys.executable, "-m", "pip_audit", "--strict", "--vulnerability-service", source, "--format", "json"]
        command += ["--progress-spinner", "off", "--no-deps", "--disable-pip", "--requirement", str(listed)]
        run = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
    try:
        packages = json.loads(run.stdout)["dependencies"]
    except (ValueError, KeyError):
        return None
    return [
        f"{entry['name']} {entry['version']}: {vulnerability['id']}" for entry in packages for vulnerability in entry["vulns"]
    ]


def installed() -> str:
    """Return the installed releases as requirements, without this project itself."""
    command = [sys.executable, "-m", "pip", "freeze", "--exclude-editable"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603 - our own command


def main() -> int:
    """Return 1 when there are advisories against what is installed, else 0; say when nobody could be asked."""
    source = next((source for source in SOURCES if advisories(source, KNOWN_BAD)), None)
    if source is None:
        sys.stdout.write(f"pip-audit: NOT AUDITED, neither {' nor '.join(SOURCES)} gave the known advisories of {KNOWN_BAD}\n")
        return 0
    releases = installed()
    found = advisories(source, releases)
    if found is None:
        sys.stdout.write(f"pip-audit: FAILED, {source} could not be asked about every installed package\n")
        return 1
    sys.stdout.write("".join(f"pip-audit: {line}\n" for line in found))
    sys.stdout.write(f"pip-audit: {len(releases.splitlines())} packages asked of {source}, {len(found)} advisories\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
