"""How an action of the admin runs on the selected rows: their number, its time, its failures and its log.

A failure for one user is a message, and the action goes on with the next user: ActionFailed, and every
django.db.Error. ClerkUnavailable ends the action.

Note [Time limit of a page]
A command may wait until an outage of Clerk is over; a page may not. gunicorn ends a worker after 30 seconds,
and then the operator sees no message. So a call to Clerk is retried once, at once, and the first
`ClerkUnavailable` ends the action. If Clerk answers slowly, the action ends after `MAX_ACTION_SECONDS`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth import get_permission_codename
from django.core.exceptions import ImproperlyConfigured
from django.db import Error
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts.adapter import get_user, has_more_rights
from accounts.audit import SecurityEvent, describe, log_event
from accounts.bulk.refresh import refresh_user
from accounts.clerk.api import ClerkAPIError
from accounts.clerk.instance import InstanceUnconfirmed
from accounts.clerk.profiles import UnusableProfile
from accounts.conf import get_clerk_api
from accounts.db import failure_reason, write_connection
from accounts.models import AbstractClerkIdentity, get_identity_model
from accounts.sync import SyncResult

MAX_ACTION_ROWS = 100  # one page of the list; most actions call Clerk once for each row
# Together these stay below the 30 seconds of gunicorn.
CLERK_TIMEOUT_SECONDS = 5.0
MAX_ACTION_SECONDS = 12.0
# Each action on users has a permission of its own; Django's permission for more than that includes it.
INCLUDED_IN = {"sync": "change", "deactivate": "change", "delete_here": "delete"}
MORE_RIGHTS = "This user has rights that you do not have. Ask a superuser."
UserAction = Callable[[Any], str]


class ActionFailed(Exception):
    """Nothing was done for this user; the text is for the operator."""


class ClerkUnavailable(ActionFailed):
    """Clerk cannot be called for any user; the text is for the operator."""


def has_action_permission(request: HttpRequest, action: str) -> bool:
    """Return whether the operator has the permission for this action, or one that includes it."""
    options = get_identity_model()._meta
    codenames = [get_permission_codename(each, options) for each in (action, INCLUDED_IN[action])]
    return any(request.user.has_perm(f"{options.app_label}.{codename}") for codename in codenames)


def refuse_more_rights(request: HttpRequest, identity: Any) -> None:
    """Raise ActionFailed if the user of an identity has rights that the operator does not have."""
    if has_more_rights(get_user(identity), than=request.user):
        raise ActionFailed(MORE_RIGHTS)


def select_rows(model_admin: admin.ModelAdmin[Any], request: HttpRequest, rows: QuerySet[Any]) -> list[Any]:
    """Return the rows; none, with a message, if there are more than `MAX_ACTION_ROWS`.

    Raises django.db.Error.
    """
    selected = list(rows[: MAX_ACTION_ROWS + 1])
    if len(selected) <= MAX_ACTION_ROWS:
        return selected
    text = f"Nothing was done: select at most {MAX_ACTION_ROWS} rows."
    model_admin.message_user(request, text, messages.ERROR)
    return []


def run_action(
    model_admin: admin.ModelAdmin[Any],
    request: HttpRequest,
    rows: Iterable[Any],
    *,
    name: str,
    action: UserAction,
) -> None:
    """Run the action on each row, show its result and log it: Note [Time limit of a page].

    A failure of the database is an error message for the row, never an exception.
    """
    remaining, deadline = list(rows), time.monotonic() + MAX_ACTION_SECONDS
    while remaining and time.monotonic() < deadline:
        row = remaining.pop(0)
        try:
            result, level = action(row), messages.SUCCESS
        except ActionFailed as failure:
            result, level = str(failure), messages.ERROR
            deadline = 0.0 if isinstance(failure, ClerkUnavailable) else deadline
        except Error as error:
            result, level = _describe_database_failure(row, error=error), messages.ERROR
        model_admin.message_user(request, result, level)
        outcome = "done" if level == messages.SUCCESS else "failed"
        log_event(SecurityEvent.USER_ACTION, request=request, action=name, outcome=outcome, **describe(row))
        try:
            model_admin.log_change(request, row, result)
        except Error as error:
            result = _describe_database_failure(row, error=error)
            model_admin.message_user(request, f"Not in the history: {result}", messages.WARNING)
    if remaining:
        text = f"Nothing was done for the other {len(remaining)}: select them again later."
        model_admin.message_user(request, text, messages.WARNING)


def _describe_database_failure(row: Any, *, error: Error) -> str:
    """Return the text for the operator, and replace the connection if it is dead."""
    write_connection().close_if_unusable_or_obsolete()
    code = failure_reason(error)
    return f"The database failed at the row {row.pk} ({code}). Check the row, then run the action again."


def fetch_again(clerk_id: str) -> str:
    """Fetch a user from Clerk, merge the profile and return the result as text.

    Raises ActionFailed and django.db.Error.
    """
    synced = fetch(clerk_id)
    if synced is None:
        raise ActionFailed(
            f"Clerk has no user {clerk_id}. Run `manage.py reconcile_users` to find all such users."
        )
    return f"Fetched {clerk_id} from Clerk: {synced.outcome}."


def fetch(clerk_id: str, *, deleted_row: AbstractClerkIdentity | None = None) -> SyncResult | None:
    """Fetch a user from Clerk and merge the profile; return None if Clerk has no such user.

    With `deleted_row` that row is restored. Raises ActionFailed, with what to do, in place of Clerk's errors;
    RestoreRefused and django.db.Error.
    """
    try:
        api = get_clerk_api(timeout=CLERK_TIMEOUT_SECONDS, patience=0, accept_kept=True)
        return refresh_user(api, clerk_id, clock=timezone.now, deleted_row=deleted_row)
    except (ImproperlyConfigured, InstanceUnconfirmed) as error:
        raise ClerkUnavailable(f"Could not fetch {clerk_id}. {error}") from None
    except ClerkAPIError as error:
        kind = ClerkUnavailable if error.concerns_all else ActionFailed
        raise kind(f"Could not fetch {clerk_id}. {error}") from None
    except UnusableProfile as refusal:
        raise ActionFailed(
            f"Clerk's answer for {clerk_id} cannot be used ({refusal.reason}). Check the user in Clerk."
        ) from None
