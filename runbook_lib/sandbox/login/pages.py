"""The one page of Microsoft login that a person sees here: where the device code is typed. Ours, but for its purpose."""

from __future__ import annotations

from html import escape

from runbook_lib.sandbox.exchange import Answer

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 1.1rem/1.5 system-ui, sans-serif; max-width: 32rem; margin: 3rem auto; padding: 0 1rem; }}
label, input {{ display: block; }}
input {{ font: inherit; letter-spacing: .1em; padding: .5rem; margin: .3rem 0 1rem; width: 100%; box-sizing: border-box; }}
button {{ font: inherit; padding: .5rem 1.2rem; margin-right: .5rem; }}
</style>
</head>
<body>
<main>
<h1>{title}</h1>
{content}
</main>
</body>
</html>
"""
_FORM = """{problem}<p>This is the sandbox of {tenant}. You sign in as its administrator, without a password.</p>
<form method="post">
<label for="user_code">Code</label>
<input id="user_code" name="user_code" autocomplete="off" required autofocus value="{code}">
<button name="decision" value="approve">Sign in</button>
<button name="decision" value="decline">Decline</button>
</form>
"""
# No script and nothing from elsewhere: the page is a form and its style.
_HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'"}


def form(tenant: str, *, code: str = "", problem: str = "", status: int = 200) -> Answer:
    """Return the page with the form, and what was wrong with the last try."""
    words = f'<p role="alert">{escape(problem)}</p>\n' if problem else ""
    return _page(status, "Enter code", _FORM.format(problem=words, tenant=escape(tenant), code=escape(code)))


def done(words: str) -> Answer:
    """Return the page that says what became of the code."""
    return _page(200, "You may close this page", f'<p role="status">{escape(words)}</p>\n')


def _page(status: int, title: str, content: str) -> Answer:
    return Answer(status, _PAGE.format(title=escape(title), content=content), _HEADERS, "text/html; charset=utf-8")
