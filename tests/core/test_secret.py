"""A secret gets out by `reveal` alone, and the scrubber takes it out of whatever was written all the same."""

from __future__ import annotations

import base64
import copy
import html
import io
import json
import logging
import os
import pickle
import subprocess
import sys
import threading
import time
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbook_lib.core.secret import Scrubber, Secret, guard_process, looks_like_secret, scrub_logs, scrubber

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
        repr(json.dumps({"a": value}).encode()),
        repr({"a": value, "b": "'"}),
        repr([json.dumps({"a": value}, ensure_ascii=False)]),
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
        ("{'Proxy-Authorization': 'Basic dXNlcjpwYXNz'}", "{'Proxy-Authorization': 'Basic ***'}"),
        (repr({"client_secret": "never-seen-before"}), "{'client_secret': '***'}"),
        (json.dumps({"a": json.dumps({"access_token": "opaque"})}), r'{"a": "{\"access_token\": \"***\"}"}'),
        ("client_id=1&client_secret=a%2Fb&scope=x", "client_id=1&client_secret=***&scope=x"),
        ("through http://user:pass%40word@proxy:8080/x", "through http://user:***@proxy:8080/x"),
        ("through http://user:pass@wo:rd@proxy:8080/x", "through http://user:***@proxy:8080/x"),
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
        'auth0_client_secret: str = "env:AUTH0_SECRET"  # reference to its secret',
        "{'auth0_client_secret': 'env:AUTH0_SECRET'}",
        "Basic subscriptions at https://localhost:8443/a:b and mail@contoso.com",
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


@pytest.fixture
def logs(monkeypatch):
    """What is written by a handler that was there before, by formatters of their own, with every logger at work."""
    factory, target = logging.getLogRecordFactory(), io.StringIO()
    handler = logging.StreamHandler(target)
    logging.getLogger().addHandler(handler)
    monkeypatch.setattr(logging.getLogger(), "level", logging.DEBUG)
    scrub_logs()
    yield target
    logging.getLogger().removeHandler(handler)
    logging.setLogRecordFactory(factory)


class Hostile:
    def __str__(self):
        raise RuntimeError(VALUE)

    __repr__ = __str__


@pytest.mark.parametrize("name", ["urllib3.connectionpool", "msal", "papermill", "added.later"])
def test_no_log_record_holds_a_secret(name, logs, monkeypatch):
    Secret(VALUE)
    monkeypatch.setattr(logging.getLogger(name), "level", logging.DEBUG)  # papermill is quieter once it has run
    logging.getLogger(name).manager._clear_cache()
    logger, later = logging.getLogger(name), io.StringIO()
    added = logging.StreamHandler(later)
    logger.addHandler(added)
    try:
        raise ValueError(VALUE)
    except ValueError as error:
        logger.exception("asked %s for %d", VALUE, 3, stack_info=True)
        logger.info({"headers": VALUE})
        logger.warning(error)
        logger.warning("%(token)s", {"token": VALUE})
    logger.removeHandler(added)
    written = logs.getvalue()
    assert written == later.getvalue()
    assert VALUE not in written
    assert "ValueError: ***" in written
    assert written.count("***") == 5
    assert written.startswith("asked *** for 3\nTraceback (most recent call last):")


def test_what_cannot_be_logged_stops_nobody_and_shows_nothing(logs, capsys):
    Secret(VALUE)
    logging.getLogger("x").info("wrong number of values: %s %s", VALUE)
    logging.getLogger("x").info("%s", Hostile())
    assert "wrong number of values" in logs.getvalue()
    assert VALUE not in logs.getvalue() + "".join(capsys.readouterr())


def test_guarding_the_logs_again_changes_nothing(logs):
    before = logging.getLogRecordFactory()
    scrub_logs()
    assert logging.getLogRecordFactory() is before


def test_a_guarded_process_prints_and_logs_no_secret(tmp_path):
    program = f"""
import http.client, logging, sys, threading
handler = logging.StreamHandler()
logging.getLogger().addHandler(handler)
from runbook_lib.core.secret import Secret, guard_process
guard_process(); guard_process()
value = Secret({VALUE!r}).reveal()
print("out", value); print("error", value, file=sys.stderr); sys.stdout.writelines([value])
logging.warning("log %s", value)
logging.warning("proxy with %s", "proxy-canary-1")
thread = threading.Thread(target=int, args=(value,)); thread.start(); thread.join()
raise ValueError(value)
"""
    environment = {**os.environ, "HTTPS_PROXY": "http://user:proxy%2Dcanary-1@127.0.0.1:1"}
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False)
    assert (run.returncode, run.stdout) == (1, "out ***\n***")
    assert run.stderr.startswith("error ***\nlog ***\nproxy with ***\n")
    assert run.stderr.endswith("ValueError: ***\n")
    assert VALUE not in run.stderr.replace(f"Secret({VALUE!r})", "")


