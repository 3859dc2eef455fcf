"""The environment of an API that runs against the emulator on this machine, and its admin login."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.utils import get_random_secret_key
from django.db import connections

from devclerk.emulator import new_secret_key
from devclerk.frontend.browser import publishable_key
from devclerk.run_folder import RunFolder, keep_text
from devclerk.webhooks import new_webhook_secret

ADMIN = "admin"
# Of the environment of `make run`
KEPT = ("DATABASE_URL", "DJANGO_SECRET_KEY", "CORS_ALLOWED_ORIGINS", "CLERK_CLAIMS", "CLERK_EXTRA_FIELDS")
# A .env for a real Clerk instance may set these; an empty value counts as not set.
CLEARED = (
    "DJANGO_SECRET_KEY_FILE",
    "CLERK_PUBLISHABLE_KEY",
    "CLERK_JWT_KEY",
    "CLERK_JWT_KEY_FILE",
    "CLERK_SECRET_KEY_FILE",
    "CLERK_WEBHOOK_SIGNING_SECRET_FILE",
    "CLERK_INSTANCE_ID",
    "CLERK_AUDIENCE",
)


def run_environment(folder: RunFolder, *, clerk_port: int) -> dict[str, str]:
    """Return the variables of a run, with its kept secrets. Raise `OSError` or `ValueError` for their files.

    What the environment sets of `KEPT` stays; the origins of `CORS_ALLOWED_ORIGINS` become authorized parties
    too. In debug every loopback origin is both.
    """
    clerk = f"http://127.0.0.1:{clerk_port}"
    parties = (clerk, *settings.CORS_ALLOWED_ORIGINS, *(settings.CLERK_AUTHORIZED_PARTIES or ()))
    variables = {
        "DJANGO_SECRET_KEY": keep_text(folder.root / "django-secret-key", new=get_random_secret_key),
        "DJANGO_DEBUG": "true",
        "DJANGO_HTTPS": "false",
        "DJANGO_ALLOWED_HOSTS": "127.0.0.1,localhost",
        "CLERK_PORT": str(clerk_port),
        "CLERK_ISSUER": clerk,
        "CLERK_JWKS_URL": f"{clerk}/.well-known/jwks.json",
        "CLERK_API_URL": clerk,
        "CLERK_SECRET_KEY": keep_text(folder.of_port / "clerk-secret-key", new=new_secret_key),
        "CLERK_WEBHOOK_SIGNING_SECRET": keep_text(folder.of_port / "webhook-secret", new=new_webhook_secret),
        "CLERK_AUTHORIZED_PARTIES": ",".join(dict.fromkeys(parties)),
    }
    given = {name: os.environ[name] for name in KEPT if os.environ.get(name)}
    return variables | given | dict.fromkeys(CLEARED, "")


def frontend_environment(variables: Mapping[str, str], *, port: int) -> dict[str, str]:
    """Return the variables of a frontend beside an API with these variables, on this port."""
    clerk = variables["CLERK_API_URL"]
    return {
        "NEXT_PUBLIC_CLERK_PUBLISHABLE_KEY": publishable_key(clerk.removeprefix("http://")),
        "CLERK_SECRET_KEY": variables["CLERK_SECRET_KEY"],
        "CLERK_API_URL": clerk,
        "CLERK_FAPI_URL": clerk,
        "NEXT_PUBLIC_API_URL": f"http://127.0.0.1:{port}",
    }


def admin_password(folder: RunFolder) -> str:
    """Return DEV_ADMIN_PASSWORD, or the kept password. Raise `OSError` or `ValueError` for its file."""
    given = os.environ.get("DEV_ADMIN_PASSWORD")
    return given or keep_text(folder.root / "admin-password", new=lambda: secrets.token_urlsafe(12))


def ensure_admin(password: str) -> None:
    """Create or reset the superuser `admin` with this password."""
    users = get_user_model()._default_manager  # noqa: SLF001 - Django's own name for it
    admin = users.filter(username=ADMIN).first() or users.model(username=ADMIN)
    admin.is_active = admin.is_staff = admin.is_superuser = True
    if not admin.check_password(password):  # a new hash would end the sessions of the admin
        admin.set_password(password)
    admin.save()
    connections.close_all()
