"""Fixtures for the tests of all packages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.postgres import ThrowawayPostgres

pytest_plugins = ["devclerk.fixtures"]


@pytest.fixture
def postgres_server() -> Iterator[ThrowawayPostgres]:
    """Start a PostgreSQL for one test, on a loopback port; the test may stop, crash and restart it."""
    server = ThrowawayPostgres(tcp=True)
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(autouse=True)
def forget_unwritten_failures() -> Iterator[None]:
    """Forget the failures that a test did not write to the database, so that the next test starts without."""
    yield
    from health.recorder import recorder

    recorder.clear()


@pytest.fixture(autouse=True)
def forget_failed_logins() -> Iterator[None]:
    """Forget the failed logins of a test, which would limit those of the next one."""
    yield
    from accounts.login_limit import login_limiter

    login_limiter.clear()


@pytest.fixture(autouse=True)
def close_breakers() -> Iterator[None]:
    """Close the breakers that a test opened, so that the next test is not refused."""
    yield
    from accounts import sign_in
    from health import receivers
    from webhooks import views

    for module in (receivers, sign_in, views):
        module.breaker.close()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests that use the database only through a fixture, so that `-m django_db` selects them too."""
    for item in items:
        if {"db", "transactional_db"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.django_db)
