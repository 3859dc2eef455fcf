"""Examine one session token: whether it is accepted, and whether it has the claims for a user's row."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from accounts.clerk.base64url import decode_base64url
from accounts.clerk.fields import DECLARED
from accounts.clerk.keys import KeysUnavailable
from accounts.clerk.tokens import InvalidToken, VerificationFailed
from accounts.conf import get_claims_map, get_verifier
from health.doctor.findings import Finding, error, ok, warning

MAX_CUSTOM_BYTES = 1_200  # Clerk: the space in the session cookie beside its own claims
MIN_BYTES_LEFT = 200
CLERKS_CLAIMS = frozenset(
    {"azp", "exp", "fva", "iat", "iss", "jti", "nbf", "sid", "sub", "v", "sts", "act", "aud"}
    | {"o", "pla", "fea", "org_id", "org_role", "org_slug", "org_permissions"}
)


def examine_token(token: str, *, now: datetime) -> Iterator[Finding]:
    """Verify the token, and report which claims it has and lacks; no value of a claim is printed."""
    payload = _read_payload(token)
    if payload is None:
        yield error(
            "--token is not a session token, which has three parts in base64, the second one a JSON object.",
            why="Requests with it are refused with token_malformed.",
            to_do="In the browser's console of your frontend: await window.Clerk.session.getToken()",
        )
        return
    yield _check_validity(token, payload=payload, now=now.timestamp())
    yield _check_claims(payload)
    yield _check_size(payload)


def _read_payload(token: str) -> dict[str, Any] | None:
    """Return the claims of the unverified token, or None."""
    parts = token.strip().split(".")
    if len(parts) != len(("header", "payload", "signature")):
        return None
    try:
        payload = json.loads(decode_base64url(parts[1]))
    except (ValueError, RecursionError):
        return None
    return payload if isinstance(payload, dict) else None


def _check_validity(token: str, *, payload: Mapping[str, Any], now: float) -> Finding:
    try:
        verifier = get_verifier()
        try:
            verifier.verify(token.strip(), now=now)
        except InvalidToken as refusal:
            if refusal.reason != "token_expired":
                raise
            # It is valid for 60 s, and copying it takes longer: verify it as of its last second.
            verifier.verify(token.strip(), now=float(payload["exp"]) - 1)
            return ok("The token was valid until it expired. A token is valid for 60 s.")
    except InvalidToken as refusal:
        return error(
            f"The token is refused: {refusal.reason}.",
            why="Every request with such a token is 401.",
            to_do=ADVICE.get(refusal.reason, "See the log line of the refusal, and CLERK_ISSUER."),
        )
    except KeysUnavailable:
        return error(
            "The token cannot be verified: no public key is available.",
            why="Every request is 503.",
            to_do="See the findings about the keys above.",
        )
    except VerificationFailed:
        return error(
            "The token cannot be verified: its signature is valid, but then this program failed.",
            why="Every request with such a token is 503.",
            to_do="Look at the log line above, which names the class of the error and its place in the code.",
        )
    except (ImproperlyConfigured, ValueError):
        return error(
            "The token cannot be verified: the settings are not usable.",
            why="No server starts with them.",
            to_do="Correct the settings named above first.",
        )
    return ok("The token is valid.")


OTHER_INSTANCE = "It is of another instance: compare CLERK_PUBLISHABLE_KEY of backend and frontend."
ADVICE = {
    "token_invalid_issuer": OTHER_INSTANCE,
    "token_unknown_key": OTHER_INSTANCE,
    "token_invalid_signature": "If CLERK_JWT_KEY is set, copy it again; otherwise the token was changed.",
    "token_invalid_authorized_party": "Add the origin of the frontend to CLERK_AUTHORIZED_PARTIES.",
    "token_invalid_audience": "Remove CLERK_AUDIENCE, or add an aud claim to the session token.",
    "token_not_active_yet": "Compare the clocks: this machine's is behind.",
    "token_iat_in_the_future": "Compare the clocks: this machine's is behind.",
    "token_type_mismatch": "It is not a session token: use getToken() without a template.",
    "session_pending": "The session has a pending task; CLERK_ALLOW_PENDING_SESSIONS accepts such tokens.",
}


def _check_claims(payload: Mapping[str, Any]) -> Finding:
    try:
        mapping = get_claims_map()
    except ValueError:
        return error(
            "The claims of the token cannot be examined: CLERK_CLAIMS does not parse.",
            why="No server starts with it.",
            to_do="Correct it first, see above.",
        )
    # A claim that another one depends on counts as a field: it has the name of its shortcode.
    needed = [each for name in mapping if (each := DECLARED[name].verified_by)]
    claims = {**mapping, **{name: (name,) for name in needed}}
    states = {name: _state(payload, names) for name, names in claims.items()}
    missing = [name for name, state in states.items() if state == "absent"]
    listed = ", ".join(f"{name} {state}" for name, state in states.items())
    if not missing:
        return ok(f"The token has all claims for a user's row: {listed}.")
    wanted = {claims[name][0]: shortcode for name in missing if (shortcode := _get_shortcode(name))}
    return warning(
        f"Claims of the token: {listed}.",
        why="A row created by a first request lacks these fields until a webhook or a backfill sets them.",
        to_do="In Clerk's dashboard, Sessions, Customize session token, add: " + json.dumps(wanted)
        if wanted
        else "Remove them from CLERK_CLAIMS: Clerk's dashboard has no shortcode for them.",
    )


def _get_shortcode(name: str) -> str:
    field = DECLARED.get(name)
    return field.shortcode if field else f"{{{{user.{name}}}}}"


def _state(payload: Mapping[str, Any], names: tuple[str, ...]) -> str:
    values = [payload[name] for name in names if name in payload]
    if not values:
        return "absent"
    return "null (no value, or a misspelt shortcode)" if values[0] in (None, "null") else "present"


def _check_size(payload: Mapping[str, Any]) -> Finding:
    custom = {name: value for name, value in payload.items() if name not in CLERKS_CLAIMS}
    text = json.dumps(custom, separators=(",", ":"), ensure_ascii=False) if custom else ""
    used = len(text.encode("utf-8", "replace"))
    left = MAX_CUSTOM_BYTES - used
    what = f"Custom claims: {used:,} bytes used, {left:,} left of {MAX_CUSTOM_BYTES:,}."
    if left >= MIN_BYTES_LEFT:
        return ok(what)
    return warning(
        what,
        why="Clerk keeps the session token in a cookie. Browsers drop one above 4 KB: no user can sign in.",
        to_do="Remove claims in Clerk's dashboard, Sessions, Customize session token.",
    )
