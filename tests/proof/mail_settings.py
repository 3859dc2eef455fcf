"""The project `tests.foreign.mail` on the packages of this folder, without apps that have their labels."""

from tests.foreign.mail import *  # noqa: F403 - as settings files do
from tests.foreign.mail import INSTALLED_APPS

INSTALLED_APPS = [app for app in INSTALLED_APPS if app not in {"tests.foreign.accounts", "tests.foreign.api"}]
