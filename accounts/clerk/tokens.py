"""Verification of Clerk's session tokens.

The order of the checks is part of the contract: the first failure decides the code, and no claim is looked at
before the signature is known to be good. Sources: Clerk's `authenticateRequest`, RFC 7515, RFC 7519.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple, NoReturn, TypeGuard

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from accounts.clerk.base64url import decode_base64url
from accounts.clerk.ids import is_clerk_id
from accounts.clerk.keys import KeySource, KeysUnavailable
from accounts.clerk.times import MAX_AHEAD_SECONDS

MAX_TOKEN_LENGTH = 8192
# Clerk's classes of token, all signed by the same key (clerk/javascript, packages/backend).
CAT_SESSION, CAT_TEMPLATE, CAT_IGNORE = "cl_B7d4PD111AAA", "cl_B7d4PD222AAA", "cl_I7d4PD111III"
OPAQUE_PREFIXES = ("mt_", "m2m_", "oat_", "ak_")

_YEAR_1, _YEAR_9999 = -62_135_596_800, 253_402_300_799  # what a datetime can hold
_PADDING, _HASH = PKCS1v15(), SHA256()


class InvalidToken(Exception):
    """The token is refused; `reason` is a code of the contract, `detail` is for the log only."""

    def __init__(self, reason: str, *, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionClaims:
    """A verified session. Times are epoch seconds; `read_at` is when Clerk read the claims from its data."""

    user_id: str
    session_id: str | None
    issued_at: int
    expires_at: int
    authorized_party: str | None
    actor: str | None
    read_at: int
    payload: Mapping[str, Any]


class _Parts(NamedTuple):
    signed: bytes
    payload: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class SessionVerifier:
    """The rules of one Clerk instance. The `allow_...` options each weaken them, and are documented so."""

    keys: KeySource
    issuer: str
    authorized_parties: Collection[str] | None = None
    audience: str | None = None
    leeway: float = 5
    allow_missing_azp: bool = False
    allow_template_tokens: bool = False
    allow_pending_sessions: bool = False
    allow_impersonation: bool = True

    def verify(self, token: str, *, now: float | None = None) -> SessionClaims:
        """Return the session's claims; raises InvalidToken, or KeysUnavailable if no key can be had."""
        try:
            header, payload = self._opened(token)
            return self._session(header, payload, now=time.time() if now is None else now)
        except (InvalidToken, KeysUnavailable):
            raise
        except Exception:  # noqa: BLE001 - whatever a stranger sends ends as a refusal, never as a 500
            raise InvalidToken("token_malformed") from None

    def _opened(self, token: str) -> tuple[Mapping[str, Any], dict[str, Any]]:
        header, parts = _parsed(token)
        _check_algorithm(header)
        if "typ" in header and header["typ"] != "JWT":
            raise InvalidToken("token_type_mismatch")
        _check_extensions(header)
        self._check_class(header)
        try:
            payload = _verified_payload(header, parts, self.keys)
        except InvalidToken as refusal:
            if refusal.reason == "token_invalid_signature" and self._names_us(parts.payload):
                self.keys.record_result(good=False)
            raise
        self.keys.record_result(good=True)
        return header, _json_object(payload)

    def _names_us(self, payload: bytes) -> bool:
        """Tell whether an unverified payload claims to be ours; nothing but a count may follow from it."""
        try:
            return _json_object(payload).get("iss") == self.issuer
        except InvalidToken:
            return False

    def _check_class(self, header: Mapping[str, Any]) -> None:
        category = header.get("cat", CAT_SESSION)
        template = self.allow_template_tokens and category == CAT_TEMPLATE
        if category not in (CAT_SESSION, CAT_IGNORE) and not template:
            raise InvalidToken("token_type_mismatch")

    def _session(self, header: Mapping[str, Any], payload: dict[str, Any], *, now: float) -> SessionClaims:
        if payload.get("iss") != self.issuer:
            raise InvalidToken("token_invalid_issuer")
        user_id = _user_id(payload.get("sub"))
        session_id = self._session_id(payload)
        issued_at, expires_at = self._times(payload, now=now)
        party = self._party(payload.get("azp"))
        self._check_audience(payload.get("aud"))
        self._check_status(payload.get("sts"))
        return SessionClaims(
            user_id=user_id,
            session_id=session_id,
            issued_at=issued_at,
            expires_at=expires_at,
            authorized_party=party,
            actor=self._actor(payload.get("act")),
            read_at=_read_at(header.get("oiat"), issued_at=issued_at, now=now),
            payload=payload,
        )

    def _session_id(self, payload: Mapping[str, Any]) -> str | None:
        session_id = payload.get("sid")
        if session_id is None and self.allow_template_tokens:
            return None
        if not _is_text(session_id) or not session_id:
            raise InvalidToken("token_invalid_claims")
        return session_id

    def _times(self, payload: Mapping[str, Any], *, now: float) -> tuple[int, int]:
        expires, issued = _moment(payload.get("exp")), _moment(payload.get("iat"))
        begins = _moment(payload["nbf"]) if "nbf" in payload else 0
        if expires <= now - self.leeway:
            raise InvalidToken("token_expired", detail=f"expired {now - expires:.0f} s ago")
        if begins > now + self.leeway:
            raise InvalidToken("token_not_active_yet", detail=f"begins in {begins - now:.0f} s")
        if issued > now + self.leeway:
            raise InvalidToken("token_iat_in_the_future", detail=f"issued in {issued - now:.0f} s")
        return int(issued), int(expires)

    def _party(self, party: object) -> str | None:
        parties = self.authorized_parties
        if party is None and (parties is None or self.allow_missing_azp):
            return None
        if not _is_text(party) or (parties is not None and party not in parties):
            raise InvalidToken("token_invalid_authorized_party")
        return party

    def _check_audience(self, audience: object) -> None:
        if self.audience is None:
            return
        named = audience if isinstance(audience, list) else [audience]
        if self.audience not in named or not all(isinstance(each, str) for each in named):
            raise InvalidToken("token_invalid_audience")

    def _check_status(self, status: object) -> None:
        if status is not None and not isinstance(status, str):
            raise InvalidToken("token_invalid_claims")
        if status == "pending" and not self.allow_pending_sessions:
            raise InvalidToken("session_pending")

    def _actor(self, act: object) -> str | None:
        if act is None:
            return None
        if not self.allow_impersonation:
            raise InvalidToken("impersonation_refused")
        actor = act.get("sub") if isinstance(act, dict) else None
        if not _is_text(actor) or not actor:
            raise InvalidToken("token_invalid_claims")
        return actor


