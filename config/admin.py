"""The admin pages of the users and groups of a clone."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.models import Group

from accounts.admin.groups import GroupAdminBase
from accounts.admin.users import UserAdminBase
from accounts.models import User
from health.history import HistoryAdmin

# Django's "View site" link would lead to "/", which has no page.
admin.site.site_url = None


admin.site.unregister(Group)
admin.site.register(Group, GroupAdminBase)


@admin.register(User)
class UserAdmin(HistoryAdmin, UserAdminBase):
    """Users with the number of their open failures, and links to their webhook events and failures."""
