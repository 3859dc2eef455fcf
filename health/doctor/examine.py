"""The doctor: whether the set-up fits together, and what to do where it does not."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings
from django.core import checks
from django.db import DatabaseError

from accounts.bulk.runs import Clock
from accounts.clerk.publishable import frontend_api
from accounts.models import CreatedVia, SyncRun, User
from health.checks import NotReady, database_check
from health.doctor.findings import Finding, error, ok, warning
from health.doctor.instance import examine_instance
from health.doctor.token import examine_token
from webhooks.models import WebhookEvent

DATABASE = {
    "database_unavailable": (
        "The database does not answer within a second.",
        "See that it runs and DATABASE_URL.",
    ),
    "migrations_pending": ("The database lacks migrations of this version.", "Run `manage.py migrate`."),
}


def examine(*, token: str | None, clock: Clock) -> list[Finding]:
    """Look at everything and return the findings; `token` is a session token to be looked at too."""
    return [
        *_settings(),
        *_publishable_key(),
        *examine_instance(clock=clock),
        *_webhook_secret(),
        *_database(),
        *(examine_token(token, now=clock()) if token is not None else ()),
    ]


def _settings() -> Iterator[Finding]:
    """Tell what the system checks say, which is also what keeps a server from starting."""
    messages = [message for message in checks.run_checks() if message.level >= checks.WARNING]
    for message in messages:
        what, to_do = str(message.msg), str(message.hint or f"See the check {message.id}.")
        if message.level >= checks.ERROR:
            yield error(what, why="No server starts while this stands.", to_do=to_do)
        else:
            yield warning(what, why="Servers start all the same.", to_do=to_do)
    if not messages:
        yield ok("The settings are well formed and fit together.")


def _publishable_key() -> Iterator[Finding]:
    issuer = frontend_api(settings.CLERK_PUBLISHABLE_KEY)
    if issuer and issuer != settings.CLERK_ISSUER:
        yield warning(
            f"CLERK_ISSUER is {settings.CLERK_ISSUER}, but CLERK_PUBLISHABLE_KEY belongs to {issuer}.",
            why="The frontend gets tokens from the second, and they are accepted only from the first.",
            to_do="Remove CLERK_ISSUER, unless a proxy or a satellite domain makes it right.",
        )


def _database() -> Iterator[Finding]:
    try:
        database_check.run()
    except NotReady as trouble:
        what, to_do = DATABASE[trouble.status]
        yield error(what, why="Nobody can sign in.", to_do=to_do)
        return
    yield ok("The database answers and is migrated.")
    try:
        if settings.CLERK_WEBHOOK_SIGNING_SECRET:
            yield _webhooks()
        yield _backfill()
    except DatabaseError as trouble:
        yield error(
            f"The database failed on a question ({type(trouble).__name__}).",
            why="Then it fails for requests as well.",
            to_do="Look at its log.",
        )


def _webhook_secret() -> Iterator[Finding]:
    if not settings.CLERK_WEBHOOK_SIGNING_SECRET:
        yield warning(
            "CLERK_WEBHOOK_SIGNING_SECRET is not set: /webhooks/clerk answers 503.",
            why="Changes and deletions made in Clerk arrive with the person's next request or not at all.",
            to_do="Add the endpoint in Clerk's dashboard, Webhooks, for user.created, user.updated and "
            "user.deleted, and set the variable to its signing secret.",
        )


def _webhooks() -> Finding:
    newest = WebhookEvent.objects.order_by("-received_at").first()
    if newest is not None:
        return ok(f"The last webhook came at {newest.received_at:%Y-%m-%d %H:%M} UTC.")
    if User.objects.filter(created_via=CreatedVia.REQUEST).exists():
        return warning(
            "People have signed in, but no webhook has ever come.",
            why="Changes and deletions made in Clerk do not reach this database.",
            to_do="Look at the endpoint in Clerk's dashboard, Webhooks: its address ends in /webhooks/clerk "
            "and must be reachable from outside. Then send a test event from there.",
        )
    return ok(
        "The webhook secret is set; no event has come yet.",
        to_do="Send a test event from Clerk's dashboard, Webhooks, Testing.",
    )


def _backfill() -> Finding:
    done = SyncRun.objects.filter(kind=SyncRun.Kind.BACKFILL, status=SyncRun.Status.DONE)
    if done.exists():
        return ok("A backfill has finished.")
    return ok(
        "No backfill has finished: people from before this database come with their first request.",
        to_do="Run `manage.py backfill_users` to have everybody here.",
    )
