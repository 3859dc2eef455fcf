"""People and runs in the admin, as far as this room knows them; `config.admin` adds what others know."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.db.models import ManyToManyField, Prefetch, QuerySet, prefetch_related_objects
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from accounts.admin.actions import UserActions
from accounts.admin.search import CappedPaginator, StaffFilter, StateFilter, search_users
from accounts.clerk.profiles import FIELDS, Source
from accounts.db import write_alias
from accounts.models import DeletedBy, User

DASHBOARD = "https://dashboard.clerk.com/last-active?path=users/{}"
MOMENT = "Y-m-d H:i"
SYNCED = (
    "\u201cSynced as of\u201d is the time, by Clerk's clock, of the newest facts that are held here, and what"
    " brought them. A sync that finds nothing new writes nothing."
)


class UserAdminBase(UserActions, UserAdmin):  # type: ignore[type-arg]
    """What Clerk owns can be read, what is local can be changed, and nothing is ever lost."""

    # Only `created` can be sorted by: no other order has an index.
    list_display: tuple[str, ...] = (
        "person",
        "state",
        "in_clerk",
        "created",
        "synced",
    )
    list_display_links = ("person",)
    list_filter = (StateFilter, StaffFilter)
    search_fields = ("clerk_id",)  # turns the box on; get_search_results decides
    search_help_text = "A Clerk id or row id (deleted ones too), or how an e-mail or a name begins."
    ordering = ("-created_at",)
    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    readonly_fields: ClassVar[tuple[str, ...]] = (
        "person",
        "in_clerk",
        "synced",
        "created_via",
        "created_at",
        "updated_at",
        "deleted_at",
        "deleted_by",
        "restored_at",
        "state",
    )
    clerk_owned = FIELDS

    class Media:
        css: ClassVar[dict[str, tuple[str, ...]]] = {"all": ("accounts/admin.css",)}

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Show what is Clerk's apart from what is local."""
        if obj is None:
            return self.add_fieldsets
        rights = ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")
        record = ("created_via", "created_at", "updated_at", "deleted_at", "deleted_by", "restored_at")
        if obj.clerk_id is None:
            own = ("username", "password", "email", "first_name", "last_name", "state")
            return ((None, {"fields": own}), ("Rights", {"fields": rights}), ("Record", {"fields": record}))
        why = "Clerk owns these and would write them again: change them in Clerk's dashboard."
        return (
            (None, {"fields": ("person", "state", "in_clerk", "synced"), "description": SYNCED}),
            ("From Clerk", {"fields": self.clerk_owned, "description": why}),
            ("Local", {"fields": rights}),
            ("Record", {"fields": record}),
        )

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Let nobody change what Clerk would write again."""
        owned = self.clerk_owned if obj is not None and obj.clerk_id else ()
        return (*super().get_readonly_fields(request, obj), *owned)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> User | None:
        """Return the user with the rights from the write database: saving the form writes them again."""
        user: User | None = super().get_object(request, object_id, from_field)
        if user is not None:
            rights = [
                Prefetch(field.name, field.related_model._default_manager.using(write_alias()))  # noqa: SLF001
                for field in user._meta.many_to_many
            ]
            prefetch_related_objects([user], *rights)
        return user

    def formfield_for_manytomany(
        self, db_field: ManyToManyField[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> Any:
        """Offer the rights of the write database: saving the form removes a right that is not offered."""
        return super().formfield_for_manytomany(db_field, request, **{"using": write_alias(), **kwargs})

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[User], search_term: str
    ) -> tuple[QuerySet[User], bool]:
        """Find by what has an index."""
        term = search_term.strip()
        people: Any = queryset
        return (search_users(people, term) if term else people), False

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's
        """Write what was changed and no more: a sync may be writing the rest at this moment."""
        if not change:
            super().save_model(request, obj, form, change)
            return
        columns = {field.name for field in obj._meta.concrete_fields}
        obj.updated_at = timezone.now()
        obj.save(update_fields=[*columns.intersection(form.changed_data), "updated_at"])

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Refuse Django's own deletion: `delete here` keeps the row and what points to it."""
        return False

    @admin.display(description="Person")
    def person(self, user: User) -> SafeString:
        """Show picture, name and address."""
        name = user.get_full_name() or (user.username if user.clerk_id is None else "no name")
        picture = '<img src="{}" alt="" width="28" height="28" loading="lazy" referrerpolicy="no-referrer">'
        return format_html(
            '<span class="person">{}<span>{}<br>{}</span></span>',
            format_html(picture, user.image_url) if user.image_url else "",
            name,
            _address(user),
        )

    @admin.display(description="State")
    def state(self, user: User) -> SafeString:
        """Say in words whether the person may come in."""
        if user.deleted_at is not None:
            kind, word = "gone", "deleted in Clerk" if user.deleted_by == DeletedBy.CLERK else "deleted here"
        elif user.banned:
            kind, word = "shut", "banned in Clerk"
        else:
            kind, word = ("live", "live") if user.is_active else ("shut", "deactivated here")
        return format_html('<span class="state state-{}">{}</span>', kind, word)

    @admin.display(description="Clerk id", empty_value="local, not in Clerk")
    def in_clerk(self, user: User) -> SafeString | None:
        """Show the Clerk id; it leads to the person in Clerk's dashboard."""
        if user.clerk_id is None:
            return None
        link = '<a class="clerk-id" href="{}" title="{}" target="_blank" rel="noopener noreferrer">{}</a>'
        return format_html(link, DASHBOARD.format(user.clerk_id), user.clerk_id, user.clerk_id)

    @admin.display(description="Created", ordering="created_at")
    def created(self, user: User) -> str:
        """Show when the row was made, and by what."""
        return f"{date_format(user.created_at, MOMENT)}, {user.get_created_via_display().lower()}"

    @admin.display(description="Synced as of", empty_value="-")
    def synced(self, user: User) -> str | None:
        """Show of when, by Clerk's clock, our newest facts are, and what brought them."""
        newest = max(user.field_versions.values(), default=None)
        if newest is None:
            return None
        at, rank = newest
        return f"{date_format(datetime.fromtimestamp(at / 1000, UTC), MOMENT)}, {Source(rank).name.lower()}"


def _address(user: User) -> SafeString:
    if not user.email:
        return format_html("<i>{}</i>", "no e-mail")
    mark = '<b title="verified">\u2713</b>' if user.email_verified else "<i>not verified</i>"
    return format_html('<span class="address">{} {}</span>', user.email, mark_safe(mark))  # noqa: S308 - ours
