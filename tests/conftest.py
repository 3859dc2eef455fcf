"""Fixtures for the tests of all packages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from xdist.scheduler import LoadGroupScheduling

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


class OneBuildScheduling(LoadGroupScheduling):  # type: ignore[misc] # xdist has no types
    """Runs the tests of the example in one process, because its build takes half a minute.

    The mark `xdist_group` has no effect: pytest 9.2 does not read the id in which xdist 3.8 writes the group.
    """

    def _split_scope(self, nodeid: str) -> str:
        return "example" if nodeid.startswith("tests/browser/test_example") else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneBuildScheduling | None:
    """Return the scheduler of `--dist loadgroup`."""
    return OneBuildScheduling(config, log) if config.getoption("dist") == "loadgroup" else None
