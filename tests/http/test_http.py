"""The HTTP door against servers that misbehave: on this machine, over HTTPS, each with its own certificate."""

from __future__ import annotations

import gzip
import io
import os
import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import requests
import trustme

from runbook_lib.core.errors import ApiError, RunbookError, TransportError
from runbook_lib.core.secret import Secret
from runbook_lib.http import service as http
from runbook_lib.http import session as http_session
from runbook_lib.http import time_limit
from runbook_lib.http.message import Request
from runbook_lib.http.retry import Pace
from runbook_lib.http.service import Service
from runbook_lib.http.session import SignInSession, open_session
from runbook_lib.http.time_limit import Deadline
from runbook_lib.services.entra.graph import MicrosoftGraph
from runbook_lib.services.sign_in import EntraSignIn
from tests.misbehaving import say

PACE = Pace(first_s=0.5, factor=1.0, cap_s=0.5, total_s=60.0)
TOKEN = "an-access-token-of-the-test"


@pytest.fixture
def service(ca_bundle):
    """Return a service at a URL and the waits it asked for: service(url)."""

    def make(url, **more):
        waits = []
        made = Service(
            "graph", url, session=open_session(ca_bundle), pace=PACE, sign_in=lambda _: Secret(TOKEN), sleep=waits.append, **more
        )
        return made, waits

    return make


# Retry-After -----------------------------------------------------------------------------------------------------------


def in_future(seconds):
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("retry_after", "lowest", "highest"),
    [
        ("0", 0, 0),
        ("1", 1, 1),
        ("2.5", 2.5, 2.5),
        ("-5", 0, 0),
        ("junk", 0.5, 0.5),
        ("", 0.5, 0.5),
        ("nan", 0.5, 0.5),
        ("in 8 s", 5, 8),
        ("in -60 s", 0, 0),
    ],
)
@pytest.mark.parametrize("send", ["read", "send"])
def test_a_busy_service_is_asked_again_when_it_says(send, retry_after, lowest, highest, serve, service):
    value = in_future(int(retry_after.split()[1])) if retry_after.startswith("in ") else retry_after
    server = serve(lambda handler, n: say(handler, 429, Retry_After=value) if n == 1 else say(handler))
    reached, waits = service(server.url)
    reached.read("/x") if send == "read" else reached.send(Request("graph", "POST", "/x", body={}))
    assert len(server.seen) == 2
    assert len(waits) == 1
    assert lowest <= waits[0] <= highest


