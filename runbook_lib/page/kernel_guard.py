"""What leaves a notebook's kernel: outputs, tracebacks, replies and widget messages, all of them without secrets.

With one exception, which a person asks for: a SCIM token that has to be handed over is shown once (`ticket_for`).
"""

from __future__ import annotations

import secrets
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

from runbook_lib.core.process_memory import keep_memory_private
from runbook_lib.core.secret import Secret, guard_process, scrubber

_tickets: dict[str, Secret] = {}
_lock = threading.Lock()


def guard_kernel() -> None:
    """Scrub everything that leaves this kernel, and keep no history of its cells. Does nothing outside a kernel.

    Tracebacks of `%xmode Verbose` show the values of variables, and a debugging print shows whatever it is given; the page, its
    checkpoints and its exports are then made of what the kernel sent. Binary buffers of widgets are not looked into.
    """
    from IPython import get_ipython

    shell = get_ipython()
    kernel = getattr(shell, "kernel", None)
    if shell is None or kernel is None:
        return
    for stream in (sys.stdout, sys.stderr):
        _flush_only_what_was_written(stream)
    keep_memory_private()
    guard_process()
    # Every message of every channel and thread is serialised by this one callable (jupyter_client, Session.serialize).
    if not isinstance(kernel.session.pack, _CleanMessages):
        kernel.session.pack = _CleanMessages(kernel.session.pack, kernel.session.unpack)
    shell.history_manager.enabled = False  # our own kernels start without; this one may be another program's


def ticket_for(secret: Secret) -> str:
    """Return a text that stands for a secret in one message to a widget, `{"secret": ticket, …}`, and only until it is sent.

    Nothing in this process holds the secret's text until that message is serialised: no widget's state, no output, no log. The
    ticket is redeemed once, in that field of such a message; anywhere else it stays a meaningless text.
    """
    ticket = secrets.token_urlsafe(24)
    with _lock:
        _tickets[ticket] = secret
    return ticket


def _redeemed(part: Any) -> Any:
    """Return a message's content, the secret in place of its ticket when it is a widget's custom message that holds one."""
    match part:
        case {"comm_id": str(), "data": {"method": "custom", "content": {"secret": str(ticket), **content}, **data}}:
            with _lock:
                secret = _tickets.pop(ticket, None)
        case _:
            return part
    return (
        part
        if secret is None
        else {**part, "data": {**data, "method": "custom", "content": {**content, "secret": secret.reveal()}}}
    )


def _flush_only_what_was_written(stream: Any) -> None:
    """Skip the flushes of a stream that has nothing to send.

    ipykernel flushes both streams around each request, and waits for another thread each time: some 200 times a page, a seventh
    of its processor time (ipykernel 7.4.0, iostream.OutStream). Where nothing was written, no order has to be kept.
    """
    if not isinstance(stream.flush, _FlushWhenWritten) and hasattr(stream, "_flush_pending"):
        stream.flush = _FlushWhenWritten(stream, stream.flush)


class _FlushWhenWritten:
    def __init__(self, stream: Any, flush: Callable[[], None]) -> None:
        self._stream, self._flush = stream, flush

    def __call__(self) -> None:
        if self._stream._flush_pending:  # set by every write, also one through the wrapper that IPython puts around it in a cell
            self._flush()


class _CleanMessages:
    """Serialises parts of messages, each text in them scrubbed.

    They are packed first: only then is everything in them a text, a number or a list of such, as it will be sent.
    """

    def __init__(self, pack: Callable[[Any], bytes], unpack: Callable[[bytes], Any]) -> None:
        self._pack, self._unpack = pack, unpack

    def __call__(self, part: Any) -> bytes:
        packed = self._pack(part)
        text = packed.decode(errors="surrogateescape")  # as it was packed
        # Where JSON has escaped nothing every text stands there as it is. Most parts hold no secret, and
        # mostly no panel waits for one.
        if "\\" not in text and not _tickets and scrubber.scrub(text) == text:
            return packed
        sent = self._unpack(packed)
        # All texts at once first: a search in each of many short ones takes far longer.
        together = "\0".join(_texts_in(sent))
        clean = sent if scrubber.scrub(together) == together else scrubber.scrub_json(sent)
        redeemed = _redeemed(clean)
        return packed if redeemed is sent else self._pack(redeemed)


def _texts_in(value: Any) -> Iterator[str]:
    """Yield all texts in a JSON value, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from value
        for item in value.values():
            yield from _texts_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts_in(item)
