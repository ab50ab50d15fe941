"""Files in a folder that others may write into: no link is followed, nothing of others is written over."""

from __future__ import annotations

import os

import pytest

from runbook_lib.core.errors import JournalFailed
from runbook_lib.core.files import own_folder, refuse_of_others, replaced
from runbook_lib.engine.journal import Journal
from runbook_lib.run.report import write_private


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "run" / "settings.json"
    write_private(path, "first")
    with pytest.raises(RuntimeError), replaced(path) as writer:  # noqa: PT012 - it breaks in the midst
        writer.write("half of the sec")
        raise RuntimeError
    assert (path.read_text(), [entry.name for entry in path.parent.iterdir()]) == ("first", ["settings.json"])
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


@pytest.mark.parametrize("name", [".settings.json.part", "settings.json"])
def test_no_link_in_the_folder_leads_the_writing_elsewhere(name, tmp_path):
    (tmp_path / "theirs").write_text("precious")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / name).symlink_to(tmp_path / "theirs")
    write_private(tmp_path / "run" / "settings.json", "ours")
    assert (tmp_path / "theirs").read_text() == "precious"
    assert (tmp_path / "run" / "settings.json").read_text() == "ours"
    assert not (tmp_path / "run" / "settings.json").is_symlink()


def test_a_tenant_s_folder_that_is_a_link_is_not_followed(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "acme").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="is a link"):
        write_private(tmp_path / "acme" / "results.json", "x")
    with pytest.raises(JournalFailed, match=r"is a link, which is not followed.*choose another folder"):
        Journal(tmp_path / "acme" / "journal.jsonl").write("run")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_journal_that_is_a_link_is_not_followed(tmp_path):
    (tmp_path / "theirs").touch()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "journal.jsonl").symlink_to(tmp_path / "theirs")
    with pytest.raises(JournalFailed):
        Journal(tmp_path / "run" / "journal.jsonl").write("run")
    assert (tmp_path / "theirs").read_text() == ""


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root gives a folder away")
def test_a_folder_of_another_user_is_refused(tmp_path):
    own_folder(tmp_path / "run")
    os.chown(tmp_path / "run", 12345, -1)
    with pytest.raises(OSError, match="belongs to another user"):
        own_folder(tmp_path / "run")
    refuse_of_others(tmp_path / "nothing")
