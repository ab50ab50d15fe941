"""Random situations: the forecast tells of them what was kept; `python -m tests.tenant.forecast.kept` keeps it again."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from runbook_lib.tenant.forecast.values import Fate
from tests.tenant.forecast.kept import COUNT, FILE, told

KEPT = json.loads(FILE.read_text(encoding="utf-8"))


@pytest.mark.parametrize("first", range(0, COUNT, 20))
def test_what_is_told_is_what_was_kept(first):
    assert [told(seed) for seed in range(first, min(first + 20, COUNT))] == KEPT[first : first + 20]


def test_every_fate_is_among_what_was_kept():
    fates = Counter(fate.value for one in KEPT for row in one[2:] for fate in Fate if row[6].startswith(f"{fate.value} "))
    assert set(fates) == {fate.value for fate in Fate}
    assert min(fates.values()) >= 5, fates
