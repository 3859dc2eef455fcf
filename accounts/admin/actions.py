"""The actions of the admin on users: each asks for confirmation and runs by `accounts.admin.runner`."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.safestring import SafeString

from accounts.adapter import get_user
from accounts.admin.clerk_fields import show_text
from accounts.admin.runner import (
    ActionFailed,
    UserAction,
    fetch,
    fetch_again,
    has_action_permission,
    refuse_more_rights,
    run_action,
    select_rows,
)
from accounts.models import AbstractClerkIdentity, get_identity_model
from accounts.sync import Outcome, RestoreRefused, delete_locally, restore_user

RESTORE_REFUSALS = {
    "row_missing": "the row does not exist any more",
    "not_deleted": "the row is not deleted",
    "live_row_exists": "another row of the same user is live",
    "deleted_meanwhile": "the user was deleted during the call to Clerk; check the row and try again",
}


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
        elif fetch(user.clerk_id, deleted_row=user) is None:
            raise ActionFailed(f"Clerk has no user {_identify(user)}: the row stays deleted.")
    except RestoreRefused as refusal:
        reason = RESTORE_REFUSALS[refusal.reason]
        raise ActionFailed(f"Could not restore {_identify(user)}: {reason}.") from None
    return f"Restored {_identify(user)}."
