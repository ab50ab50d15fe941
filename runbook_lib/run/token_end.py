"""The day on which the SCIM token expires, as a calendar event (RFC 5545): provisioning stops on that day."""

from __future__ import annotations

from datetime import datetime

REMIND_DAYS = 14  # before the end: long enough to reach the customer's administrator


def token_end_event(tenant: str, connection: str, ends_at: datetime, now: datetime) -> str:
    """Return a calendar of one whole-day event with a reminder. `ends_at` and `now` are aware UTC."""
    what = _text(f"{tenant}: the SCIM token of connection {connection} ends")
    why = _text("Provisioning stops then. Make a new token in Auth0 and save it in Entra before that day.")
    lines = (
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//inbound-scim-runbook//EN",
        "BEGIN:VEVENT",
        f"UID:{_uid(tenant, connection, ends_at)}",
        f"DTSTAMP:{now:%Y%m%dT%H%M%SZ}",
        f"DTSTART;VALUE=DATE:{ends_at:%Y%m%d}",
        f"SUMMARY:{what}",
        f"DESCRIPTION:{why}",
        "BEGIN:VALARM",
        "ACTION:DISPLAY",
        f"DESCRIPTION:{what}",
        f"TRIGGER:-P{REMIND_DAYS}D",
        "END:VALARM",
        "END:VEVENT",
        "END:VCALENDAR",
    )
    return "".join(f"{_folded(line)}\r\n" for line in lines)


def _uid(tenant: str, connection: str, ends_at: datetime) -> str:
    name = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in f"{tenant}-{connection}")
    return f"{name}-{ends_at:%Y%m%d}@inbound-scim-runbook"


def _text(value: str) -> str:
    r"""Return a TEXT value: RFC 5545, 3.3.11 escapes \ ; , and line ends."""
    for plain, escaped in (("\\", "\\\\"), (";", "\\;"), (",", "\\,"), ("\n", "\\n")):
        value = value.replace(plain, escaped)
    return value


def _folded(line: str) -> str:
    """Return a content line of at most 75 octets a line (RFC 5545, 3.1), no character cut in two."""
    parts: list[str] = []
    part = ""
    for letter in line:
        if len(f"{part}{letter}".encode()) > (75 if not parts else 74):
            parts.append(part)
            part = ""
        part += letter
    return "\r\n ".join((*parts, part))
