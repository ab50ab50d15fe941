"""A secret gets out by `reveal` alone, and the scrubber takes it out of whatever was written all the same."""

from __future__ import annotations

import base64
import copy
import json
import logging
import pickle

import pytest

from runbook_lib.secret import ScrubbingFormatter, Secret, scrubber

VALUE = 'p4ss/w"rd+with=signs'


def test_no_rendering_shows_the_text():
    secret = Secret(VALUE)
    shown = f"{secret} {secret!r} {secret!s} {[secret]} {secret:>30}"
    assert VALUE not in shown
    assert secret.reveal() == VALUE


@pytest.mark.parametrize("leak", [pickle.dumps, copy.copy, copy.deepcopy, json.dumps, vars, list])
def test_nothing_serialises_or_copies_it(leak):
    with pytest.raises(TypeError):
        leak(Secret(VALUE))


@pytest.mark.parametrize(
    "form",
    [
        VALUE,
        base64.b64encode(VALUE.encode()).decode(),
        "p4ss%2Fw%22rd%2Bwith%3Dsigns",
        json.dumps(VALUE)[1:-1],
        f"tok_{'a' * 16}.{'0' * 64}",
        "Bearer abcdefghijkl",
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.sig",
    ],
)
def test_the_scrubber_removes_registered_values_and_known_shapes(form):
    Secret(VALUE)
    assert form not in scrubber.scrub(f"before {form} after").replace("Bearer ***", "")


def test_log_lines_are_scrubbed_with_their_tracebacks():
    Secret(VALUE)
    try:
        raise ValueError(VALUE)
    except ValueError as error:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "failed", None, (type(error), error, error.__traceback__))
    assert VALUE not in ScrubbingFormatter().format(record)