@pytest.mark.parametrize("locale", [{}, {"LC_ALL": "C", "PYTHONUTF8": "0"}])
def test_what_the_command_line_says_is_clean_and_visible(locale, tmp_path):
    command = [sys.executable, "-m", "runbook_lib", "run", "proxy-canary-1\u202e\x1b[31m.csv"]
    environment = {**os.environ, "HTTPS_PROXY": "http://user:proxy-canary-1@127.0.0.1:1", **locale}
    run = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
    assert run.returncode == 2
    assert "proxy-canary" not in run.stdout + run.stderr
    assert r"\x1b[31m.csv cannot be read" in run.stderr


LONG = "4f8a~" + "".join(f"{number:03d}x" for number in range(40))


@pytest.mark.parametrize(
    ("cut", "left"),
    [
        (f"'{LONG[:48]}...{LONG[-49:]}'", "'***'"),
        (f"{LONG[:60]}…", "***…"),
        (f"(...{LONG[-60:]})", "(...***)"),
        (f"a, {LONG[:24]}, b", "a, ***, b"),
        (f"\\n{LONG[:50]} end", "\\n*** end"),
    ],
)
def test_what_is_left_of_a_secret_that_was_cut_is_removed(cut, left):
    own = Scrubber()
    own.register(LONG)
    assert own.scrub(cut) == left


def test_the_public_id_of_a_token_stays():
    own = Scrubber()
    own.register(SCIM_TOKEN)
    assert own.scrub(f"token {SCIM_TOKEN.split('.')[0]} is live") == f"token {SCIM_TOKEN.split('.')[0]} is live"


def test_a_json_value_keeps_its_shape():
    own = Scrubber()
    own.register("1234567")
    assert own.scrub_json({"1234567": [1234567, "x1234567", None, {"a": 1.5}]}) == {"***": [1234567, "x***", None, {"a": 1.5}]}


def test_making_a_secret_registers_it():
    Secret("made-here-and-registered")
    assert scrubber.scrub("x made-here-and-registered") == "x ***"


AWKWARD = ["pä\"s\\s\nw'rd", "it's-a-secret", 'say-"so"-now', "both'and\"both-ä", "two words/and a slash~", "back\\slash-alone"]


@pytest.mark.parametrize("value", AWKWARD)
@pytest.mark.parametrize(
    "write",
    [
        lambda value: json.dumps(value)[1:-1],
        lambda value: json.dumps(value, ensure_ascii=False)[1:-1],
        lambda value: json.dumps(json.dumps(value))[1:-1].removeprefix('\\"').removesuffix('\\"'),
        lambda value: repr(f"{value}|")[1:-2],
        lambda value: repr(f"'{value}|")[2:-2].removeprefix("'"),
        lambda value: repr(f"{value}|".encode())[2:-2],
        lambda value: repr(json.dumps(value))[2:-2],
        lambda value: repr(json.dumps(value).encode())[3:-2],
        lambda value: html.escape(value),
        lambda value: html.escape(json.dumps(value)[1:-1]),
        lambda value: html.escape(repr(value)[1:-1]).replace("&#x27;", "&#39;").replace("&quot;", "&#34;"),
        lambda value: quote(value),
        lambda value: quote(value, safe=""),
        lambda value: quote_plus(value),
        lambda value: html.escape(value, quote=False),
        lambda value: html.escape(json.dumps(value)[1:-1], quote=False),
        lambda value: html.escape(value).replace("&#x27;", "'"),
        lambda value: json.dumps(html.escape(value))[1:-1],
        lambda value: json.dumps(value)[1:-1].replace("/", "\\/"),
        lambda value: for_a_script(value, "<>&"),
        lambda value: for_a_script(value, "<>&'"),
        lambda value: for_a_script(value, "<>&'+`").replace('\\"', "\\u0022").replace("\\u00e4", "\\u00E4"),
        lambda value: ascii(f"{value}|")[1:-2],
        lambda value: quote(quote(value), safe=""),
        lambda value: quote(json.dumps(value)[1:-1]),
        lambda value: quote(value, safe="").replace("~", "%7E"),
        lambda value: value.replace('"', '""'),
    ],
)
def test_awkward_characters_hide_nothing_in_whatever_way_they_are_written(value, write):
    own = Scrubber()
    own.register(value)
    assert own.scrub(f"<{write(value)}>") == "<***>"


