"""The admin of groups: a group gives rights to its members, so only superusers see and change it."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.admin import GroupAdmin
from django.contrib.auth.models import Group
from django.db import router
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.adapter import is_superuser
from accounts.audit import SecurityEvent, log_after_commit


class GroupAdminBase(GroupAdmin):
    """Django's pages of groups, for superusers, with lines in the audit log."""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the operator is a superuser."""
        return is_superuser(request.user)

    has_add_permission = has_change_permission = has_delete_permission = has_view_permission

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:  # noqa: FBT001 - Django's
        """Save the permissions of the group, and log the change."""
        super().save_related(request, form, formsets, change)
        _log(request, form.instance, fields=sorted(form.changed_data))

    def delete_model(self, request: HttpRequest, obj: Group) -> None:
        """Delete the group, and log it."""
        _log(request, obj, fields=["deleted"])
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Group]) -> None:
        """Delete the groups, and log each."""
        for group in queryset:
            _log(request, group, fields=["deleted"])
        super().delete_queryset(request, queryset)


def _log(request: HttpRequest, group: Group, *, fields: list[str]) -> None:
    using = router.db_for_write(Group)
    log_after_commit(
        SecurityEvent.RIGHTS_CHANGED, request=request, using=using, fields=fields, group=group.pk
    )
