"""One fetch of a key document: what is asked, what is understood, and how each trouble is called."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as rsa_key

from accounts.clerk.jwks import (
    MAX_BYTES,
    FetchFailed,
    check_address,
    fetch,
    fetch_document,
    is_sound,
    usable_keys,
)
from accounts.clerk.outgoing import USER_AGENT
from devclerk.tokens import Keyring
from tests.accounts.clerk import keyserver
from tests.accounts.clerk.keyserver import Behaviour, KeyServer, answer, document, serving


@pytest.fixture
def server(keyring: Keyring) -> Iterator[KeyServer]:
    with serving(document(keyring.jwks())) as server:
        yield server


def trouble(server: KeyServer, behave: Behaviour) -> str:
    """Give the code of the refusal."""
    server.behave = behave
    with pytest.raises(FetchFailed) as caught:
        fetch(server.url)
    assert str(caught.value) == caught.value.reason
    return caught.value.reason


def padded(keyring: Keyring, length: int) -> bytes:
    text = json.dumps(keyring.jwks()).encode()
    return text + b" " * (length - len(text))


def test_a_document_gives_its_keys_by_their_ids(server: KeyServer, keyring: Keyring) -> None:
    keys = fetch(server.url)
    assert list(keys) == [keyring.kid]
    assert keys[keyring.kid].key_size == 2048


def test_the_request_asks_for_no_compression_and_has_our_own_user_agent(
    server: KeyServer, keyring: Keyring
) -> None:
    asked: list[tuple[str, str | None, str | None]] = []

    def behave(handler: BaseHTTPRequestHandler) -> None:
        asked.append((handler.path, handler.headers["Accept-Encoding"], handler.headers["User-Agent"]))
        document(keyring.jwks())(handler)

    server.behave = behave
    fetch(server.url)
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
        (answer(b'{"errors": [{"code": 1020}]}', status=403), True),
        (answer(b"x" * (MAX_BYTES + 1), status=403), True),
        (answer(CLERKS, status=403), False),
        (answer(CLERKS, status=503), False),
        (document({"keys": []}), False),
        (keyserver.reset, False),
    ],
)
def test_an_answer_of_a_firewall_has_its_own_next_step(
    server: KeyServer, behave: Behaviour, *, is_foreign: bool
) -> None:
    server.behave = behave
    with pytest.raises(FetchFailed) as caught:
        fetch(server.url)
    assert caught.value.is_foreign is is_foreign
    assert ("firewall or proxy" in caught.value.next_step) is is_foreign
    assert ("See that this machine reaches" in caught.value.next_step) is not is_foreign


def test_a_document_says_when_it_was_sent_and_how_long_it_took(server: KeyServer, keyring: Keyring) -> None:
    body = json.dumps(keyring.jwks()).encode()
    server.behave = answer(body, after=0.3, Age="7")
    got = fetch_document(server.url)
    assert (list(got.keys), got.age) == ([keyring.kid], "7")
    assert got.date is not None
    assert 0.3 <= got.seconds < 2


def test_a_longer_deadline_waits_for_a_slow_document(server: KeyServer, keyring: Keyring) -> None:
    server.behave = document(keyring.jwks(), after=2.3)
    assert list(fetch_document(server.url, deadline=5).keys) == [keyring.kid]


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
def test_each_trouble_has_its_code(server: KeyServer, behave: Behaviour, code: str) -> None:
    assert trouble(server, behave) == code


@pytest.mark.parametrize("behave", [keyserver.hang, keyserver.drip_body], ids=["hang", "drip"])
def test_a_fetch_ends_after_two_seconds_and_leaves_nothing_behind(
    server: KeyServer, behave: Behaviour
) -> None:
    before, began = set(threading.enumerate()), time.monotonic()
    assert trouble(server, behave) == "timeout"
    assert 1.9 < time.monotonic() - began < 4
    ends = time.monotonic() + 5
    left = {"clerk-keys-fetch"}
    while left and time.monotonic() < ends:
        left = {each.name for each in set(threading.enumerate()) - before} & {"clerk-keys-fetch"}
        time.sleep(0.01)
    assert not left


def test_an_address_where_nobody_listens_is_unreachable() -> None:
    with pytest.raises(FetchFailed, match="ConnectionError"):
        fetch("http://127.0.0.1:9/jwks")


def test_a_document_may_have_64_kib_and_no_byte_more(server: KeyServer, keyring: Keyring) -> None:
    server.behave = answer(padded(keyring, MAX_BYTES))
    assert list(fetch(server.url)) == [keyring.kid]
    assert trouble(server, answer(padded(keyring, MAX_BYTES + 1))) == "too_large"


def entry(keyring: Keyring, **changes: Any) -> dict[str, Any]:
    """Give the ring's key with changes; None takes a field away."""
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
def test_an_entry_that_is_a_signing_key(keyring: Keyring, changes: dict[str, Any]) -> None:
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
def test_an_entry_that_is_none(keyring: Keyring, changes: dict[str, Any]) -> None:
    other = {**Keyring().jwks()["keys"][0], "kid": "other"}
    assert list(usable_keys({"keys": [entry(keyring, **changes), other]})) == ["other"]


def test_a_private_key_in_the_document_is_read_as_its_public_half(keyring: Keyring) -> None:
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
def test_an_address_that_is_safe_is_taken(url: str, *, allow_http: bool) -> None:
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
def test_an_address_that_is_not_https_is_refused(url: str, *, allow_http: bool) -> None:
    with pytest.raises(ValueError, match=r"^The address of the keys must be https \(http on loopback"):
        check_address(url, allow_http=allow_http)


def test_a_fetch_has_a_thread_that_keeps_no_process_from_ending(server: KeyServer, keyring: Keyring) -> None:
    before = set(threading.enumerate())
    seen: list[tuple[str, bool]] = []

    def behave(handler: BaseHTTPRequestHandler) -> None:
        threads = set(threading.enumerate()) - before
        seen.extend((each.name, each.daemon) for each in threads if "process_request" not in each.name)
        document(keyring.jwks())(handler)

    server.behave = behave
    fetch(server.url)
    assert seen == [("clerk-keys-fetch", True)]


def test_a_process_that_can_start_no_thread_is_told_so() -> None:
    old = threading.stack_size(2**47)  # more than there are addresses
    try:
        with pytest.raises(FetchFailed) as caught:
            fetch("http://127.0.0.1:9/jwks")
    finally:
        threading.stack_size(old)
    assert caught.value.reason == "no_thread"


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
def test_the_bounds_of_a_sound_key(bits: int, exponent: int, *, sound: bool) -> None:
    assert is_sound(RSAPublicNumbers(exponent, 2**bits - 1).public_key()) is sound
