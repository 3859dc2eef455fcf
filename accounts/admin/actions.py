"""Actions of the admin on users: each asks for confirmation, reports its result per user and logs it.

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
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth import get_permission_codename
from django.core.exceptions import ImproperlyConfigured
from django.db import Error
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.safestring import SafeString

from accounts.adapter import get_user, has_more_rights
from accounts.admin.clerk_fields import show_text
from accounts.audit import SecurityEvent, describe, log_event
from accounts.bulk.refresh import refresh_user
from accounts.clerk.api import ClerkAPIError
from accounts.clerk.instance import InstanceUnconfirmed
from accounts.clerk.profiles import UnusableProfile
from accounts.conf import get_clerk_api
from accounts.db import failure_reason, write_connection
from accounts.models import AbstractClerkIdentity, get_identity_model
from accounts.sync import Outcome, RestoreRefused, SyncResult, delete_locally, restore_user

MAX_ACTION_ROWS = 100  # one page of the list; most actions call Clerk once for each row
# Together these stay below the 30 seconds of gunicorn.
CLERK_TIMEOUT_SECONDS = 5.0
MAX_ACTION_SECONDS = 12.0
RESTORE_REFUSALS = {
    "row_missing": "the row does not exist any more",
    "not_deleted": "the row is not deleted",
    "live_row_exists": "another row of the same user is live",
    "deleted_meanwhile": "the user was deleted during the call to Clerk; check the row and try again",
}
# Each action on users has a permission of its own; Django's permission for more than that includes it.
INCLUDED_IN = {"sync": "change", "deactivate": "change", "delete_here": "delete"}
MORE_RIGHTS = "This user has rights that you do not have. Ask a superuser."
UserAction = Callable[[Any], str]


class ActionFailed(Exception):
    """Nothing was done for this user; the text is for the operator."""


class ClerkUnavailable(ActionFailed):
    """Clerk cannot be called for any user; the text is for the operator."""


class UserActions(admin.ModelAdmin):  # type: ignore[type-arg]
    """The actions of the admin of users."""

    actions = ("sync_again", "deactivate", "activate", "delete_here", "restore")

    @admin.action(description="Sync again from Clerk", permissions=["sync"])
    def sync_again(self, request: HttpRequest, queryset: QuerySet[Any]) -> TemplateResponse | None:
        """Fetch the users from Clerk and merge their profiles."""
        effect = "Each user is fetched from Clerk."
        return self._confirm_and_run(request, queryset, name="sync_again", effect=effect, action=_sync_again)

    @admin.action(description="Deactivate", permissions=["deactivate"])
    def deactivate(self, request: HttpRequest, queryset: QuerySet[Any]) -> TemplateResponse | None:
        """Reject the requests of the users with 403 from now on."""
        effect = "The API answers 403 to these users until you activate them, whatever Clerk sends."
        action = _refuse_own_account(request, partial(_set_active, is_active=False))
        return self._confirm_and_run(request, queryset, name="deactivate", effect=effect, action=action)

    @admin.action(description="Activate", permissions=["deactivate"])
    def activate(self, request: HttpRequest, queryset: QuerySet[Any]) -> TemplateResponse | None:
        """Accept the requests of deactivated users again."""
        effect = "The API accepts these users again, except those who are banned in Clerk."
        action = partial(_set_active, is_active=True)
        return self._confirm_and_run(request, queryset, name="activate", effect=effect, action=action)

    @admin.action(description="Delete locally", permissions=["delete_here"])
    def delete_here(self, request: HttpRequest, queryset: QuerySet[Any]) -> TemplateResponse | None:
        """Mark the rows as deleted locally; they stay, with all rows that reference them."""
        effect = (
            "The rows stay, marked as deleted, with all rows that reference them. The users are not deleted"
            " in Clerk: the next sign-in creates a new row. That row is deactivated or banned if the deleted"
            " one is."
        )
        action = _refuse_own_account(request, _delete_locally)
        return self._confirm_and_run(request, queryset, name="delete_here", effect=effect, action=action)

    @admin.action(description="Restore", permissions=["delete_here"])
    def restore(self, request: HttpRequest, queryset: QuerySet[Any]) -> TemplateResponse | None:
        """Undo a deletion if the user exists in Clerk and has no live row."""
        effect = (
            "Each user is fetched from Clerk. Users who exist in Clerk and have no live row are restored."
            " Local staff are restored without a call."
        )
        return self._confirm_and_run(request, queryset, name="restore", effect=effect, action=_restore)

    def has_sync_permission(self, request: HttpRequest) -> bool:
        """Return whether the operator may fetch users from Clerk."""
        return has_action_permission(request, "sync")

    def has_deactivate_permission(self, request: HttpRequest) -> bool:
        """Return whether the operator may deactivate and activate users."""
        return has_action_permission(request, "deactivate")

    def has_delete_here_permission(self, request: HttpRequest) -> bool:
        """Return whether the operator may delete users locally and restore them."""
        return has_action_permission(request, "delete_here")

    def _confirm_and_run(
        self, request: HttpRequest, queryset: QuerySet[Any], *, name: str, effect: str, action: UserAction
    ) -> TemplateResponse | None:
        """Run the action if the operator has confirmed it, else return the page that asks for it."""
        selected = select_rows(self, request, queryset)
        if not selected:
            return None
        if "confirmed" in request.POST:
            run_action(self, request, selected, name=name, action=_refuse_more_rights(request, action))
            return None
        context = self.admin_site.each_context(request) | {
            "title": f"{getattr(self, name).short_description}?",
            "opts": self.model._meta,
            "selected": [{"pk": row.pk, "label": _label(row)} for row in selected],
            "action": name,
            "effect": effect,
        }
        return TemplateResponse(request, "clerk_sync/confirm.html", context)


def _label(row: Any) -> SafeString:
    return show_text(f"{row.first_name} {row.last_name} {row.email or ''} {row}")


def has_action_permission(request: HttpRequest, action: str) -> bool:
    """Return whether the operator has the permission for this action, or one that includes it."""
    options = get_identity_model()._meta
    codenames = [get_permission_codename(each, options) for each in (action, INCLUDED_IN[action])]
    return any(request.user.has_perm(f"{options.app_label}.{codename}") for codename in codenames)


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
    action: Callable[[Any], str],
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
    synced = _refresh(clerk_id)
    if synced is None:
        raise ActionFailed(
            f"Clerk has no user {clerk_id}. Run `manage.py reconcile_users` to find all such users."
        )
    return f"Fetched {clerk_id} from Clerk: {synced.outcome}."


def _identify(user: AbstractClerkIdentity) -> str:
    """Return an id: the log of the admin outlives the user, and a user name may be an e-mail address."""
    return user.clerk_id or f"the row {user.pk}"


def _sync_again(user: AbstractClerkIdentity) -> str:
    if user.clerk_id is None:
        raise ActionFailed(f"Local staff are not in Clerk: {_identify(user)}.")
    return fetch_again(user.clerk_id)


def _refuse_own_account(request: HttpRequest, action: UserAction) -> UserAction:
    """Return the action, which then raises ActionFailed for the operator who runs it."""

    def guarded(user: AbstractClerkIdentity) -> str:
        if getattr(get_user(user), "pk", None) == request.user.pk:
            raise ActionFailed("This is your own account: you would lock yourself out. Ask another operator.")
        return action(user)

    return guarded


def refuse_more_rights(request: HttpRequest, identity: Any) -> None:
    """Raise ActionFailed if the user of an identity has rights that the operator does not have."""
    if has_more_rights(get_user(identity), than=request.user):
        raise ActionFailed(MORE_RIGHTS)


def _refuse_more_rights(request: HttpRequest, action: UserAction) -> UserAction:
    """Return the action, which then raises ActionFailed for a user with more rights than the operator."""

    def guarded(user: AbstractClerkIdentity) -> str:
        refuse_more_rights(request, user)
        return action(user)

    return guarded


def _set_active(user: AbstractClerkIdentity, *, is_active: bool) -> str:
    rows = get_identity_model().objects.filter(pk=user.pk)
    rows.update(is_active=is_active, updated_at=timezone.now())
    return f"{'Activated' if is_active else 'Deactivated'} {_identify(user)}."


def _delete_locally(user: AbstractClerkIdentity) -> str:
    if delete_locally(user) != Outcome.DELETED:
        raise ActionFailed(f"Nothing was done: {_identify(user)} is deleted already.")
    if user.clerk_id is None:
        return f"Deleted {_identify(user)} locally. It cannot sign in until you restore it."
    return f"Deleted {_identify(user)} locally. The next sign-in creates a new row."


def _restore(user: AbstractClerkIdentity) -> str:
    try:
        if user.clerk_id is None:
            restore_user(user, at=int(timezone.now().timestamp() * 1000))
        elif _refresh(user.clerk_id, deleted_row=user) is None:
            raise ActionFailed(f"Clerk has no user {_identify(user)}: the row stays deleted.")
    except RestoreRefused as refusal:
        reason = RESTORE_REFUSALS[refusal.reason]
        raise ActionFailed(f"Could not restore {_identify(user)}: {reason}.") from None
    return f"Restored {_identify(user)}."


def _refresh(clerk_id: str, *, deleted_row: AbstractClerkIdentity | None = None) -> SyncResult | None:
    """Call `refresh_user`; raise ActionFailed, with what to do, in place of errors of Clerk."""
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
