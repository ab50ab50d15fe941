"""Reading Auth0: lists are read to their end, whatever their length."""

from __future__ import annotations

from runbook_lib.services.auth0.management import Auth0Management
from runbook_lib.services.entra.models import EntraUser


class Pages:
    """Answers a search with so many users, 100 a page, and keeps what was asked."""

    def __init__(self, count):
        self.users = [{"user_id": f"waad|{n}"} for n in range(count)]
        self.asked = []

    def read(self, path, query):
        asked = dict(query)
        self.asked.append(asked["page"])
        start = int(self.asked[-1]) * 100
        page = self.users[start : start + 100]
        return {"users": page, "total": len(self.users)} if "include_totals" in asked else page


def test_the_users_of_a_connection_are_read_to_their_end():
    """A person not seen in Auth0 is not counted among those that the start would block."""
    for count, pages in ((0, 1), (99, 1), (100, 1), (101, 2), (230, 3), (1000, 10)):
        service = Pages(count)
        total, users = Auth0Management(service).users_of_connection("c", ["user_id"])
        assert (total, [user["user_id"] for user in users]) == (count, [f"waad|{n}" for n in range(count)])
        assert service.asked == [str(page) for page in range(pages)]


def test_an_account_of_which_entra_does_not_say_that_it_is_enabled_is_not():
    """Graph answers null where the token may not read it; counted as enabled, a leaver would be blocked uncounted."""
    known = {"id": "1", "userPrincipalName": "a@x"}
    enabled = [EntraUser.from_wire({**known, **more}).is_enabled for more in ({}, {"accountEnabled": None})]
    assert enabled == [False, False]
    assert EntraUser.from_wire({**known, "accountEnabled": True}).is_enabled
