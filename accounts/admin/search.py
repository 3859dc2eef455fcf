"""Search, filters and paginator of the admin: each filter has an index, and no list counts all rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet, Value
from django.db.models.functions import Lower
from django.http import HttpRequest
from django.utils.functional import cached_property

from accounts.models import DeletedBy, IdentityQuerySet, get_identity_model

COUNTED_ROWS_MAX = 10_000


class CappedPaginator(Paginator):  # type: ignore[type-arg]
    """Count at most `COUNTED_ROWS_MAX` rows."""

    @cached_property
    def count(self) -> int:
        """Return the number of rows, at most `COUNTED_ROWS_MAX`."""
        rows: Any = self.object_list
        return int(rows.order_by()[:COUNTED_ROWS_MAX].count())

    @property
    def is_capped(self) -> bool:
        """Return whether there may be more rows than were counted."""
        return self.count >= COUNTED_ROWS_MAX


class StateFilter(admin.SimpleListFilter):
    """A filter by state that shows the first of `states` when none is chosen."""

    title = "state"
    parameter_name = "state"
    states: ClassVar[dict[str, tuple[str, Q]]]  # the value in the address: its label and condition

    def get_states(self) -> Mapping[str, tuple[str, Q]]:
        """Return the states at the time of a request."""
        return self.states

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the states after the first, which needs no value."""
        return [(value, label) for value, (label, _) in self.get_states().items()][1:]

    def choices(self, changelist: Any) -> Any:
        """Return Django's choices with the label of the first state in place of "All"."""
        choices = list(super().choices(changelist))
        choices[0]["display"], _ = next(iter(self.get_states().values()))
        return choices

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows of the chosen state."""
        states = self.get_states()
        first = next(iter(states))
        _, condition = states.get(self.value() or first, states[first])
        return queryset.filter(condition)


class UserStateFilter(StateFilter):
    """Show live users by default, and a row of any state if the search is for its id."""

    states: ClassVar[dict[str, tuple[str, Q]]] = {
        "live": ("live", Q(deleted_at=None)),
        "inactive": ("deactivated locally", Q(deleted_at=None, is_active=False)),
        "banned": ("banned in Clerk", Q(deleted_at=None, banned=True)),
        "clerk": ("deleted in Clerk", Q(deleted_at__isnull=False, deleted_by=DeletedBy.CLERK)),
        "local": ("deleted locally", Q(deleted_at__isnull=False, deleted_by=DeletedBy.LOCAL)),
        "all": ("all, deleted ones included", Q()),
    }

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows of the chosen state, or all for the search for an id without a state."""
        if self.value() is None and match_id(request.GET.get("q", "").strip()):
            return queryset
        return super().queryset(request, queryset)


class StaffFilter(StateFilter):
    """Show all users or staff only. No index finds all other users, so that is no choice."""

    title = parameter_name = "staff"
    states: ClassVar[dict[str, tuple[str, Q]]] = {"all": ("All", Q()), "yes": ("staff", Q(is_staff=True))}


def match_id(term: str) -> Q | None:
    """Return the condition for a Clerk id or a row id, or None if the term is neither."""
    if term.startswith("user_"):
        return Q(clerk_id=term)
    try:
        return Q(pk=get_identity_model()._meta.pk.clean(term, None)) if term else None
    except ValidationError:
        return None


def search_users(queryset: IdentityQuerySet[Any], term: str) -> QuerySet[Any]:
    """Return the users with this id, or whose e-mail, first, last or full name begins with the term."""
    if condition := match_id(term):
        return queryset.live_or_deleted().filter(condition)
    lowered = queryset.alias(mail=Lower("email"), first=Lower("first_name"), last=Lower("last_name"))
    found = _starts_with("mail", term) | _starts_with("first", term) | _starts_with("last", term)
    for first, _, last in (term.partition(" "), term.rpartition(" ")):
        if first and last:
            found |= _starts_with("first", first) & _starts_with("last", last)
    return lowered.filter(found)


def _starts_with(column: str, prefix: str) -> Q:
    # The database lowers both sides, because its rules differ from Python's.
    return Q(**{f"{column}__startswith": Lower(Value(prefix.strip()))})