@pytest.mark.parametrize("retry_after", ["1000000000", "1e9", "inf", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_service_that_wants_to_be_left_alone_for_years_is_not_waited_for(retry_after, serve, service):
    server = serve(lambda handler, _: say(handler, 429, Retry_After=retry_after))
    reached, waits = service(server.url)
    with pytest.raises(ApiError, match="429"):
        reached.read("/x")
    assert (len(server.seen), waits) == (1, [])


def test_a_service_that_stays_busy_is_given_up(serve, service):
    server = serve(lambda handler, _: say(handler, 503))
    reached, waits = service(server.url)
    with pytest.raises(ApiError, match="503"):
        reached.read("/x")
    assert (len(server.seen), len(waits)) == (6, 5)


def test_a_write_that_was_answered_503_is_not_sent_again(serve, service):
    server = serve(lambda handler, _: say(handler, 503))
    with pytest.raises(ApiError, match="503"):
        service(server.url)[0].send(Request("graph", "POST", "/x", body={}))
    assert len(server.seen) == 1


# What is in doubt ------------------------------------------------------------------------------------------------------


def cut(head):
    return lambda handler, _: handler.wfile.write(head)


CUT_SHORT = {
    "before an answer": cut(b""),
    "in the status": cut(b"HTTP/1.1 2"),
    "before the content length": cut(b'HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{"a": 1}'),
    "between chunks": cut(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{"a": 1}\r\n'),
    "in the middle of JSON": cut(b'HTTP/1.1 200 OK\r\n\r\n{"a": '),
    "in brackets without end": cut(b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 50_000),
}


@pytest.mark.parametrize("answer", CUT_SHORT.values(), ids=CUT_SHORT)
def test_a_write_whose_answer_was_cut_short_is_in_doubt_and_sent_once(answer, serve, service):
    server = serve(answer)
    with pytest.raises(TransportError) as doubt:
        service(server.url)[0].send(Request("graph", "POST", "/x", body={}))
    assert (doubt.value.ambiguous, len(server.seen)) == (True, 1)


BROKEN_TLS = {
    "an alert": b"\x15\x03\x03\x00\x02\x02\x28",  # RFC 8446, 6: fatal, handshake_failure
    "bytes that are no record": b"HTTP/1.1 502 Bad Gateway\r\n\r\n",
    "a record of another key": b"\x17\x03\x03\x00\x20" + bytes(32),
}


@pytest.mark.parametrize("record", BROKEN_TLS.values(), ids=BROKEN_TLS)
def test_a_write_after_which_the_encryption_broke_is_in_doubt_and_sent_once(record, serve, service):
    server = serve(lambda handler, _: os.write(handler.connection.fileno(), record))
    with pytest.raises(TransportError) as doubt:
        service(server.url)[0].send(Request("graph", "POST", "/x", body={}))
    assert (doubt.value.ambiguous, doubt.value.is_final, len(server.seen)) == (True, False, 1)
    assert "trusted" not in str(doubt.value)


def test_a_reading_after_which_the_encryption_broke_is_asked_again(serve, service):
    def answer(handler, number):
        say(handler, 200, {"a": 1}) if number > 1 else os.write(handler.connection.fileno(), BROKEN_TLS["an alert"])

    server = serve(answer)
    assert service(server.url)[0].read("/x") == {"a": 1}
    assert len(server.seen) == 2


def test_a_server_that_ends_the_handshake_never_got_the_request(service):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse():
            for _ in range(6):
                reached, _ = listener.accept()
                with reached:
                    reached.recv(4096)
                    reached.sendall(BROKEN_TLS["an alert"])

        threading.Thread(target=refuse, daemon=True).start()
        with pytest.raises(TransportError) as refused:
            service(f"https://localhost:{listener.getsockname()[1]}")[0].send(Request("graph", "POST", "/x", body={}))
    assert not refused.value.ambiguous


def test_an_error_of_the_encryption_that_says_nothing_of_the_connection_is_in_doubt(service):
    class Broken(requests.adapters.BaseAdapter):
        def send(self, *_, **__):
            raise requests.exceptions.SSLError("TLSV1_ALERT_INTERNAL_ERROR")

        def close(self):
            """Hold nothing."""

    session = requests.Session()
    session.mount("https://", Broken())
    with pytest.raises(TransportError) as doubt:
        Service("graph", "https://localhost:1", session=session, pace=PACE, sleep=lambda _: None).send(
            Request("graph", "PUT", "/x")
        )
    assert doubt.value.ambiguous


@pytest.mark.parametrize("status", [500, 502, 504])
def test_a_write_that_failed_at_the_server_is_sent_once(status, serve, service):
    server = serve(lambda handler, _: say(handler, status))
    with pytest.raises(ApiError):
        service(server.url)[0].send(Request("graph", "POST", "/x", body={}))
    assert len(server.seen) == 1


def test_where_nobody_listens_nothing_is_in_doubt(serve, service):
    server = serve(lambda handler, _: say(handler))
    server.close()
    with pytest.raises(TransportError) as gone:
        service(server.url)[0].send(Request("graph", "POST", "/x", body={}))
    assert not gone.value.ambiguous


def test_a_certificate_that_is_not_trusted_gets_no_request_and_no_second_try(serve, service, tmp_path):
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "another.pem"))
    server = serve(lambda handler, _: say(handler))
    waits = []
    reached = Service("graph", server.url, session=open_session(str(tmp_path / "another.pem")), pace=PACE, sleep=waits.append)
    with pytest.raises(TransportError, match="not trusted"):
        reached.read("/x")
    assert (server.seen, waits) == ([], [])


def test_a_token_that_is_refused_is_renewed_once(serve, ca_bundle):
    server = serve(lambda handler, _: say(handler, 401))
    asked = []

    def sign_in(renew):
        asked.append(renew)
        return Secret(TOKEN)

    reached = Service("graph", server.url, session=open_session(ca_bundle), pace=PACE, sign_in=sign_in)
    with pytest.raises(ApiError, match="401"):
        reached.send(Request("graph", "POST", "/x", body={}))
    assert (asked, len(server.seen)) == ([False, True], 2)


# Time and size ---------------------------------------------------------------------------------------------------------


def drip(handler, content):
    for octet in content:
        handler.wfile.write(bytes([octet]))
        handler.wfile.flush()
        time.sleep(0.05)


def drip_body(handler, _):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    drip(handler, b" " * 1000)


def drip_headers(handler, _):
    drip(handler, b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 1000)


@pytest.mark.parametrize("answer", [drip_body, drip_headers])
@pytest.mark.parametrize("method", ["PUT", "sign-in"])
def test_an_answer_that_drips_ends_at_the_total_deadline(method, answer, serve, service, ca_bundle, monkeypatch):
    monkeypatch.setattr(time_limit, "TOTAL_TIMEOUT_S", 0.4)
    server, start = serve(answer), time.monotonic()
    reached, _ = service(server.url)
    session = open_session(ca_bundle, SignInSession(Pace(total_s=0.0), lambda _: None))
    with pytest.raises(TransportError, match="not complete after") as caught:
        reached.send(Request("graph", "PUT", "/x", body={})) if method == "PUT" else session.post(f"{server.url}/token")
    assert time.monotonic() - start < 40  # without the deadline it would drip for 50 s
    assert caught.value.ambiguous


def test_one_watchman_ends_what_is_due_first_whatever_becomes_of_the_others():
    watchman, ours, theirs = time_limit._Watchman(), socket.socketpair(), socket.socketpair()
    late, broken, first, over = time_limit._Watch(), time_limit._Watch(), time_limit._Watch(), time_limit._Watch()
    late.sock, broken.sock, first.sock, over.sock = ours[1], object(), ours[0], theirs[0]
    over.end()
    for watch, limit_s in ((late, 60), (broken, 0.1), (over, 0.1), (first, 0.2)):
        watchman.watch(watch, limit_s)
    assert ours[1].recv(1) == b""  # shut down, by the one that was due after one that cannot be
    assert (late.has_fired, broken.has_fired, first.has_fired, over.has_fired) == (False, True, True, False)
    theirs[0].sendall(b"in use by another exchange")
    for pair in (ours, theirs):
        for end in pair:
            end.close()


def test_an_exchange_whose_time_was_used_up_by_connecting_ends_as_its_answer_would_begin():
    ours, watch = socket.socketpair(), time_limit._Watch()
    watch.fire()
    watch.holds(ours[0])
    assert ours[1].recv(1) == b""
    for end in ours:
        end.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_does_not_end_the_exchanges_of_its_parent():
    ours = socket.socketpair()
    watch = time_limit._Watch()
    watch.sock = ours[0]
    time_limit._watchman.watch(watch, 0.3)
    if (child := os.fork()) == 0:
        os._exit(len(time_limit._watchman._due) + (time_limit._watchman._thread is not None))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    watch.end()
    for end in ours:
        end.close()


def test_a_bomb_is_not_unpacked(serve, service, monkeypatch):
    monkeypatch.setattr(http_session, "BODY_LIMIT", 1_000_000)
    bomb = gzip.compress(b" " * 50_000_000)
    server = serve(lambda handler, _: say(handler, 200, bomb, Content_Encoding="gzip"))
    with pytest.raises(TransportError, match="more than 1000000 bytes"):
        service(server.url)[0].send(Request("graph", "PUT", "/x", body={}))


def test_a_bomb_at_the_sign_in_is_not_unpacked(serve, ca_bundle, monkeypatch):
    monkeypatch.setattr(http_session, "BODY_LIMIT", 1_000_000)
    bomb = gzip.compress(b" " * 50_000_000)
    server = serve(lambda handler, _: say(handler, 200, bomb, Content_Encoding="gzip"))
    session = open_session(ca_bundle, SignInSession(Pace(total_s=0.0), lambda _: None))
    with pytest.raises(TransportError, match="more than 1000000 bytes"):
        session.post(f"{server.url}/token")


def test_a_sign_in_answer_is_read_whole(serve, ca_bundle):
    server = serve(lambda handler, _: say(handler, body={"access_token": "x"}))
    session = open_session(ca_bundle, SignInSession(Pace(total_s=0.0), lambda _: None))
    assert session.post(f"{server.url}/token").json() == {"access_token": "x"}


def test_after_the_tenant_s_deadline_nothing_is_sent(serve, service):
    server, times = serve(lambda handler, _: say(handler)), [0.0]
    reached, _ = service(server.url, deadline=Deadline(100.0, lambda: times[0]))
    reached.read("/x")
    times[0] = 100.5
    with pytest.raises(TransportError, match="not sent: this tenant has taken over 100 s"):
        reached.send(Request("graph", "POST", "/x", body={}))
    assert len(server.seen) == 1


# Where requests go -----------------------------------------------------------------------------------------------------


def test_pages_in_a_circle_end(serve, service):
    server = serve(lambda handler, _: say(handler, body={"value": [1], "@odata.nextLink": f"{server.url}/list?page=2"}))
    with pytest.raises(TransportError, match="in a circle"):
        list(service(server.url)[0].pages_from(f"{server.url}/list"))
    assert len(server.seen) == 2


def test_pages_without_end_end(serve, service, monkeypatch):
    monkeypatch.setattr(http, "PAGE_LIMIT", 3)
    server = serve(lambda handler, n: say(handler, body={"value": [n], "@odata.nextLink": f"{server.url}/list?page={n}"}))
    with pytest.raises(TransportError):
        list(service(server.url)[0].pages_from(f"{server.url}/list"))
    assert len(server.seen) == 3


@pytest.mark.parametrize("suffix", ["/list", ".evil.example/list", "@evil.example/list"])
def test_a_next_link_to_another_place_is_not_followed(suffix, serve, service):
    other = serve(lambda handler, _: say(handler, body={"value": ["theirs"]}))
    link = other.url + "/list" if suffix == "/list" else None
    server = serve(lambda handler, _: say(handler, body={"value": [1], "@odata.nextLink": link or server.url + suffix}))
    with pytest.raises(TransportError, match="leads elsewhere"):
        list(service(server.url)[0].pages_from(f"{server.url}/list"))
    assert (len(server.seen), other.seen) == (1, [])


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_redirect_is_an_error_and_the_other_host_hears_nothing(method, status, serve, service):
    other = serve(lambda handler, _: say(handler))
    server = serve(lambda handler, _: say(handler, status, Location=f"{other.url}/x"))
    with pytest.raises(TransportError, match="a redirect, which is never followed"):
        service(server.url)[0].send(Request("graph", method, "/x", body={"secret": Secret("the secret in the body")}))
    assert (len(server.seen), other.seen) == (1, [])


@pytest.mark.parametrize("where", ["/.well-known/openid-configuration", "/oauth2/v2.0/token"])
def test_a_redirected_sign_in_is_an_error_and_the_other_host_hears_nothing(where, serve, ca_bundle):
    tenant = "11111111-2222-4333-8444-555555555555"

    def answer(handler, _):
        if handler.path.partition("?")[0].endswith(where):
            return say(handler, 307, Location=f"{other.url}{handler.path}")
        base = f"{server.url}/{tenant}"
        return say(
            handler,
            body={
                "issuer": f"{base}/v2.0",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "token_endpoint": f"{base}/oauth2/v2.0/token",
            },
        )

    other = serve(lambda handler, _: say(handler, body={"access_token": "theirs"}))
    server = serve(answer)
    sign_in = EntraSignIn(
        authority=server.url,
        tenant=tenant,
        client_id="22222222-2222-4333-8444-555555555555",
        credential="the client secret",
        resource="https://graph.example",
        session=open_session(ca_bundle, SignInSession(PACE, lambda _: None)),
        known_authority=False,
    )
    with pytest.raises(TransportError, match="redirect"):
        sign_in.grant()
    assert (bool(server.seen), other.seen) == (True, [])


@pytest.mark.parametrize("way", ["with a token", "without", "sign-in"])
def test_a_netrc_file_changes_no_authorization(way, serve, service, ca_bundle, tmp_path, monkeypatch):
    server = serve(lambda handler, _: say(handler))
    (tmp_path / "netrc").write_text("default login somebody password netrc-password\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", ca_bundle)
    monkeypatch.setenv("NO_PROXY", "*")
    session = open_session(None)  # of the environment, all but ~/.netrc is used
    sign_in = (lambda _: Secret(TOKEN)) if way == "with a token" else None
    if way == "sign-in":
        open_session(None, SignInSession(PACE, lambda _: None)).get(server.url)
    else:
        Service("x", server.url, session=session, pace=PACE, sign_in=sign_in).read("/x")
    [(_, _, headers, _)] = server.seen
    assert headers.get("Authorization") == (f"Bearer {TOKEN}" if sign_in else None)


@pytest.mark.parametrize(
    "proxy", ["http://user:pr0xy-pass@127.0.0.1:1", "http://user:pr0xy-pass@x:99999", "junk://user:pr0xy-pass@x"]
)
@pytest.mark.parametrize("way", ["service", "sign-in"])
def test_no_error_tells_the_password_of_the_proxy(way, proxy, monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, proxy)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    pace = Pace(total_s=0.0)
    reached = Service("x", "https://acme.eu.auth0.com", session=open_session(None), pace=pace, sleep=lambda _: None)
    session = open_session(None, SignInSession(pace, lambda _: None))
    with pytest.raises(RunbookError) as caught:
        reached.read("/x") if way == "service" else session.get("https://login.example/x")
    texts = [repr(caught.value), str(caught.value), repr(caught.value.__cause__), str(caught.value.args)]
    assert "pr0xy-pass" not in "".join(texts)
    if "99999" in proxy:  # the one that requests itself would tell
        with pytest.raises(requests.exceptions.InvalidURL, match="pr0xy-pass"):
            requests.get("https://acme.eu.auth0.com/x", timeout=5)


@pytest.mark.parametrize("page", [{"value": []}, {}])
def test_an_empty_page_that_names_another_is_not_the_end(page, serve, service):
    """Graph's paging page: a page may be empty. An application that is not seen would be made a second time."""
    found = {"id": "00000000-0000-4000-8000-000000000001", "appId": "a", "displayName": "Acme SCIM"}
    second = {"value": [found]}
    server = serve(lambda handler, n: say(handler, body={**page, "@odata.nextLink": f"{server.url}/more"} if n == 1 else second))
    graph = MicrosoftGraph(service(server.url)[0])
    if page:
        assert [entry.id for entry in graph.service_principals_named("Acme SCIM")] == [found["id"]]
    else:
        with pytest.raises(KeyError):
            graph.service_principals_named("Acme SCIM")


# Files on another host ---------------------------------------------------------------------------------------------------


class Elsewhere(requests.adapters.BaseAdapter):
    """Answers every request with a file, and keeps what was sent."""

    def __init__(self, status=200):
        super().__init__()
        self.status, self.sent = status, []

    def send(self, request, **_):
        self.sent.append(request)
        answer = requests.Response()
        answer.status_code, answer.raw, answer.request, answer.url = (
            self.status,
            io.BytesIO(b"part" * 50_000),
            request,
            request.url,
        )
        return answer

    def close(self):
        """Hold nothing open."""


def elsewhere(status=200):
    adapter, session = Elsewhere(status), open_session(None)
    session.mount("https://", adapter)
    token = Secret("a-token-that-stays-here")
    return Service("auth0", "https://acme.eu.auth0.com", session=session, pace=Pace(), sign_in=lambda renew: token), adapter


def test_a_file_elsewhere_is_read_in_parts_and_gets_no_token():
    service, adapter = elsewhere()
    assert b"".join(service.parts_elsewhere("https://files.example/job/x.gz?Signature=abc")) == b"part" * 50_000
    assert "Authorization" not in adapter.sent[0].headers


def test_a_refused_file_is_named_without_its_signature():
    service, _ = elsewhere(403)
    with pytest.raises(ApiError) as refused:
        list(service.parts_elsewhere("https://files.example/job/x.gz?Signature=abc"))
    assert "https://files.example/job/x.gz" in str(refused.value)
    assert "abc" not in str(refused.value)


@pytest.mark.parametrize("url", ["http://files.example/x.gz", "file:///etc/passwd", "https:///x"])
def test_a_link_that_is_not_https_is_not_followed(url):
    service, adapter = elsewhere()
    with pytest.raises(TransportError, match="not https"):
        list(service.parts_elsewhere(url))
    assert adapter.sent == []
