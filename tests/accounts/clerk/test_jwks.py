"""One fetch of a JWKS: the request, the entries that are used, and the code of each failure."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as rsa_key

from accounts.clerk.jwks import (
    MAX_BODY_BYTES,
    FetchFailed,
    check_address,
    fetch_document,
    is_sound,
    usable_keys,
)
from accounts.clerk.outgoing import USER_AGENT
from devclerk.tokens import Keyring
from tests.accounts.clerk import keyserver
from tests.accounts.clerk.keyserver import Behaviour, KeyServer, answer, document


def failure(server: KeyServer, behave: Behaviour) -> str:
    """Return the code of the failed fetch."""
    server.behave = behave
    with pytest.raises(FetchFailed) as caught:
        fetch_document(server.url)
    assert str(caught.value) == caught.value.reason
    return caught.value.reason


def padded(keyring: Keyring, length: int) -> bytes:
    text = json.dumps(keyring.jwks()).encode()
    return text + b" " * (length - len(text))


def test_fetch_returns_the_keys_by_id(server: KeyServer, keyring: Keyring) -> None:
    keys = fetch_document(server.url).keys
    assert list(keys) == [keyring.kid]
    assert keys[keyring.kid].key_size == 2048


def test_request_accepts_no_compression_and_has_our_user_agent(server: KeyServer, keyring: Keyring) -> None:
    asked: list[tuple[str, str | None, str | None]] = []

    def behave(handler: BaseHTTPRequestHandler) -> None:
        asked.append((handler.path, handler.headers["Accept-Encoding"], handler.headers["User-Agent"]))
        document(keyring.jwks())(handler)

    server.behave = behave
    fetch_document(server.url)
    assert asked == [("/.well-known/jwks.json", "identity", USER_AGENT)]


PAGE = b"<h1>Forbidden</h1>"
CLERKS = b'{"errors": [{"code": "internal_clerk_error"}], "clerk_trace_id": "t1"}'


@pytest.mark.parametrize(
    ("behave", "is_foreign"),
    [
        (answer(PAGE, status=403), True),
        (answer(PAGE, status=401), True),
        (answer(PAGE, status=404), True),
        (answer(PAGE, status=503), True),
        (answer(b"", status=302, Location="https://portal.example.test/"), True),
        (answer(PAGE), True),
        (document({"login": "https://portal.example.test/"}), True),
        (keyserver.flood, True),
        (answer(b'{"errors": [{"code": 1020}]}', status=403), True),
        (answer(b"x" * (MAX_BODY_BYTES + 1), status=403), True),
        (answer(CLERKS, status=403), False),
        (answer(CLERKS, status=503), False),
        (document({"keys": []}), False),
        (keyserver.reset, False),
    ],
)
def test_answer_of_a_firewall_has_its_own_next_step(
    server: KeyServer, behave: Behaviour, *, is_foreign: bool
) -> None:
    server.behave = behave
    with pytest.raises(FetchFailed) as caught:
        fetch_document(server.url)
    assert caught.value.is_foreign is is_foreign
    assert ("firewall or proxy" in caught.value.next_step) is is_foreign
    assert ("See that this machine reaches" in caught.value.next_step) is not is_foreign


def test_document_has_its_date_and_its_duration(server: KeyServer, keyring: Keyring) -> None:
    body = json.dumps(keyring.jwks()).encode()
    server.behave = answer(body, after=0.3, Age="7")
    got = fetch_document(server.url)
    assert (list(got.keys), got.age) == ([keyring.kid], "7")
    assert got.date is not None
    assert 0.3 <= got.seconds < 2


def test_longer_deadline_waits_for_a_slow_document(server: KeyServer, keyring: Keyring) -> None:
    server.behave = document(keyring.jwks(), after=2.3)
    assert list(fetch_document(server.url, timeout=5).keys) == [keyring.kid]


@pytest.mark.parametrize(
    ("behave", "code"),
    [
        (keyserver.flood, "too_large"),
        (keyserver.boast, "too_large"),
        (answer(b"{}", status=404), "status_404"),
        (answer(b"{}", status=500), "status_500"),
        (answer(b"", status=204), "status_204"),
        (answer(b"", status=302, Location="https://clerk.example.test/jwks"), "status_302"),
        (answer(b"<html>"), "JSONDecodeError"),
        (answer(b"\xff\xfe"), "UnicodeDecodeError"),
        (answer(b"[" * 60_000), "RecursionError"),
        (keyserver.reset, "ConnectionError"),
        (document([]), "no_key_list"),
        (document({"keys": {}}), "no_key_list"),
        (document({}), "no_key_list"),
        (document({"keys": []}), "no_usable_key"),
        (document({"keys": [None, 1, "x", {}, {"kty": "EC", "kid": "a"}]}), "no_usable_key"),
    ],
)
def test_each_failure_has_its_code(server: KeyServer, behave: Behaviour, code: str) -> None:
    assert failure(server, behave) == code


@pytest.mark.parametrize(
    "behave", [keyserver.hang, keyserver.drip_body, keyserver.drip_headers], ids=["hang", "body", "head"]
)
def test_fetch_ends_after_two_seconds(server: KeyServer, behave: Behaviour) -> None:
    began = time.monotonic()
    assert failure(server, behave) == "timeout"
    assert 1.9 < time.monotonic() - began < 2.5


def test_refused_connection_is_a_failed_fetch() -> None:
    with pytest.raises(FetchFailed, match="ConnectionError"):
        fetch_document("http://127.0.0.1:9/jwks")


def test_body_may_have_64_kib_and_no_byte_more(server: KeyServer, keyring: Keyring) -> None:
    server.behave = answer(padded(keyring, MAX_BODY_BYTES))
    assert list(fetch_document(server.url).keys) == [keyring.kid]
    assert failure(server, answer(padded(keyring, MAX_BODY_BYTES + 1))) == "too_large"


def entry(keyring: Keyring, **changes: Any) -> dict[str, Any]:
    """Return the entry of the ring's key with changes; None removes a field."""
    fields = {**keyring.jwks()["keys"][0], **changes}
    return {name: value for name, value in fields.items() if value is not None}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"use": None},
        {"alg": None},
        {"key_ops": ["verify"]},
        {"key_ops": ["sign", "verify"]},
        {"x5c": ["x"]},
    ],
    ids=str,
)
def test_signing_key_is_used(keyring: Keyring, changes: dict[str, Any]) -> None:
    assert list(usable_keys({"keys": [entry(keyring, **changes)]})) == [keyring.kid]


