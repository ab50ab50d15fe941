"""The certificate authorities that a connection trusts, read once a process for each file of them.

urllib3 reads the file again for each connection: 7 to 17 ms of processor time for the one that requests brings along, and a page
makes four or five connections.
"""

from __future__ import annotations

import contextlib
import functools
import ssl
from pathlib import Path

from urllib3.connection import HTTPSConnection
from urllib3.util.ssl_ import create_urllib3_context


def share_authorities(connection: HTTPSConnection) -> None:
    """Give a connection the context of all that trust the same file, unless anything about it is a case of its own.

    A file that cannot be read is left to urllib3, which raises its own error for it.
    """
    is_plain = not (connection.ca_cert_dir or connection.ca_cert_data or connection.cert_file or connection.proxy)
    is_checked = connection.cert_reqs == "CERT_REQUIRED" and connection.assert_hostname is connection.assert_fingerprint is None
    if is_plain and is_checked and connection.ca_certs and connection.ssl_context is None:
        with contextlib.suppress(OSError):
            connection.ssl_context = trusting(connection.ca_certs)
            connection.ca_certs = None


def trusting(path: str) -> ssl.SSLContext:
    """Return a context that trusts the authorities of a file as it is now. Raises `OSError` where it cannot be read."""
    found = Path(path).stat()
    return _context(path, found.st_mtime_ns, found.st_size)


@functools.lru_cache(maxsize=8)
def _context(path: str, _changed_at: int, _size: int) -> ssl.SSLContext:
    context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
    context.load_verify_locations(path)
    return context
