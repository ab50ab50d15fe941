"""One run a tenant on this machine."""

from __future__ import annotations

import pytest

from runbook_lib.core.errors import TenantBusy
from runbook_lib.run.lock import TenantLock, locks_of


def lock(folder, domain="acme.auth0.com", connection="c", holder="first"):
    return TenantLock(folder, domain, connection, holder)


def test_a_second_is_refused_at_once_and_told_who_has_it(tmp_path):
    first, second = lock(tmp_path), lock(tmp_path, "ACME.auth0.com", holder="second")
    assert (first.is_held, second.is_held) == (False, False)
    first.take()
    assert (first.is_held, second.is_held) == (True, False)
    with pytest.raises(TenantBusy) as busy:
        second.take()
    assert busy.value.attempted == "Taking tenant c"
    assert busy.value.came_back == "another run holds it (first)"
    assert second.is_held is False
    first.free()
    assert first.is_held is False
    second.take()
    assert second.is_held is True
    second.free()


def test_another_name_of_the_connection_is_held_and_freed_along(tmp_path):
    by_name, by_id = lock(tmp_path), lock(tmp_path, connection="con_1", holder="second")
    by_name.take()
    by_name.take_also("con_1")
    by_name.take_also("con_1")
    with pytest.raises(TenantBusy):
        by_id.take()
    by_name.free()
    by_id.take()
    by_name.take()
    with pytest.raises(TenantBusy, match="second"):
        by_name.take_also("con_1")
    by_id.take_also("con_1")  # its own name
    by_id.free()
    by_name.take_also("con_1")
    by_name.free()


@pytest.mark.parametrize("note", ["", "[]", "{}", "no json", None])
def test_whoever_cannot_be_named_is_not(tmp_path, note):
    first = lock(tmp_path)
    first.take()
    [path] = tmp_path.glob("*.json")
    path.unlink() if note is None else path.write_text(note)
    with pytest.raises(TenantBusy, match="another run holds it\\. "):
        lock(tmp_path).take()
    first.free()


def test_other_tenants_are_free_and_giving_back_twice_is_nothing(tmp_path):
    locks = [
        lock(tmp_path),
        lock(tmp_path, "other.auth0.com"),
        lock(tmp_path, connection="d"),
        lock(tmp_path, "acme.auth0.comc", ""),
    ]
    for one in locks:
        one.take()
    assert all(one.is_held for one in locks)
    for one in locks:
        one.free()
        one.free()
    assert not any(one.is_held for one in locks)


def test_the_file_is_private_and_its_name_short(tmp_path):
    one = lock(tmp_path)
    one.take()
    assert sorted(len(path.stem) for path in tmp_path.iterdir()) == [32, 32]
    [path] = tmp_path.glob("*.lock")
    assert path.stat().st_mode & 0o777 == 0o600
    one.free()


def test_two_sandboxes_of_one_machine_do_not_hold_up_each_other(tmp_path):
    one, other = (lock(locks_of(tmp_path, f"sandbox:/tmp/{name}/ready.json"), "acme") for name in ("one", "other"))
    again = lock(locks_of(tmp_path, "sandbox:/tmp/one/ready.json"), "acme", holder="second")
    one.take()
    other.take()
    with pytest.raises(TenantBusy):
        again.take()
    one.free()
    other.free()
    assert locks_of(tmp_path, "public") == tmp_path


def test_the_application_of_two_rows_is_held_once_whatever_its_case_and_spelling(tmp_path):
    first, second = lock(tmp_path), lock(tmp_path, connection="other", holder="second")
    first.take()
    first.take_application("t-1", "Caf\u00e9 SCIM")
    second.take()
    with pytest.raises(TenantBusy):
        second.take_application("t-1", "CAFE\u0301 scim")
    second.take_application("t-2", "Caf\u00e9 SCIM")
    second.take_application("t-1", "Cafe SCIM")
    first.free()
    second.take_application("t-1", "Caf\u00e9 SCIM")
    second.free()
