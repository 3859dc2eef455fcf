"""The admin of users that are Clerk identities, without the rows of other packages."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.admin import UserAdmin
from django.db.models import ManyToManyField, Prefetch, prefetch_related_objects
from django.http import HttpRequest

from accounts.admin.clerk_fields import OWNED_FIELDS
from accounts.admin.identities import OWNED, RECORD, SUMMARY_FIELDS, SYNCED, IdentityAdmin
from accounts.admin.search import StaffFilter
from accounts.db import write_alias
from accounts.models import User


class UserAdminBase(IdentityAdmin, UserAdmin):  # type: ignore[type-arg]
    """Show the fields that Clerk owns, change the local ones, and delete no row."""

    list_filter: ClassVar[tuple[Any, ...]] = (*IdentityAdmin.list_filter, StaffFilter)

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Return the fields of Clerk and the local fields in sections of their own."""
        if obj is None:
            return self.add_fieldsets
        rights = ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")
        if obj.clerk_id is None:
            own = ("username", "password", "email", "first_name", "last_name", "state")
            return ((None, {"fields": own}), ("Rights", {"fields": rights}), RECORD)
        return (
            (None, {"fields": SUMMARY_FIELDS, "description": SYNCED}),
            ("From Clerk", {"fields": OWNED_FIELDS, "description": OWNED}),
            ("Local", {"fields": rights}),
            RECORD,
        )

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Return also the fields that Clerk owns, for a user that comes from Clerk."""
        owned = OWNED_FIELDS if obj is not None and obj.clerk_id else ()
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
