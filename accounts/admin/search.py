"""How people are found in the admin, a million of them too: each way has its index, and no count is full."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet, Value
from django.db.models.functions import Lower
from django.http import HttpRequest
from django.utils.functional import cached_property

from accounts.models import DeletedBy, User, UserQuerySet

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
    """Counts to ten thousand and no further: whoever has more rows searches."""

    @cached_property
    def count(self) -> int:
        """Give how many there are, as far as it is counted."""
        rows: Any = self.object_list
        return int(rows.order_by()[:COUNTED].count())

    @property
    def is_capped(self) -> bool:
        """Tell whether there may be more than what was counted."""
        return self.count >= COUNTED


class StateFilter(admin.SimpleListFilter):
    """Those who are not deleted, unless somebody asks for others, or by an id for one person."""

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
        if self.value() is None and by_id(request.GET.get("q", "").strip()):
            return queryset
        return queryset.filter(STATES.get(self.value() or "live", STATES["live"]))


class StaffFilter(admin.SimpleListFilter):
    """The few who may come into the admin. Nobody needs all the others, and no index finds them."""

    title = "staff"
    parameter_name = "staff"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer the one choice."""
        return [("yes", "staff")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> QuerySet[User]:
        """Keep the staff."""
        return queryset.filter(is_staff=True) if self.value() == "yes" else queryset


def by_id(term: str) -> Q | None:
    """Take a search term for a Clerk id or the id of a row, if it is one."""
    if term.startswith("user_"):
        return Q(clerk_id=term)
    try:
        return Q(pk=UUID(term))
    except ValueError:
        return None


def search_users(queryset: UserQuerySet, term: str) -> UserQuerySet:
    """Find by id, or by how an e-mail, a name, or first and last name begin."""
    if one := by_id(term):
        return queryset.live_or_deleted().filter(one)
    lowered = queryset.alias(mail=Lower("email"), first=Lower("first_name"), last=Lower("last_name"))
    found = _begins("mail", term) | _begins("first", term) | _begins("last", term)
    for first, _, last in (term.partition(" "), term.rpartition(" ")):
        if first and last:
            found |= _begins("first", first) & _begins("last", last)
    return lowered.filter(found)


def _begins(column: str, word: str) -> Q:
    # The database makes both sides small, so that they are small by the same rules.
    return Q(**{f"{column}__startswith": Lower(Value(word.strip()))})
