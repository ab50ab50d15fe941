"""Texts as a person reads them: long ids go on in the next line, words never break, times have their zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from runbook_lib.core.display import moment
from runbook_lib.core.templates import as_split


def test_a_long_address_may_go_on_after_its_signs_and_a_word_never():
    urn = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
    assert as_split(f"provisioning of {urn}") == f"provisioning of {urn.replace(':', ':<wbr>').replace('2.0', '2.<wbr>0')}"
    assert as_split("someone@contoso.example reorganisations") == "someone@contoso.example reorganisations"
    assert as_split("someone@contoso.example", 12) == "someone@<wbr>contoso.<wbr>example"


def test_a_text_that_is_split_is_escaped_first():
    assert as_split(f"<b>&{'x/' * 30}") == f"&lt;b&gt;&amp;{'x/<wbr>' * 29}x/"


def test_a_time_is_told_with_its_zone():
    assert moment(datetime(2026, 3, 9, 7, 5, 1, tzinfo=timezone(timedelta(hours=1)))) == "9 March 2026, 06:05:01 UTC"
    assert moment(datetime(2026, 11, 28, 11, 50, 43, tzinfo=UTC)) == "28 November 2026, 11:50:43 UTC"
