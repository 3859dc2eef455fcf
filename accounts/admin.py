"""People and runs in the admin, as far as this room knows them; `config.admin` adds what others know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.db.models.functions import Lower
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.admin_actions import PeopleActions
from accounts.clerk.profiles import FIELDS
from accounts.models import DeletedBy, SyncRun, User

if TYPE_CHECKING:
    RunAdminBase = admin.ModelAdmin[SyncRun]
else:
    RunAdminBase = admin.ModelAdmin

COUNTED = 10_000
STATES = {
    "live": Q(deleted_at=None),
    "inactive": Q(deleted_at=None, is_active=False),
    "banned": Q(deleted_at=None, banned=True),
    "clerk": Q(deleted_at__isnull=False, deleted_by=DeletedBy.CLERK),
    "local": Q(deleted_at__isnull=False, deleted_by=DeletedBy.LOCAL),
    "all": Q(),
}


class CappedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts to ten thousand and no further: whoever has more people searches."""

    @cached_property
    def count(self) -> int:
        """Give how many there are, as far as it is counted."""
        people: Any = self.object_list
        return int(people.order_by()[:COUNTED].count())


class StateFilter(admin.SimpleListFilter):
    """Those who are not deleted, unless somebody asks for others."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer the states; live is what stands here without a choice."""
        return [
            ("inactive", "deactivated here"),
            ("banned", "banned in Clerk"),
            ("clerk", "deleted in Clerk"),
            ("local", "deleted here"),
            ("all", "all, deleted ones too"),
        ]

    def choices(self, changelist: Any) -> Any:
        """Name the choice that is made when none is."""
        choices = list(super().choices(changelist))
        choices[0]["display"] = "live"
        return choices

    def queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> QuerySet[User]:
        """Keep the rows of the chosen state."""
        return queryset.filter(STATES.get(self.value() or "live", STATES["live"]))


class PeopleAdmin(PeopleActions, UserAdmin):  # type: ignore[type-arg]
    """What Clerk owns can be read, what is local can be changed, and nothing is ever lost."""

    list_display: tuple[str, ...] = (
        "person",
        "address",
        "clerk_id",
        "state",
        "created_via",
        "updated_at",
    )
    list_display_links = ("person",)
    list_filter = (StateFilter, "is_staff", "created_via")
    search_fields = ("clerk_id",)  # turns the box on; get_search_results decides
    search_help_text = "A Clerk id or row id, or how an e-mail or a name begins."
    ordering = ("-created_at",)
    paginator = CappedPaginator
    show_full_result_count = False
    list_per_page = 50
    readonly_fields: ClassVar[tuple[str, ...]] = (
        "clerk_id",
        "created_via",
        "created_at",
        "updated_at",
        "deleted_at",
        "deleted_by",
        "state",
    )
    clerk_owned = FIELDS

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Show what is Clerk's apart from what is local."""
        if obj is None:
            return self.add_fieldsets
        rights = ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")
        if obj.clerk_id is None:
            own = ("username", "password", "email", "first_name", "last_name")
            return ((None, {"fields": own}), ("Rights", {"fields": rights}), self._record())
        why = "Clerk owns these and would write them again: change them in Clerk's dashboard."
        return (
            ("From Clerk", {"fields": ("clerk_id", *self.clerk_owned), "description": why}),
            ("Local", {"fields": rights}),
            self._record(),
        )

    def _record(self) -> tuple[str, dict[str, Any]]:
        return (
            "Record",
            {"fields": ("state", "created_via", "created_at", "updated_at", "deleted_at", "deleted_by")},
        )

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Let nobody change what Clerk would write again."""
        owned = self.clerk_owned if obj is not None and obj.clerk_id else ()
        return (*super().get_readonly_fields(request, obj), *owned)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[User], search_term: str
    ) -> tuple[QuerySet[User], bool]:
        """Find by id, or by how an e-mail or a name begins: each has its index."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if term.startswith("user_"):
            return queryset.filter(clerk_id=term), False
        try:
            return queryset.filter(pk=UUID(term)), False
        except ValueError:
            pass
        lowered = queryset.alias(mail=Lower("email"), first=Lower("first_name"), last=Lower("last_name"))
        begins = term.lower()
        return lowered.filter(
            Q(mail__startswith=begins) | Q(first__startswith=begins) | Q(last__startswith=begins)
        ), False

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Refuse Django's own deletion: `delete here` keeps the row and what points to it."""
        return False

    @admin.display(description="Person", ordering="first_name")
    def person(self, user: User) -> SafeString:
        """Show picture and name."""
        name = user.get_full_name() or (user.username if user.clerk_id is None else "no name")
        if not user.image_url:
            return format_html("{}", name)
        picture = (
            '<img src="{}" alt="" width="24" height="24" loading="lazy" referrerpolicy="no-referrer"> {}'
        )
        return format_html(picture, user.image_url, name)

    @admin.display(description="E-mail", ordering="email")
    def address(self, user: User) -> str:
        """Show the address, and whether it is verified."""
        if not user.email:
            return "-"
        return f"{user.email} \u2713" if user.email_verified else f"{user.email} (not verified)"

    @admin.display(description="State")
    def state(self, user: User) -> str:
        """Say in words whether the person may come in."""
        if user.deleted_at is not None:
            return "deleted in Clerk" if user.deleted_by == DeletedBy.CLERK else "deleted here"
        if user.banned:
            return "banned in Clerk"
        return "live" if user.is_active else "deactivated here"


@admin.register(SyncRun)
class SyncRunAdmin(RunAdminBase):
    """How far the bulk commands came, newest first."""

    list_display = ("started_at", "kind", "status", "finished_at", "counts", "error")
    list_filter = ("kind", "status")
    ordering = ("-started_at",)
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: commands write these rows."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: SyncRun | None = None) -> bool:
        """Refuse: a run is what it was."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: SyncRun | None = None) -> bool:
        """Refuse: `prune_history` removes what is old."""
        return False