def verify_signature(token: str, keys: KeySource) -> bytes:
    """Return the payload of an RS256 JWS as it was signed; raises InvalidToken or KeysUnavailable."""
    header, parts = _parsed(token)
    _check_algorithm(header)
    _check_extensions(header)
    return _verified_payload(header, parts, keys)


def _parsed(token: object) -> tuple[Mapping[str, Any], _Parts]:
    if not isinstance(token, str) or len(token) > MAX_TOKEN_LENGTH:
        raise InvalidToken("token_malformed")
    if token.startswith(OPAQUE_PREFIXES):
        raise InvalidToken("token_type_mismatch")
    if token.count(".") != 2:  # noqa: PLR2004 - RFC 7515: header, payload, signature
        raise InvalidToken("token_malformed")
    header, payload, signature = token.split(".")
    # What was decoded is ASCII: only then can it be encoded.
    return _header(header), _Parts(
        payload=_decoded(payload), signature=_decoded(signature), signed=f"{header}.{payload}".encode()
    )


@lru_cache(maxsize=32)
def _header(segment: str) -> Mapping[str, Any]:
    # An instance's headers repeat, but for `oiat`; the memo is small, so that strangers cannot fill memory.
    return MappingProxyType(_json_object(_decoded(segment)))


def _check_algorithm(header: Mapping[str, Any]) -> None:
    if header.get("alg") != "RS256":
        raise InvalidToken("token_invalid_algorithm")


def _check_extensions(header: Mapping[str, Any]) -> None:
    # Extensions that would change what is signed or must be understood (RFC 7515 4.1.11, RFC 7797).
    if not header.keys().isdisjoint(("crit", "b64", "zip")):
        raise InvalidToken("token_malformed")


def _verified_payload(header: Mapping[str, Any], parts: _Parts, keys: KeySource) -> bytes:
    found = keys.get_keys(header.get("kid"))
    if not found:
        raise InvalidToken("token_unknown_key")
    for key in found:
        try:
            key.verify(parts.signature, parts.signed, _PADDING, _HASH)
        except InvalidSignature:
            continue
        return parts.payload
    raise InvalidToken("token_invalid_signature")


def _decoded(segment: str) -> bytes:
    try:
        return decode_base64url(segment)
    except ValueError:
        raise InvalidToken("token_malformed") from None


def _json_object(text: bytes) -> dict[str, Any]:
    try:
        value = _JSON.decode(text.decode())
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise InvalidToken("token_malformed")
    return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


_JSON = json.JSONDecoder(object_pairs_hook=_without_duplicates, parse_constant=_no_constant)


def _is_text(value: object) -> TypeGuard[str]:
    # JSON can spell half a surrogate pair, with which no answer and no log line could be written.
    return isinstance(value, str) and value.isprintable()


def _user_id(subject: object) -> str:
    if is_clerk_id(subject):
        return subject
    machine = isinstance(subject, str) and subject.startswith("mch_")
    raise InvalidToken("token_type_mismatch" if machine else "token_invalid_claims")


def _moment(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not _YEAR_1 <= value <= _YEAR_9999:
        raise InvalidToken("token_invalid_claims")
    return value


def _read_at(oiat: object, *, issued_at: int, now: float) -> int:
    if isinstance(oiat, int) and not isinstance(oiat, bool) and 0 < oiat <= now + MAX_AHEAD_SECONDS:
        return oiat
    return issued_at
