"""Examine the whole setup: settings, keys, clock, Backend API, origins, webhooks and database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from django.core import checks
from django.db import DatabaseError

from accounts.apps import AccountsConfig
from accounts.bulk.runs import Clock
from accounts.conf import is_database_malformed, settings
from health.doctor.database import examine_backfill, examine_database
from health.doctor.findings import Finding, Level, error, ok, warning
from health.doctor.instance import examine_instance
from health.doctor.origins import examine_issuers, examine_origins
from health.doctor.token import examine_token
from health.doctor.webhooks import examine_endpoint, examine_events, examine_secret


def examine(*, token: str | None, clock: Clock, webhook_url: str | None = None) -> list[Finding]:
    """Return the findings about the setup, and about the session token and the endpoint if they are given."""
    messages = checks.run_checks()
    about_settings = list(_explain_settings(messages))
    if any(message.id == f"{AccountsConfig.label}.E020" for message in messages):
        return about_settings  # of another type: nothing else could read them
    return [
        *about_settings,
        *examine_issuers(),
        *examine_instance(clock=clock),
        *examine_origins(),
        *examine_secret(),
        *_examine_stored(),
        *(examine_endpoint(webhook_url) if webhook_url is not None else ()),
        *(examine_token(token, now=clock()) if token is not None else ()),
    ]


def _explain_settings(messages: Sequence[checks.CheckMessage]) -> Iterator[Finding]:
    """Explain the messages of the system checks, whose errors also prevent the start of a server."""
    serious = [message for message in messages if message.level >= checks.WARNING]
    for message in serious:
        what, to_do = str(message.msg), str(message.hint or f"See the check {message.id}.")
        if message.level >= checks.ERROR:
            yield error(what, why="No server starts until this is corrected.", to_do=to_do)
        else:
            yield warning(what, why="Servers start nevertheless.", to_do=to_do)
    if not serious:
        yield ok("The settings are valid and agree with each other.")


def _examine_stored() -> Iterator[Finding]:
    """Examine the database, and what it stores if it can be used."""
    findings = list(examine_database())
    yield from findings
    if any(finding.level is Level.ERROR for finding in findings) or is_database_malformed():
        return
    try:
        if settings.CLERK_WEBHOOK_SIGNING_SECRET:
            yield examine_events()
        yield examine_backfill()
    except DatabaseError as failure:
        yield error(
            f"A query failed in the database ({type(failure).__name__}).",
            why="Queries of requests will fail as well.",
            to_do="Read the log of the database.",
        )