def for_a_script(value, marks):
    """The value as JSON that may stand in a script of a page, as Go, Flask and .NET write it."""
    return "".join(f"\\u{ord(char):04x}" if char in marks else char for char in json.dumps(value)[1:-1])


@pytest.mark.parametrize("write", [lambda v: json.dumps({"client_secret": v}), lambda v: f"id:{quote(v, safe='')}", lambda v: v])
def test_base64_of_what_was_written_before_hides_nothing(write):
    """RFC 6749, 2.3.1: the secret of a Basic header is URL-encoded before."""
    own = Scrubber()
    own.register(VALUE)
    encoded = base64.b64encode(write(VALUE).encode()).decode()
    left = own.scrub(encoded)
    assert "***" in left
    assert len(left) <= len(encoded) - len(VALUE)


def test_every_alignment_of_base64_is_known():
    """Alone, at the beginning of a longer text, and one or two octets into it; whole octets are what is looked for."""
    own = Scrubber()
    own.register(VALUE)
    for before in (b"", b"1", b"12", b"123"):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            left = own.scrub(encode(before + VALUE.encode() + b"> and more").decode())
            assert left.count("***") == 1
            assert len(left.partition("***")[0]) <= len(before) * 8 // 6 + 1


def test_lone_surrogates_are_a_secret_like_any_other():
    """Arguments and files read with surrogateescape hold such characters; UTF-8 refuses them."""
    own, odd = Scrubber(), "pass\udcffword"
    own.register(odd)
    assert own.scrub(f"x {odd} y {odd!r}") == "x *** y '***'"
    assert own.scrub(base64.b64encode(odd.encode("utf-8", "surrogatepass")).decode()) == "***"
    assert own.scrub(quote(odd.encode("utf-8", "surrogatepass"))) == "***"
    assert Secret(odd) == Secret(odd)
    assert Secret(odd) != Secret("pass\udcfeword")


def test_a_value_of_six_characters_is_remembered_and_an_empty_one_is_false():
    own = Scrubber()
    own.register("sixsix")
    assert own.scrub("a sixsix b") == "a *** b"
    assert (bool(Secret("")), bool(Secret("x"))) == (False, True)


def test_the_ends_of_a_secret_of_48_characters_are_known_and_of_a_shorter_one_only_the_whole():
    own = Scrubber()
    long, short = LONG[:48], LONG[60:107]
    own.register(long)
    own.register(short)
    assert own.scrub(f"{long[:24]}... and ...{long[-24:]}") == "*** and ...***"
    assert own.scrub(f"{short[:24]}...") == f"{short[:24]}..."
    assert own.scrub(f"x{short}x") == "x***x"


def test_lines_of_a_key_are_removed_and_its_frame_is_not_taken_for_one():
    own, line = Scrubber(), "MIIEvQIBADANBgkqhkiG9w0B"
    own.register(f"-----BEGIN PRIVATE KEY-----\n{line}\nshort+line+of+a+key\n-----END PRIVATE KEY-----\n")
    assert own.scrub(line) == "***"
    assert own.scrub("short+line+of+a+key") == "short+line+of+a+key"
    assert own.scrub("-----END PRIVATE KEY-----") == "-----END PRIVATE KEY-----"


def fresh_streams(monkeypatch):
    """Put fresh streams in place of those of this process; within a test, as pytest sets its own between fixture and test."""
    names = {(sys, name): io.StringIO() for name in ("stdout", "stderr", "__stdout__", "__stderr__")}
    for (owner, name), stream in names.items():
        monkeypatch.setattr(owner, name, stream)
    monkeypatch.setattr(logging, "_logRecordFactory", logging.LogRecord)
    return {name: stream for (_, name), stream in names.items()}


def test_all_four_streams_are_guarded_once_and_take_texts_as_before(monkeypatch):
    Secret(VALUE)
    streams = fresh_streams(monkeypatch)
    guard_process()
    once = {name: stream.write for name, stream in streams.items()}
    guard_process()
    assert {name: stream.write for name, stream in streams.items()} == once
    for stream in streams.values():
        assert stream.write(f"{VALUE} é") == len(f"{VALUE} é")
        assert stream.getvalue() == "*** é"
        with pytest.raises(TypeError):
            stream.write(VALUE.encode())


