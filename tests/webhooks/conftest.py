"""What every test of this room needs: a signing secret."""

from __future__ import annotations

import pytest
from pytest_django import Settings

from tests.webhooks.deliveries import SECRET


@pytest.fixture(autouse=True)
def signing_secret(settings: Settings) -> str:
    """Set the secret that the deliveries are signed with."""
    settings.CLERK_WEBHOOK_SIGNING_SECRET = (SECRET,)
    return SECRET
