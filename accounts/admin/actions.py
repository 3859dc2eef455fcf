"""What an operator can do with people: each action asks first, says what came of it, and is logged.

    Failed              nothing was done for this person; the text is for the operator
        ClerkAway       and nothing would be for the others, because Clerk cannot be asked

Note [Somebody waits]
A command may sit an outage of Clerk out; a page may not: gunicorn ends a worker after 30 seconds, and then
there is no message at all. So a page has one quick retry, and the first person whom Clerk does not answer
for is the last one asked about. What takes long although Clerk answers ends after `ENOUGH` seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from django.contrib import admin, messages
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils import timezone

from accounts.bulk.refresh import refresh_user, restore_from_clerk
from accounts.clerk.api import ClerkAPI, ClerkAPIError
from accounts.clerk.instance import InstanceUnconfirmed
from accounts.clerk.profiles import UnusableProfile
from accounts.conf import get_clerk_api
from accounts.models import User
from accounts.sync import Outcome, RestoreRefused, delete_locally, restore_user

if TYPE_CHECKING:
    Base = admin.ModelAdmin[User]
else:
    Base = object

# A page of the list at most; each person of an action that asks Clerk costs a call.
AT_ONCE = 100
# Seconds; together they stay below the 30 of gunicorn.
TIMEOUT = 5.0
ENOUGH = 12.0
T = TypeVar("T")
Act = Callable[[User], str]


class Failed(Exception):
    """Nothing was done for this person; the text is for the operator."""


class ClerkAway(Failed):
    """Clerk cannot be asked, about nobody; the text is for the operator."""


class UserActions(Base):
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
        act = _sparing(request.user.pk, _set_active(value=False))
        return self._carry_out(request, queryset, name="deactivate", act=act, what=what)

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
        act = _sparing(request.user.pk, _delete_here)
        return self._carry_out(request, queryset, name="delete_here", act=act, what=what)

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
        people = _few(self, request, queryset)
        if not people:
            return None
        if "confirmed" not in request.POST:
            return self._ask(request, people, name=name, what=what)
        do_each(self, request, people, act=act)
        return None

    def _ask(self, request: HttpRequest, people: list[User], *, name: str, what: str) -> TemplateResponse:
        context: dict[str, Any] = self.admin_site.each_context(request) | {
            "title": f"{name.replace('_', ' ').capitalize()}?",
            "media": self.media,
            "opts": self.model._meta,
            "people": people,
            "action": name,
            "what": what,
        }
        return TemplateResponse(request, "admin/accounts/user/confirm.html", context)


def sync_users_again(
    model_admin: admin.ModelAdmin[Any], request: HttpRequest, rows: QuerySet[Any], *, nobody: str
) -> None:
    """Fetch each person named by the rows' `clerk_id` from Clerk, once; `nobody` says why there is none."""
    chosen = _few(model_admin, request, rows)
    people = {row.clerk_id: row for row in chosen if row.clerk_id}
    if chosen and not people:
        model_admin.message_user(request, nobody, messages.WARNING)
    do_each(model_admin, request, people.values(), act=lambda row: fetch_again(row.clerk_id))


def _few(model_admin: admin.ModelAdmin[Any], request: HttpRequest, rows: QuerySet[Any]) -> list[Any]:
    """Give the rows; none and a message if they are too many for a page."""
    chosen = list(rows[: AT_ONCE + 1])
    if len(chosen) <= AT_ONCE:
        return chosen
    model_admin.message_user(request, f"Nothing was done: choose {AT_ONCE} at most.", messages.ERROR)
    return []


