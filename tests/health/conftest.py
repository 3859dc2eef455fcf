"""Fixtures of the health tests: an empty recorder, a PEM key, a database that can be made unreachable."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.db import connection
from pytest_django import Settings

from health.checks import database_check
from health.recorder import recorder
from health.report.shared import shared_reports
from tests.clock import Clock

Away = Callable[[], AbstractContextManager[None]]


@pytest.fixture(autouse=True)
def fresh_process() -> Iterator[None]:
    """Clear what this process remembers: failures, reports and the answer of the database."""
    recorder.clear()
    database_check.forget()
    shared_reports.clear()
    yield
    recorder.clear()


@pytest.fixture
def recorder_clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return a clock that is moved by hand, after injecting it into this process's recorder."""
    clock = Clock()
    monkeypatch.setattr(recorder, "clock", clock)
    recorder.clear()
    return clock


@pytest.fixture(scope="session")
def public_key() -> str:
    """Return a public key as Clerk's dashboard shows it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()


@pytest.fixture(autouse=True)
def held_key(settings: Settings, public_key: str) -> None:
    """Verify tokens by PEM, so that the process has a key."""
    settings.CLERK_JWT_KEY = public_key


@pytest.fixture
def away(transactional_db: None) -> Away:
    """Return a context manager that sends each new database connection to a closed port."""

    @contextmanager
    def block() -> Iterator[None]:
        address = connection.settings_dict
        original = {name: address[name] for name in ("HOST", "PORT")}
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            connection.close()
            address.update(HOST="127.0.0.1", PORT=str(closed.getsockname()[1]))
            database_check.forget()
            try:
                yield
            finally:
                connection.close()
                address.update(original)
                database_check.forget()

    return block
