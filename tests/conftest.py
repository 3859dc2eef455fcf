"""Fixtures that every room may use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.postgres import ThrowawayPostgres

pytest_plugins = ["devclerk.fixtures"]


@pytest.fixture
def postgres_server() -> Iterator[ThrowawayPostgres]:
    """Give the test a PostgreSQL of its own, on a loopback port, to be stopped, crashed and started again."""
    server = ThrowawayPostgres(tcp=True)
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(autouse=True)
def nothing_waits_from_test_to_test() -> Iterator[None]:
    """Forget the failures that a test's database did not take: the next test may have none."""
    yield
    from health.recorder import recorder

    recorder.clear()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what reaches the database only through a fixture, so that `-m django_db` selects it too."""
    for item in items:
        if {"db", "transactional_db"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.django_db)
