"""A project with Django's own `auth.User`."""

from tests.foreign.base import *  # noqa: F403 - as settings files do
from tests.foreign.base import DATABASES

DATABASES["default"]["TEST"] = {"NAME": "foreign_plain"}
