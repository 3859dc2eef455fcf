"""The environment of an API that runs against the emulator on this machine, and its admin login."""

from __future__ import annotations

import os
import secrets

from django.contrib.auth import get_user_model
from django.db import connections

from devclerk.emulator import new_secret_key
from devclerk.webhooks import new_webhook_secret

ADMIN = "admin"
FRONTEND = "http://localhost:3000"
# A .env for a real Clerk instance may set these; an empty value counts as not set.
CLEARED = (
    "CLERK_PUBLISHABLE_KEY",
    "CLERK_JWT_KEY",
    "CLERK_JWT_KEY_FILE",
    "CLERK_SECRET_KEY_FILE",
    "CLERK_WEBHOOK_SIGNING_SECRET_FILE",
    "CLERK_INSTANCE_ID",
    "CLERK_AUDIENCE",
)


def new_environment(*, clerk_port: int) -> dict[str, str]:
    """Return the variables of one run, with fresh secrets; `DATABASE_URL` is kept if it is set."""
    clerk = f"http://127.0.0.1:{clerk_port}"
    origins = ",".join((clerk, f"http://localhost:{clerk_port}", FRONTEND))
    variables = {
        "DJANGO_DEBUG": "true",
        "DJANGO_HTTPS": "false",
        "DJANGO_ALLOWED_HOSTS": "127.0.0.1,localhost",
        "CLERK_PORT": str(clerk_port),
        "CLERK_ISSUER": clerk,
        "CLERK_JWKS_URL": f"{clerk}/.well-known/jwks.json",
        "CLERK_API_URL": clerk,
        "CLERK_SECRET_KEY": new_secret_key(),
        "CLERK_WEBHOOK_SIGNING_SECRET": new_webhook_secret(),
        "CLERK_AUTHORIZED_PARTIES": origins,
        "CORS_ALLOWED_ORIGINS": origins,
    }
    if address := os.environ.get("DATABASE_URL"):
        variables["DATABASE_URL"] = address
    return variables | dict.fromkeys(CLEARED, "")


def ensure_admin() -> tuple[str, str]:
    """Create or reset the superuser `admin`. Return name and password (DEV_ADMIN_PASSWORD, or a new one)."""
    password = os.environ.get("DEV_ADMIN_PASSWORD") or secrets.token_urlsafe(12)
    users = get_user_model()._default_manager  # noqa: SLF001 - Django's own name for it
    admin = users.filter(username=ADMIN).first() or users.model(username=ADMIN)
    admin.is_active = admin.is_staff = admin.is_superuser = True
    admin.set_password(password)
    admin.save()
    connections.close_all()
    return ADMIN, password
