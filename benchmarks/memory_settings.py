"""Settings of the sites whose memory is compared: the baseline, with more and more of this project."""

from __future__ import annotations

import os

import environ

from benchmarks.baseline_settings import *  # noqa: F403 - as settings files do
from benchmarks.baseline_settings import INSTALLED_APPS

APPS = {"plain": [], "sign_in": ["accounts"], "all": ["accounts", "webhooks", "health"]}

INSTALLED_APPS = [*INSTALLED_APPS, *APPS[os.environ["MEMORY_SITE"]]]
ROOT_URLCONF = "benchmarks.memory_urls"
ALLOWED_HOSTS = ["localhost"]
DATABASES = {"default": environ.Env.db_url_config(os.environ["DATABASE_URL"]) | {"CONN_MAX_AGE": 60}}
if "accounts" in INSTALLED_APPS:
    AUTH_USER_MODEL = CLERK_IDENTITY_MODEL = "accounts.User"
    CLERK_ISSUER = os.environ["CLERK_ISSUER"]
    CLERK_JWT_KEY = os.environ["CLERK_JWT_KEY"]
    CLERK_AUTHORIZED_PARTIES = [os.environ["CLERK_AUTHORIZED_PARTIES"]]
    CLERK_WEBHOOK_SIGNING_SECRET = [os.environ["CLERK_WEBHOOK_SIGNING_SECRET"]]
