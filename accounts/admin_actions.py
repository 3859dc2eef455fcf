"""What an operator can do with people: each action asks first, says what came of it, and is logged."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from django.contrib import admin, messages
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils import timezone

from accounts.clerk.api import ClerkAPIError
from accounts.clerk.profiles import UnusableProfile
from accounts.conf import get_clerk_api
from accounts.models import User
from accounts.refresh import refresh_user, restore_from_clerk
from accounts.sync import Outcome, RestoreRefused, delete_locally, restore_user

if TYPE_CHECKING:
    Base = admin.ModelAdmin[User]
else:
    Base = object

# A page of the list at most; each person of an action that asks Clerk costs a call.
AT_ONCE = 100
T = TypeVar("T")
Act = Callable[[User], str]


class Failed(Exception):
    """Nothing was done for this person; the text is for the operator."""


class PeopleActions(Base):
    """The actions, for the admin of people."""

    actions = ("sync_again", "deactivate", "activate", "delete_here", "restore")

    @admin.action(description="Sync again from Clerk", permissions=["change"])
    def sync_again(self, request: HttpRequest, queryset: QuerySet[User]) -> TemplateResponse | None:
        """Fetch the people from Clerk and merge what it says."""
        return self._carry_out(
            request, queryset, name="sync_again", act=_sync_again, what="Each of them is fetched from Clerk."
        )

    @admin.action(description="Deactivate", permissions=["change"])
    def deactivate(self, request: HttpRequest, queryset: QuerySet[User]) -> TemplateResponse | None:
        """Answer 403 to the people from now on."""
        what = "The API answers 403 to them from now on, whatever Clerk says. Activating ends it."
        return self._carry_out(request, queryset, name="deactivate", act=_set_active(value=False), what=what)

    @admin.action(description="Activate", permissions=["change"])
    def activate(self, request: HttpRequest, queryset: QuerySet[User]) -> TemplateResponse | None:
        """End a deactivation."""
        what = "The API lets them in again. Whoever is banned in Clerk stays out."
        return self._carry_out(request, queryset, name="activate", act=_set_active(value=True), what=what)

    @admin.action(description="Delete here", permissions=["delete_here"])
    def delete_here(self, request: HttpRequest, queryset: QuerySet[User]) -> TemplateResponse | None:
        """Mark the rows as deleted here; they stay, with all that points to them."""
        what = (
            "Their rows stay, marked as deleted, with all that points to them. They are not deleted in Clerk:"
            " the next sign-in makes a fresh, empty row. That never unblocks: whoever is deactivated or"
            " banned stays so."
        )
        return self._carry_out(request, queryset, name="delete_here", act=_delete_here, what=what)

    @admin.action(description="Restore", permissions=["delete_here"])
    def restore(self, request: HttpRequest, queryset: QuerySet[User]) -> TemplateResponse | None:
        """End a deletion, if Clerk knows the person and no other row took the place."""
        what = (
            "Each of them is looked up in Clerk; whoever is alive there and has no other row is live again."
        )
        return self._carry_out(request, queryset, name="restore", act=_restore, what=what)

    def has_delete_here_permission(self, request: HttpRequest) -> bool:
        """Ask for Django's permission to delete users, which nothing else here does."""
        return request.user.has_perm("accounts.delete_user")

    def _carry_out(
        self, request: HttpRequest, queryset: QuerySet[User], *, name: str, act: Act, what: str
    ) -> TemplateResponse | None:
        people = list(queryset[: AT_ONCE + 1])
        if len(people) > AT_ONCE:
            self.message_user(request, f"Choose {AT_ONCE} people at most.", messages.ERROR)
            return None
        if "confirmed" not in request.POST:
            return self._ask(request, people, name=name, what=what)
        for user in people:
            try:
                done, level = act(user), messages.SUCCESS
                self.log_change(request, user, done)
            except Failed as failure:
                done, level = str(failure), messages.ERROR
            self.message_user(request, done, level)
        return None

    def _ask(self, request: HttpRequest, people: list[User], *, name: str, what: str) -> TemplateResponse:
        context: dict[str, Any] = self.admin_site.each_context(request) | {
            "title": f"{name.replace('_', ' ').capitalize()}?",
            "opts": self.model._meta,
            "people": people,
            "action": name,
            "what": what,
        }
        return TemplateResponse(request, "admin/accounts/user/confirm.html", context)


def _named(user: User) -> str:
    return user.clerk_id or user.username


def fetch_again(clerk_id: str) -> str:
    """Fetch one person from Clerk, merge, and say what came of it; raises Failed with what to do."""
    synced = _asking_clerk(clerk_id, lambda: refresh_user(get_clerk_api(), clerk_id, clock=timezone.now))
    if synced is None:
        raise Failed(
            f"Clerk has no user {clerk_id}. Run `manage.py reconcile_users` to see who else is gone."
        )
    return f"Fetched {clerk_id} from Clerk: {synced.outcome}."


def _sync_again(user: User) -> str:
    if user.clerk_id is None:
        raise Failed(f"Local staff are not in Clerk: {user.username}.")
    return fetch_again(user.clerk_id)


def _set_active(*, value: bool) -> Act:
    def act(user: User) -> str:
        User.objects.filter(pk=user.pk).update(is_active=value, updated_at=timezone.now())
        return f"{'Activated' if value else 'Deactivated'} {_named(user)}."

    return act


def _delete_here(user: User) -> str:
    if delete_locally(user) != Outcome.DELETED:
        raise Failed(f"Nothing to do: {_named(user)} is deleted already.")
    return f"Deleted {_named(user)} here. The next sign-in makes a fresh row."


def _restore(user: User) -> str:
    try:
        if user.clerk_id is None:
            restore_user(user, at=int(timezone.now().timestamp() * 1000))
        elif not _asking_clerk(
            user.clerk_id, lambda: restore_from_clerk(get_clerk_api(), user, clock=timezone.now)
        ):
            raise Failed(f"Clerk has no user {_named(user)}: there is nobody to restore.")
    except RestoreRefused as refusal:
        reasons = {
            "live_row_exists": "another row of the same person is live",
            "not_deleted": "the row is not deleted",
        }
        raise Failed(f"Could not restore {_named(user)}: {reasons[refusal.reason]}.") from None
    return f"Restored {_named(user)}."


def _asking_clerk(clerk_id: str, work: Callable[[], T]) -> T:
    try:
        return work()
    except (ImproperlyConfigured, ClerkAPIError) as error:
        raise Failed(f"Could not fetch {clerk_id}. {error}") from None
    except UnusableProfile as refusal:
        raise Failed(
            f"Clerk's answer about {clerk_id} cannot be used ({refusal.reason}). See it there."
        ) from None
    except DatabaseError:
        raise Failed(
            f"Fetched {clerk_id}, but the database did not take it. Try again in a minute."
        ) from None
