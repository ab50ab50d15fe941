"""How far the exchange of this thread came: whether a connection stood when it broke.

The error alone does not tell. An alert that the server sends after it has carried a request out reaches the caller as the
same `SSLError` as a certificate that is not trusted (urllib3 2, `HTTPConnectionPool._make_request`): our connections say it.
"""

from __future__ import annotations

import threading

_here = threading.local()


def begin() -> None:
    """An exchange begins."""
    _here.stage = ""


def connects() -> None:
    """A connection is being made. One made again within a request says nothing: a part of the request may be sent."""
    if not stands():
        _here.stage = "connecting"


def is_up() -> None:
    """The connection stands, and the request goes out."""
    _here.stage = "stands"


def stands() -> bool:
    """Whether the request may have gone out."""
    return getattr(_here, "stage", "") == "stands"


def is_connecting() -> bool:
    """Whether the connection was still being made."""
    return getattr(_here, "stage", "") == "connecting"
