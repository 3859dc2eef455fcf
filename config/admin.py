"""The admin pages of the users of a clone."""

from __future__ import annotations

from django.contrib import admin

from accounts.admin.users import UserAdminBase
from accounts.models import User
from health.history import HistoryAdmin

# Django's "View site" link would lead to "/", which has no page.
admin.site.site_url = None


@admin.register(User)
class UserAdmin(HistoryAdmin, UserAdminBase):
    """Users with the number of their open failures, and links to their webhook events and failures."""
