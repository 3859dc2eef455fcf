"""Key documents: fetching a JWKS within bounds, and reading public keys out of JWKS and PEM texts."""

from __future__ import annotations

import io
import json
import re
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import Any
from urllib.parse import urlsplit

import requests
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError
from urllib3.exceptions import TimeoutError as PoolTimeoutError

from accounts.clerk.base64url import decode_base64url
from accounts.clerk.outgoing import NOT_FROM_CLERK, USER_AGENT, read_error

FETCH_TIMEOUT_SECONDS = 2.0  # for the whole fetch
MAX_BODY_BYTES = 65_536
CHUNK_BYTES = 4096
MIN_KEY_BITS, MAX_KEY_BITS = 2048, 8192
MIN_EXPONENT, MAX_EXPONENT = 3, 2**32

_PEM_BLOCK = re.compile(r"-----BEGIN ([A-Z ]+)-----(.*?)-----END \1-----", re.DOTALL)


class FetchFailed(Exception):
    """The document could not be fetched, or holds no usable key; `reason` is a code.

    `is_foreign` is true for an answer that Clerk did not give.
    """

    def __init__(self, reason: str, *, is_foreign: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_foreign = is_foreign

    @property
    def next_step(self) -> str:
        """Return what the operator can do about it."""
        if self.is_foreign:
            return (
                f"{NOT_FROM_CLERK}; if the address is wrong, correct CLERK_PUBLISHABLE_KEY or CLERK_JWKS_URL."
            )
        return "See that this machine reaches the address; if it is wrong, correct CLERK_PUBLISHABLE_KEY."


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyDocument:
    """The usable keys of a JWKS by id, and what its answer says about time.

    `date` and `age` are the headers; `seconds` is how long the answer's head took.
    """

    keys: Mapping[str, RSAPublicKey]
    date: str | None
    age: str | None
    seconds: float


def check_address(url: str, *, allow_http: bool) -> None:
    """Raise ValueError unless the address is https, or, where allowed, http on loopback."""
    parts = urlsplit(url)
    loopback = parts.hostname in {"127.0.0.1", "localhost", "::1"}
    allowed = parts.scheme == "https" or (allow_http and parts.scheme == "http" and loopback)
    if not allowed or not parts.hostname:
        raise ValueError("The address of the keys must be https (http on loopback in debug only).")


def fetch_document(url: str, *, timeout: float = FETCH_TIMEOUT_SECONDS) -> KeyDocument:
    """Fetch the JWKS and return its usable keys with the time of its answer; raise FetchFailed.

    Handshake, head and body end together after `timeout` seconds. Resolving the name, and connecting to one
    address after another, may take longer: a caller that must not wait longer runs this in a thread.
    """
    adapter = _Adapter(deadline=time.monotonic() + timeout)
    try:
        with requests.Session() as session:
            for scheme in ("https://", "http://"):
                session.mount(scheme, adapter)
            return _fetch(session, url, timeout=timeout)
    except (requests.Timeout, PoolTimeoutError, TimeoutError):
        raise FetchFailed("timeout") from None
    except (requests.RequestException, HTTPError, OSError, ValueError) as error:
        raise FetchFailed(type(error).__name__) from None


def _fetch(session: requests.Session, url: str, *, timeout: float) -> KeyDocument:
    # Without compression: a compressed answer could expand beyond any bound.
    session.auth = _send_no_credentials
    session.headers.update({"Accept-Encoding": "identity", "User-Agent": USER_AGENT})
    with session.get(url, timeout=timeout, stream=True, allow_redirects=False) as answer:
        if answer.status_code != requests.codes.ok:
            raise FetchFailed(f"status_{answer.status_code}", is_foreign=not _is_error_of_clerk(answer))
        return KeyDocument(
            keys=usable_keys(_read_json(answer)),
            date=answer.headers.get("Date"),
            age=answer.headers.get("Age"),
            seconds=answer.elapsed.total_seconds(),
        )


def _send_no_credentials(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Return the request unchanged. Without an `auth`, requests imports `netrc` and reads the file .netrc."""
    return request


def _is_error_of_clerk(answer: requests.Response) -> bool:
    try:
        return read_error(_read_body(answer)).code is not None
    except (FetchFailed, HTTPError, OSError):
        return False


def _read_json(answer: requests.Response) -> object:
    try:
        return json.loads(_read_body(answer).decode())
    except (ValueError, RecursionError) as error:
        raise FetchFailed(type(error).__name__, is_foreign=True) from None


def _read_body(answer: requests.Response) -> bytes:
    body = bytearray()
    while chunk := answer.raw.read1(CHUNK_BYTES):
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise FetchFailed("too_large", is_foreign=True)
    return bytes(body)


class _Adapter(HTTPAdapter):
    """Ends each connection at the deadline: the timeout of a socket starts anew with each byte."""

    def __init__(self, *, deadline: float) -> None:
        self._deadline = deadline
        super().__init__()

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        """Return the pool of the address, whose connections know the deadline."""
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        deadline = self._deadline

        class Response(HTTPResponse):
            def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
                super().__init__(sock, *args, **kwargs)
                self.fp = io.BufferedReader(_Reader(self.fp.detach(), sock=sock, deadline=deadline))

        class Connection(pool.ConnectionCls):  # type: ignore[misc]
            response_class = Response

            def _new_conn(self) -> socket.socket:
                sock: socket.socket = super()._new_conn()
                sock.settimeout(max(deadline - time.monotonic(), 0.001))  # for the TLS handshake
                return sock

        pool.ConnectionCls = Connection
        return pool


class _Reader(io.RawIOBase):
    """Reads from a socket until the deadline."""

    def __init__(self, raw: io.RawIOBase, *, sock: socket.socket, deadline: float) -> None:
        self._raw, self._sock, self._deadline = raw, sock, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        seconds_left = self._deadline - time.monotonic()
        if seconds_left <= 0:
            raise TimeoutError
        self._sock.settimeout(seconds_left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def usable_keys(document: object) -> Mapping[str, RSAPublicKey]:
    """Return the keys of a JWKS that may verify RS256, by id; skip all others. Raise FetchFailed for none."""
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise FetchFailed("no_key_list", is_foreign=True)
    keys: dict[str, RSAPublicKey] = {}
    for entry in entries:
        key = _usable_key(entry)
        if key is not None:
            keys.setdefault(entry["kid"], key)
    if not keys:
        raise FetchFailed("no_usable_key")
    return keys


def _usable_key(entry: Any) -> RSAPublicKey | None:
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
        key = RSAPublicNumbers(_decode_number(entry["e"]), _decode_number(entry["n"])).public_key()
    except Exception:  # noqa: BLE001 - values of any type and size; this entry is no usable key
        return None
    return key if is_sound(key) else None


def _decode_number(text: str) -> int:
    """Return a number of a JSON Web Key (RFC 7518, section 6.3.1); padding is accepted."""
    return int.from_bytes(decode_base64url(text.rstrip("=")))


def is_sound(key: RSAPublicKey) -> bool:
    """Return whether the key's size and exponent are in the accepted range."""
    exponent = key.public_numbers().e
    size_fits = MIN_KEY_BITS <= key.key_size <= MAX_KEY_BITS
    return size_fits and MIN_EXPONENT <= exponent < MAX_EXPONENT and exponent % 2 == 1


def keys_of_pem(pem: str) -> tuple[RSAPublicKey, ...]:
    """Return the public keys of one or several PEM texts, as pasted into an environment variable.

    Raises ValueError with a sentence for the operator.
    """
    text = pem.replace("\\r", "").replace("\\n", "\n").replace("\r", "").replace('"', "").replace("'", "")
    if "PRIVATE KEY" in text:
        raise ValueError("This is a private key: paste the public one, and keep the private one to yourself.")
    blocks = _PEM_BLOCK.findall(text) or [("PUBLIC KEY", text)]
    if len(blocks) != max(1, text.count("-----BEGIN")):
        raise ValueError(
            "One of the keys is cut off: it has no END line. Copy each block whole from Clerk's dashboard."
        )
    return tuple(_key_of_block(label, body) for label, body in blocks)


def _key_of_block(label: str, body: str) -> RSAPublicKey:
    lines = "\n".join(re.findall(".{1,64}", re.sub(r"\s", "", body)))
    try:
        key = load_pem_public_key(f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n".encode())
    except Exception:  # noqa: BLE001 - the library raises many kinds
        raise ValueError(
            "This is no PEM public key. Copy the whole block from Clerk's dashboard, API keys, public key."
        ) from None
    if not isinstance(key, RSAPublicKey) or not is_sound(key):
        raise ValueError("The key must be an RSA public key of 2048 to 8192 bits.")
    return key