@pytest.mark.parametrize(
    "changes",
    [
        {"kty": None},
        {"kty": "oct"},
        {"kid": None},
        {"kid": ""},
        {"kid": 5},
        {"use": "enc"},
        {"alg": "RS512"},
        {"key_ops": ["sign"]},
        {"key_ops": "verify"},
        {"n": None},
        {"e": None},
        {"n": "###"},
        {"n": base64.urlsafe_b64encode(b"\xff" * 128).decode()},
        {"e": "AQ"},
    ],
    ids=str,
)
def test_other_entry_is_skipped(keyring: Keyring, changes: dict[str, Any]) -> None:
    other = {**Keyring().jwks()["keys"][0], "kid": "other"}
    assert list(usable_keys({"keys": [entry(keyring, **changes), other]})) == ["other"]


def test_numbers_of_a_key_may_be_padded_and_nothing_else(keyring: Keyring) -> None:
    modulus = entry(keyring)["n"]
    padding = "=" * (-len(modulus) % 4)
    assert padding
    for text in (modulus + padding, f"={modulus}", f"{modulus} ", f"{modulus}\n"):
        document = {"keys": [entry(keyring, n=text), entry(keyring, kid="other")]}
        assert (keyring.kid in usable_keys(document)) is (text == modulus + padding)


def test_private_key_is_read_as_its_public_half(keyring: Keyring) -> None:
    numbers = rsa_key(65537, 2048).private_numbers()

    def text(number: int) -> str:
        return base64.urlsafe_b64encode(number.to_bytes(256, "big")).rstrip(b"=").decode()

    private = {"n": text(numbers.public_numbers.n), "d": text(numbers.d), "p": text(numbers.p)}
    keys = usable_keys({"keys": [entry(keyring, **private)]})
    assert keys[keyring.kid].public_numbers().n == numbers.public_numbers.n


@pytest.mark.parametrize(
    ("url", "allow_http"),
    [
        ("https://clerk.example.test/jwks", False),
        ("https://clerk.example.test/jwks", True),
        ("http://127.0.0.1:8001/jwks", True),
        ("http://localhost:8001/jwks", True),
        ("http://[::1]:8001/jwks", True),
    ],
)
def test_safe_address_is_accepted(url: str, *, allow_http: bool) -> None:
    check_address(url, allow_http=allow_http)


@pytest.mark.parametrize(
    ("url", "allow_http"),
    [
        ("https://", False),
        ("https:///jwks", True),
        ("http://127.0.0.1@clerk.example.test/jwks", True),
        ("http://localhost.example.test/jwks", True),
        ("http://clerk.example.test/jwks", False),
        ("http://clerk.example.test/jwks", True),
        ("http://127.0.0.1/jwks", False),
        ("ftp://127.0.0.1/jwks", True),
        ("file:///etc/passwd", True),
        ("", True),
    ],
)
def test_unsafe_address_is_refused(url: str, *, allow_http: bool) -> None:
    with pytest.raises(ValueError, match=r"^The address of the keys must be https \(http on loopback"):
        check_address(url, allow_http=allow_http)


@pytest.mark.parametrize(
    ("bits", "exponent", "sound"),
    [
        (2048, 65537, True),
        (2047, 65537, False),
        (8192, 65537, True),
        (8193, 65537, False),
        (2048, 3, True),
        (2048, 2**32 - 1, True),
        (2048, 2**32 + 1, False),
    ],
)
def test_accepted_sizes_and_exponents(bits: int, exponent: int, *, sound: bool) -> None:
    assert is_sound(RSAPublicNumbers(exponent, 2**bits - 1).public_key()) is sound


def test_a_fetch_imports_no_module_and_reads_no_netrc(
    server: KeyServer, keyring: Keyring, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine localhost login canary password canary")
    seen: list[str | None] = []

    def behave(handler: BaseHTTPRequestHandler) -> None:
        seen.append(handler.headers["Authorization"])
        document(keyring.jwks())(handler)

    server.behave = behave
    program = (
        "import sys; from accounts.clerk.jwks import fetch_document; before = set(sys.modules);"
        "fetch_document(sys.argv[1]).keys; print(sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, server.url.replace("127.0.0.1", "localhost")],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        check=True,
        capture_output=True,
        text=True,
    )
    # A process that is forked during an import waits for the import's lock for ever.
    assert done.stdout == "[]\n"
    assert seen == [None]
