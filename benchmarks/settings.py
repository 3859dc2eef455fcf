"""Settings of a site in which all peers authenticate the same view.

The middleware is that of `startproject`: no peer pays for our request log. Log lines are formatted as in
production and discarded.
"""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.figures import FULL
from config.settings import *  # noqa: F403
from config.settings import (
    CLERK_AUTHORIZED_PARTIES,
    CLERK_ISSUER,
    CLERK_JWT_KEY,
    DATABASES,
    INSTALLED_APPS,
    LOGGING,
)

INSTALLED_APPS = [*INSTALLED_APPS, "rest_framework.authtoken"]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "benchmarks.urls"
WSGI_APPLICATION = "benchmarks.wsgi.application"
LOGGING["handlers"]["console"]["stream"] = Path(os.devnull).open("w")  # noqa: SIM115 - stays open

# One database for each table size, on the same server.
DATABASES = {
    **DATABASES,
    **{str(size): {**DATABASES["default"], "NAME": f"users_{size}"} for size in (*FULL.sizes, 10_000_000)},
}
DATABASE_ROUTERS = ["benchmarks.database_router.Router"]

# The peers as their documentation says: verification with the PEM, without network.
SIMPLE_JWT = {
    "ALGORITHM": "RS256",
    "SIGNING_KEY": "",
    "VERIFYING_KEY": CLERK_JWT_KEY,
    "ISSUER": CLERK_ISSUER,
    "USER_ID_FIELD": "clerk_id",
    "USER_ID_CLAIM": "sub",
    "TOKEN_TYPE_CLAIM": None,
}
CLERK_AUTH_PARTIES = list(CLERK_AUTHORIZED_PARTIES or ())
