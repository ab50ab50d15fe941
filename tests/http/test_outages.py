"""What a service, a network or a clock that misbehaves costs, and what the operator is told."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import sys
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from runbook_lib.core.errors import ApiError, TransportError
from runbook_lib.core.secret import Secret
from runbook_lib.http import session
from runbook_lib.http.breaker import Breaker
from runbook_lib.http.message import Request
from runbook_lib.http.retry import SIGN_IN_PACE, Pace
from runbook_lib.http.service import Service
from runbook_lib.http.session import SignInSession, open_session
from runbook_lib.services.sign_in import Auth0ClientCredentials
from tests.misbehaving import say
from tests.patience import PATIENCE_S, until

PACE = Pace(first_s=0.5, factor=1.0, cap_s=0.5, total_s=60.0)
FIVE_TRIES = replace(SIGN_IN_PACE, total_s=3600.0)  # counted by their waits, which do not pass here
READ = Request("auth0", "GET", "/x")
WRITE = Request("auth0", "PUT", "/x", body={})


def service(url, ca_bundle=None, **more):
    waits = []
    return Service("auth0", url, session=open_session(ca_bundle), pace=PACE, sleep=waits.append, **more), waits


def free_port():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


# Networks ---------------------------------------------------------------------------------------------------------------


def told(url, request=WRITE, ca_bundle=None):
    """What came back from a write, the remedy's code, whether the write may have been done, and how often it was tried again."""
    reached, waits = service(url, ca_bundle)
    with pytest.raises(TransportError) as caught:
        reached.send(request)
    error = caught.value
    return error.came_back, error.do_now.rpartition("see: ")[2].rstrip(")"), error.ambiguous, len(waits)


def test_a_name_that_does_not_resolve_is_said_at_once():
    assert told("https://acme.invalid") == ("the name acme.invalid does not resolve", "RB-101", False, 0)


def test_a_refused_connection_is_said_at_once():
    assert told(f"https://127.0.0.1:{free_port()}") == ("the connection is refused", "RB-102", False, 0)


def test_an_untrusted_certificate_names_inspection_and_the_variable_that_helps(serve):
    server = serve(lambda handler, _: say(handler))
    reached, waits = service(server.url)
    with pytest.raises(TransportError, match="the certificate is not trusted") as caught:
        reached.read("/x")
    assert (waits, server.seen) == ([], [])
    assert "If your network inspects TLS, set REQUESTS_CA_BUNDLE" in caught.value.do_now


