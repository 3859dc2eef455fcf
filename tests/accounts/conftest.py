"""What the tests of the accounts room share."""

from __future__ import annotations

import pytest
from pytest_django import Settings
from pytest_httpserver import HTTPServer

from devclerk.fixtures import LocalClerk
from tests.accounts.wire import Wire


@pytest.fixture
def wire(clerk: LocalClerk, clerk_settings: Settings, httpserver: HTTPServer) -> Wire:
    """Put a wire that can be tampered with between the project and the Backend API of the stand-in."""
    clerk_settings.CLERK_API_URL = httpserver.url_for("")
    return Wire(clerk, httpserver)
