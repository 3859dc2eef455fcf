"""The environment of the tests, set before Django loads (pytest: `-p tests.environment`).

It is like production, on a throwaway PostgreSQL, and the same on every machine: variables of the developer's
shell or `.env` for Django, Clerk or the database are removed. `TEST_DATABASE_URL` may name another server.
"""

from __future__ import annotations

import atexit
import os
from pathlib import Path

from config.env import read_dotenv
from tests.postgres import ThrowawayPostgres

REMOVED_PREFIXES = (
    "DJANGO_",
    "CLERK_",
    "HEALTH_",
    "CORS_",
    "DATABASE_URL",
    "ALLOW_SQLITE",
    "SCRIPT_NAME",
    "PROMETHEUS_MULTIPROC_DIR",
)
VALUES = {
    "DJANGO_SETTINGS_MODULE": "config.settings",
    "DJANGO_SECRET_KEY": "the secret key of the tests, which is public and used nowhere else",
    "DJANGO_ALLOWED_HOSTS": "testserver",
    # The test client uses plain http; tests/config/test_settings.py tests the redirects.
    "DJANGO_HTTPS": "false",
    "CLERK_ISSUER": "https://clerk.example.test",
    "CLERK_JWKS_URL": "https://clerk.example.test/.well-known/jwks.json",
    "CLERK_AUTHORIZED_PARTIES": "https://app.example.test",
    "ALLOW_SQLITE": "true",
}


def prepare() -> None:
    """Set the environment; start PostgreSQL unless an address is given or xdist's controller has done it."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        return
    for name in [name for name in os.environ if name.startswith(REMOVED_PREFIXES)]:
        del os.environ[name]
    written, _ = read_dotenv(Path(__file__).parent.parent / ".env")
    # An empty variable counts as not set, and the file never overrides the environment.
    os.environ.update(dict.fromkeys(written, "") | VALUES)
    os.environ["DATABASE_URL"] = os.environ.get("TEST_DATABASE_URL") or _throwaway_database()


def _throwaway_database() -> str:
    server = ThrowawayPostgres()
    atexit.register(server.remove)
    server.start()
    return server.url


prepare()