def do_each(
    model_admin: admin.ModelAdmin[Any],
    request: HttpRequest,
    rows: Iterable[Any],
    *,
    act: Callable[[Any], str],
) -> None:
    """Act on each row, say what came of it, and log it: Note [Somebody waits]."""
    left, give_up_at = list(rows), time.monotonic() + ENOUGH
    while left and time.monotonic() < give_up_at:
        row = left.pop(0)
        try:
            done, level = act(row), messages.SUCCESS
        except Failed as failure:
            done, level = str(failure), messages.ERROR
            give_up_at = 0 if isinstance(failure, ClerkAway) else give_up_at
        model_admin.message_user(request, done, level)
        model_admin.log_change(request, row, done)
    if left:
        model_admin.message_user(
            request, f"Nothing was done for the other {len(left)}: choose them again later.", messages.WARNING
        )


def _clerk() -> ClerkAPI:
    return get_clerk_api(timeout=TIMEOUT, patience=0, accept_kept=True)


def _named(user: User) -> str:
    """Name the row by an id: the admin's history outlives the person, whose user name may be an address."""
    return user.clerk_id or f"the row {user.pk}"


def fetch_again(clerk_id: str) -> str:
    """Fetch one person from Clerk, merge, and say what came of it; raises Failed with what to do."""
    synced = _asking_clerk(clerk_id, lambda: refresh_user(_clerk(), clerk_id, clock=timezone.now))
    if synced is None:
        raise Failed(
            f"Clerk has no user {clerk_id}. Run `manage.py reconcile_users` to see who else is gone."
        )
    return f"Fetched {clerk_id} from Clerk: {synced.outcome}."


def _sync_again(user: User) -> str:
    if user.clerk_id is None:
        raise Failed(f"Local staff are not in Clerk: {_named(user)}.")
    return fetch_again(user.clerk_id)


def _sparing(operator: Any, act: Act) -> Act:
    def spared(user: User) -> str:
        if user.pk == operator:
            raise Failed("That is you: somebody else must do it, or you would shut yourself out.")
        return act(user)

    return spared


def _set_active(*, value: bool) -> Act:
    def act(user: User) -> str:
        User.objects.filter(pk=user.pk).update(is_active=value, updated_at=timezone.now())
        return f"{'Activated' if value else 'Deactivated'} {_named(user)}."

    return act


def _delete_here(user: User) -> str:
    if delete_locally(user) != Outcome.DELETED:
        raise Failed(f"Nothing to do: {_named(user)} is deleted already.")
    if user.clerk_id is None:
        return f"Deleted {_named(user)} here. Nobody signs in with it until you restore it."
    return f"Deleted {_named(user)} here. The next sign-in makes a fresh row."


def _restore(user: User) -> str:
    try:
        if user.clerk_id is None:
            restore_user(user, at=int(timezone.now().timestamp() * 1000))
        elif not _asking_clerk(user.clerk_id, lambda: restore_from_clerk(_clerk(), user, clock=timezone.now)):
            raise Failed(f"Clerk has no user {_named(user)}: there is nobody to restore.")
    except RestoreRefused as refusal:
        reasons = {
            "live_row_exists": "another row of the same person is live",
            "not_deleted": "the row is not deleted",
            "deleted_meanwhile": "a deletion came while Clerk was asked; look again before you restore",
        }
        raise Failed(f"Could not restore {_named(user)}: {reasons[refusal.reason]}.") from None
    return f"Restored {_named(user)}."


def _asking_clerk(clerk_id: str, work: Callable[[], T]) -> T:
    try:
        return work()
    except (ImproperlyConfigured, InstanceUnconfirmed) as error:
        raise ClerkAway(f"Could not fetch {clerk_id}. {error}") from None
    except ClerkAPIError as error:
        kind = ClerkAway if error.concerns_all else Failed
        raise kind(f"Could not fetch {clerk_id}. {error}") from None
    except UnusableProfile as refusal:
        raise Failed(
            f"Clerk's answer about {clerk_id} cannot be used ({refusal.reason}). See it there."
        ) from None
    except DatabaseError:
        raise Failed(
            f"Fetched {clerk_id}, but the database did not take it. Try again in a minute."
        ) from None