def tls_server(certificate, close):
    """Serve TLS with one certificate; return its URL."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    listening = socket.create_server(("127.0.0.1", 0))
    close.append(listening.close)

    def accept():
        while True:
            try:
                connection, _ = listening.accept()
                with context.wrap_socket(connection, server_side=True):
                    pass
            except ssl.SSLError:
                continue
            except OSError:
                return

    threading.Thread(target=accept, daemon=True).start()
    return f"https://localhost:{listening.getsockname()[1]}"


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        ({"not_after": datetime(2020, 1, 1, tzinfo=UTC)}, ("the certificate is out of its time", "RB-105", False, 0)),
        ({"common_name": "portal.hotel.example"}, ("the certificate is another host's", "RB-106", False, 0)),
    ],
)
def test_a_certificate_that_is_old_or_another_hosts_has_a_remedy_of_its_own(made, expected, authority, ca_bundle):
    close = []
    identity = "portal.hotel.example" if "common_name" in made else "localhost"
    url = tls_server(authority.issue_cert(identity, **made), close)
    assert told(url, ca_bundle=ca_bundle) == expected
    close[0]()


def test_tls_that_breaks_leaves_a_write_in_doubt(authority, ca_bundle):
    """Garbage or an alert may come after the request was carried out: only a certificate is judged before anything is sent."""
    close = []
    url = tls_server(authority.issue_cert("localhost"), close)  # closes after the handshake
    came_back, _, is_in_doubt, _ = told(url, ca_bundle=ca_bundle)
    assert (came_back in ("the connection broke", "TLS broke"), is_in_doubt) == (True, True)
    close[0]()


@pytest.mark.parametrize(
    ("status", "words", "line"),
    [
        (407, "the proxy asks for a sign-in (407)", "RB-107"),
        (403, "the proxy refuses the connection to acme.auth0.com (403)", "RB-116"),
        (302, "the proxy refuses the connection to acme.auth0.com (302)", "RB-116"),
        (503, "the proxy cannot reach acme.auth0.com (503)", "RB-117"),
    ],
)
def test_a_proxy_that_refuses_is_named_with_what_it_answered(status, words, line, monkeypatch):
    listening = socket.create_server(("127.0.0.1", 0))

    def answer():
        connection, _ = listening.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n".encode())

    threading.Thread(target=answer, daemon=True).start()
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{listening.getsockname()[1]}")
    assert told("https://acme.auth0.com") == (words, line, False, 0)
    listening.close()


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:1", "http://proxy.example:80x", "our proxy", "http://:8080", "ftp://proxy:1"]
)
def test_a_proxy_without_an_answer_or_an_address_got_nothing(address, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", address)
    assert told("https://acme.auth0.com")[1:] == ("RB-108", False, 0)


def test_a_bundle_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/company.pem")
    assert told("https://127.0.0.1:9") == ("the file of trusted certificates is not there", "RB-112", False, 0)


@pytest.mark.parametrize("content", ["none in here", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"])
def test_a_bundle_without_a_whole_certificate_is_named(content, serve, monkeypatch, tmp_path):
    server = serve(lambda handler, _: say(handler))
    (tmp_path / "company.pem").write_text(content)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "company.pem"))
    assert told(server.url)[1:] == ("RB-112", False, 0)


PAGE = b"<html><title>Blocked</title>Access to this site is not permitted</html>"


def test_a_block_page_is_a_gateways_and_no_permission_is_missing(serve, ca_bundle):
    server = serve(lambda handler, _: say(handler, 403, PAGE, Content_Type="text/html"))
    reached, waits = service(server.url, ca_bundle)
    with pytest.raises(TransportError) as caught:
        reached.send(WRITE)
    assert caught.value.came_back == 'answer 403, not JSON but an HTML page with the title "Blocked"'
    assert "no permission is missing (see: RB-109)" in caught.value.do_now
    assert (caught.value.ambiguous, waits, len(server.seen)) == (False, [], 1)


@pytest.mark.parametrize(
    ("status", "content", "form"),
    [
        (403, b"Forbidden by the web filter", "a text"),
        (404, b"<HTML><title>Not Found</title>", 'an HTML page with the title "Not Found"'),
        (400, b"<?xml version='1.0'?><blocked/>", "XML"),
        (200, b"window.location = 'http://portal'", "a text"),
    ],
)
def test_what_is_not_json_is_a_gateways_in_whatever_form(status, content, form, serve, ca_bundle):
    """A 404 of a gateway must not be read as "the object is absent": the runbook would make it a second time."""
    server = serve(lambda handler, _: say(handler, status, content, Content_Type="text/plain"))
    with pytest.raises(TransportError, match="RB-109") as caught:
        service(server.url, ca_bundle)[0].read("/x")
    assert caught.value.came_back == f"answer {status}, not JSON but {form}"


def test_a_page_with_503_is_tried_again_by_a_reading_and_leaves_a_write_in_doubt(serve, ca_bundle):
    server = serve(lambda handler, _: say(handler, 503, PAGE, Content_Type="text/html"))
    reached, waits = service(server.url, ca_bundle)
    with pytest.raises(TransportError, match="HTML page"):
        reached.read("/x")
    assert len(waits) == 5
    with pytest.raises(TransportError) as caught:
        reached.send(WRITE)
    assert (caught.value.ambiguous, len(server.seen)) == (True, 7)


def test_a_page_in_place_of_a_success_is_no_success(serve, ca_bundle):
    server = serve(lambda handler, _: say(handler, 200, PAGE, Content_Type="text/html"))
    assert told(server.url, ca_bundle=ca_bundle)[1:] == ("RB-109", True, 0)


# Clocks -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("skew_s", [-600, 0, 600])
@pytest.mark.parametrize(
    "header",
    [
        lambda then: ("x-ratelimit-reset", str(int(then.timestamp()))),
        lambda then: ("Retry-After", format_datetime(then, usegmt=True)),
    ],
)
def test_times_in_headers_are_compared_with_the_answers_own_date(skew_s, header, serve, ca_bundle):
    date = (datetime.now(UTC) + timedelta(seconds=skew_s)).replace(microsecond=0)
    name, value = header(date + timedelta(seconds=2))

    def answer(handler, number):
        if number > 1:
            return say(handler, 200, [1])
        handler.send_response_only(429)
        for line in (("Date", format_datetime(date, usegmt=True)), (name, value), ("Content-Length", "0")):
            handler.send_header(*line)
        return handler.end_headers()

    reached, waits = service(serve(answer).url, ca_bundle)
    assert (reached.read("/x"), waits) == ([1], [2.0])


# One budget for a request -----------------------------------------------------------------------------------------------


def signed_in(url, ca_bundle, waits, breaker=None):
    shared = {"session": open_session(ca_bundle), "sleep": waits.append, "breaker": breaker}
    sign_in = Auth0ClientCredentials(Service("auth0", url, pace=FIVE_TRIES, **shared), "acme", "id", Secret("outage-test-secret"))
    return Service("auth0", url, pace=PACE, sign_in=lambda renew: sign_in.grant(renew=renew).token, **shared)


def test_a_busy_token_endpoint_costs_five_requests_and_four_seconds(serve, ca_bundle):
    server, waits = serve(lambda handler, _: say(handler, 503)), []
    with pytest.raises(ApiError, match="503"):
        signed_in(server.url, ca_bundle, waits).read("/x")
    assert ([path for _, path, *_ in server.seen], sum(waits)) == (["/oauth/token"] * 5, 3.75)


def test_a_rate_limit_of_the_token_endpoint_is_waited_for(serve, ca_bundle):
    def answer(handler, number):
        if number == 1:
            return say(handler, 429, Retry_After="40")
        return say(handler, 200, {"access_token": "outage-test-token"} if number == 2 else [1])

    waits = []
    assert signed_in(serve(answer).url, ca_bundle, waits).read("/x") == [1]
    assert waits == [40.0]


def test_a_sign_in_through_msal_is_said_within_its_budget_too(serve, ca_bundle):
    server, waits = serve(lambda handler, _: say(handler, 503, {"error": "temporarily_unavailable"})), []
    session = open_session(ca_bundle, SignInSession(FIVE_TRIES, waits.append))
    with pytest.raises(ApiError, match="503") as caught:
        session.post(f"{server.url}/token")
    assert (len(server.seen), sum(waits), caught.value.do_now[-13:]) == (5, 3.75, "(see: RB-218)")


# An outage for a whole fleet --------------------------------------------------------------------------------------------


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def test_an_outage_costs_all_tenants_five_requests_and_one_now_and_then(serve, ca_bundle, tmp_path):
    server, clock = serve(lambda handler, _: say(handler, 503)), Clock()
    counts = []
    for second in range(60):
        for _ in range(5):  # 300 tenants in a minute, each with what it knows of the others
            with pytest.raises((ApiError, TransportError)):
                signed_in(server.url, ca_bundle, [], Breaker(tmp_path, clock=clock)).read("/x")
        clock.now += 1
        counts.append((second, len(server.seen)))
    assert [count for second, count in counts if second in (0, 4, 5, 14, 15, 34, 35, 59)] == [5, 5, 6, 6, 7, 7, 8, 8]


def test_while_a_service_is_out_of_order_tenants_are_told_why_without_asking(ca_bundle, tmp_path):
    url = f"https://127.0.0.1:{free_port()}"
    breaker = Breaker(tmp_path)
    with pytest.raises(TransportError, match="the connection is refused"):
        service(url, breaker=breaker)[0].read("/x")
    with pytest.raises(TransportError) as caught:
        service(url, breaker=Breaker(tmp_path))[0].send(WRITE)
    told = f"PUT {url}/x: the connection is refused (not sent again: the service is out of order, see: RB-114). "
    assert str(caught.value).startswith(told)
    assert (caught.value.ambiguous, "RB-102" in str(caught.value)) == (False, True)


def test_an_answer_ends_the_outage(serve, ca_bundle, tmp_path):
    server, clock = serve(lambda handler, number: say(handler, 503 if number <= 5 else 200)), Clock()
    for _ in range(5):
        with pytest.raises((ApiError, TransportError)):
            service(server.url, ca_bundle, breaker=Breaker(tmp_path, clock=clock))[0].send(WRITE)
    clock.now += 6
    for _ in range(3):
        service(server.url, ca_bundle, breaker=Breaker(tmp_path, clock=clock))[0].send(WRITE)
    assert len(server.seen) == 8


def test_until_a_service_has_answered_one_request_goes_first(serve, ca_bundle, tmp_path):
    """Sixteen tenants that begin at once would cost a dead service sixteen requests."""
    together, most = [], []

    def answer(handler, _):
        together.append(1)
        most.append(len(together))
        time.sleep(0.05)
        together.pop()
        say(handler, 503)

    server, stands_still = serve(answer), Clock()  # so that no time comes to ask the service again

    def one():
        with pytest.raises((ApiError, TransportError)):
            service(server.url, ca_bundle, breaker=Breaker(tmp_path, clock=stands_still))[0].send(WRITE)

    threads = [threading.Thread(target=one) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (max(most), len(server.seen)) == (1, 5)


@pytest.fixture
def silence():
    """Answer nothing while the test lasts."""
    is_over = threading.Event()
    yield lambda _handler, _number: is_over.wait(PATIENCE_S)
    is_over.set()


@pytest.mark.parametrize("kind", ["busy", "silent"])
def test_an_outage_in_mid_run_finds_eight_requests_in_flight_of_sixteen_tenants(
    kind, silence, serve, ca_bundle, tmp_path, monkeypatch
):
    monkeypatch.setattr("runbook_lib.http.breaker.FIRST_PROBE_S", 3600.0)  # so that no time comes to ask the service again
    is_out = threading.Event()

    def answer(handler, number):
        if not is_out.is_set():
            return say(handler)
        return say(handler, 503) if kind == "busy" else silence(handler, number)

    server = serve(answer)
    tenants = [service(server.url, ca_bundle, breaker=Breaker(tmp_path))[0] for _ in range(16)]
    for tenant in tenants:
        tenant.send(WRITE)
    is_out.set()
    if kind == "silent":
        monkeypatch.setattr("runbook_lib.http.time_limit.TOTAL_TIMEOUT_S", 0.15)
    told = []

    def one(tenant):
        for _ in range(3):
            with pytest.raises((ApiError, TransportError)) as caught:
                tenant.read("/x")
            told.append(str(caught.value))

    threads = [threading.Thread(target=one, args=(tenant,)) for tenant in tenants]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(lambda: len(server.seen) >= 16 + 5)
    assert (len(told), len(server.seen) - 16 <= 8) == (48, True)


def test_a_request_whose_process_was_killed_holds_nobody_up_for_ever(ca_bundle, serve, tmp_path):
    server, clock = serve(lambda handler, _: say(handler)), Clock()
    reached, _ = service(server.url, ca_bundle, breaker=Breaker(tmp_path, clock=clock))
    reached.send(WRITE)
    (kept,) = tmp_path.glob("outage-*.json")
    known = json.loads(kept.read_text()) | {"in_flight": [clock.now] * 8}
    kept.write_text(json.dumps(known))
    clock.now += 31
    reached.send(WRITE)
    assert json.loads(kept.read_text())["in_flight"] == []


def test_a_sign_in_without_an_answer_in_its_time_is_an_outage_at_once(silence, serve, ca_bundle, tmp_path):
    server = serve(silence)
    reached, _ = service(server.url, ca_bundle, breaker=Breaker(tmp_path), time_limit_s=0.1)
    with pytest.raises(TransportError, match="not complete after"):
        reached.send(WRITE)
    with pytest.raises(TransportError, match="out of order"):
        service(server.url, ca_bundle, breaker=Breaker(tmp_path))[0].send(WRITE)
    until(lambda: server.seen)
    assert len(server.seen) == 1


def full_queue(stack):
    """Return an address that takes no connection and refuses none: Linux drops what comes when a listener's queue is full."""
    listening = stack.enter_context(socket.socket())
    listening.bind(("127.0.0.1", 0))
    listening.listen(0)
    for _ in range(4):
        waiting = stack.enter_context(socket.socket())
        waiting.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            waiting.connect(listening.getsockname())
    return f"https://127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse what a full queue cannot take")
