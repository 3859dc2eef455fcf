"""Key documents: fetching a JWKS within bounds, and reading public keys out of JWKS and PEM texts."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt.algorithms import RSAAlgorithm
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from accounts.clerk.outgoing import NOT_FROM_CLERK, USER_AGENT, read_error

DEADLINE = 2.0  # seconds for the whole fetch
MAX_BYTES = 65_536
MIN_BITS, MAX_BITS = 2048, 8192
MIN_EXPONENT, MAX_EXPONENT = 3, 2**32

_ARMOUR = re.compile(r"-----BEGIN ([A-Z ]+)-----(.*?)-----END \1-----", re.DOTALL)


class FetchFailed(Exception):
    """The document could not be had, or held no usable key; `reason` is a code.

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
    """Raise ValueError unless the address is https, or, where permitted, http on loopback."""
    parts = urlsplit(url)
    loopback = parts.hostname in {"127.0.0.1", "localhost", "::1"}
    permitted = parts.scheme == "https" or (allow_http and parts.scheme == "http" and loopback)
    if not permitted or not parts.hostname:
        raise ValueError("The address of the keys must be https (http on loopback in debug only).")


def fetch(url: str) -> Mapping[str, RSAPublicKey]:
    """Fetch the document and return its usable keys by id; raises FetchFailed within the deadline."""
    return fetch_document(url).keys


def fetch_document(url: str, *, deadline: float = DEADLINE) -> KeyDocument:
    """Fetch the document within `deadline` seconds; raises FetchFailed.

    A socket's timeout starts anew with each byte, so a server that drips would hold us for ever: the fetch
    runs in a thread of its own that is given up, its connection shut, when the time is over.
    """
    attempt = _Attempt(url, deadline=deadline)
    thread = threading.Thread(target=attempt.run, name="clerk-keys-fetch", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # the process may have no more threads
        raise FetchFailed("no_thread") from None
    thread.join(deadline)
    if thread.is_alive():
        attempt.adapter.cut()
        raise FetchFailed("timeout")
    if attempt.document is None:
        raise FetchFailed(attempt.reason, is_foreign=attempt.is_foreign)
    return attempt.document


class _Adapter(HTTPAdapter):
    """Keeps a second handle of the connection, by which another thread can shut it at any moment."""

    line: socket.socket | None = None

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        """Return the pool of the address, whose connections leave their handle here."""
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        adapter = self

        class Connection(pool.ConnectionCls):  # type: ignore[misc]
            def _new_conn(self) -> socket.socket:
                made: socket.socket = super()._new_conn()
                adapter.line = made.dup()
                return made

        pool.ConnectionCls = Connection
        return pool

    def cut(self) -> None:
        """Shut the connection: whoever reads from it comes back at once."""
        if self.line is not None:
            with suppress(OSError):
                self.line.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Give the handle back too."""
        if self.line is not None:
            self.line.close()
        super().close()


class _Attempt:
    def __init__(self, url: str, *, deadline: float) -> None:
        self.url, self.deadline = url, deadline
        self.document: KeyDocument | None = None
        self.reason, self.is_foreign = "unreachable", False
        self.adapter = _Adapter()

    def run(self) -> None:
        try:
            with requests.Session() as session:
                for scheme in ("https://", "http://"):  # the address may be spelled anew on its way
                    session.mount(scheme, self.adapter)
                self.document = self._read(session)
        except FetchFailed as failure:
            # Not the exception itself: its traceback would keep the connection alive.
            self.reason, self.is_foreign = failure.reason, failure.is_foreign
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            self.reason = type(error).__name__

    def _read(self, session: requests.Session) -> KeyDocument:
        # Without compression, so that a small answer cannot unfold into a large one.
        headers = {"Accept-Encoding": "identity", "User-Agent": USER_AGENT}
        answer = session.get(
            self.url, timeout=self.deadline, stream=True, allow_redirects=False, headers=headers
        )
        if answer.status_code != requests.codes.ok:
            raise FetchFailed(f"status_{answer.status_code}", is_foreign=not _is_error_of_clerk(answer))
        return KeyDocument(
            keys=usable_keys(_read_json(answer)),
            date=answer.headers.get("Date"),
            age=answer.headers.get("Age"),
            seconds=answer.elapsed.total_seconds(),
        )


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
    while chunk := answer.raw.read1(4096):
        body += chunk
        if len(body) > MAX_BYTES:
            raise FetchFailed("too_large")
    return bytes(body)


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
    return (
        MIN_BITS <= key.key_size <= MAX_BITS and MIN_EXPONENT <= exponent < MAX_EXPONENT and exponent % 2 == 1
    )


def keys_of_pem(pem: str) -> tuple[RSAPublicKey, ...]:
    """Read one or several public keys as people paste them; raises ValueError with a sentence."""
    text = pem.replace("\\r", "").replace("\\n", "\n").replace("\r", "").replace('"', "").replace("'", "")
    if "PRIVATE KEY" in text:
        raise ValueError("This is a private key: paste the public one, and keep the private one to yourself.")
    blocks = _ARMOUR.findall(text) or [("PUBLIC KEY", text)]
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
