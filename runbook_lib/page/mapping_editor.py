"""The SCIM mapping as rows to edit, for the step that reviews it. An edit is a wish: the step plans it, and Apply writes it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from runbook_lib.page.panel import Fields
from runbook_lib.services.auth0.models import ScimMappingRow
from runbook_lib.tenant.scim_mapping import (
    ROOT,
    Rows,
    beside_default,
    is_manager,
    is_written_by_login,
    known_paths,
    missing_rows,
    surviving_login,
    wrong_as_a_whole,
    wrong_with_auth0,
    wrong_with_scim,
)

LOGIN_TOO = "Login writes it too: the next login replaces what SCIM wrote."
ONLY_LOGIN = "Entra no longer updates it; each login still does."
NOTHING_MORE = "Nothing updates it any more. What stands there stays."
MANAGER_FAILS = "With this row Entra fails on later syncs (Auth0 support): consider removing it, in Entra too."


@dataclass(frozen=True)
class RowShown:
    """One row as the page shows it. `key` names its fields; the texts are empty where there is nothing to say."""

    key: int
    scim: str
    auth0: str
    wrong_scim: str
    wrong_auth0: str
    beside_default: str
    is_edit: bool
    flags: tuple[str, ...]


@dataclass
class MappingEditor:
    """The rows being edited, next to what Auth0 holds (`saved`), what the settings want (`planned`) and the default.

    `focus` is the element that the last action leads to, with a number that makes it one of its own each time.
    """

    saved: Rows = ()
    planned: Rows = ()
    default: Rows = ()
    focus: tuple[str, int] = ("", 0)
    _rows: dict[int, ScimMappingRow] = field(default_factory=dict)
    _keys: int = 0

    def look(self, saved: Rows, default: Rows, wanted: Rows) -> None:
        """Take over what was read and what the settings want; empty `wanted`: as it is. Rows being edited stay."""
        was_edited = self.is_edited
        self.saved, self.default, self.planned = tuple(saved), tuple(default), tuple(wanted or saved)
        if not was_edited and self.is_edited:
            self._replace(self.planned)

    def take(self, fields: Fields) -> None:
        """Take over what is typed. Fields of rows that are gone meanwhile are passed over."""
        for key, row in list(self._rows.items()):
            texts = (fields.get(f"scim-{key}", row.scim).strip(), fields.get(f"auth0-{key}", row.auth0).strip())
            self._rows[key] = ScimMappingRow(*texts)

    def add(self, row: ScimMappingRow = ScimMappingRow("", "")) -> None:  # noqa: B008 - it is frozen
        """Add a row at the end and lead there."""
        self._keys += 1
        self._rows[self._keys] = row
        self._lead(f"scim-map-{self._keys}-scim")

    def add_missing(self, scim: str) -> None:
        """Add the default's row of a SCIM attribute, unless the mapping has one."""
        for row in missing_rows(self.rows, self.default):
            if row.scim == scim:
                self.add(row)

    def remove(self, key: str) -> None:
        """Remove a row and lead to the one after it."""
        keys = list(self._rows)
        if not key.isdigit() or int(key) not in keys:
            return
        at = keys.index(int(key))
        del self._rows[int(key)]
        left = list(self._rows)
        self._lead(f"scim-map-{left[min(at, len(left) - 1)]}-remove" if left else "scim-map-add")

    def back_to_default(self) -> None:
        """Propose the default's rows."""
        self._replace(self.default)

    def survives_login(self) -> None:
        """Propose the rows that login does not write over: those at the root go to `app_metadata`."""
        self._replace(surviving_login(self.rows))

    def undo(self) -> None:
        """Go back to what Auth0 holds."""
        self._replace(self.saved)

    def _replace(self, rows: Iterable[ScimMappingRow]) -> None:
        """Put rows in place, under new keys: a browser keeps what is typed in a field it knows."""
        self._rows = {}
        for row in rows:
            self._keys += 1
            self._rows[self._keys] = row

    def _lead(self, element: str) -> None:
        self.focus = (element, self.focus[1] + 1)

    # What there is to see ---------------------------------------------------------------------------------------------

    @property
    def rows(self) -> tuple[ScimMappingRow, ...]:
        """The rows as they are typed, in the order shown."""
        return tuple(self._rows.values())

    @property
    def is_edited(self) -> bool:
        """Whether the rows differ from the planned ones; their order means nothing."""
        return sorted(map(_texts, self.rows)) != sorted(map(_texts, self.planned))

    @property
    def can_undo(self) -> bool:
        """Whether the rows, or the planned ones, differ from those in Auth0."""
        return self.is_edited or self.planned != self.saved

    @property
    def is_default(self) -> bool:
        """Whether the rows are those of the default."""
        return sorted(map(_texts, self.rows)) == sorted(map(_texts, self.default))

    @property
    def survives(self) -> bool:
        """Whether login writes over no row that Entra does not need to find people by."""
        return surviving_login(self.rows) == self.rows

    @property
    def wrong(self) -> str:
        """Why these rows cannot be planned, empty when they can."""
        bad = sum(bool(row.wrong_scim or row.wrong_auth0) for row in self.shown)
        if bad:
            return f"{bad} {'row is' if bad == 1 else 'rows are'} not right yet."
        return wrong_as_a_whole(self.rows)

    @property
    def shown(self) -> list[RowShown]:
        """The rows, each with what the page says about it."""
        mapping = self.rows
        paths = [row.scim for row in (*self.default, *self.saved)]
        names = [row.auth0 for row in (*self.default, *self.saved)]
        return [
            RowShown(
                key,
                row.scim,
                row.auth0,
                wrong_with_scim(row.scim, mapping, paths),
                wrong_with_auth0(row.auth0, mapping, names),
                beside_default(row, self.default),
                row not in self.saved,
                (*([LOGIN_TOO] if is_written_by_login(row) else ()), *([MANAGER_FAILS] if is_manager(row) else ())),
            )
            for key, row in list(self._rows.items())
        ]

    @property
    def missing(self) -> tuple[ScimMappingRow, ...]:
        """The rows of the default that are not among the rows."""
        return missing_rows(self.rows, self.default)

    @property
    def losses(self) -> tuple[tuple[str, str], ...]:
        """The Auth0 attributes that Auth0's own rows write and these would not, each with what becomes of it.

        Unverified: that Auth0 leaves the value of an attribute that loses its row.
        """
        own = {row.auth0 for row in self.rows}
        lost = [row for row in self.saved if row.auth0 not in own]
        return tuple((row.auth0, ONLY_LOGIN if is_written_by_login(row) else NOTHING_MORE) for row in lost)

    @property
    def names(self) -> list[str]:
        """Auth0 attributes at the root that no row has yet."""
        own = {row.auth0 for row in self.rows}
        return [name for name in ROOT if name not in own]

    @property
    def proposals(self) -> list[str]:
        """SCIM attributes that no row has yet."""
        own = {row.scim for row in self.rows}
        return [path for path in known_paths(self.default) if path not in own]


def _texts(row: ScimMappingRow) -> tuple[str, str]:
    return row.scim, row.auth0
