"""The front page of the emulator: its users and the commands."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from itertools import starmap

from devclerk.emulator import Emulator
from devclerk.users import ClerkUser
from devclerk.web import Answer

USERS_SHOWN = 50
STYLE = """
html { background: Canvas; color: CanvasText }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
td, th { border-bottom: 1px solid #8884; overflow-wrap: anywhere; padding: .3rem .6rem; text-align: left }
"""
HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = f"default-src 'none'; style-src 'sha256-{HASH}'; base-uri 'none'; frame-ancestors 'none'"
PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>devclerk</title>
<style>{style}</style>
<main>
<h1>devclerk</h1>
<p>A local Clerk emulator, for development alone. Issuer <code>{issuer}</code>, {count} users.
<a href="/sandbox">The sandbox</a> is a frontend to try them with.</p>
<p>Applications with Clerk's packages use the publishable key <code>{publishable_key}</code>.
Their users sign in at <a href="/sign-in">/sign-in</a>.</p>
<table>
<tr><th scope="col">Name for commands</th><th scope="col">Clerk id</th><th scope="col">E-mail</th>
<th scope="col">First name</th><th scope="col">Last name</th><th scope="col">State</th></tr>
{rows}
</table>
<h2>Commands</h2>
<ul>{commands}</ul>
</main>
"""
COMMANDS = (
    ("token ada", "a session token (--expires, --claim, --fault)"),
    ("update ada --first-name Augusta", "a change and its webhook (--duplicate, --reorder, --delay, ...)"),
    (
        "create NAME, delete NAME, ban NAME, unban NAME",
        "create, delete, ban and unban a user, with the webhook",
    ),
    ("send user.updated ada", "a webhook without a change"),
    ("rotate", "a new signing key"),
    ("keys down, keys slow, keys up", "state of the JWKS endpoint"),
    ("sign-out ada", "end the sessions of a user in all browsers"),
    ("frontend --delay 5", "tokens of browsers (--lifetime, --claim, --fault, --status, --times)"),
    ("api 429 --retry-after 2", "an error of the Backend API"),
)


def index_page(emulator: Emulator, *, issuer: str, publishable_key: str) -> Answer:
    """Return the page with the first users and the commands."""
    users = emulator.directory.list_users(limit=USERS_SHOWN)
    page = PAGE.format(
        style=STYLE,
        issuer=escape(issuer),
        publishable_key=escape(publishable_key),
        count=len(emulator.directory),
        rows="\n".join(map(_row, users)),
        commands="".join(starmap(_command, COMMANDS)),
    )
    headers = {"Content-Security-Policy": POLICY}
    return Answer(body=page.encode(), content_type="text/html; charset=utf-8", headers=headers)


def _row(user: ClerkUser) -> str:
    email = user.email or "none"
    if user.email and not user.email_verified:
        email += " (not verified)"
    state = "banned" if user.banned else ""
    cells = (user.handle, user.id, email, user.first_name, user.last_name, state)
    return "<tr>" + "".join(f"<td>{escape(cell or '')}</td>" for cell in cells) + "</tr>"


def _command(line: str, purpose: str) -> str:
    return f"<li><code>manage.py devclerk {escape(line)}</code>: {escape(purpose)}</li>"
