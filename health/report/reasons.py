"""Explain the facts of the sync report: what happened, and what to do next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from accounts.clerk.keys import KeysStatus
from accounts.clerk.outgoing import USER_AGENT
from health.report.facts import UNUSABLE_FIELD, FailureFacts, KeyFacts, RunFacts, UserFacts, WebhookFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One thing that an operator should know: a code for machines and two texts for the operator."""

    code: str
    detail: str
    next_step: str


DATABASE = {
    "database_unavailable": Reason(
        code="database_unavailable",
        detail="The database does not answer within a second.",
        next_step=(
            "Check that it runs, the network to it, and DATABASE_URL. Until it answers, the sync report is "
            "from the memory of one process."
        ),
    ),
    "database_read_only": Reason(
        code="database_read_only",
        detail="The database is a standby: it answers, and refuses every write.",
        next_step="Name the new primary in DATABASE_URL, or both and target_session_attrs=read-write.",
    ),
    "migrations_pending": Reason(
        code="migrations_pending",
        detail="The database lacks tables or columns that this version needs.",
        next_step="Run `manage.py migrate`.",
    ),
}
# By the part of the failure's reason before the colon.
NEXT_STEPS = {
    "database_error": "Check the database. The entry closes after 15 minutes without this failure.",
    "lock_timeout": (
        "A session holds the lock of a user for seconds: look for long transactions in the database. "
        "The entry closes after 15 minutes without this failure."
    ),
    "keys_unavailable": (
        "No user can sign in until this host has Clerk's keys: check that it reaches CLERK_JWKS_URL, "
        "or set CLERK_JWT_KEY. `manage.py clerk_doctor` examines both."
    ),
    "unexpected_error": (
        "This program, a setting or your code failed unexpectedly: the log line of that time "
        "names the class and the place. Correct the cause, then use `sync again` on an entry of one user. "
        "An entry without a user closes after 15 minutes without this failure."
    ),
    "create_user_failed": (
        "CLERK_CREATE_USER, a receiver of post_save or the table of your users did not accept a new user: "
        "the log line of that time names the class and the place. Correct the cause: a sign-in closes it."
    ),
    "handler_failed": (
        "This function of your project raised an exception: the log line of that time names the class and "
        "the place. Correct it: Clerk repeats the events for a day, older ones can be replayed in Clerk's "
        "dashboard. The entry closes after 15 minutes without this failure."
    ),
    UNUSABLE_FIELD: (
        "Clerk holds a value that cannot be stored; all other fields were synced. Correct it in Clerk, "
        "then use `sync again` on the entry in the admin."
    ),
    "unusable_profile": (
        "An event contained no usable user and was stored as rejected: look at it in the webhook "
        "events and, for the body, in Clerk's dashboard under Webhooks."
    ),
    "wrong_instance": (
        "Deliveries with a good signature name another Clerk instance and are refused: compare "
        "CLERK_INSTANCE_ID with the instance of the endpoint in Clerk's dashboard. Clerk repeats them for a "
        "day; replay older ones there. The entry closes after 15 minutes without this failure."
    ),
    "malformed_event": (
        "Deliveries with a good signature hold no event and are refused: check what the endpoint sends in "
        "Clerk's dashboard under Webhooks. The entry closes after 15 minutes without this failure."
    ),
}
# Codes of `FetchFailed` for an answer that holds no keys.
ANSWERS_WITHOUT_KEYS = ("status_", "JSONDecodeError", "UnicodeDecodeError", "too_large", "no_key_list")
DEFAULT_NEXT_STEP = (
    "Look at the sync failures in the admin and use `sync again`; the logs of that time have the details."
)


def explain_failures(failures: FailureFacts, *, dropped: int) -> Iterator[Reason]:
    """Yield one entry for each reason of open failures, and one if failures were dropped."""
    for reason, rows in sorted(failures.by_reason.items()):
        code = reason.partition(":")[0]
        detail = f"Open failures with the reason {reason}: {rows}."
        yield Reason(code=code, detail=detail, next_step=NEXT_STEPS.get(code, DEFAULT_NEXT_STEP))
    if dropped:
        yield Reason(
            code="failures_lost",
            detail=f"This process had more failures than it can keep in memory; not recorded: {dropped}.",
            next_step="The logs have a line for each. This entry ends 15 minutes after the last one.",
        )


