"""The size limit before a real server: what is declared, what is sent in chunks, what never ends."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import requests
from pytest_django.live_server_helper import LiveServer

from tests.webhooks.deliveries import encoded, envelope, person, signed_headers

pytestmark = pytest.mark.django_db(transaction=True)
LIMIT = 256 * 1024


@pytest.fixture
def address(live_server: LiveServer) -> str:
    """Give the endpoint's address."""
    return f"{live_server.url}/webhooks/clerk"


def test_a_delivery_over_http_takes_effect(address: str) -> None:
    body = encoded(envelope("user.created", person()))
    answer = requests.post(address, data=body, headers=signed_headers(body), timeout=10)
    assert (answer.status_code, answer.json()) == (200, {"outcome": "created"})


@pytest.mark.parametrize("size", [LIMIT + 1, 4 * LIMIT, 40 * LIMIT])
def test_a_body_that_is_too_large_gets_an_answer(address: str, size: int) -> None:
    answer = requests.post(address, data=b"x" * size, timeout=10)
    assert answer.status_code == 413
    assert answer.json()["errors"][0]["code"] == "payload_too_large"


def test_a_declared_length_is_believed_before_the_body_comes(address: str) -> None:
    parts = urlsplit(address)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10) as wire:
        wire.sendall(
            f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            f"Content-Length: {LIMIT * 1000}\r\n\r\n".encode()
        )
        answer = http.client.HTTPResponse(wire)
        answer.begin()
        assert answer.status == 413


def test_chunks_before_a_server_that_does_not_decode_them_are_an_unsigned_body(address: str) -> None:
    body = encoded(envelope("user.created", person()))

    def chunks() -> Iterator[bytes]:
        yield body

    answer = requests.post(address, data=chunks(), headers=signed_headers(body), timeout=10)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["code"] == "invalid_signature"
