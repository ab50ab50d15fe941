"""Users who are softly deleted in Entra, looked for only once Entra has refused to assign people as ones it does not know.

Whether Graph still lists the assignments of such a user is not published; it makes none to them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from runbook_lib.engine.readings import derived, fact
from runbook_lib.tenant.view import View


@fact
def deleted_users(view: View) -> frozenset[str]:
    """The object ids of the users that are softly deleted."""
    return frozenset(str(document["id"]) for document in view.graph.deleted_users(()))


def deleted_among(view: View, object_ids: Collection[str]) -> frozenset[str]:
    """Return which of these users are softly deleted; none, without a request, if Entra refused to assign none of them."""
    return view.read(deleted_users) & set(object_ids) if view.memory.refused_now & set(object_ids) else frozenset()


@derived
def deleted_users_when_asked(view: View) -> Callable[[Collection[str]], frozenset[str]]:
    """The function that finds the softly deleted among some users, for a step that seldom needs it."""
    return lambda object_ids: deleted_among(view, object_ids)
