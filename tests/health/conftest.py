"""What the tests of this room share: a process without memory, a PEM key, a database that can go away."""

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
from health.report import status_memo

Away = Callable[[], AbstractContextManager[None]]


@pytest.fixture(autouse=True)
def fresh_process() -> Iterator[None]:
    """Let the process forget its failures and what it told strangers."""
    recorder.forget()
    status_memo.forget()
    yield
    recorder.forget()


@pytest.fixture(scope="session")
def public_key() -> str:
    """Make a key as the dashboard shows it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()


@pytest.fixture(autouse=True)
def held_key(settings: Settings, public_key: str) -> None:
    """Verify by PEM, so that the keys are well unless a test says otherwise."""
    settings.CLERK_JWT_KEY = public_key


@pytest.fixture
def away(transactional_db: None) -> Away:
    """Give a block within which every new connection meets a closed port."""

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
