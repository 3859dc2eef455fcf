"""Fixtures of the webhook tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.dispatch import Signal
from pytest_django import Settings

from tests.webhooks.deliveries import SECRET
from tests.webhooks.handler_cases import Trouble, temporary_handlers

RecordSignal = Callable[[Signal], list[dict[str, Any]]]


@pytest.fixture(autouse=True)
def signing_secret(settings: Settings) -> str:
    """Configure the secret that signs the deliveries."""
    settings.CLERK_WEBHOOK_SIGNING_SECRET = (SECRET,)
    return SECRET


@pytest.fixture
def record_signal() -> Iterator[RecordSignal]:
    """Return a function that connects to a signal and returns the list of its future arguments."""
    receivers: list[tuple[Signal, Callable[..., None]]] = []

    def connect(signal: Signal) -> list[dict[str, Any]]:
        recorded: list[dict[str, Any]] = []

        def receive(signal: Signal, **arguments: Any) -> None:
            recorded.append(arguments)

        signal.connect(receive)
        receivers.append((signal, receive))
        return recorded

    yield connect
    for signal, receive in receivers:
        signal.disconnect(receive)


@pytest.fixture
def trouble() -> Trouble:
    """A fault of a handler, which the test can end."""
    return Trouble()


@pytest.fixture(autouse=True)
def forget_handlers() -> Iterator[None]:
    """Forget the handlers that a test registered."""
    with temporary_handlers():
        yield
