"""Signed tokens in compact form: parsing, and verification of their signature (RFC 7515).

The payload stays bytes until its signature is verified; the caller decodes it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple, NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from accounts.clerk.base64url import decode_base64url
from accounts.clerk.keys import KeySource, KeysUnavailable
from accounts.clerk.unexpected import log_unexpected

MAX_TOKEN_LENGTH = 8192
OPAQUE_PREFIXES = ("mt_", "m2m_", "oat_", "ak_")

_PADDING, _HASH = PKCS1v15(), SHA256()
_LISTS, _TEXTS = (tuple, list), (str, bytes)

logger = logging.getLogger(__name__)


class InvalidToken(Exception):
    """The token is refused; `reason` is a documented code, `detail` is for the log only.

    `is_unexpected` is true if the cause is an unexpected exception, which has been logged.
    """

    def __init__(self, reason: str, *, detail: str = "", is_unexpected: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail
        self.is_unexpected = is_unexpected


class Jws(NamedTuple):
    """The parts of a token; nothing in them is verified."""

    header: Mapping[str, Any]
    signed: bytes
    payload: bytes
    signature: bytes


def parse_jws(token: object) -> Jws:
    """Split and decode a token; raises InvalidToken."""
    if not isinstance(token, str) or len(token) > MAX_TOKEN_LENGTH:
        raise InvalidToken("token_malformed")
    if token.startswith(OPAQUE_PREFIXES):
        raise InvalidToken("token_type_mismatch")
    if token.count(".") != 2:  # noqa: PLR2004 - RFC 7515: header, payload, signature
        raise InvalidToken("token_malformed")
    header, payload, signature = token.split(".")
    # `signed` is evaluated last: `_decode` has then refused text that is not ASCII and may not be encodable.
    return Jws(
        header=_decode_header(header),
        payload=_decode(payload),
        signature=_decode(signature),
        signed=f"{header}.{payload}".encode(),
    )


def check_algorithm(header: Mapping[str, Any]) -> None:
    """Raise InvalidToken unless the token is signed with RS256."""
    if header.get("alg") != "RS256":
        raise InvalidToken("token_invalid_algorithm")


def check_parameters(header: Mapping[str, Any]) -> None:
    """Raise InvalidToken for an extension that is not supported here, and for a `kid` that is no string.

    RFC 7515, sections 4.1.4 (`kid`) and 4.1.11 (`crit`); RFC 7797 (`b64`); RFC 7516 (`zip`).
    """
    if not header.keys().isdisjoint(("crit", "b64", "zip")):
        raise InvalidToken("token_malformed")
    if "kid" in header and not isinstance(header["kid"], str):
        raise InvalidToken("token_malformed")


def verify_payload(jws: Jws, keys: KeySource) -> bytes:
    """Return the payload if a key of the source verifies the signature.

    Raises InvalidToken, or KeysUnavailable if the key source has no key or fails.
    """
    possible_keys = _get_keys(keys, kid=jws.header.get("kid"))
    if not possible_keys:
        raise InvalidToken("token_unknown_key")
    for key in possible_keys:
        try:
            key.verify(jws.signature, jws.signed, _PADDING, _HASH)
        except InvalidSignature:
            continue
        return jws.payload
    raise InvalidToken("token_invalid_signature")


def report_result(keys: KeySource, *, good: bool) -> None:
    """Report to the key source whether a signature was good; raises KeysUnavailable if the source fails."""
    try:
        keys.record_result(good=good)
    except Exception as error:  # noqa: BLE001 - a failure of the key source is no fault of the token
        raise log_key_source_failure(error) from None


def get_clock_skew(keys: KeySource) -> float | None:
    """Return the skew that the key source knows; raises KeysUnavailable if the source fails."""
    try:
        return keys.status().clock_skew_seconds
    except Exception as error:  # noqa: BLE001 - a key source is foreign code; its failure is never the token's
        raise log_key_source_failure(error) from None


def decode_object(text: bytes) -> dict[str, Any]:
    """Decode a JSON object without duplicate names or NaN; raises InvalidToken."""
    try:
        value = _JSON.decode(text.decode())
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise InvalidToken("token_malformed")
    return value


def is_foreign_token(token: str, *, issuers: Collection[str]) -> bool:
    """Return whether a bearer token belongs to another system; nothing of it is verified.

    It names none of these issuers, and has no prefix of Clerk's opaque tokens. The payload alone decides: a
    token that is too long, cut off or has a malformed header or signature may still name one.
    """
    if token.startswith(OPAQUE_PREFIXES):
        return False
    _, _, rest = token.partition(".")
    try:
        return decode_object(_decode(rest.partition(".")[0])).get("iss") not in issuers
    except InvalidToken:
        return True


def refuse_unexpected(error: Exception) -> InvalidToken:
    """Log an exception from before the signature was verified; return the InvalidToken to raise."""
    log_unexpected(logger, "Unexpected error before a signature was verified", error=error)
    return InvalidToken("token_malformed", is_unexpected=True)


def log_key_source_failure(error: Exception) -> KeysUnavailable:
    """Log an unexpected exception of a key source; return the KeysUnavailable to raise."""
    log_unexpected(logger, "The key source failed", error=error)
    unavailable = KeysUnavailable()
    unavailable.is_unexpected = True
    return unavailable


def _get_keys(source: KeySource, *, kid: object) -> Sequence[RSAPublicKey]:
    try:
        keys = source.get_keys(kid)
        if not _are_keys(keys):
            raise TypeError  # noqa: TRY301 - a wrong type is a failure of the source like any other
    except (InvalidToken, KeysUnavailable):
        raise
    except Exception as error:  # noqa: BLE001 - a failure of the key source is no fault of the token
        raise log_key_source_failure(error) from None
    return keys


def _are_keys(found: object) -> bool:
    # The two usual types come first, since `Sequence` is slow to check. A text is a sequence too.
    if not isinstance(found, _LISTS) and (isinstance(found, _TEXTS) or not isinstance(found, Sequence)):
        return False
    for key in found:  # noqa: SIM110 - `all` with a generator costs every request three times as much
        if not isinstance(key, RSAPublicKey):
            return False
    return True


@lru_cache(maxsize=32)
def _decode_header(segment: str) -> Mapping[str, Any]:
    # The headers of an instance differ in `oiat` only. The cache is small: forged headers cannot fill memory.
    return MappingProxyType(decode_object(_decode(segment)))


def _decode(segment: str) -> bytes:
    try:
        return decode_base64url(segment)
    except ValueError:
        raise InvalidToken("token_malformed") from None


def _build_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate name")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


_JSON = json.JSONDecoder(object_pairs_hook=_build_object, parse_constant=_refuse_constant)
