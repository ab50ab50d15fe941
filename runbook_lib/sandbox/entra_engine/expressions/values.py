"""The values of the mapping language, and what every function asks of them."""

from __future__ import annotations

Value = None | str | bool | int | float | tuple[str, ...]


class ExpressionError(Exception):
    """A mapping that cannot be evaluated."""


def text(value: Value) -> str | None:
    """Return a value as text, as a String attribute holds it; None for null. Several values have no single text.

    Raises `ExpressionError` for several values.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, tuple):
        if len(value) > 1:
            raise ExpressionError("Several values where one is expected.")
        return value[0] if value else None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def number(value: Value) -> int:
    """Return a whole number. Raises `ExpressionError` for anything else."""
    written = text(value)
    try:
        return int(written or "")
    except ValueError:
        raise ExpressionError(f"A whole number is expected, not {written!r}.") from None


def several(value: Value) -> tuple[str, ...]:
    """Return a value as a list of texts; null is none."""
    if isinstance(value, tuple):
        return value
    one = text(value)
    return () if one is None else (one,)


def is_empty(value: Value) -> bool:
    """Whether a value is null, an empty text or no value at all."""
    return value in (None, "", ())
