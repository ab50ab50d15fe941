"""A connection's SCIM mapping: how it differs from the default, who else writes, and what of typed rows cannot be right.

Source, where nothing else is named: Auth0's page on the attribute mapping of inbound SCIM. Auth0 itself stores any text (seen in
recordings of its Terraform provider), so what is wrong has to be said here.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from runbook_lib.models import ScimMappingRow
from runbook_lib.vocabulary import EXTERNAL_ID

Rows = Sequence[ScimMappingRow]
LEAVERS = ScimMappingRow("active", "blocked")  # the row by which a departure takes access away
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
_AUTH0 = re.compile(r"(?:(?:app|user)_metadata(?:\.[A-Za-z0-9_-]+)+|(?!(?:app|user)_metadata$)[a-z][A-Za-z0-9_]*)")


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
    if name in known or _AUTH0.fullmatch(name):
        return ""
    return "is neither an attribute of the profile nor app_metadata.NAME"


def wrong_as_a_whole(mapping: Rows) -> str:
    """Return why a mapping cannot be planned although each row is right, empty when it can."""
    if not is_complete(mapping):
        return f"There must be a row {LEAVERS.scim} → {LEAVERS.auth0}: without it people who leave keep their access."
    if not any(row.scim == EXTERNAL_ID for row in mapping):
        return f"There must be a row for {EXTERNAL_ID}: without it Auth0 drops the object id, by which step 4.2 finds people."
    return ""
