"""The operator's commands as real processes, with the test's database and local Clerk emulator."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from django.db import connection

from devclerk.fixtures import LocalClerk

ROOT = Path(__file__).resolve().parent.parent.parent
TIMEOUT_SECONDS = 120


def start(*arguments: str, clerk: LocalClerk, **variables: str) -> subprocess.Popen[str]:
    """Start `manage.py` with these arguments; the caller waits for it or kills it."""
    return subprocess.Popen(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=_environment(clerk) | variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(*arguments: str, clerk: LocalClerk, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `manage.py` with these arguments until it ends."""
    with start(*arguments, clerk=clerk, **variables) as process:
        try:
            output, errors = process.communicate(timeout=TIMEOUT_SECONDS)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(arguments, process.returncode, output, errors)


def _environment(clerk: LocalClerk) -> dict[str, str]:
    return os.environ | {
        "DJANGO_DEBUG": "true",
        "DATABASE_URL": _database_url(),
        "CLERK_ISSUER": clerk.issuer,
        "CLERK_JWKS_URL": clerk.jwks_url,
        "CLERK_API_URL": clerk.api_url,
        "CLERK_SECRET_KEY": clerk.secret_key,
        "CLERK_WEBHOOK_SIGNING_SECRET": clerk.webhook_secret,
        "CLERK_AUTHORIZED_PARTIES": clerk.azp,
    }


def _database_url() -> str:
    """Return the URL of the test's database, which is on the server of DATABASE_URL."""
    name = str(connection.settings_dict["NAME"])
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    return urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl()
