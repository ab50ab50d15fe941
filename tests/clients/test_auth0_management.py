"""Reading Auth0: lists are read to their end, whatever their length."""

from __future__ import annotations

from runbook_lib.clients.auth0_management import Auth0Management
from runbook_lib.models import EntraUser


class Pages:
    """Answers a search with so many users, 100 a page, and keeps what was asked."""

    def __init__(self, count):
        self.users = [{"user_id": f"waad|{n}", "email": "shared@x.example", "identities": []} for n in range(count)]
        self.asked = []

    def read(self, path, query):
        self.asked.append(dict(query).get("page", "0"))
        start = int(self.asked[-1]) * 100
        return self.users[start : start + 100]


def test_users_who_share_addresses_are_all_counted():
    """Who is not seen in Auth0 is not counted among those whom the start would block."""
    for count, pages in ((0, 1), (99, 1), (100, 2), (230, 3)):
        service = Pages(count)
        assert len(Auth0Management(service).users_of_connection("c", ["shared@x.example"])) == count
        assert service.asked == [str(page) for page in range(pages)]


def test_an_account_of_which_entra_does_not_say_that_it_is_enabled_is_not():
    """Graph answers null where the token may not read it; counted as enabled, a leaver would be blocked uncounted."""
    known = {"id": "1", "userPrincipalName": "a@x"}
    enabled = [EntraUser.from_wire({**known, **more}).is_enabled for more in ({}, {"accountEnabled": None})]
    assert enabled == [False, False]
    assert EntraUser.from_wire({**known, "accountEnabled": True}).is_enabled
