"""What the API needs to run against the stand-in on this machine: settings, a database, an admin."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connections

from devclerk.standin import new_secret_key
from devclerk.webhooks import new_secret

ADMIN = "admin"
FRONTEND = "http://localhost:3000"
# What a .env for the real Clerk may say and the stand-in must not be judged by; empty counts as not set.
OTHERWISE_SET = (
    "CLERK_PUBLISHABLE_KEY",
    "CLERK_JWT_KEY",
    "CLERK_JWT_KEY_FILE",
    "CLERK_SECRET_KEY_FILE",
    "CLERK_WEBHOOK_SIGNING_SECRET_FILE",
    "CLERK_INSTANCE_ID",
    "CLERK_AUDIENCE",
)


def make_settings(*, clerk_port: int) -> dict[str, str]:
    """Make the environment of one run, with fresh secrets; the database is the one already named, if any."""
    clerk = f"http://127.0.0.1:{clerk_port}"
    origins = ",".join((clerk, f"http://localhost:{clerk_port}", FRONTEND))
    made = {
        "DJANGO_DEBUG": "true",
        "DJANGO_HTTPS": "false",
        "DJANGO_ALLOWED_HOSTS": "127.0.0.1,localhost",
        "CLERK_PORT": str(clerk_port),
        "CLERK_ISSUER": clerk,
        "CLERK_JWKS_URL": f"{clerk}/.well-known/jwks.json",
        "CLERK_API_URL": clerk,
        "CLERK_SECRET_KEY": new_secret_key(),
        "CLERK_WEBHOOK_SIGNING_SECRET": new_secret(),
        "CLERK_AUTHORIZED_PARTIES": origins,
        "CORS_ALLOWED_ORIGINS": origins,
    }
    if address := os.environ.get("DATABASE_URL"):
        made["DATABASE_URL"] = address
    return made | dict.fromkeys(OTHERWISE_SET, "")


def environment(made: Mapping[str, str]) -> dict[str, str]:
    """Give the environment of a child process."""
    return {**os.environ, **made}


def migrate() -> None:
    """Bring the database up to date."""
    call_command("migrate", verbosity=0, interactive=False)


def admin_login() -> tuple[str, str]:
    """Make sure of a superuser whose password is known (DEV_ADMIN_PASSWORD, or a new one); give both."""
    password = os.environ.get("DEV_ADMIN_PASSWORD") or secrets.token_urlsafe(12)
    people = get_user_model()._default_manager  # noqa: SLF001 - Django's own name for it
    admin = people.filter(username=ADMIN).first() or people.model(username=ADMIN)
    admin.is_active = admin.is_staff = admin.is_superuser = True
    admin.set_password(password)
    admin.save()
    connections.close_all()
    return ADMIN, password
