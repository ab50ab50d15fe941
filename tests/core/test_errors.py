"""Errors keep what they hold when they are copied or sent to another process."""

import pickle
from copy import copy

import pytest

from runbook_lib.core.errors import ApiError, SettingsError, StepBlocked, StepWaits, TransportError, VerificationFailed

ERRORS = (
    ApiError("GET /x", 503, "ServiceUnavailable", "later", "r-1", "Run again"),
    TransportError("GET /x", "no answer", ambiguous=True, is_outage=True),
    SettingsError("is odd", "Correct it", row=3, column="cloud"),
    StepBlocked("a reason", "a remedy"),
    StepWaits("3.4", "The job"),
    VerificationFailed("the job", ("state",)),
)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("again", [copy, lambda error: pickle.loads(pickle.dumps(error))], ids=["copied", "pickled"])
def test_an_error_is_the_same_when_it_is_copied_or_sent(error, again):
    other = again(error)
    assert (type(other), str(other), vars(other)) == (type(error), str(error), vars(error))
