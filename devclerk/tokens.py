"""Session tokens in Clerk's format, valid or with one named fault.

The keys live in memory and, where one is named, in a file that outlives the process.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Unpack

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from devclerk.claims import SessionOptions, session_claims
from devclerk.key_file import load_keys, save_keys
from devclerk.users import EMPTY, ClerkUser, new_id, stable_id

LIFETIME_SECONDS = 60  # as in Clerk
NBF_SKEW_SECONDS = 10  # nbf lies before iat by this
ADDED_IN_VERSION_2 = ("fea", "jti", "pla", "sts", "v")
# Values of the header field `cat`
SESSION, TEMPLATE, MACHINE = "cl_B7d4PD111AAA", "cl_B7d4PD222AAA", "cl_B7d4PD333AAA"


class Absent:
    """Marks a claim or a header field that is left out."""


ABSENT: Final = Absent()
Draft = dict[str, Any]


class Fault(StrEnum):
    """The fault of a token."""

    EXPIRED = "expired"
    NOT_YET = "not_yet"
    WRONG_AZP = "wrong_azp"
    WRONG_ISSUER = "wrong_issuer"
    ALG_NONE = "alg_none"
    HS256 = "hs256"
    TEMPLATE = "template"
    MACHINE = "machine"
    PENDING = "pending"
    UNKNOWN_KID = "unknown_kid"


def fresh_keys() -> Iterator[RSAPrivateKey]:
    """Yield new RSA keys without end."""
    while True:
        yield generate_private_key(public_exponent=65537, key_size=2048)


class Keyring:
    """The keys of an instance; the last one signs.

    `file` keeps them over a restart. Raise `KeysUnreadable` if it holds something else.
    """

    def __init__(self, keys: Iterator[RSAPrivateKey] | None = None, *, file: Path | None = None) -> None:
        self._keys = keys or fresh_keys()
        self._file = file
        if file and (stored := load_keys(file)):
            self.instance_id, self._held = stored[0], list(stored[1])
        else:
            self._held = [self._new_entry()]
            self.instance_id = self.kid
            self._save()
        self._first = self._held[0]

    @property
    def kid(self) -> str:
        """Return the id of the signing key."""
        return self._held[-1][0]

    @property
    def pem(self) -> str:
        """Return the public half of the signing key, as CLERK_JWT_KEY takes it."""
        key = self._held[-1][1].public_key()
        return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def rotate(self, *, keep_old: bool = False) -> str:
        """Sign with a new key from now on and return its `kid`; old keys leave the set unless `keep_old`."""
        entry = self._new_entry()
        self._held = [*self._held, entry] if keep_old else [entry]
        self._save()
        return entry[0]

    def _new_entry(self) -> tuple[str, RSAPrivateKey]:
        return new_id("ins"), next(self._keys)

    def _save(self) -> None:
        if self._file:
            save_keys(self._file, instance_id=self.instance_id, keys=self._held)

    def reset(self) -> None:
        """Restore the first key."""
        self._held = [self._first]

    def jwks(self) -> dict[str, Any]:
        """Return the public key set (RFC 7517)."""
        return {"keys": [_jwk(kid, key.public_key()) for kid, key in self._held]}

    def sign(self, header: Mapping[str, Any] | bytes, payload: Mapping[str, Any] | bytes) -> str:
        """Return a signed token with exactly these parts, valid or not."""
        signed = _signing_input(header, payload)
        signature = self._held[-1][1].sign(signed.encode(), PKCS1v15(), SHA256())
        return f"{signed}.{_base64url(signature)}"

    def mint(
        self,
        who: ClerkUser | str,
        *,
        issuer: str,
        azp: str | None,
        expires: float = LIFETIME_SECONDS,
        age: float = 0,
        claims: Mapping[str, Any] = EMPTY,
        header: Mapping[str, Any] = EMPTY,
        fault: Fault | str | None = None,
        now: float | None = None,
        **session: Unpack[SessionOptions],
    ) -> str:
        """Return a session token for a user (for a bare user id: without the custom claims).

        It expires `expires` seconds from `now`; its claims are `age` seconds old. `claims` and `header`
        replace single fields; `ABSENT` removes one. The other options are those of `session_claims`. Raise
        `ValueError` for an unknown `fault`, and what `session_claims` raises.
        """
        moment = time.time() if now is None else now
        fields, payload = _draft(who, read_at=int(moment - age), ends_at=int(moment + expires))
        fields |= {"kid": self.kid}
        payload |= {"iss": issuer, "azp": azp or ABSENT, **session_claims(**session)}
        if session.get("version") == 1:
            payload |= dict.fromkeys(ADDED_IN_VERSION_2, ABSENT)
        if fault:
            _APPLY[Fault(fault)](fields, payload, int(moment))
        fields, payload = _without_absent({**fields, **header}), _without_absent({**payload, **claims})
        if fault == Fault.ALG_NONE:
            return f"{_signing_input(fields, payload)}."
        if fault == Fault.HS256:
            return _hmac_signed(fields, payload, secret=self.pem.encode())
        return self.sign(fields, payload)


def _draft(who: ClerkUser | str, *, read_at: int, ends_at: int) -> tuple[Draft, Draft]:
    user_id = who.id if isinstance(who, ClerkUser) else who
    header = {"alg": "RS256", "cat": SESSION, "oiat": read_at, "typ": "JWT"}
    payload = {
        "exp": ends_at,
        "fea": "",
        "fva": [0, -1],
        "iat": read_at,
        "jti": secrets.token_hex(10),
        "nbf": read_at - NBF_SKEW_SECONDS,
        "pla": "u:free",
        "sid": stable_id(user_id, prefix="sess"),
        "sts": "active",
        "sub": user_id,
        "v": 2,
    }
    return header, payload | (who.claims() if isinstance(who, ClerkUser) else {})


def _expired(header: Draft, payload: Draft, now: int) -> None:
    header["oiat"] = now - 3600
    payload |= {"iat": now - 3600, "nbf": now - 3600 - NBF_SKEW_SECONDS, "exp": now - 3600 + LIFETIME_SECONDS}


def _not_yet(_: Draft, payload: Draft, now: int) -> None:
    payload |= {"nbf": now + 3600, "exp": now + 3600 + LIFETIME_SECONDS}


def _template(header: Draft, payload: Draft, _: int) -> None:
    header |= {"cat": TEMPLATE, "oiat": ABSENT}
    payload |= dict.fromkeys(("fea", "fva", "pla", "sid", "sts", "v"), ABSENT)


def _machine(header: Draft, payload: Draft, _: int) -> None:
    header |= {"cat": MACHINE, "oiat": ABSENT}
    payload |= dict.fromkeys(("azp", "fea", "fva", "pla", "sid", "sts", "v"), ABSENT)
    payload["sub"] = new_id("mch")


def _header_with(**fields: Any) -> Callable[[Draft, Draft, int], None]:
    return lambda header, _payload, _now: header.update(fields)


def _payload_with(**fields: Any) -> Callable[[Draft, Draft, int], None]:
    return lambda _header, payload, _now: payload.update(fields)


_APPLY: Mapping[Fault, Callable[[Draft, Draft, int], None]] = {
    Fault.EXPIRED: _expired,
    Fault.NOT_YET: _not_yet,
    Fault.WRONG_AZP: _payload_with(azp="https://other.example.test"),
    Fault.WRONG_ISSUER: _payload_with(iss="https://clerk.other.example.test"),
    Fault.ALG_NONE: _header_with(alg="none"),
    Fault.HS256: _header_with(alg="HS256"),
    Fault.TEMPLATE: _template,
    Fault.MACHINE: _machine,
    Fault.PENDING: _payload_with(sts="pending"),
    Fault.UNKNOWN_KID: lambda header, _payload, _now: header.update(kid=new_id("ins")),
}


def _hmac_signed(header: Draft, payload: Draft, *, secret: bytes) -> str:
    signed = _signing_input(header, payload)
    return f"{signed}.{_base64url(hmac.digest(secret, signed.encode(), hashlib.sha256))}"


def _signing_input(header: Mapping[str, Any] | bytes, payload: Mapping[str, Any] | bytes) -> str:
    parts = (part if isinstance(part, bytes) else _json(part) for part in (header, payload))
    return ".".join(map(_base64url, parts))


def _without_absent(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not ABSENT}


def _json(fields: Mapping[str, Any]) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode()


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _jwk(kid: str, key: RSAPublicKey) -> dict[str, str]:
    numbers = key.public_numbers()
    return {
        "alg": "RS256",
        "e": _base64url(numbers.e.to_bytes(3, "big")),
        "kid": kid,
        "kty": "RSA",
        "n": _base64url(numbers.n.to_bytes(256, "big")),
        "use": "sig",
    }
