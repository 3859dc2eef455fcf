"""Verification of Clerk's session tokens.

The order of the checks is part of the contract: the first failure decides the code, and no claim is checked
before the signature is verified. Sources: Clerk's `authenticateRequest`, RFC 7515, RFC 7519.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from accounts.clerk.ids import is_clerk_id
from accounts.clerk.jws import (
    InvalidToken,
    check_algorithm,
    check_parameters,
    decode_object,
    get_clock_skew,
    parse_jws,
    refuse_unexpected,
    report_result,
    verify_payload,
)
from accounts.clerk.keys import KeySource, KeysUnavailable
from accounts.clerk.session import SessionContents, is_text
from accounts.clerk.times import MAX_AHEAD_SECONDS
from accounts.clerk.unexpected import log_unexpected

__all__ = [
    "ClockSkewed",
    "InvalidToken",
    "SessionClaims",
    "SessionVerifier",
    "VerificationFailed",
    "verify_signature",
]

# Categories of Clerk's tokens, all signed by the same key (clerk/javascript, packages/backend).
CAT_SESSION, CAT_TEMPLATE, CAT_IGNORE = "cl_B7d4PD111AAA", "cl_B7d4PD222AAA", "cl_I7d4PD111III"

REFUSALS_BY_TIME = frozenset({"token_expired", "token_not_active_yet", "token_iat_in_the_future"})

_YEAR_1, _YEAR_9999 = -62_135_596_800, 253_402_300_799  # the range of a datetime, in epoch seconds

logger = logging.getLogger(__name__)


class VerificationFailed(Exception):
    """An unexpected exception after the signature was verified; it has been logged. Not the token's fault."""


