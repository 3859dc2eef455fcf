"""The settings of the project, and an app with notes. A clone adds its own apps to `config.settings`."""

from __future__ import annotations

from config.settings import *  # noqa: F403 - all settings of the project
from config.settings import BASE_DIR, INSTALLED_APPS, env

INSTALLED_APPS = [*INSTALLED_APPS, "backend.notes"]
ROOT_URLCONF = "backend.urls"
DATABASES = {"default": env.database("DATABASE_URL", default="sqlite:///example.sqlite3", root=BASE_DIR)}
