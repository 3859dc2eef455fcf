"""A user model as a tutorial on e-mail login has it."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models


class MemberManager(BaseUserManager["Member"]):
    """A manager that only the project can use."""

    def create_user(self, *, email: str, tenant: str, **fields: Any) -> Member:
        """Create a member of a tenant."""
        raise NotImplementedError(f"{tenant} {email} {fields}")


class Member(AbstractBaseUser):
    """A member, who signs in by e-mail."""

    email = models.EmailField(unique=True)
    name = models.CharField(max_length=40)
    picture = models.CharField(max_length=200, blank=True)
    nickname = models.CharField(max_length=40, null=True, blank=True, unique=True)
    is_confirmed = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    is_admin = models.BooleanField(default=False)

    USERNAME_FIELD = "email"
    objects: ClassVar[MemberManager] = MemberManager()

    def __str__(self) -> str:
        return f"member {self.pk}"

    @property
    def is_staff(self) -> bool:
        """Return whether the member may use the admin."""
        return self.is_admin

    def has_perm(self, perm: str, obj: object = None) -> bool:
        """Return whether the member is an administrator."""
        return self.is_admin

    def has_module_perms(self, app_label: str) -> bool:
        """Return whether the member is an administrator."""
        return self.is_admin
