"""One fetch of a JWKS over TLS, as in production: one deadline for handshake, head and body."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from accounts.clerk.jwks import FetchFailed, fetch_document
from devclerk.tokens import Keyring
from tests.accounts.clerk import keyserver
from tests.accounts.clerk.keyserver import Behaviour, KeyServer, document, serving


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a self-signed certificate for 127.0.0.1, and its key, to one file."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def server(keyring: Keyring, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KeyServer]:
    """Serve the keys over TLS, with a certificate that the process trusts."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serving(document(keyring.jwks())) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.url = server.url.replace("http://", "https://")
        yield server


def test_keys_are_fetched_over_tls(server: KeyServer, keyring: Keyring) -> None:
    assert list(fetch_document(server.url).keys) == [keyring.kid]


def test_unknown_certificate_is_a_failed_fetch(server: KeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with pytest.raises(FetchFailed, match="SSLError"):
        fetch_document(server.url)


def assert_times_out(url: str) -> None:
    began = time.monotonic()
    with pytest.raises(FetchFailed, match="timeout"):
        fetch_document(url)
    assert 1.9 < time.monotonic() - began < 2.5


@pytest.mark.parametrize(
    "behave", [keyserver.hang, keyserver.drip_body, keyserver.drip_headers], ids=["hang", "body", "head"]
)
def test_fetch_over_tls_ends_after_two_seconds(server: KeyServer, behave: Behaviour) -> None:
    server.behave = behave
    assert_times_out(server.url)


def drip_handshake(connection: socket.socket) -> None:
    """Announce a long TLS record and send it a byte at a time."""
    with suppress(OSError):
        connection.sendall(b"\x16\x03\x03\x3f\xff\x02\x00\x3f\xfb\x03\x03")
        while True:
            connection.sendall(b"\0")
            time.sleep(0.1)


def hang_in_handshake(connection: socket.socket) -> None:
    """Answer nothing until the client leaves."""
    while connection.recv(4096):
        pass


@contextmanager
def listening(behave: Callable[[socket.socket], None]) -> Iterator[str]:
    """Accept one connection."""

    def run(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            behave(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=run, args=[listener], daemon=True)
        thread.start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}/jwks"
    thread.join(5)


@pytest.mark.parametrize("behave", [hang_in_handshake, drip_handshake], ids=["hang", "drip"])
def test_fetch_ends_after_two_seconds_in_the_handshake(behave: Callable[[socket.socket], None]) -> None:
    with listening(behave) as url:
        assert_times_out(url)


def test_slow_name_lookup_and_handshake_share_the_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve = socket.getaddrinfo

    def slow(*args: Any, **kwargs: Any) -> Any:
        time.sleep(1.5)
        return resolve(*args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    with listening(hang_in_handshake) as url:
        assert_times_out(url)
