"""Decide whether values that cannot be stored concern single users, or so many that the set-up is at fault.

Every user can choose a name that no column takes. One such user must not degrade the report: only that user
can correct it, so a stranger could keep the report degraded. A claim that is mapped to the wrong field
concerns many users at once.
"""

from __future__ import annotations

from django.db.models import Count

from accounts.models import User
from health.models import SyncFailure
from health.report.reasons import UNUSABLE_FIELD, Reason

# More users than one in this number: above 1 %.
ONE_IN = 100
# Of few users, one is more than 1 %.
MIN_USERS = 5


def split_user_data(entries: list[Reason]) -> tuple[list[Reason], list[Reason]]:
    """Return the entries that degrade the report, and those that are information."""
    information = [entry for entry in entries if entry.code == UNUSABLE_FIELD]
    if not information or concerns_many_users():
        return entries, []
    return [entry for entry in entries if entry.code != UNUSABLE_FIELD], information


def concerns_many_users() -> bool:
    """Return whether at least five users, and more than 1 % of the live ones, have a value of this kind.

    This counts the users with an open failure, and reads at most 100 rows of users for each of them.
    """
    failures = SyncFailure.objects.open().filter(reason__startswith=f"{UNUSABLE_FIELD}:")
    affected: int = failures.aggregate(users=Count("clerk_id", distinct=True))["users"]
    if affected < MIN_USERS:
        return False
    live = User.objects.live().exclude(clerk_id=None).order_by()
    return not live[affected * ONE_IN - 1 : affected * ONE_IN].exists()
