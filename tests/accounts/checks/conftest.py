"""A correct configuration, which each test changes in one place."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core.checks import run_checks
from pytest_django import Settings

LIVE_KEY = "pk_live_Y2xlcmsuZXhhbXBsZS5jb20k"
POSTGRESQL = "django.db.backends.postgresql"
SQLITE = "django.db.backends.sqlite3"
CANARY = "canary7f3a"
Configure = Callable[..., list[str]]


@pytest.fixture
def ids(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Configure:
    """Configure correct settings with changes, run the checks and return the ids of their messages."""
    correct = {
        "DEBUG": False,
        "ALLOW_SQLITE": False,
        "ENV_PROBLEMS": (),
        "CLERK_PUBLISHABLE_KEY": LIVE_KEY,
        "CLERK_ISSUER": "https://clerk.example.com",
        "CLERK_JWKS_URL": "https://clerk.example.com/.well-known/jwks.json",
        "CLERK_JWT_KEY": "",
        "CLERK_SECRET_KEY": "",
        "CLERK_API_URL": "https://api.clerk.com",
        "CLERK_AUTHORIZED_PARTIES": ("https://app.example.com", "http://localhost:3000"),
        "CLERK_WEBHOOK_SIGNING_SECRET": (),
        "CLERK_CLAIMS": "email=email,first_name=first_name|firstName",
    }

    def configure(*, database: dict[str, object] | None = None, **changes: object) -> list[str]:
        for name, value in (correct | changes).items():
            setattr(settings, name, value)
        entry = {"ENGINE": POSTGRESQL, "CONN_MAX_AGE": 60, "OPTIONS": {}} | (database or {})
        # Only the checks read this entry: open connections keep their own.
        monkeypatch.setitem(settings.DATABASES, "default", entry)
        messages = run_checks(tags=["accounts"])
        assert all(message.hint for message in messages)
        assert CANARY not in str(messages)
        return [str(message.id) for message in messages]

    return configure
