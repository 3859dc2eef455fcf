"""What the settings of the projects have in common. None of them reads the environment or `config`."""

from __future__ import annotations

import os

import environ

SECRET_KEY = "the secret key of a project that exists only in tests"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "tests.foreign.urls"
USE_TZ = True
# AutoField, as in a project that was started long ago.
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "rest_framework",
    "accounts",
    "webhooks",
    "health",
    "tests.foreign.shop",
    # Their labels are the names of our packages.
    "tests.foreign.accounts",
    "tests.foreign.api",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.authentication.ClerkAuthentication",
        "tests.foreign.shop.tokens.ServiceTokenAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
}
# CONN_MAX_AGE and ATOMIC_REQUESTS keep Django's defaults.
# The cases run on SQLite as well.
ALLOW_SQLITE = True
DATABASES = {"default": environ.Env.db_url_config(os.environ["FOREIGN_DATABASE_URL"])}
# A publishable key alone, as the installation page begins: issuer and key address follow from it.
CLERK_PUBLISHABLE_KEY = "pk_live_Y2xlcmsuZXhhbXBsZS5jb20k"
CLERK_AUTHORIZED_PARTIES = ["https://app.example.com"]
