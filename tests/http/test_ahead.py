"""How old an answer is that was asked for ahead."""

from runbook_lib.http.ahead import Ahead
from runbook_lib.http.message import Request
from runbook_lib.http.rate_limits import Ticket
from runbook_lib.http.retry import Pace
from runbook_lib.http.service import Service
from runbook_lib.http.session import open_session
from tests.misbehaving import say


class Late:
    """A limit that lets a request through after ten seconds."""

    def __init__(self, times):
        self.times = times

    def acquire(self, _kind, _held=None):
        self.times[0] += 10.0
        return Ticket(1)

    def observe(self, *_answer):
        pass


def test_an_answer_is_as_old_as_its_request_and_not_as_the_wait_before_it(serve, ca_bundle):
    times = [100.0]
    server = serve(lambda handler, _number: say(handler))
    with open_session(ca_bundle) as session:
        service = Service("auth0", server.url, session=session, pace=Pace(), limit=Late(times))
        service.ahead = Ahead(lambda: times[0])
        for ask in service.asking_ahead([("/a", ()), ("/b", ())]):
            ask()
        kept = [service.ahead.answer((path, ())).at for path in ("/a", "/b")]
    assert kept == [110.0, 120.0]


class Turns:
    """A limit that notes whose turn it gave, and what became of it."""

    def __init__(self):
        self.noted = []

    def acquire(self, kind, held=None):
        self.noted.append(("turn", kind, held))
        return Ticket(len(self.noted), kind)

    def observe(self, ticket, status, _headers):
        self.noted.append(("answered", ticket.number, status))

    def forget(self, ticket):
        self.noted.append(("given back", ticket.number))


def test_a_write_whose_turn_is_held_waits_for_no_other_and_what_is_read_before_it_names_the_turn(serve, ca_bundle):
    server, limit = serve(lambda handler, _number: say(handler)), Turns()
    write = Request("auth0", "POST", "/connections/con_1", body={})
    with open_session(ca_bundle) as session:
        service = Service("auth0", server.url, session=session, pace=Pace(), limit=limit)
        service.take_turn(write)
        service.read("/connections")
        service.send(write)
        service.take_turn(write)
        service.give_turn_back()
        service.give_turn_back()
    assert limit.noted == [
        ("turn", "write connections", None),
        ("turn", "read connections", Ticket(1, "write connections")),
        ("answered", 2, 200),
        ("answered", 1, 200),
        ("turn", "write connections", None),
        ("given back", 5),
    ]
