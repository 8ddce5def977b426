"""Orbit's pages: where a person signs in and allows, and what an error looks like in a browser."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from http import HTTPStatus

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 24rem; margin: 4rem auto; padding: 0 1rem; }}
label, input, button {{ display: block; width: 100%; box-sizing: border-box; font: inherit; }}
input, button {{ padding: .5rem; margin: .25rem 0 1rem; }}
[role=alert] {{ border-left: .25rem solid #b3261e; padding-left: .75rem; }}
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


def authorize_page(fields: Mapping[str, str], *, application: str, user: str = "", error: str = "") -> str:
    """The page on which a person signs in and decides.

    :param fields: parameters of the request, to come back with the decision.
    :param application: the client that asks.
    :param user: the name as it was typed before.
    :param error: what was wrong with that.
    """
    hidden = "\n".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in fields.items()
    )
    alert = f'<p role="alert" id="error">{escape(error)}</p>' if error else ""
    described = ' aria-describedby="error" aria-invalid="true"' if error else ""
    return _PAGE.format(
        title="Sign in to Teamleader Orbit",
        content=f"""<p><strong>{escape(application)}</strong> asks to use Orbit in your name.</p>
{alert}
<form method="post" action="authorize">
{hidden}
<label for="username">User name</label>
<input id="username" name="username" value="{escape(user)}" autocomplete="username" required{described}>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required{described}>
<button type="submit" name="decision" value="allow">Allow</button>
<button type="submit" name="decision" value="deny" formnovalidate>Deny</button>
</form>""",
    )


def error_page(status: int, text: str) -> str:
    """What is wrong, for a person; the title is the status in words."""
    return _PAGE.format(title=f"{status} {HTTPStatus(status).phrase}", content=f"<p>{escape(text)}</p>")
