"""The product's settings for a site in which all contenders answer the same view.

The middleware is what `startproject` writes: no contender pays for, or hides behind, our request log. Log
lines are made as in production and go nowhere.
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
LOGGING["handlers"]["console"]["stream"] = Path(os.devnull).open("w")  # noqa: SIM115 - for good

# The same server under more names, for the growth of the table; the names stand for databases of that size.
DATABASES = {
    **DATABASES,
    **{str(size): {**DATABASES["default"], "NAME": f"people_{size}"} for size in FULL.sizes},
}
DATABASE_ROUTERS = ["benchmarks.rooms.Router"]

# The peers, as their own documentation has it: verified by the PEM, without a network.
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
