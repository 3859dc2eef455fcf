"""SECURITY.md: the receiver that takes rights away does so."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.dispatch import receiver

from accounts.clerk.profiles import ClerkProfile, Source
from accounts.models import User
from accounts.signals import user_synced
from accounts.sync import sync_user
from tests.docs.documents import ROOT, blocks
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db(transaction=True)


def test_receiver_takes_the_rights_of_a_banned_user() -> None:
    (block,) = blocks(ROOT / "SECURITY.md", language="python")
    names: dict[str, Any] = {"receiver": receiver, "user_synced": user_synced, "User": User}
    exec(block.text, names)  # noqa: S102 - the example of the page
    users = [UserFactory.create(is_staff=True, is_superuser=True) for _ in range(2)]
    for user in users:
        user.groups.add(Group.objects.get_or_create(name="support")[0])
    banned, other = users
    try:
        sync_user(
            ClerkProfile(clerk_id=str(banned.clerk_id), source=Source.WEBHOOK, at=1, values={"banned": True})
        )
    finally:
        user_synced.disconnect(names["drop_rights_of_blocked_users"])
    for user in users:
        user.refresh_from_db()
    assert (banned.is_staff, banned.is_superuser, banned.groups.count()) == (False, False, 0)
    assert (other.is_staff, other.is_superuser, other.groups.count()) == (True, True, 1)
