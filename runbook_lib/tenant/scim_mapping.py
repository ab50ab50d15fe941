"""A connection's SCIM mapping: how it differs from the default, who else writes, and what of typed rows cannot be right.

Source, where nothing else is named: Auth0's page on the attribute mapping of inbound SCIM. Auth0 itself stores any text (seen in
recordings of its Terraform provider), so what is wrong has to be said here.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from runbook_lib.services.auth0.models import ScimMappingRow
from runbook_lib.services.wire_words import ACTIVE, EXTERNAL_ID, USER_NAME, WORK_EMAIL

Rows = Sequence[ScimMappingRow]
LEAVERS = ScimMappingRow("active", "blocked")  # the row through which a departure removes access
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

# Attributes of users: RFC 7643, sections 3.1, 4.1 and 4.3. `id` and `meta` cannot be mapped, a password is of no use here.
_SIMPLE = (
    "externalId userName displayName nickName profileUrl title userType preferredLanguage locale timezone active roles "
    "name.formatted name.familyName name.givenName name.middleName name.honorificPrefix name.honorificSuffix"
).split()
_LISTS = "emails phoneNumbers ims photos addresses entitlements roles x509Certificates"
_PARTS = "value display formatted streetAddress locality region postalCode country"
_OF_LIST = re.compile(
    rf"(?:{_LISTS.replace(' ', '|')})\[(?:type eq \"[A-Za-z0-9_-]+\"|primary eq true)\]\.(?:{_PARTS.replace(' ', '|')})"
)
_OF_ENTERPRISE = [
    f"{ENTERPRISE}.{name}"
    for name in "employeeNumber costCenter organization division department manager manager.value manager.displayName".split()
]
_OF_EXTENSION = re.compile(r"urn:[A-Za-z0-9:._-]+:[A-Za-z]+\.[A-Za-z][A-Za-z0-9_.-]*")  # of the customer's own schema
_CORE = "urn:ietf:params:scim:schemas:core:2.0:user"
_WITH_SCHEMA = re.compile(r"(urn:[^\s\[\]]+:\d+(?:\.\d+)*:[A-Za-z]\w*)[.:]([A-Za-z].*)", re.ASCII | re.IGNORECASE)
# Attributes at the root of a user: Auth0 Management API, schema of users; upn, as the default mapping for waad writes it.
ROOT = (
    "blocked email email_verified family_name given_name name nickname phone_number phone_verified picture upn username"
).split()
_METADATA = re.compile(r"(?:app|user)_metadata(?:\.[A-Za-z0-9_-]+)+")


def as_auth0_writes(path: str) -> str:
    """Return a SCIM attribute as Auth0's mapping spells it, whichever service it comes from.

    Entra joins the URN of a schema and an attribute with a colon, as RFC 7644 (section 3.10) does, and Auth0 with a dot. URNs
    know no capitals, and that of the core schema may be left out (the same section).
    """
    if (found := _WITH_SCHEMA.fullmatch(path)) is None:
        return path
    schema, name = found.groups()
    if schema.lower() == _CORE:
        return name
    return f"{ENTERPRISE if schema.lower() == ENTERPRISE.lower() else schema}.{name}"


def beside_default(row: ScimMappingRow, default: Rows) -> str:
    """Return how a row differs from the default, empty when it does not."""
    same = next((other for other in default if other.scim == row.scim), None)
    return "" if same == row else "extra" if same is None else f"changed, was {same.auth0}"


def missing_rows(mapping: Rows, default: Rows) -> tuple[ScimMappingRow, ...]:
    """Return the rows of the default whose SCIM attribute the mapping does not have."""
    own = {row.scim for row in mapping}
    return tuple(row for row in default if row.scim not in own)


def row_differences(before: Rows, after: Rows) -> list[tuple[str, str, str]]:
    """Return (SCIM attribute, Auth0 attribute before, after) of each row that is another one; empty: there is none."""
    was, will = {row.scim: row.auth0 for row in before}, {row.scim: row.auth0 for row in after}
    return [(scim, was.get(scim, ""), will.get(scim, "")) for scim in {**was, **will} if was.get(scim) != will.get(scim)]


def is_written_by_login(row: ScimMappingRow) -> bool:
    """Whether signing in writes the same attribute: those at the root of the profile, `blocked` excepted."""
    return bool(row.auth0) and "." not in row.auth0 and row.auth0 != LEAVERS.auth0


def surviving_login(rows: Rows) -> tuple[ScimMappingRow, ...]:
    """Return rows that survive a login: each that login would write over goes to `app_metadata`, under the same name.

    Rows by which Entra finds people, and the one that blocks leavers, stay. Source: Auth0's page on configuring inbound SCIM,
    which advises so where user profiles are synchronised at each login next to SCIM.
    """
    stay = (ACTIVE, EXTERNAL_ID, USER_NAME, WORK_EMAIL)
    return tuple(
        ScimMappingRow(row.scim, f"app_metadata.{row.auth0}") if is_written_by_login(row) and row.scim not in stay else row
        for row in rows
    )


def is_manager(row: ScimMappingRow) -> bool:
    """Whether it is the row because of which Entra fails on later syncs (Auth0 support article on synchronization failures)."""
    return row.scim.endswith("manager")


def is_complete(mapping: Rows) -> bool:
    """Whether people who leave lose their access."""
    return LEAVERS in mapping


def known_paths(default: Rows) -> list[str]:
    """Return SCIM attributes to propose: those of the default, then the others that have one spelling."""
    return list(dict.fromkeys([*(row.scim for row in default), *_SIMPLE, *_OF_ENTERPRISE]))


def wrong_with_scim(path: str, mapping: Rows, known: Iterable[str]) -> str:
    """Return what is wrong with the SCIM attribute of a row of `mapping`, empty when nothing is.

    `known` are attributes that are right whatever this module knows: those of the default, and those Auth0 holds already.
    """
    every = list(dict.fromkeys([*known, *_SIMPLE, *_OF_ENTERPRISE]))
    if not path:
        return "is empty"
    if Counter(row.scim for row in mapping)[path] > 1:
        return "stands in two rows"
    if path in every or _OF_LIST.fullmatch(path) or (_OF_EXTENSION.fullmatch(path) and not path.startswith(ENTERPRISE)):
        return ""
    if path.startswith(f"{ENTERPRISE}:"):
        return "has a colon before its last word; Auth0 writes a dot there"
    near = difflib.get_close_matches(path, every, 1)
    return f"is no SCIM attribute of a user; did you mean {near[0]}" if near else "is no SCIM attribute of a user (RFC 7643)"


def wrong_with_auth0(name: str, mapping: Rows, known: Iterable[str]) -> str:
    """Return what is wrong with the Auth0 attribute of a row of `mapping`, empty when nothing is. For `known` see above."""
    if not name:
        return "is empty"
    if Counter(row.auth0 for row in mapping)[name] > 1:
        return "stands in two rows"
    if name in known or name in ROOT or _METADATA.fullmatch(name):
        return ""
    near = difflib.get_close_matches(name, [*ROOT, *known], 1)
    guess = near[0] if near else f"app_metadata.{name}" if re.fullmatch("[A-Za-z][A-Za-z0-9_]*", name) else ""
    return f"is neither an attribute of the profile nor app_metadata.NAME{f'; did you mean {guess}' if guess else ''}"


_IDENTITY = ("user_id", "identities", "oid")
DEFAULTS = {ACTIVE: LEAVERS.auth0, EXTERNAL_ID: "app_metadata.external_id", USER_NAME: "upn", WORK_EMAIL: "email"}
# The default for waad: recordings of terraform-provider-auth0, TestAccSCIMToken.
_WITHOUT = {
    ACTIVE: "people who leave keep their access",
    EXTERNAL_ID: "Auth0 drops the object id, by which people are linked and provision on demand finds them",
}


def wrong_as_a_whole(mapping: Rows, matching: Iterable[str] = (USER_NAME, WORK_EMAIL)) -> str:
    """Return why a mapping cannot be used although each row is right, empty when it can; with the default row to restore.

    `matching` are the SCIM attributes by which Entra looks people up: Auth0 can search only what a row maps.
    """
    counts = Counter(as_auth0_writes(row.scim) for row in mapping if row.auth0)
    for scim in dict.fromkeys((ACTIVE, EXTERNAL_ID, *map(as_auth0_writes, matching))):
        without = _WITHOUT.get(scim, "Entra looks people up by it and Auth0 finds no user")
        if counts[scim] > 1:
            return f"There are {counts[scim]} rows for {scim}: it is unclear which one Auth0 takes. Keep {_default(scim)}."
        if not counts[scim] or (scim == ACTIVE and not is_complete(mapping)):
            return f"There must be {_default(scim)}: without it {without}."
    return _misplaced_object_id(mapping) or _written_by_another(mapping) or _written_over_identity(mapping)


def _misplaced_object_id(mapping: Rows) -> str:
    """Return why the object id must not go where the mapping sends it: a root attribute means something else to people."""
    name = field_of(EXTERNAL_ID, mapping)
    if _METADATA.fullmatch(name):
        return ""
    return (
        f"There must be {_default(EXTERNAL_ID)} and not {EXTERNAL_ID} → {name}: the object id would take the place of the value "
        f"of {name}, and where a login writes that attribute, it would write over the object id by which a person is linked."
    )


def _written_by_another(mapping: Rows) -> str:
    """Return which other row writes what blocks a person or links them, empty when none does."""
    for scim in (ACTIVE, EXTERNAL_ID):
        name = field_of(scim, mapping)
        others = [row.scim for row in mapping if row.auth0 == name and as_auth0_writes(row.scim) != scim]
        if others:
            return (
                f"{' and '.join(others)} must not write {name}: {_default(scim)} writes it, and which value stays cannot be told."
            )
    return ""


def _written_over_identity(mapping: Rows) -> str:
    """Return which row writes what says whose user it is, empty when none does (docs-v2, user-profile-structure)."""
    found = [row for row in mapping if row.auth0.partition(".")[0] in _IDENTITY]
    if not found:
        return ""
    scim, name = found[0].scim, found[0].auth0
    return f"{scim} must not write {name}, which says whose user it is. Send it to app_metadata.NAME, or take the row out."


def field_of(scim: str, mapping: Rows) -> str:
    """Return the Auth0 attribute of the row for a SCIM attribute, empty where there is none."""
    return next((row.auth0 for row in mapping if row.auth0 and as_auth0_writes(row.scim) == scim), "")


def written_by_several(mapping: Rows) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the Auth0 attributes that several rows write, with the SCIM attributes of those rows."""
    rows: dict[str, list[str]] = {}
    for row in mapping:
        rows.setdefault(row.auth0, []).append(row.scim)
    return tuple((name, tuple(found)) for name, found in rows.items() if name and len(found) > 1)


def _default(scim: str) -> str:
    return f"a row {scim} → {DEFAULTS[scim]}" if scim in DEFAULTS else f"a row for {scim}"
