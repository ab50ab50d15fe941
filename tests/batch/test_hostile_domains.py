"""A tenants file with a domain that is not Auth0's is refused before any request, and before its name is looked up."""

from __future__ import annotations

import json
import socket

import pytest
from click.testing import CliRunner

from runbook_lib.__main__ import main
from tests.builders import GOOD, HOSTILE_DOMAINS


@pytest.fixture
def called(monkeypatch):
    """Record every look-up and connection of this process, and refuse it."""
    found = []

    def refuse(*given, **_):
        found.append(given)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)
    return found


def test_the_watch_would_see_a_connection(called):
    with pytest.raises(OSError, match="no network"):
        socket.create_connection(("acme.auth0.com", 443))
    assert called


@pytest.mark.parametrize("command", [["run", "--mode", "apply"], ["run"]])
def test_no_hostile_domain_is_ever_called(command, called, monkeypatch, tmp_path):
    monkeypatch.setenv("A", "secret-of-auth0")
    monkeypatch.setenv("B", "secret-of-entra")
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr("os.umask", lambda _: 0)  # the command's, not this process's
    file = tmp_path / "tenants.yaml"
    codes = set()
    for domain in HOSTILE_DOMAINS:
        file.write_text(json.dumps([{**GOOD, "auth0_domain": domain}]))
        ended = CliRunner().invoke(main, [command[0], str(file), *command[1:], "--out", str(tmp_path / "out")])
        assert "auth0_domain" in ended.output, (domain, ended.output)
        codes.add(ended.exit_code)
    assert (codes, called, (tmp_path / "out").exists()) == ({2}, [], False)
