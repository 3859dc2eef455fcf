"""A project whose own user model inherits `AbstractClerkIdentity`."""

from tests.foreign.base import *  # noqa: F403 - as settings files do
from tests.foreign.base import DATABASES, INSTALLED_APPS

INSTALLED_APPS.append("tests.foreign.customers")
AUTH_USER_MODEL = CLERK_IDENTITY_MODEL = "customers.Customer"
DATABASES["default"]["TEST"] = {"NAME": "foreign_own"}