def test_a_process_without_streams_is_guarded_too(monkeypatch):
    for name in ("stdout", "stderr", "__stdout__", "__stderr__"):
        monkeypatch.setattr(sys, name, None)
    monkeypatch.setattr(logging, "_logRecordFactory", logging.LogRecord)
    guard_process()
    record = logging.getLogRecordFactory()("x", logging.INFO, "file", 1, SCIM_TOKEN, (), None)
    assert record.getMessage() == "***"


def test_the_password_of_every_proxy_is_registered_as_written_and_as_meant(monkeypatch):
    fresh_streams(monkeypatch)
    proxies = {"junk": "http://[", "none": "http://proxy:8080", "ftp": "http://user:of%20a%20proxy%2Dserver@x:1"}
    monkeypatch.setattr("urllib.request.getproxies", lambda: proxies)
    guard_process()
    assert scrubber.scrub("of%20a%20proxy%2Dserver, of a proxy-server") == "***, ***"


def test_a_proxy_without_a_scheme_has_a_password_too(monkeypatch):
    """requests takes `user:password@host:port` for an address, and urlsplit takes `user` for its scheme."""
    fresh_streams(monkeypatch)
    monkeypatch.setattr("urllib.request.getproxies", lambda: {"https": "someone:without-a-scheme@127.0.0.1:1"})
    guard_process()
    assert scrubber.scrub("it is without-a-scheme") == "it is ***"


@pytest.mark.parametrize("text", [SCIM_TOKEN, f"Acme {SCIM_TOKEN}", "-----BEGIN PRIVATE KEY-----", "https://a:bcdef1@x"])
def test_what_looks_like_a_secret_is_known_without_being_registered(text):
    assert looks_like_secret(text)
    assert not looks_like_secret("Contoso (EU) https://x/ env:NAME tok_aB3aB3aB3aB3aB3z")


def test_a_chain_of_exceptions_shows_no_secret(tmp_path):
    program = f"""
import logging
logging.basicConfig()
from runbook_lib.core.secret import Secret, guard_process
guard_process()
value = Secret({VALUE!r}).reveal()
def broken():
    try:
        try:
            raise KeyError(value)
        except KeyError as first:
            raise OSError("while sending " + value) from first
    except OSError as second:
        second.add_note("noted: " + value)
        raise ExceptionGroup("both " + value, [second, ValueError(value.encode())]) from second
try:
    broken()
except ExceptionGroup:
    logging.exception("logged")
broken()
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stderr.count("noted: ***") >= 2
    assert run.stderr.count("while sending ***") >= 2
    shown = run.stderr.replace(f"Secret({VALUE!r})", "")
    assert [form for form in (VALUE, repr(VALUE)[1:-1], repr(VALUE.encode())[2:-1]) if form in shown] == []


def test_values_that_cannot_be_shown_are_named_by_what_they_raise(logs):
    logging.getLogger("x").warning("%s", Hostile())
    assert logs.getvalue() == "%s (its values cannot be shown: RuntimeError)\n"


def test_a_secret_is_forgotten_when_as_often_as_it_was_registered():
    own = Scrubber()
    own.register("first-secret-é&1")
    own.register("first-secret-é&1")
    with own.noting() as noted:
        own.register("first-secret-é&1")
        own.register("second-secret")
    assert noted == ["first-secret-é&1", "second-secret"]
    own.register("not noted")
    own.forget(noted)
    assert own.scrub("first-secret-é&1 first-secret-é&amp;1 second-secret") == "*** *** second-secret"
    own.forget(["first-secret-é&1"] * 2)
    assert own.scrub("first-secret-é&1 first-secret-é&amp;1, not noted") == "first-secret-é&1 first-secret-é&amp;1, ***"


def test_what_two_secrets_have_in_common_is_looked_for_until_both_are_forgotten():
    own = Scrubber()
    head = "shared-beginning-of-both-"
    one, two = head + "a" * 60, head + "b" * 60
    own.register(one)
    own.register(two)
    own.forget([one])
    assert own.scrub(f"{two[:40]} was cut") == "*** was cut"
    own.forget([two])
    assert own.scrub(f"{two[:40]} was cut") == f"{two[:40]} was cut"