def test_a_host_that_no_packet_reaches_is_out_of_order_after_one_try(tmp_path, monkeypatch):
    monkeypatch.setattr(session, "CONNECT_TIMEOUT_S", 0.1)
    with contextlib.ExitStack() as stack:
        reached, waits = service(full_queue(stack), breaker=Breaker(tmp_path))
        with pytest.raises(TransportError, match=r"no connection in time \(not sent again: the service is out of order"):
            reached.read("/x")
    assert waits == [0.5]  # the second try is refused here


def test_a_service_that_has_not_answered_yet_is_asked_like_a_sign_in(serve, ca_bundle):
    """Five requests that are answered with an outage, in four seconds."""
    server = serve(lambda handler, _: say(handler, 503))
    reached, waits = service(server.url, ca_bundle, first_pace=FIVE_TRIES)
    with pytest.raises(ApiError, match="503"):
        reached.read("/x")
    assert (len(server.seen), sum(waits)) == (5, 3.75)


def test_a_service_that_is_silent_from_the_beginning_is_asked_once(silence, serve, ca_bundle, monkeypatch):
    monkeypatch.setattr("runbook_lib.http.service.SIGN_IN_TIMEOUT_S", 0.1)
    server = serve(silence)
    reached, waits = service(server.url, ca_bundle, first_pace=replace(SIGN_IN_PACE, total_s=0.05))
    with pytest.raises(TransportError, match="not complete after"):
        reached.read("/x")
    until(lambda: server.seen)
    assert (len(server.seen), waits) == (1, [])


