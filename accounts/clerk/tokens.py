"""Verification of Clerk's session tokens.

The order of the checks is part of the contract: the first failure decides the code, and no claim is looked at
before the signature is known to be good. Sources: Clerk's `authenticateRequest`, RFC 7515, RFC 7519.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from accounts.clerk.ids import is_clerk_id
from accounts.clerk.jws import (
    MAX_TOKEN_LENGTH,
    InvalidToken,
    check_algorithm,
    check_parameters,
    decode_object,
    parse_jws,
    refuse_unexpected,
    report_result,
    verify_payload,
)
from accounts.clerk.keys import KeySource, KeysUnavailable
from accounts.clerk.times import MAX_AHEAD_SECONDS
from accounts.clerk.unexpected import log_unexpected

__all__ = [
    "MAX_TOKEN_LENGTH",
    "InvalidToken",
    "SessionClaims",
    "SessionVerifier",
    "VerificationFailed",
    "verify_signature",
]

# Clerk's classes of token, all signed by the same key (clerk/javascript, packages/backend).
CAT_SESSION, CAT_TEMPLATE, CAT_IGNORE = "cl_B7d4PD111AAA", "cl_B7d4PD222AAA", "cl_I7d4PD111III"

_YEAR_1, _YEAR_9999 = -62_135_596_800, 253_402_300_799  # what a datetime can hold

logger = logging.getLogger(__name__)


class VerificationFailed(Exception):
    """An unexpected exception came after the signature was good: a fault of ours, logged by its class."""


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
        """Return the session's claims.

        Raises InvalidToken, the fault being the token's own; KeysUnavailable if no key can be had or the key
        source fails; VerificationFailed for an unexpected exception once the signature is known to be good.
        """
        try:
            header, payload = self._verify_signature(token)
        except (InvalidToken, KeysUnavailable):
            raise
        except Exception as error:  # noqa: BLE001 - nothing that a token holds may become an error of the server
            raise refuse_unexpected(error) from None
        try:
            claims = decode_object(payload)
            return self._session(header, claims, now=time.time() if now is None else now)
        except InvalidToken:
            raise
        except Exception as error:  # noqa: BLE001 - Clerk has signed this token: the fault is ours
            log_unexpected(logger, "Unexpected error after a signature was verified", error=error)
            raise VerificationFailed from None

    def _verify_signature(self, token: str) -> tuple[Mapping[str, Any], bytes]:
        jws = parse_jws(token)
        check_algorithm(jws.header)
        if "typ" in jws.header and jws.header["typ"] != "JWT":
            raise InvalidToken("token_type_mismatch")
        check_parameters(jws.header)
        self._check_class(jws.header)
        try:
            payload = verify_payload(jws, self.keys)
        except InvalidToken as refusal:
            if refusal.reason == "token_invalid_signature" and self._names_us(jws.payload):
                report_result(self.keys, good=False)
            raise
        report_result(self.keys, good=True)
        return jws.header, payload

    def _names_us(self, payload: bytes) -> bool:
        """Return whether an unverified payload names our issuer; nothing but a count may follow from it."""
        try:
            return decode_object(payload).get("iss") == self.issuer
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
        party = self._party(payload)
        self._check_audience(payload.get("aud"))
        self._check_status(payload.get("sts", "active"))
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
        if "sid" not in payload and self.allow_template_tokens:
            return None
        session_id = payload.get("sid")
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

    def _party(self, payload: Mapping[str, Any]) -> str | None:
        parties = self.authorized_parties
        if "azp" not in payload and (parties is None or self.allow_missing_azp):
            return None
        party = payload.get("azp")
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
        if status == "pending":
            if not self.allow_pending_sessions:
                raise InvalidToken("session_pending")
        elif status != "active":
            raise InvalidToken("token_invalid_claims")

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
    try:
        jws = parse_jws(token)
        check_algorithm(jws.header)
        check_parameters(jws.header)
        return verify_payload(jws, keys)
    except (InvalidToken, KeysUnavailable):
        raise
    except Exception as error:  # noqa: BLE001 - nothing that a token holds may become an error of the server
        raise refuse_unexpected(error) from None


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
