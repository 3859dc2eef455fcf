"""What the shop does with Clerk's events: a group for each organization, with the address of its creator."""

from __future__ import annotations

from django.contrib.auth.models import Group

from accounts.models import get_identity_model
from webhooks import ClerkEvent, on


@on("organization.created")
def add_group(event: ClerkEvent) -> None:
    """Create the group. The creator must be known, else the event is repeated."""
    creator = get_identity_model().objects.live().get(clerk_id=event.data["created_by"])
    Group.objects.create(name=f"{event.data['slug']} of {creator.email}")
