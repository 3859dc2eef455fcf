"""Settings of the same site in a project with users of its own, each with a `ClerkAccount`."""

from __future__ import annotations

from benchmarks.settings import *  # noqa: F403 - as settings files do
from benchmarks.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "benchmarks.members"]
AUTH_USER_MODEL = "members.Member"
CLERK_IDENTITY_MODEL = "accounts.ClerkAccount"
