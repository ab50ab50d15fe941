"""Ids and secrets from a seeded sequence, in the forms the services use."""

from __future__ import annotations

import base64
import random
import string
import uuid


class Ids:
    """Makes ids that repeat with the seed. Nothing here is fit for real secrets: the sandbox has none."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - repeatable on purpose

    def guid(self) -> str:
        """Return a GUID as Entra writes it, version 4."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def alphanumeric(self, length: int) -> str:
        """Return `length` letters and digits, as in `con_…` and `tok_…`."""
        return "".join(self._random.choices(string.ascii_letters + string.digits, k=length))

    def hexadecimal(self, length: int) -> str:
        """Return `length` lower-case hexadecimal digits."""
        return "".join(self._random.choices("0123456789abcdef", k=length))

    def happens(self, share: float) -> bool:
        """Say whether something happens that does in this share of all cases."""
        return self._random.random() < share

    def base64url(self, octets: int) -> str:
        """Return `octets` random bytes as unpadded base64url; 32 give the 43 characters of a pairwise subject."""
        return base64.urlsafe_b64encode(self._random.randbytes(octets)).rstrip(b"=").decode()
