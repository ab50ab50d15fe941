"""Install the clone that this file lies in as `pip install -e` does, whatever folder pip is called in.

pip reads `-e .` in a requirements file from the folder it is called in. The only paths that it reads from the file's folder are
`-r`, `-c` and `--find-links` (pip's documentation, "Requirements File Format" and "install"). So requirements.txt names a page of
links, the page links this folder, and this build backend (PEP 517) answers for the clone with setuptools' editable wheel
(PEP 660).
"""

from __future__ import annotations

import os
from pathlib import Path

from setuptools import build_meta

os.chdir(Path(__file__).resolve().parent.parent.parent)

get_requires_for_build_wheel = build_meta.get_requires_for_build_editable
prepare_metadata_for_build_wheel = build_meta.prepare_metadata_for_build_editable
build_wheel = build_meta.build_editable