def slow_but_the_first(handler, number):
    time.sleep(0.1 if number > 1 else 0)
    say(handler, 200, [number])


def test_a_service_that_has_answered_gets_its_whole_time(serve, ca_bundle, monkeypatch):
    reached, _ = service(serve(slow_but_the_first).url, ca_bundle, first_pace=SIGN_IN_PACE)
    first = reached.read("/x")
    monkeypatch.setattr("runbook_lib.http.service.SIGN_IN_TIMEOUT_S", 0.05)
    assert [first, reached.read("/y")] == [[1], [2]]


def test_a_first_answer_that_takes_longer_than_a_sign_in_is_waited_for_where_the_service_is_given_more(
    serve, ca_bundle, monkeypatch
):
    monkeypatch.setattr("runbook_lib.http.service.SIGN_IN_TIMEOUT_S", 0.05)
    slow = serve(lambda handler, number: (time.sleep(0.1), say(handler, 200, [number])))
    reached, _ = service(slow.url, ca_bundle, first_pace=SIGN_IN_PACE, first_limit_s=60.0)
    assert (reached.read("/x"), len(slow.seen)) == ([1], 1)


def test_a_service_that_has_answered_another_tenant_gets_its_whole_time_too(serve, ca_bundle, tmp_path, monkeypatch):
    url = serve(slow_but_the_first).url
    tenants = [service(url, ca_bundle, first_pace=SIGN_IN_PACE, breaker=Breaker(tmp_path))[0] for _ in range(2)]
    first = tenants[0].read("/x")
    monkeypatch.setattr("runbook_lib.http.service.SIGN_IN_TIMEOUT_S", 0.05)
    assert [first, tenants[1].read("/x")] == [[1], [2]]


