"""The admin page of a user, with links to the rows of other packages."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.admin.users import UserAdminBase
from accounts.models import User
from health.models import SyncFailure

# Each link on the page, and the permission to see the rows that it leads to.
LINKS = {"events": "webhooks.view_webhookevent", "failures": "health.view_syncfailure"}

# Django's "View site" link would lead to "/", which has no page.
admin.site.site_url = None


@admin.register(User)
class UserAdmin(UserAdminBase):
    """Users with the number of their open failures, and links to their webhook events and failures."""

    list_display = (*UserAdminBase.list_display, "open_failures")
    readonly_fields: ClassVar[tuple[str, ...]] = (*UserAdminBase.readonly_fields, *LINKS)

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """Annotate each user with the number of open failures, in the same statement."""
        open_failures = SyncFailure.objects.open().filter(clerk_id=OuterRef("clerk_id")).order_by()
        counted = open_failures.values("clerk_id").annotate(rows=Count("pk")).values("rows")
        users: QuerySet[User] = super().get_queryset(request)
        return users.annotate(open_failure_count=Coalesce(Subquery(counted), 0))

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Add the links that the viewer may follow, for a user that comes from Clerk."""
        first, *others = super().get_fieldsets(request, obj)
        if obj is None or obj.clerk_id is None:
            return (first, *others)
        fields = [name for name, permission in LINKS.items() if request.user.has_perm(permission)]
        history = [("History", {"fields": fields})] if fields else []
        return (first, *history, *others)

    @admin.display(description="Failures")
    def open_failures(self, user: User) -> SafeString | str:
        """Show the number of open failures as a link to them."""
        count = getattr(user, "open_failure_count", 0)
        return _link("health_syncfailure", user, text=str(count)) if count else "-"

    @admin.display(description="Webhook events")
    def events(self, user: User) -> SafeString:
        """Link to the webhook events of this user."""
        return _link("webhooks_webhookevent", user, text="Show the events of this user")

    @admin.display(description="Failures")
    def failures(self, user: User) -> SafeString:
        """Link to the failures of this user, resolved ones included."""
        return _link("health_syncfailure", user, text="Show the failures of this user", state="all")


def _link(model: str, user: User, *, text: str, **filters: str) -> SafeString:
    address = reverse(f"admin:{model}_changelist", query={"q": user.clerk_id, **filters})
    return format_html('<a href="{}">{}</a>', address, text)