class ClockSkewed(VerificationFailed):
    """This machine's clock is known to be wrong, and the token is valid at the corrected time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionClaims(SessionContents):
    """A verified session. Times are epoch seconds; `read_at` is when Clerk read the claims from its data.

    `actor` is `act.sub` as sent: it may be the e-mail address of an operator. The `repr` omits it.
    """

    user_id: str
    session_id: str | None
    issued_at: int
    expires_at: int
    authorized_party: str | None
    actor: str | None = field(repr=False)
    read_at: int
    payload: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class SessionVerifier:
    """The verification rules of one Clerk instance; each `allow_...` option that is true weakens them.

    `issuer` is one address or several: the domains of an instance (satellites), whose tokens have one key.

    `allow_impersonation` is true by default: the authentication class then checks the user's permissions.
    Any `azp` is accepted if `authorized_parties` is None, any `aud` if `audience` is. `leeway` is in seconds.
    """

    keys: KeySource
    issuer: str | Collection[str]
    authorized_parties: Collection[str] | None = None
    audience: str | None = None
    leeway: float = 5
    allow_missing_azp: bool = False
    allow_template_tokens: bool = False
    allow_pending_sessions: bool = False
    allow_impersonation: bool = True
    # A tuple: `in` then accepts a claim of any type, and compares as fast as one text does.
    _issuers: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        issuers = (self.issuer,) if isinstance(self.issuer, str) else tuple(self.issuer)
        object.__setattr__(self, "_issuers", issuers)

    def verify(self, token: str, *, now: float | None = None) -> SessionClaims:
        """Return the verified claims of the session; `now` is in epoch seconds, by default the current time.

        Raises InvalidToken for a fault of the token, KeysUnavailable if the key source has no key or fails,
        VerificationFailed for an unexpected exception after the signature was verified, and its subclass
        ClockSkewed for a token that is refused only because our clock is wrong.
        """
        try:
            header, payload = self._verify_signature(token)
        except (InvalidToken, KeysUnavailable):
            raise
        except Exception as error:  # noqa: BLE001 - no content of a token may cause a server error
            raise refuse_unexpected(error) from None
        try:
            claims = decode_object(payload)
            return self._check_claims_at(header, claims, now=time.time() if now is None else now)
        except (InvalidToken, KeysUnavailable, ClockSkewed):
            raise
        except Exception as error:  # noqa: BLE001 - Clerk signed the token: it is not the token's fault
            log_unexpected(logger, "Unexpected error after a signature was verified", error=error)
            raise VerificationFailed from None

    def _verify_signature(self, token: str) -> tuple[Mapping[str, Any], bytes]:
        jws = parse_jws(token)
        check_algorithm(jws.header)
        if "typ" in jws.header and jws.header["typ"] != "JWT":
            raise InvalidToken("token_type_mismatch")
        check_parameters(jws.header)
        self._check_category(jws.header)
        try:
            payload = verify_payload(jws, self.keys)
        except InvalidToken as refusal:
            if refusal.reason == "token_invalid_signature" and self._has_own_issuer(jws.payload):
                report_result(self.keys, good=False)
            raise
        return jws.header, payload

    def _has_own_issuer(self, payload: bytes) -> bool:
        """Return whether `iss` is one of ours. The payload is not verified: the result is only counted."""
        try:
            return decode_object(payload).get("iss") in self._issuers
        except InvalidToken:
            return False

    def _check_category(self, header: Mapping[str, Any]) -> None:
        category = header.get("cat", CAT_SESSION)
        is_allowed_template = self.allow_template_tokens and category == CAT_TEMPLATE
        if category not in (CAT_SESSION, CAT_IGNORE) and not is_allowed_template:
            raise InvalidToken("token_type_mismatch")

    def _check_claims_at(
        self, header: Mapping[str, Any], payload: dict[str, Any], *, now: float
    ) -> SessionClaims:
        try:
            return self._check_claims(header, payload, now=now)
        except InvalidToken as refusal:
            if refusal.reason in REFUSALS_BY_TIME and self._is_clock_at_fault(header, payload, now=now):
                raise ClockSkewed from None
            raise

    def _is_clock_at_fault(self, header: Mapping[str, Any], payload: dict[str, Any], *, now: float) -> bool:
        """Return whether our clock is known to be wrong, and the token is valid at the corrected time."""
        skew = get_clock_skew(self.keys)
        if skew is None:
            return False
        try:
            self._check_claims(header, payload, now=now - skew)
        except InvalidToken:
            return False
        return True

    def _check_claims(
        self, header: Mapping[str, Any], payload: dict[str, Any], *, now: float
    ) -> SessionClaims:
        if payload.get("iss") not in self._issuers:
            raise InvalidToken("token_invalid_issuer")
        user_id = _check_user_id(payload.get("sub"))
        session_id = self._check_session_id(payload)
        issued_at, expires_at = self._check_times(payload, now=now)
        report_result(self.keys, good=True)  # not before: a client may repeat an expired token without end
        party = self._check_party(payload)
        self._check_audience(payload.get("aud"))
        self._check_status(payload.get("sts", "active"))
        return SessionClaims(
            user_id=user_id,
            session_id=session_id,
            issued_at=issued_at,
            expires_at=expires_at,
            authorized_party=party,
            actor=self._check_actor(payload.get("act")),
            read_at=_choose_read_at(header.get("oiat"), issued_at=issued_at, now=now),
            payload=payload,
        )

    def _check_session_id(self, payload: Mapping[str, Any]) -> str | None:
        if "sid" not in payload and self.allow_template_tokens:
            return None
        session_id = payload.get("sid")
        if not is_text(session_id) or not session_id:
            raise InvalidToken("token_invalid_claims")
        return session_id

    def _check_times(self, payload: Mapping[str, Any], *, now: float) -> tuple[int, int]:
        expires, issued = _check_time(payload.get("exp")), _check_time(payload.get("iat"))
        begins = _check_time(payload["nbf"]) if "nbf" in payload else 0
        if expires <= now - self.leeway:
            raise InvalidToken("token_expired", detail=f"expired {now - expires:.0f} s ago")
        if begins > now + self.leeway:
            raise InvalidToken("token_not_active_yet", detail=f"begins in {begins - now:.0f} s")
        if issued > now + self.leeway:
            raise InvalidToken("token_iat_in_the_future", detail=f"issued in {issued - now:.0f} s")
        return int(issued), int(expires)

    def _check_party(self, payload: Mapping[str, Any]) -> str | None:
        parties = self.authorized_parties
        if "azp" not in payload and (parties is None or self.allow_missing_azp):
            return None
        party = payload.get("azp")
        if not is_text(party) or (parties is not None and party not in parties):
            raise InvalidToken("token_invalid_authorized_party")
        return party

    def _check_audience(self, audience: object) -> None:
        if self.audience is None:
            return
        audiences = audience if isinstance(audience, list) else [audience]
        if self.audience not in audiences or not all(isinstance(each, str) for each in audiences):
            raise InvalidToken("token_invalid_audience")

    def _check_status(self, status: object) -> None:
        if status == "pending":
            if not self.allow_pending_sessions:
                raise InvalidToken("session_pending")
        elif status != "active":
            raise InvalidToken("token_invalid_claims")

    def _check_actor(self, act: object) -> str | None:
        if act is None:
            return None
        if not self.allow_impersonation:
            raise InvalidToken("impersonation_refused")
        actor = act.get("sub") if isinstance(act, dict) else None
        if not is_text(actor) or not actor:
            raise InvalidToken("token_invalid_claims")
        return actor


def verify_signature(token: str, keys: KeySource) -> bytes:
    """Return the bytes that an RS256 JWS signs as its payload; raises InvalidToken or KeysUnavailable."""
    try:
        jws = parse_jws(token)
        check_algorithm(jws.header)
        check_parameters(jws.header)
        return verify_payload(jws, keys)
    except (InvalidToken, KeysUnavailable):
        raise
    except Exception as error:  # noqa: BLE001 - no content of a token may cause a server error
        raise refuse_unexpected(error) from None


def _check_user_id(subject: object) -> str:
    if is_clerk_id(subject):
        return subject
    is_machine = isinstance(subject, str) and subject.startswith("mch_")
    raise InvalidToken("token_type_mismatch" if is_machine else "token_invalid_claims")


def _check_time(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not _YEAR_1 <= value <= _YEAR_9999:
        raise InvalidToken("token_invalid_claims")
    return value


def _choose_read_at(oiat: object, *, issued_at: int, now: float) -> int:
    if isinstance(oiat, int) and not isinstance(oiat, bool) and 0 < oiat <= now + MAX_AHEAD_SECONDS:
        return oiat
    return issued_at
