"""The front page of the stand-in: who is there, and what can be done."""

from __future__ import annotations

from html import escape
from itertools import starmap

from devclerk.people import Person
from devclerk.standin import StandIn
from devclerk.web import Answer

SHOWN = 50
PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>devclerk</title>
<style>
body {{ font: 1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem }}
table {{ border-collapse: collapse; width: 100% }}
td, th {{ border-bottom: 1px solid #8884; overflow-wrap: anywhere; padding: .3rem .6rem; text-align: left }}
</style>
<h1>devclerk</h1>
<p>A local stand-in for Clerk, for development alone. Issuer <code>{issuer}</code>, {count} people.
<a href="/sandbox">The sandbox</a> is a frontend to try them with.</p>
<table>
<tr><th>Name for commands</th><th>Clerk id</th><th>E-mail</th>
<th>First name</th><th>Last name</th><th>State</th></tr>
{rows}
</table>
<h2>What can be done</h2>
<ul>{commands}</ul>
"""
COMMANDS = (
    ("token ada", "a session token (--expires, --claim, --fault)"),
    ("update ada --first-name Augusta", "a change and its webhook (--duplicate, --reorder, --delay, ...)"),
    ("create NAME, delete NAME, ban NAME, unban NAME", "the same for people who come and go"),
    ("send user.updated ada", "a webhook without a change"),
    ("rotate", "a new signing key"),
    ("keys down, keys slow, keys up", "trouble at the address of the keys"),
    ("api 429 --retry-after 2", "trouble at the Backend API"),
)


def index_page(standin: StandIn, *, issuer: str) -> Answer:
    """Show the first people and the commands."""
    people = standin.directory.people(limit=SHOWN)
    page = PAGE.format(
        issuer=escape(issuer),
        count=len(standin.directory),
        rows="\n".join(map(_row, people)),
        commands="".join(starmap(_command, COMMANDS)),
    )
    return Answer(body=page.encode(), content_type="text/html; charset=utf-8")


def _row(person: Person) -> str:
    email = person.email or "none"
    if person.email and not person.email_verified:
        email += " (not verified)"
    state = "banned" if person.banned else ""
    cells = (person.handle, person.id, email, person.first_name, person.last_name, state)
    return "<tr>" + "".join(f"<td>{escape(cell or '')}</td>" for cell in cells) + "</tr>"


def _command(words: str, purpose: str) -> str:
    return f"<li><code>manage.py devclerk {escape(words)}</code>: {escape(purpose)}</li>"
