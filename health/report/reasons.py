"""Why the sync is not well, in words: what happened, and what to do next."""

from __future__ import annotations

from dataclasses import dataclass

from accounts.clerk.keys import KeysStatus
from accounts.clerk.outgoing import USER_AGENT
from health.report.facts import FailureFacts, KeyFacts, PeopleFacts, RunFacts, WebhookFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One thing that an operator should know. The code is for machines, the rest for people."""

    code: str
    detail: str
    next_step: str


DATABASE = {
    "database_unavailable": Reason(
        code="database_unavailable",
        detail="The database did not answer within a second: this is what one process remembers.",
        next_step="Look at the database and the way to it. What fails meanwhile is recorded afterwards.",
    ),
    "migrations_pending": Reason(
        code="migrations_pending",
        detail="The database lacks tables or columns that this version needs.",
        next_step="Run `manage.py migrate`.",
    ),
}
# By the part of the failure's reason before the colon.
NEXT_STEPS = {
    "database_error": "Look at the database. The entry closes when none has come for 15 minutes.",
    "lock_timeout": (
        "Something holds a person's lock for seconds: look for long transactions in the database. "
        "The entry closes when none has come for 15 minutes."
    ),
    "keys_unavailable": (
        "Nobody can sign in until Clerk's keys can be had: see that this host reaches CLERK_JWKS_URL, "
        "or set CLERK_JWT_KEY. `manage.py clerk_doctor` looks at both."
    ),
    "unexpected_error": (
        "This program, a setting or code of yours failed in an unforeseen way: the log line of that time "
        "names the class and the place. Correct the cause, then use `sync again` on an entry of one user. "
        "An entry without a user closes when none has come for 15 minutes."
    ),
    "unusable_field": (
        "Clerk holds a value that cannot be stored; the rest of the person was synced. Correct it in Clerk, "
        "then use `sync again` on the entry in the admin."
    ),
    "unusable_profile": (
        "An event came without a usable person in it and was stored as rejected: look at it in the webhook "
        "events and, for the body, in Clerk's dashboard under Webhooks."
    ),
}
# Reasons of `FetchFailed` for an answer that came and held no keys.
ANSWERS_WITHOUT_KEYS = ("status_", "JSONDecodeError", "UnicodeDecodeError", "too_large", "no_key_list")
ANY_FAILURE = "Look at the sync failures in the admin and use `sync again`; the logs of that time say more."


def failure_reasons(failures: FailureFacts, *, lost: int) -> list[Reason]:
    """Explain the open failures, one entry for each reason."""
    found = [
        Reason(
            code=reason.partition(":")[0],
            detail=f"Open failures with the reason {reason}: {rows}.",
            next_step=NEXT_STEPS.get(reason.partition(":")[0], ANY_FAILURE),
        )
        for reason, rows in sorted(failures.by_reason.items())
    ]
    if lost:
        found.append(
            Reason(
                code="failures_lost",
                detail=f"This process met more failures than it could keep; not recorded: {lost}.",
                next_step="The logs hold a line for each. This clears a quarter of an hour after the last.",
            )
        )
    return found


def key_reasons(keys: KeyFacts, *, status: KeysStatus) -> list[Reason]:
    """Explain keys that are old, missing or no longer Clerk's."""
    cause = f" The last attempt failed with {status.last_error}." if status.last_error else ""
    found = []
    if keys.stale and not status.held:
        found.append(
            Reason(
                code="no_verification_key",
                detail=f"This process has never held a key of Clerk's: nobody can sign in.{cause}",
                next_step=f"{_keys_step(status.last_error or '')} Or set CLERK_JWT_KEY.",
            )
        )
    elif keys.stale:
        found.append(
            Reason(
                code="keys_stale",
                detail=f"The keys are {keys.age_seconds:.0f} seconds old. Known tokens still work.{cause}",
                next_step=f"{_keys_step(status.last_error or '')} New keys of Clerk's are unknown here.",
            )
        )
    if status.suspect_rotation:
        found.append(
            Reason(
                code="keys_rotated",
                detail=(
                    "Key rotated? Most tokens of the last minutes were signed with a key that is not in "
                    "CLERK_JWT_KEY."
                ),
                next_step="Copy the JWKS public key from Clerk's dashboard (API keys) into CLERK_JWT_KEY.",
            )
        )
    return found


def _keys_step(last_error: str) -> str:
    """Return what to do about keys that cannot be fetched: an answer without keys is often a firewall's."""
    if last_error.startswith(ANSWERS_WITHOUT_KEYS):
        return (
            "The answer holds no keys. See https://status.clerk.com. If a firewall or proxy gave it, let "
            f"requests with the User-Agent {USER_AGENT} pass there. `manage.py clerk_doctor` says more."
        )
    return "See that this host reaches CLERK_JWKS_URL. `manage.py clerk_doctor` says more."


def webhook_reasons(webhooks: WebhookFacts) -> list[Reason]:
    """Explain webhooks that come late or not at all."""
    if webhooks.state == "missed":
        missed = webhooks.missed
        return [
            Reason(
                code="webhooks_missed",
                detail=(
                    f"People of the last day of whom Clerk sent no word: {missed.count}, "
                    f"that is {missed.share:.0%} of the new ones."
                ),
                next_step=(
                    "Look in Clerk's dashboard under Webhooks: is the endpoint enabled, its address right, "
                    "user.created subscribed? Then replay, or run `manage.py reconcile_users --apply`."
                ),
            )
        ]
    if webhooks.state == "late":
        return [
            Reason(
                code="webhooks_late",
                detail=f"One webhook in twenty came {webhooks.lag_seconds.p95:.0f} seconds late or more.",
                next_step="Look in Clerk's dashboard under Webhooks for failures, in our logs for 503s.",
            )
        ]
    return []


def notes(*, webhooks: WebhookFacts, people: PeopleFacts | None, backfill: RunFacts | None) -> list[Reason]:
    """Say what is worth knowing and no trouble."""
    found = []
    if webhooks.state == "not_configured":
        found.append(
            Reason(
                code="webhooks_not_configured",
                detail="No webhook secret is set: changes in Clerk arrive with the person's next request.",
                next_step="Set CLERK_WEBHOOK_SIGNING_SECRET to the endpoint's signing secret.",
            )
        )
    if webhooks.failed:
        found.append(
            Reason(
                code="webhooks_failed",
                detail=f"Events of the last day that failed and have not come again yet: {webhooks.failed}.",
                next_step=(
                    "Clerk repeats them for a day. Those that it gave up: `sync these people again` on the "
                    "webhook events in the admin."
                ),
            )
        )
    if backfill is None:
        found.append(
            Reason(
                code="no_backfill",
                detail="No backfill has finished: only people who came here or changed are known.",
                next_step="Run `manage.py backfill_users`.",
            )
        )
    if people is not None and people.without_profile:
        found.append(
            Reason(
                code="empty_profiles",
                detail=f"People of whom only the Clerk id is known: {people.without_profile}.",
                next_step=(
                    "Add e-mail and names to the session token (`manage.py clerk_doctor --token` says how), "
                    "set up the webhook, or run `manage.py backfill_users`."
                ),
            )
        )
    return found