def test_one_failure_of_a_host_that_has_answered_stops_nobody(ca_bundle, serve, tmp_path):
    server = serve(lambda handler, _: say(handler))
    service(server.url, ca_bundle, breaker=Breaker(tmp_path))[0].send(WRITE)
    server.close()
    for _ in range(2):
        with pytest.raises(TransportError, match="the connection is refused"):
            service(server.url, ca_bundle, breaker=Breaker(tmp_path))[0].send(WRITE)


def test_a_refusal_is_an_answer_and_no_outage(serve, ca_bundle, tmp_path):
    server = serve(lambda handler, _: say(handler, 403, {"errorCode": "insufficient_scope"}))
    for _ in range(8):
        with pytest.raises(ApiError, match="403"):
            service(server.url, ca_bundle, breaker=Breaker(tmp_path))[0].read("/x")
    assert len(server.seen) == 8


def test_a_broken_record_of_outages_is_no_outage(serve, ca_bundle, tmp_path):
    server = serve(lambda handler, _: say(handler))
    breaker = Breaker(tmp_path)
    service(server.url, ca_bundle, breaker=breaker)[0].read("/x")
    (kept,) = tmp_path.glob("outage-*.json")
    kept.write_text("{")
    service(server.url, ca_bundle, breaker=breaker)[0].read("/x")
    assert json.loads(kept.read_text())["has_answered"] is True
