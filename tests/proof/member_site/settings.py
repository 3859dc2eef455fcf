"""The settings of the clone with another user model and a `ClerkAccount` beside each user.

Members sign in by a unique e-mail address that may not be null, and a receiver creates the profile of each.
"""

from config.settings import *  # noqa: F403 - as settings files do
from config.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.foreign.members", "tests.foreign.shop"]
ROOT_URLCONF = "tests.proof.member_site.urls"
AUTH_USER_MODEL = "members.Member"
CLERK_IDENTITY_MODEL = "accounts.ClerkAccount"
CLERK_USER_FIELDS = {"email": "email", "first_name": "name", "image_url": "picture"}
