"""A project whose users sign in by e-mail: integer keys, a unique address, no user name, ATOMIC_REQUESTS."""

from tests.foreign.base import *  # noqa: F403 - as settings files do
from tests.foreign.base import DATABASES, INSTALLED_APPS

INSTALLED_APPS.append("tests.foreign.members")
AUTH_USER_MODEL = "members.Member"
CLERK_USER_FIELDS = {"email": "email", "first_name": "name", "image_url": "picture"}
DATABASES["default"] |= {"TEST": {"NAME": "foreign_mail"}, "ATOMIC_REQUESTS": True}
