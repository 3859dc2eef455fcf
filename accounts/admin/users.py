"""The admin of users that are Clerk identities, without the rows of other packages."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import UserAdmin
from django.core.exceptions import PermissionDenied
from django.db.models import ManyToManyField, Prefetch, prefetch_related_objects
from django.http import Http404, HttpRequest, HttpResponse

from accounts.adapter import is_superuser
from accounts.admin.clerk_fields import OWNED_FIELDS
from accounts.admin.identities import OWNED, RECORD, RIGHTS, SUMMARY_FIELDS, SYNCED, IdentityAdmin
from accounts.admin.search import StaffFilter
from accounts.audit import SecurityEvent, describe, log_event
from accounts.db import write_alias
from accounts.models import User


class UserAdminBase(IdentityAdmin, UserAdmin):  # type: ignore[type-arg]
    """Show the fields that Clerk owns, change the local ones, and delete no row.

    Rights and passwords are for superusers: other staff neither see nor change them, and create no user.
    """

    def get_list_filter(self, request: HttpRequest) -> Any:
        """Add the filter for staff, for superusers."""
        return (*self.list_filter, StaffFilter) if is_superuser(request.user) else self.list_filter

    def lookup_allowed(self, lookup: str, value: Any, request: Any = None) -> bool:
        """Refuse a filter by rights in the address, except for superusers."""
        is_right = lookup.partition("__")[0] in RIGHTS
        is_refused = is_right and (request is None or not is_superuser(request.user))
        return not is_refused and super().lookup_allowed(lookup, value, request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return whether the operator may create local users: a form with a password."""
        return is_superuser(request.user) and super().has_add_permission(request)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:  # noqa: A002 - Django's
        """Return Django's page for the password of a local user.

        Raises PermissionDenied except for superusers, and Http404 for a user of Clerk: a password would be a
        sign-in without Clerk and its second factor.
        """
        if not is_superuser(request.user):
            raise PermissionDenied
        user = self.get_object(request, unquote(id))
        if user is None or user.clerk_id is not None:
            raise Http404
        response: HttpResponse = super().user_change_password(request, id, form_url)
        if response.status_code == HTTPStatus.FOUND:
            log_event(SecurityEvent.PASSWORD_CHANGED, request=request, **describe(user))
        return response

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Return the fields of Clerk and the local fields in sections of their own."""
        if obj is None:
            return self.add_fieldsets
        rights, password = (RIGHTS, ("password",)) if is_superuser(request.user) else ((), ())
        rights = ("is_active", *rights)
        if obj.clerk_id is None:
            own = ("username", *password, "email", "first_name", "last_name", "state")
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
