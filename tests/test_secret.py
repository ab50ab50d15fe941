"""A secret gets out by `reveal` alone, and the scrubber takes it out of whatever was written all the same."""

from __future__ import annotations

import base64
import copy
import html
import json
import logging
import pickle
import threading
import time
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbook_lib.secret import Scrubber, ScrubbingFormatter, Secret, scrubber

VALUE = 'p4ss/w"rd+with=signs'
SCIM_TOKEN = f"tok_{'aB3' * 5}z.{'0f' * 32}"
TEXTS = st.text(min_size=6, max_size=60)


def test_no_rendering_shows_the_text():
    secret = Secret(VALUE)
    shown = f"{secret} {secret!r} {secret!s} {[secret]} {secret:>30}"
    assert shown == "*** *** *** [***] ***"
    assert secret.reveal() == VALUE


@pytest.mark.parametrize("leak", [pickle.dumps, copy.copy, copy.deepcopy, json.dumps, vars, list, len, bytes])
def test_nothing_serialises_copies_or_walks_it(leak):
    with pytest.raises(TypeError):
        leak(Secret(VALUE))


def test_it_cannot_be_changed_or_extended():
    secret = Secret(VALUE)
    for name in ("_value", "other"):
        with pytest.raises(AttributeError):
            setattr(secret, name, "x")
    assert secret.reveal() == VALUE


def test_secrets_are_equal_by_text_and_never_equal_to_it():
    assert Secret(VALUE) == Secret(VALUE)
    assert len({Secret(VALUE), Secret(VALUE)}) == 1
    assert Secret(VALUE) != Secret("another value")
    assert Secret(VALUE) != VALUE


def test_only_a_text_can_be_a_secret():
    with pytest.raises(TypeError):
        Secret(b"octets")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "form",
    [
        VALUE,
        base64.b64encode(VALUE.encode()).decode(),
        base64.b64encode(VALUE.encode()).decode().rstrip("="),
        "p4ss%2Fw%22rd%2Bwith%3Dsigns",
        "p4ss%2fw%22rd%2bwith%3dsigns",
        json.dumps(VALUE)[1:-1],
        json.dumps(json.dumps(VALUE)[1:-1])[1:-1],
        html.escape(VALUE),
        html.escape(VALUE).replace("&quot;", "&#34;"),
    ],
)
def test_a_registered_value_is_removed_in_every_form_it_is_written_in(form):
    own = Scrubber()
    own.register(VALUE)
    assert own.scrub(f"before {form} after") == "before *** after"


@given(TEXTS)
def test_no_encoding_of_any_value_survives(value):
    own = Scrubber()
    own.register(value)
    octets = value.encode()
    written = [
        value,
        json.dumps(value),
        json.dumps(value, ensure_ascii=False),
        repr(value),
        html.escape(value),
        quote(value),
        quote_plus(value),
        base64.b64encode(octets).decode(),
        base64.urlsafe_b64encode(octets).decode(),
    ]
    for text in written:
        assert text.strip("\"'=") not in own.scrub(f"<{text}>").replace("***", "")


@given(identifier=st.text(max_size=12), value=st.text(alphabet="abcDEF0123456789+/=-_~.", min_size=12, max_size=60))
def test_the_password_of_a_basic_header_does_not_survive(identifier, value):
    own = Scrubber()
    own.register(value)
    before = f"{identifier}:".encode()
    left = own.scrub(base64.b64encode(before + value.encode()).decode()).replace("***", "")
    assert len(left.rstrip("=")) <= len(before) * 8 // 6 + 2  # at both edges a character may belong to two octets


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        (f"token {SCIM_TOKEN} made", "token *** made"),
        (f"Authorization: Bearer {SCIM_TOKEN}", "Authorization: Bearer ***"),
        ("authorization: bearer abcdefghijkl", "authorization: bearer ***"),
        ("got eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.sig.", "got ***."),
        ("eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.", "***"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY----- end", "*** end"),
        (r"{\"key\": \"-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\"}", r"{\"key\": \"***\"}"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE cut off", "***"),
    ],
)
def test_what_is_shaped_like_a_secret_is_removed_without_being_known(text, scrubbed):
    assert Scrubber().scrub(text) == scrubbed


@pytest.mark.parametrize(
    "text",
    [
        "tok_aB3aB3aB3aB3aB3z was made",
        "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----",
        "PATCH /api/v2/connections/con_AbCdEfGhIjKlMnOp: user_id_attribute externalId",
        "The Bearer is absent",
    ],
)
def test_ids_certificates_and_prose_stay(text):
    assert Scrubber().scrub(text) == text


def test_one_line_of_a_registered_key_is_removed():
    own = Scrubber()
    line = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7"
    own.register(f"-----BEGIN PRIVATE KEY-----\n{line}\n-----END PRIVATE KEY-----\n")
    assert own.scrub(f"line 2: {line}") == "line 2: ***"


def test_a_short_value_does_not_eat_words():
    own = Scrubber()
    own.register("scim")
    assert own.scrub("scim token") == "scim token"


def test_the_longer_of_two_values_goes_first():
    own = Scrubber()
    own.register("secret-value")
    own.register("secret-value-and-more")
    assert own.scrub("secret-value-and-more secret-value") == "*** ***"


def test_threads_may_register_while_others_scrub():
    own = Scrubber()
    missed = []

    def work(number):
        for count in range(50):
            value = f"value-{number}-{count}-end"
            own.register(value)
            if value in own.scrub(f"x {value} y"):
                missed.append(value)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert missed == []


def test_the_secrets_of_hundreds_of_tenants_cost_little():
    own = Scrubber()
    started = time.process_time()
    for number in range(600):
        own.register(f"client~secret~of~tenant~{number:06d}")
    own.scrub("a line of a journal " * 5_000)
    assert time.process_time() - started < 5  # one pattern rebuilt at each registration took 86 s


def test_log_lines_are_scrubbed_with_their_tracebacks():
    Secret(VALUE)
    try:
        raise ValueError(VALUE)
    except ValueError as error:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "failed", None, (type(error), error, error.__traceback__))
    line = ScrubbingFormatter().format(record)
    assert line.endswith("ValueError: ***")
    assert VALUE not in line


def test_making_a_secret_registers_it():
    Secret("made-here-and-registered")
    assert scrubber.scrub("x made-here-and-registered") == "x ***"