def explain_keys(keys: KeyFacts, *, status: KeysStatus) -> Iterator[Reason]:
    """Yield an entry for keys that are stale or missing, for replaced keys, and for a wrong clock."""
    cause = f" The last attempt failed with {status.last_error}." if status.last_error else ""
    if keys.stale and not status.held:
        yield Reason(
            code="no_verification_key",
            detail=f"This process has never held a key of Clerk's: no user can sign in.{cause}",
            next_step=f"{_explain_fetch(status.last_error or '')} Or set CLERK_JWT_KEY.",
        )
    elif keys.stale:
        yield Reason(
            code="keys_stale",
            detail=f"The keys are {keys.age_seconds:.0f} seconds old. Known tokens still work.{cause}",
            next_step=f"{_explain_fetch(status.last_error or '')} New keys are unknown until then.",
        )
    if status.suspect_rotation:
        yield Reason(
            code="keys_rotated",
            detail=(
                "Key rotated? Since some minutes no token was signed with a key in CLERK_JWT_KEY, and "
                "tokens with another key arrive."
            ),
            next_step="Copy the JWKS public key from Clerk's dashboard (API keys) into CLERK_JWT_KEY.",
        )
    if (skew := keys.clock_skew_seconds) is not None:
        clock = (
            f"This machine's clock is {abs(skew):.0f} seconds {'ahead of' if skew > 0 else 'behind'} Clerk's"
        )
        yield Reason(
            code="clock_skew",
            detail=f"{clock}: valid tokens are answered with 503.",
            next_step="Turn on time synchronisation (NTP) on this host. It is measured again every minute.",
        )


def _explain_fetch(last_error: str) -> str:
    """Return the next step for keys that cannot be fetched: a firewall often gives an answer without keys."""
    if last_error.startswith(ANSWERS_WITHOUT_KEYS):
        return (
            "The answer holds no keys. See https://status.clerk.com. If a firewall or proxy gave it, let "
            f"requests with the User-Agent {USER_AGENT} pass. `manage.py clerk_doctor` has the details."
        )
    return "Check that this host reaches CLERK_JWKS_URL. `manage.py clerk_doctor` has the details."


def explain_webhooks(webhooks: WebhookFacts) -> Iterator[Reason]:
    """Yield an entry for webhooks that are missing or late."""
    if webhooks.state == "missed":
        missed = webhooks.missed
        yield Reason(
            code="webhooks_missed",
            detail=(
                f"New users of the last day without an event from Clerk: {missed.count}, "
                f"which is {missed.share:.0%} of the new users."
            ),
            next_step=(
                "In Clerk's dashboard under Webhooks, check that the endpoint is enabled, its address is "
                "right and user.created is subscribed. Then replay, or run "
                "`manage.py reconcile_users --apply`."
            ),
        )
    if webhooks.state == "late":
        yield Reason(
            code="webhooks_late",
            detail=f"One webhook in twenty was {webhooks.lag_seconds.p95:.0f} seconds late or more.",
            next_step="Look for failures in Clerk's dashboard under Webhooks, and for 503 in the logs.",
        )


def collect_notes(
    *, webhooks: WebhookFacts, users: UserFacts | None, backfill: RunFacts | None
) -> Iterator[Reason]:
    """Yield the information that does not make the report `degraded`."""
    for code, count in sorted(webhooks.refused.items()):
        detail = f"Genuine deliveries of the last day that were refused as {code}: {count}."
        yield Reason(code=code, detail=detail, next_step=NEXT_STEPS[code])
    if webhooks.state == "not_configured":
        yield Reason(
            code="webhooks_not_configured",
            detail="No webhook secret is set: changes in Clerk arrive with the user's next request.",
            next_step="Set CLERK_WEBHOOK_SIGNING_SECRET to the endpoint's signing secret.",
        )
    if webhooks.failed:
        yield Reason(
            code="webhooks_failed",
            detail=f"Events of the last day that failed and were not repeated yet: {webhooks.failed}.",
            next_step=(
                "Clerk repeats them for a day. After that, use the action on the webhook events in the "
                "admin that syncs the users again."
            ),
        )
    for name, count in sorted(webhooks.failed_handlers.items()):
        yield Reason(
            code="handlers_failed",
            detail=f"Events of the last day that {name} failed on and has not handled since: {count}.",
            next_step=(
                "Correct it. Clerk repeats the events for a day; older ones can be replayed in its dashboard."
            ),
        )
    if backfill is None:
        yield Reason(
            code="no_backfill",
            detail="No backfill has finished: this database has only users who signed in or changed.",
            next_step="Run `manage.py backfill_users`.",
        )
    if users is not None and users.without_profile:
        yield Reason(
            code="empty_profiles",
            detail=f"Users with a Clerk id and no other data: {users.without_profile}.",
            next_step=(
                "Add e-mail and names to the session token (`manage.py clerk_doctor --token` shows how), "
                "set up the webhook, or run `manage.py backfill_users`."
            ),
        )
