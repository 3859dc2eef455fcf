"""Examine the whole setup: settings, keys, clock, Backend API, webhooks and database."""

from __future__ import annotations

from collections.abc import Iterator

from django.core import checks
from django.db import DatabaseError

from accounts.bulk.runs import Clock
from accounts.clerk.publishable import frontend_api
from accounts.conf import settings
from accounts.models import CreatedVia, SyncRun, get_identity_model
from health.checks import NotReady, database_check
from health.doctor.findings import Finding, error, ok, warning
from health.doctor.instance import examine_instance
from health.doctor.token import examine_token
from health.report import reasons
from webhooks.models import WebhookEvent


def examine(*, token: str | None, clock: Clock) -> list[Finding]:
    """Return the findings about the setup, and about the session token if one is given."""
    return [
        *_check_settings(),
        *_check_publishable_key(),
        *examine_instance(clock=clock),
        *_check_webhook_secret(),
        *_check_database(),
        *(examine_token(token, now=clock()) if token is not None else ()),
    ]


def _check_settings() -> Iterator[Finding]:
    """Run the system checks, whose errors also prevent the start of a server."""
    messages = [message for message in checks.run_checks() if message.level >= checks.WARNING]
    for message in messages:
        what, to_do = str(message.msg), str(message.hint or f"See the check {message.id}.")
        if message.level >= checks.ERROR:
            yield error(what, why="No server starts until this is corrected.", to_do=to_do)
        else:
            yield warning(what, why="Servers start nevertheless.", to_do=to_do)
    if not messages:
        yield ok("The settings are valid and agree with each other.")


def _check_publishable_key() -> Iterator[Finding]:
    issuer = frontend_api(settings.CLERK_PUBLISHABLE_KEY)
    if issuer and issuer != settings.CLERK_ISSUER:
        yield warning(
            f"CLERK_ISSUER is {settings.CLERK_ISSUER}, but CLERK_PUBLISHABLE_KEY belongs to {issuer}.",
            why="The frontend gets tokens from the second, and this project accepts only those of the first.",
            to_do="Remove CLERK_ISSUER, unless you use a proxy or a satellite domain.",
        )


def _check_database() -> Iterator[Finding]:
    try:
        database_check.run()
    except NotReady as refusal:
        reason = reasons.DATABASE[refusal.status]
        yield error(reason.detail, why="No user can sign in.", to_do=reason.next_step)
        return
    yield ok("The database answers and is migrated.")
    try:
        if settings.CLERK_WEBHOOK_SIGNING_SECRET:
            yield _check_webhooks()
        yield _check_backfill()
    except DatabaseError as failure:
        yield error(
            f"A query failed in the database ({type(failure).__name__}).",
            why="Queries of requests will fail as well.",
            to_do="Read the log of the database.",
        )


def _check_webhook_secret() -> Iterator[Finding]:
    if not settings.CLERK_WEBHOOK_SIGNING_SECRET:
        yield warning(
            "CLERK_WEBHOOK_SIGNING_SECRET is not set: /webhooks/clerk answers 503.",
            why="Changes and deletions in Clerk arrive with the user's next request or not at all.",
            to_do="Add the endpoint in Clerk's dashboard, Webhooks, for user.created, user.updated and "
            "user.deleted, and copy its signing secret into the setting.",
        )


def _check_webhooks() -> Finding:
    newest = WebhookEvent.objects.order_by("-received_at").first()
    if newest is not None:
        return ok(f"The last webhook arrived at {newest.received_at:%Y-%m-%d %H:%M} UTC.")
    if get_identity_model().objects.filter(created_via=CreatedVia.REQUEST).exists():
        return warning(
            "Users have signed in, but no webhook has ever arrived.",
            why="Changes and deletions made in Clerk do not reach this database.",
            to_do="Check the endpoint in Clerk's dashboard, Webhooks: its address ends in /webhooks/clerk "
            "and must be reachable from the internet. Then send a test event from the dashboard.",
        )
    return ok(
        "The webhook secret is set; no event has arrived yet.",
        to_do="Send a test event from Clerk's dashboard, Webhooks, Testing.",
    )


def _check_backfill() -> Finding:
    done = SyncRun.objects.filter(kind=SyncRun.Kind.BACKFILL, status=SyncRun.Status.DONE)
    if done.exists():
        return ok("A backfill has finished.")
    return ok(
        "No backfill has finished: users from before this database arrive with their first request.",
        to_do="Run `manage.py backfill_users` to create all users in this database.",
    )
