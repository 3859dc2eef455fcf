"""Rows for tests."""

from __future__ import annotations

from factory.declarations import LazyFunction, Sequence
from factory.django import DjangoModelFactory
from factory.faker import Faker

from accounts.models import CreatedVia, User, opaque_username


class UserFactory(DjangoModelFactory[User]):
    """A user from Clerk; with `clerk_id=None`, a local user."""

    class Meta:
        model = User

    username = LazyFunction(opaque_username)
    clerk_id = Sequence(lambda number: f"user_{number:08d}")
    email = Sequence(lambda number: f"user{number}@example.test")
    first_name = Faker("first_name")
    last_name = Faker("last_name")
    created_via = CreatedVia.WEBHOOK
