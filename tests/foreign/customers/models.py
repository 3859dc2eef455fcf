"""A user model of the project that is a Clerk identity itself, with an integer key."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.auth.models import AbstractUser, UserManager

from accounts.models import AbstractClerkIdentity, IdentityManager


class CustomerManager(IdentityManager["Customer"], UserManager["Customer"]):
    """Django's manager of users, with the look-up of an identity."""


class Customer(AbstractClerkIdentity, AbstractUser):  # type: ignore[misc] # null means no address
    """A customer of the shop."""

    objects: ClassVar[CustomerManager] = CustomerManager()

    def __str__(self) -> str:
        return self.username
