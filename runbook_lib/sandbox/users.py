"""The users of an Auth0 tenant, found by a field's value without looking at all of them.

Callers that look into the world change profiles in place, which no index can see. So the store remembers those it handed out:
a search looks at those and at what the index names. Services use `peek`, `put`, `remove` and `holding`, which hand out nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import Any

Document = dict[str, Any]


def values_at(value: Any, path: tuple[str, ...]) -> Iterator[str]:
    """Yield what stands at a dotted path as text, through lists; booleans as `true` and `false`, null not at all."""
    if isinstance(value, list):
        for item in value:
            yield from values_at(item, path)
    elif path:
        if isinstance(value, dict):
            yield from values_at(value.get(path[0]), path[1:])
    elif value is not None:
        yield str(value).lower() if isinstance(value, bool) else str(value)


class Users(dict[str, Document]):
    """Profiles by user id, oldest first."""

    def __init__(self, *initial: Any) -> None:
        super().__init__(*initial)
        self._lent: set[str] = set(self)
        self._index: dict[str, dict[str, set[str]]] = {}
        self._order: dict[str, int] = {user_id: number for number, user_id in enumerate(self)}
        self._next = len(self._order)

    # What services do ---------------------------------------------------------------------------------------------------

    def peek(self, user_id: str) -> Document | None:
        """Return a profile to be read, or changed and `put` back at once."""
        return super().get(user_id)

    def put(self, user: Document) -> None:
        """Keep a new or changed profile."""
        user_id = user["user_id"]
        if user_id not in self._order:
            self._order[user_id] = self._next = self._next + 1
        super().__setitem__(user_id, user)
        for path, known in self._index.items():
            for value in values_at(user, tuple(path.split("."))):
                known.setdefault(value.lower(), set()).add(user_id)

    def remove(self, user_id: str) -> None:
        """Forget a profile; the index is left as it is, since what it names is looked up."""
        super().pop(user_id, None)
        self._order.pop(user_id, None)
        self._lent.discard(user_id)

    def holding(self, path: str, values: Iterable[str]) -> list[Document]:
        """Return all profiles that may hold one of the values at a path, in any case, oldest first. The caller looks again."""
        if len(self._lent) >= len(self):
            return list(super().values())
        if path not in self._index:
            self._index[path] = {}
            for user_id, user in super().items():
                for value in values_at(user, tuple(path.split("."))):
                    self._index[path].setdefault(value.lower(), set()).add(user_id)
        known = self._index[path]
        named = set().union(self._lent, *(known.get(value.lower(), ()) for value in values))
        if len(named) * 8 > len(self):  # then a walk through all, who stand in order, costs less than sorting
            return [user for user_id, user in super().items() if user_id in named]
        found = sorted((self._order[user_id], user_id) for user_id in named if user_id in self._order)
        return [super(Users, self).__getitem__(user_id) for _, user_id in found]

    def everyone(self) -> list[Document]:
        """Return all profiles to be read, oldest first."""
        return list(super().values())

    def settle(self) -> None:
        """Forget which profiles were handed out, as after a world is built: their readers no longer change them."""
        self._lent.clear()
        self._index.clear()

    # What everybody else does --------------------------------------------------------------------------------------------

    def _lend(self, user_ids: Iterable[str]) -> None:
        self._lent.update(user_ids)

    def __getitem__(self, user_id: str) -> Document:
        user = super().__getitem__(user_id)
        self._lent.add(user_id)
        return user

    def get(self, user_id: str, default: Any = None) -> Any:
        """Return a profile and remember that it was handed out."""
        if user_id not in self:
            return default
        return self[user_id]

    def __setitem__(self, user_id: str, user: Document) -> None:
        super().__setitem__(user_id, user)
        if user_id not in self._order:
            self._order[user_id] = self._next = self._next + 1
        self._lent.add(user_id)

    def __delitem__(self, user_id: str) -> None:
        if user_id not in self:
            raise KeyError(user_id)
        self.remove(user_id)

    def pop(self, user_id: str, *default: Any) -> Any:
        """Forget a profile and return it."""
        user = super().pop(user_id, *default)
        self.remove(user_id)
        return user

    def clear(self) -> None:
        """Forget all profiles."""
        for user_id in list(self):
            self.remove(user_id)

    def update(self, *others: Any, **more: Document) -> None:
        """Keep profiles that the caller made."""
        for user_id, user in dict(*others, **more).items():
            self[user_id] = user

    def setdefault(self, user_id: str, default: Any = None) -> Any:
        """Return a profile, first kept when there was none."""
        if user_id not in self:
            self[user_id] = default
        return self[user_id]

    def values(self) -> Any:
        """Return all profiles and remember that they were handed out."""
        self._lend(self)
        return super().values()

    def items(self) -> Any:
        """Return all profiles with their ids and remember that they were handed out."""
        self._lend(self)
        return super().items()

    def __deepcopy__(self, memo: dict[int, Any]) -> Users:
        made = Users()
        for user_id, user in super().items():
            made[user_id] = copy.deepcopy(user, memo)
        made.settle()
        return made
