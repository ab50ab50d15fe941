"""The file of trusted authorities is read once, as it is then; what it does not hold is refused as ever."""

import shutil
import ssl

import pytest
import requests

from runbook_lib.http.session import open_session
from runbook_lib.sandbox.server import Sandbox


@pytest.fixture
def loaded(monkeypatch):
    """The files of authorities that were read since, one entry a time."""
    files, load = [], ssl.SSLContext.load_verify_locations

    def noting(context, cafile=None, *more, **named):
        files.append(str(cafile))
        return load(context, cafile, *more, **named)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", noting)
    return files


@pytest.fixture
def bundle(sandbox, tmp_path):
    """A copy of the sandbox's bundle, which no connection has met."""
    return shutil.copy(sandbox.ready["ca_bundle"], tmp_path / "authorities.pem")


def ask(sandbox, bundle):
    with open_session(str(bundle)) as session:
        return session.get(f"https://{sandbox.ready['auth0_domain']}/api/v2/connections").status_code


def test_the_connections_of_several_sessions_read_the_file_once(sandbox, bundle, loaded):
    assert [ask(sandbox, bundle) for _ in range(3)] == [401, 401, 401]
    assert loaded == [str(bundle)]


def test_a_file_that_was_changed_is_read_again(sandbox, bundle, loaded):
    assert ask(sandbox, bundle) == 401
    with Sandbox(seed=4) as other:
        shutil.copy(other.ready["ca_bundle"], bundle)
        assert ask(other, bundle) == 401
        with pytest.raises(requests.exceptions.SSLError):
            ask(sandbox, bundle)
    assert loaded == [str(bundle)] * 2


def test_a_file_that_holds_no_authority_is_an_error_of_the_connection(sandbox, tmp_path):
    (tmp_path / "broken.pem").write_text("no certificate")
    with pytest.raises((requests.exceptions.SSLError, OSError)):
        ask(sandbox, tmp_path / "broken.pem")


def test_a_session_that_trusts_the_usual_authorities_refuses_the_sandbox(sandbox):
    with pytest.raises(requests.exceptions.SSLError):
        ask(sandbox, "")
