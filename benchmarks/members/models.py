"""A user model of a project, with the columns that the peers need."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.db import models


class Member(AbstractUser):
    """A user of the project, with columns of Clerk for the peers, which have no table of their own."""

    # Null means no address, as in the claims that the peers write.
    email = models.EmailField(null=True, blank=True)  # type: ignore[assignment] # noqa: DJ001
    clerk_id = models.CharField(max_length=64, blank=True, default="")
    email_verified = models.BooleanField(default=False)
    image_url = models.CharField(max_length=2048, blank=True, default="")
