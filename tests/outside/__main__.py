"""`python -m tests.outside`: install other people's clients, then hold the sandbox against all of them."""

import subprocess
import sys

from tests.outside.installing import HERE, install

install()
sys.exit(subprocess.run([sys.executable, "-m", "pytest", str(HERE), "--outside", *sys.argv[1:]]).returncode)
