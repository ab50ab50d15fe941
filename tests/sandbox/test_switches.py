"""The switches of the world: names, values, and that the README lists each of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from runbook_lib import sandbox
from runbook_lib.sandbox.switches import REGISTRY, Delay, Switches

README = Path(sandbox.__file__).with_name("README.md").read_text(encoding="utf-8")


def test_every_switch_starts_at_its_default_and_is_shown_as_it_is_set():
    assert Switches().document() == {
        name: switch.default.document() if isinstance(switch.default, Delay) else switch.default
        for name, switch in REGISTRY.items()
    }


@pytest.mark.parametrize("name", REGISTRY)
def test_the_readme_lists_every_switch_with_each_reading(name):
    [row] = [line for line in README.splitlines() if line.startswith(f"| `{name}` |")]
    readings = [] if isinstance(REGISTRY[name].default, Delay) else list(REGISTRY[name].readings)
    assert [reading for reading in readings if f"`{str(reading).lower()}`" not in row and f'`"{reading}"`' not in row] == []


def test_values_are_set_together():
    switches = Switches()
    switches.set({"scim_search": "case_blind", "assignments_count_after": {"seconds": 180}, "expired_tokens_count": False})
    assert switches["scim_search"] == "case_blind"
    assert switches["assignments_count_after"] == Delay(seconds=180)
    assert switches.document()["assignments_count_after"] == {"seconds": 180}
    assert switches["expired_tokens_count"] is False


@pytest.mark.parametrize(
    "wrong",
    [
        {"scim_seach": "finds"},
        {"scim_search": "FINDS"},
        {"management_search_of_upn_and_oid": 0},
        {"expired_tokens_count": "true"},
        {"assignments_count_after": 3},
        {"assignments_count_after": {"calls": -1}},
        {"assignments_count_after": {"calls": True}},
        {"secrets_list_after": {"calls": 1, "seconds": 1}},
        {"secrets_list_after": {"seconds": "90"}},
    ],
)
def test_a_wrong_name_or_value_is_refused_and_nothing_is_set(wrong):
    switches = Switches()
    with pytest.raises(ValueError, match=r"switch|one of|calls"):
        switches.set({"put_secrets": "replace", **wrong})
    assert switches.document() == Switches().document()
