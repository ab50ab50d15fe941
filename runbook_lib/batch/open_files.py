"""How many files this process may have open: each tenant in progress takes some; with too few a run ends without a summary.

macOS allows 256 by default, of which 16 kernels need more; Linux mostly 1,024, which 100 kernels need.
"""

from __future__ import annotations

import contextlib

PER_TENANT = 24  # channels, pipes and the page of a kernel, and those of the next one that is started ahead, with room to spare
OF_THE_RUN = 64  # what the runner itself has open: its terminal, its journals, the process that kernels are forked from
_MOST = 65_536  # more than any run needs; some systems say that there is no limit and refuse to set one


def raised_limit() -> int | None:
    """Raise the limit as far as this user may, and return it; None where there is none, as on Windows."""
    try:
        import resource
    except ImportError:
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST if hard == resource.RLIM_INFINITY else min(hard, _MOST)
    for limit in (wanted, 10_240):  # macOS sets no more than OPEN_MAX, whatever the hard limit says (setrlimit(2))
        if soft != resource.RLIM_INFINITY and soft < limit:
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
                soft = limit
    return None if soft == resource.RLIM_INFINITY else soft


def jobs_within(jobs: int, limit: int | None) -> int:
    """Return how many tenants may be at work at once under a limit of open files, at least one."""
    return jobs if limit is None else max(1, min(jobs, (limit - OF_THE_RUN) // PER_TENANT))
