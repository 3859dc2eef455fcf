"""What the project keeps of its users: a profile, created by a receiver of `post_save`."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models.signals import post_save
from django.dispatch import receiver


class Profile(models.Model):
    """The profile that each user of the shop has."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="profile")

    objects: ClassVar[models.Manager[Profile]] = models.Manager()

    def __str__(self) -> str:
        return str(self.pk)


@receiver(post_save, sender=settings.AUTH_USER_MODEL)
def create_profile(sender: object, instance: Any, *, created: bool, **_: object) -> None:
    """Create the profile of a new user."""
    if created:
        Profile.objects.create(user=instance)
