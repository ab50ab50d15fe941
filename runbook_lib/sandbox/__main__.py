"""`python -m runbook_lib.sandbox`: the sandbox in the foreground, without the rest of the package."""

import argparse
from pathlib import Path

from runbook_lib.sandbox.server import serve_forever

parser = argparse.ArgumentParser(prog="python -m runbook_lib.sandbox", description=__doc__)
parser.add_argument("--ready-file", type=Path)
parser.add_argument("--tenants", type=int, default=0)
parser.add_argument("--seed", type=int, default=7)
parser.add_argument("--port", type=int, default=0)
parser.add_argument("--exit-with-parent", action="store_true")
serve_forever(**vars(parser.parse_args()))
