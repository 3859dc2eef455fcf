"""Key documents: fetching a JWKS within bounds, and reading public keys out of JWKS and PEM texts."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import requests
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt.algorithms import RSAAlgorithm

DEADLINE = 2.0  # seconds for the whole fetch
MAX_BYTES = 65_536
MIN_BITS, MAX_BITS = 2048, 8192
MAX_EXPONENT = 2**32

_ARMOUR = re.compile(r"-----BEGIN ([A-Z ]+)-----(.*?)-----END \1-----", re.DOTALL)


class FetchFailed(Exception):
    """The document could not be had, or held no usable key; `reason` is a code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def check_address(url: str, *, allow_http: bool) -> None:
    """Raise ValueError unless the address is https, or, where permitted, http on loopback."""
    parts = urlsplit(url)
    loopback = parts.hostname in {"127.0.0.1", "localhost", "::1"}
    if parts.scheme != "https" and not (allow_http and parts.scheme == "http" and loopback):
        raise ValueError("The address of the keys must be https (http on loopback in debug only).")


def fetch(url: str) -> Mapping[str, RSAPublicKey]:
    """Fetch the document and return its usable keys by id; raises FetchFailed within the deadline.

    A socket's timeout starts anew with each byte, so a server that drips would hold us for ever: the fetch runs
    in a thread of its own that is given up, its connection shut, when the time is over.
    """
    attempt = _Attempt(url)
    thread = threading.Thread(target=attempt.run, name="clerk-keys-fetch", daemon=True)
    thread.start()
    thread.join(DEADLINE)
    if thread.is_alive():
        attempt.abandon()
        raise FetchFailed("timeout")
    if attempt.keys is None:
        raise FetchFailed(attempt.reason)
    return attempt.keys


class _Attempt:
    def __init__(self, url: str) -> None:
        self.url = url
        self.keys: Mapping[str, RSAPublicKey] | None = None
        self.reason = "unreachable"
        self.session = requests.Session()
        self.response: requests.Response | None = None

    def run(self) -> None:
        try:
            self.keys = usable_keys(self._read())
        except FetchFailed as failed:
            self.reason = failed.reason
        except (requests.RequestException, OSError, ValueError, RecursionError) as error:
            self.reason = type(error).__name__
        finally:
            self.session.close()

    def _read(self) -> object:
        ends = time.monotonic() + DEADLINE
        with self.session.get(
            self.url,
            timeout=DEADLINE,
            stream=True,
            allow_redirects=False,
            headers={"Accept-Encoding": "identity"},
        ) as self.response:
            if self.response.status_code != requests.codes.ok:
                raise FetchFailed(f"status_{self.response.status_code}")
            body = bytearray()
            while chunk := self.response.raw.read1(4096):
                body += chunk
                if len(body) > MAX_BYTES:
                    raise FetchFailed("too_large")
                if time.monotonic() > ends:
                    raise FetchFailed("timeout")
        return json.loads(body.decode())

    def abandon(self) -> None:
        """Shut the connection under the thread, so that it ends."""
        response = self.response
        if response is not None:
            with suppress(OSError, AttributeError):
                response.raw.connection.sock.shutdown(socket.SHUT_RDWR)
        self.session.close()


def usable_keys(document: object) -> Mapping[str, RSAPublicKey]:
    """Return the keys of a JWKS that may verify RS256; a bad one never spoils the others."""
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise FetchFailed("no_key_list")
    keys: dict[str, RSAPublicKey] = {}
    for entry in entries:
        key = _usable(entry)
        if key is not None:
            keys.setdefault(entry["kid"], key)
    if not keys:
        raise FetchFailed("no_usable_key")
    return keys


def _usable(entry: Any) -> RSAPublicKey | None:
    if not isinstance(entry, dict) or entry.get("kty") != "RSA":
        return None
    operations = entry.get("key_ops", ["verify"])
    fits = (
        isinstance(entry.get("kid"), str)
        and entry["kid"] != ""
        and entry.get("use", "sig") == "sig"
        and entry.get("alg", "RS256") == "RS256"
        and isinstance(operations, list)
        and "verify" in operations
    )
    if not fits:
        return None
    try:
        key = RSAAlgorithm.from_jwk({"kty": "RSA", "n": entry.get("n"), "e": entry.get("e")})
    except Exception:  # noqa: BLE001 - the library raises many kinds; this entry is none of our keys
        return None
    return key if isinstance(key, RSAPublicKey) and is_sound(key) else None


def is_sound(key: RSAPublicKey) -> bool:
    """Tell whether the key's size and exponent are sane."""
    exponent = key.public_numbers().e
    return MIN_BITS <= key.key_size <= MAX_BITS and 3 <= exponent < MAX_EXPONENT and exponent % 2 == 1


def keys_of_pem(pem: str) -> tuple[RSAPublicKey, ...]:
    """Read one or several public keys as people paste them; raises ValueError with a sentence."""
    text = pem.replace("\\r", "").replace("\\n", "\n").replace("\r", "").replace('"', "").replace("'", "")
    if "PRIVATE KEY" in text:
        raise ValueError("This is a private key: paste the public one, and keep the private one to yourself.")
    blocks = _ARMOUR.findall(text) or [("PUBLIC KEY", text)]
    keys = tuple(_key_of_block(label, body) for label, body in blocks)
    return keys


def _key_of_block(label: str, body: str) -> RSAPublicKey:
    lines = "\n".join(re.findall(".{1,64}", re.sub(r"\s", "", body)))
    try:
        key = load_pem_public_key(f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n".encode())
    except Exception:  # noqa: BLE001 - the library raises many kinds
        raise ValueError(
            "This is no PEM public key. Copy the whole block from Clerk's dashboard, API keys, JWKS public key."
        ) from None
    if not isinstance(key, RSAPublicKey) or not is_sound(key):
        raise ValueError("The key must be an RSA public key of 2048 to 8192 bits.")
    return key
