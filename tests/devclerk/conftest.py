"""A receiver that gets the webhooks of the emulator."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_httpserver import HTTPServer

from devclerk.fixtures import LocalClerk
from tests.devclerk.receiver import Receiver


@pytest.fixture
def receiver(clerk: LocalClerk, httpserver: HTTPServer) -> Iterator[Receiver]:
    receiver = Receiver(httpserver)
    clerk.send_webhooks_to(receiver.url)
    yield receiver
    clerk.emulator.reset()
