"""Fixtures of the health tests: a process without memory, a PEM key, a database that can go away."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.db import connection
from pytest_django import Settings

from health.recorder import recorder
from health.report.build import status_memo
from tests.clock import Clock

Away = Callable[[], AbstractContextManager[None]]


@pytest.fixture(autouse=True)
def fresh_process() -> Iterator[None]:
    """Forget the failures of this process and the status that it keeps."""
    recorder.forget()
    status_memo.forget()
    yield
    recorder.forget()


@pytest.fixture
def recorder_clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Set the clock of this process's recorder by hand."""
    clock = Clock()
    monkeypatch.setattr(recorder, "clock", clock)
    recorder.forget()
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
    """Verify by PEM, so that a key is held."""
    settings.CLERK_JWT_KEY = public_key


@pytest.fixture
def away(transactional_db: None) -> Away:
    """Return a context manager within which every new connection meets a closed port."""

    @contextmanager
    def block() -> Iterator[None]:
        address = connection.settings_dict
        held = {name: address[name] for name in ("HOST", "PORT")}
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            connection.close()
            address.update(HOST="127.0.0.1", PORT=str(closed.getsockname()[1]))
            try:
                yield
            finally:
                connection.close()
                address.update(held)

    return block
