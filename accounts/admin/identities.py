"""What the admin shows of Clerk identities, whether they are the users or belong to users of the project."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from accounts.adapter import get_user, has_more_rights, has_user, is_active
from accounts.admin.actions import UserActions
from accounts.admin.clerk_fields import show_text
from accounts.admin.search import CappedPaginator, UserStateFilter, search_users
from accounts.audit import SecurityEvent, describe, log_after_commit
from accounts.clerk.profiles import IMAGE_HOSTS, Source
from accounts.db import write_alias
from accounts.models import DeletedBy

DASHBOARD = "https://dashboard.clerk.com/last-active?path=users/{}"
TIME_FORMAT = "Y-m-d H:i"
SUMMARY_FIELDS = ("identity", "state", "in_clerk", "synced")
RECORD_FIELDS = ("created_via", "created_at", "updated_at", "deleted_at", "deleted_by", "restored_at")
SYNCED = (
    "\u201cSynced as of\u201d is the time, by Clerk's clock, of the newest stored value, and its source."
    " A sync that finds no newer value writes nothing."
)
OWNED = "Clerk owns these fields and would overwrite a change: change them in Clerk's dashboard."
RECORD = ("Record", {"fields": RECORD_FIELDS})
# What only superusers see and change.
RIGHTS = ("is_staff", "is_superuser", "groups", "user_permissions")
# The fields of a form that decide what a user may do, or that give a password to a new one.
LOGGED_AS_RIGHTS = frozenset({*RIGHTS, "password", "password1"})


class IdentityAdmin(UserActions):
    """Show the fields that Clerk owns, and delete no row."""

    # Only `created` is sortable: no other order has an index.
    list_display: tuple[str, ...] = ("identity", "state", "in_clerk", "created", "synced")
    list_display_links = ("identity",)
    list_filter: ClassVar[tuple[Any, ...]] = (UserStateFilter,)
    search_fields = ("clerk_id",)  # shows the search box; get_search_results does the search
    search_help_text = "A Clerk id or row id (also of a deleted row), or the start of an e-mail or name."
    ordering = ("-created_at",)
    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    readonly_fields: ClassVar[tuple[Any, ...]] = (*SUMMARY_FIELDS, *RECORD_FIELDS)
    change_list_template = "clerk_sync/change_list.html"

    class Media:
        css: ClassVar[dict[str, tuple[str, ...]]] = {"all": ("clerk_sync/admin.css",)}

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Search by the columns that have an index."""
        term = search_term.strip()
        rows: Any = queryset
        return (search_users(rows, term) if term else rows), False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's
        """Write only the changed fields: a sync may write the others at the same time."""
        if not change:
            super().save_model(request, obj, form, change)
            return
        columns = {field.name for field in obj._meta.concrete_fields}
        obj.updated_at = timezone.now()
        obj.save(update_fields=[*columns.intersection(form.changed_data), "updated_at"])

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:  # noqa: FBT001 - Django's
        """Save the relations, and write what was changed to the audit log."""
        super().save_related(request, form, formsets, change)
        if changed := sorted(form.changed_data):
            is_right = LOGGED_AS_RIGHTS.intersection(changed)
            event = SecurityEvent.RIGHTS_CHANGED if is_right else SecurityEvent.USER_CHANGED
            log_after_commit(
                event, request=request, using=write_alias(), fields=changed, **describe(form.instance)
            )

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the operator may change users, and this one has no more rights than the operator."""
        if not super().has_change_permission(request, obj):
            return False
        return obj is None or not has_more_rights(get_user(obj), than=request.user)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: the action `delete_here` keeps the row and all rows that reference it."""
        return False

    @admin.display(description="User")
    def identity(self, user: Any) -> SafeString:
        """Return the picture, the name and the e-mail address."""
        full_name = f"{user.first_name} {user.last_name}".strip()
        name = full_name or (str(user) if user.clerk_id is None else "no name")
        picture = '<img src="{}" alt="" width="28" height="28" loading="lazy" referrerpolicy="no-referrer">'
        # A claim may name any address; a request to it would tell its host who looks at the user.
        is_shown = user.image_url.startswith(tuple(f"{host}/" for host in IMAGE_HOSTS))
        return format_html(
            '<span class="identity">{}<span>{}<br>{}</span></span>',
            format_html(picture, user.image_url) if is_shown else "",
            show_text(name),
            _address(user),
        )

    @admin.display(description="State")
    def state(self, user: Any) -> SafeString:
        """Return whether the user is live, blocked or deleted, and by which side."""
        if user.deleted_at is not None:
            by_clerk = user.deleted_by == DeletedBy.CLERK
            kind, label = "deleted", "deleted in Clerk" if by_clerk else "deleted locally"
        elif not has_user(user):
            kind, label = "deleted", "its user was deleted"
        elif user.banned:
            kind, label = "blocked", "banned in Clerk"
        else:
            kind, label = ("live", "live") if is_active(user) else ("blocked", "deactivated locally")
        return format_html('<span class="state state-{}">{}</span>', kind, label)

    @admin.display(description="Clerk id", empty_value="local, not in Clerk")
    def in_clerk(self, user: Any) -> SafeString | None:
        """Return the Clerk id as a link to the user in Clerk's dashboard."""
        if user.clerk_id is None:
            return None
        link = '<a class="clerk-id" href="{}" title="{}" target="_blank" rel="noopener noreferrer">{}</a>'
        return format_html(link, DASHBOARD.format(user.clerk_id), user.clerk_id, user.clerk_id)

    @admin.display(description="Created", ordering="created_at")
    def created(self, user: Any) -> str:
        """Return when and by which source the row was created."""
        return f"{date_format(user.created_at, TIME_FORMAT)}, {user.get_created_via_display().lower()}"

    @admin.display(description="Synced as of", empty_value="-")
    def synced(self, user: Any) -> str | None:
        """Return the time, by Clerk's clock, and the source of the newest stored value."""
        newest = max(user.field_versions.values(), default=None)
        if newest is None:
            return None
        at, rank = newest
        moment = datetime.fromtimestamp(at / 1000, UTC)
        return f"{date_format(moment, TIME_FORMAT)}, {Source(rank).name.lower()}"


def _address(user: Any) -> SafeString:
    if not user.email:
        return format_html("<i>{}</i>", "no e-mail")
    mark = '<b title="verified">\u2713</b>' if user.email_verified else "<i>not verified</i>"
    return format_html('<span class="address">{} {}</span>', show_text(user.email), mark_safe(mark))  # noqa: S308 - ours
