"""A project with Django's own users, and apps whose labels are those of our packages."""

from __future__ import annotations

import os

import environ

SECRET_KEY = "the secret key of a project that exists only in tests"
ROOT_URLCONF = "urls"
USE_TZ = True
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "accounts",
    "api",
    "clerk_sync.accounts",
    "clerk_sync.webhooks",
    "clerk_sync.health",
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
    "DEFAULT_AUTHENTICATION_CLASSES": ["clerk_sync.accounts.authentication.ClerkAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
}
STATIC_URL = "/static/"
DATABASES = {"default": environ.Env.db_url_config(os.environ["FOREIGN_DATABASE_URL"])}
DATABASES["default"]["TEST"] = {"NAME": "foreign_wheel"}
ALLOW_SQLITE = True
CLERK_PUBLISHABLE_KEY = "pk_live_Y2xlcmsuZXhhbXBsZS5jb20k"
CLERK_AUTHORIZED_PARTIES = ["https://app.example.com"]
