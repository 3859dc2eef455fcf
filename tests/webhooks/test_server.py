"""Body sizes over HTTP: declared, chunked and incomplete."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import requests
from pytest_django.live_server_helper import LiveServer

from tests.webhooks.deliveries import encoded, envelope, signed_headers, user_data

pytestmark = pytest.mark.django_db(transaction=True)
MAX_BODY_BYTES = 256 * 1024


@pytest.fixture
def url(live_server: LiveServer) -> str:
    """Return the URL of the endpoint."""
    return f"{live_server.url}/webhooks/clerk"


def test_delivery_over_http_creates_the_user(url: str) -> None:
    body = encoded(envelope("user.created", user_data()))
    response = requests.post(url, data=body, headers=signed_headers(body), timeout=10)
    assert (response.status_code, response.json()) == (200, {"outcome": "created"})


@pytest.mark.parametrize("size", [MAX_BODY_BYTES + 1, 4 * MAX_BODY_BYTES, 40 * MAX_BODY_BYTES])
def test_too_large_body_is_413(url: str, size: int) -> None:
    response = requests.post(url, data=b"x" * size, timeout=10)
    assert response.status_code == 413
    assert response.json()["errors"][0]["code"] == "payload_too_large"


def test_too_large_declared_length_is_413_before_the_body(url: str) -> None:
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10) as connection:
        connection.sendall(
            f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            f"Content-Length: {MAX_BODY_BYTES * 1000}\r\n\r\n".encode()
        )
        response = http.client.HTTPResponse(connection)
        response.begin()
        assert response.status == 413


def test_undecoded_chunked_body_is_an_invalid_signature(url: str) -> None:
    body = encoded(envelope("user.created", user_data()))

    def chunks() -> Iterator[bytes]:
        yield body

    response = requests.post(url, data=chunks(), headers=signed_headers(body), timeout=10)
    assert response.status_code == 400
    assert response.json()["errors"][0]["code"] == "invalid_signature"
