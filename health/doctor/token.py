"""The doctor's view of one session token: whether it is accepted and carries what rows are made of."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from accounts.clerk.base64url import decode_base64url
from accounts.clerk.keys import KeysUnavailable
from accounts.clerk.tokens import InvalidToken, VerificationFailed
from accounts.conf import get_claims_map, get_verifier
from health.doctor.findings import Finding, error, ok, warning

CUSTOM_BYTES = 1_200  # Clerk: what fits into the session cookie beside its own claims
LITTLE_LEFT = 200
SHORTCODES = {
    "email": "{{user.primary_email_address}}",
    "email_verified": "{{user.email_verified}}",
    "first_name": "{{user.first_name}}",
    "last_name": "{{user.last_name}}",
    "image_url": "{{user.image_url}}",
}
OWN_CLAIMS = frozenset(
    {
        "azp",
        "exp",
        "fva",
        "iat",
        "iss",
        "jti",
        "nbf",
        "sid",
        "sub",
        "v",
        "pla",
        "fea",
        "sts",
        "o",
        "act",
        "aud",
    }
    | {"org_id", "org_role", "org_slug", "org_permissions"}
)


def examine_token(token: str, *, now: datetime) -> Iterator[Finding]:
    """Verify the token and say which claims it has and lacks; no value of them is repeated."""
    payload = _payload(token)
    if payload is None:
        yield error(
            "--token is no session token: three parts of base64, the middle one a JSON object.",
            why="Requests with it are refused as token_malformed.",
            to_do="In the browser's console of your frontend: await window.Clerk.session.getToken()",
        )
        return
    yield _verdict(token, payload=payload, now=now.timestamp())
    yield _claims(payload)
    yield _size(payload)


def _payload(token: str) -> dict[str, Any] | None:
    """Read the claims without any check, to talk about them."""
    parts = token.strip().split(".")
    if len(parts) != len(("header", "payload", "signature")):
        return None
    try:
        payload = json.loads(decode_base64url(parts[1]))
    except (ValueError, RecursionError):
        return None
    return payload if isinstance(payload, dict) else None


def _verdict(token: str, *, payload: Mapping[str, Any], now: float) -> Finding:
    try:
        verifier = get_verifier()
        try:
            verifier.verify(token.strip(), now=now)
        except InvalidToken as refusal:
            if refusal.reason != "token_expired":
                raise
            # It lives for 60 s, less than it takes to carry it here: judge it as of its last second.
            verifier.verify(token.strip(), now=float(payload["exp"]) - 1)
            return ok("The token was valid until it expired; they live for 60 s.")
    except InvalidToken as refusal:
        return error(
            f"The token is refused: {refusal.reason}.",
            why="Every request with such a token is 401.",
            to_do=ADVICE.get(refusal.reason, "See the log line of the refusal, and CLERK_ISSUER."),
        )
    except KeysUnavailable:
        return error(
            "The token cannot be verified: no public key is to be had.",
            why="Every request is 503.",
            to_do="See what is said about the keys above.",
        )
    except VerificationFailed:
        return error(
            "The token cannot be verified: its signature is good, and then this program failed.",
            why="Every request with such a token is 503.",
            to_do="Look at the log line above, which names the class of the error and its place in the code.",
        )
    except (ImproperlyConfigured, ValueError):
        return error(
            "The token cannot be verified: the settings do not say how.",
            why="No server starts with them.",
            to_do="Correct the settings named above first.",
        )
    return ok("The token is valid.")


OTHER_INSTANCE = "It is of another instance: compare CLERK_PUBLISHABLE_KEY here and in the frontend."
ADVICE = {
    "token_invalid_issuer": OTHER_INSTANCE,
    "token_unknown_key": OTHER_INSTANCE,
    "token_invalid_signature": "If CLERK_JWT_KEY is set, copy it anew; else somebody changed the token.",
    "token_invalid_authorized_party": "Add the origin of the frontend to CLERK_AUTHORIZED_PARTIES.",
    "token_invalid_audience": "Remove CLERK_AUDIENCE, or add an aud claim to the session token.",
    "token_not_active_yet": "Compare the clocks: this machine's is behind.",
    "token_iat_in_the_future": "Compare the clocks: this machine's is behind.",
    "token_type_mismatch": "It is no session token: use getToken() without a template.",
    "session_pending": "The session has a task left; CLERK_ALLOW_PENDING_SESSIONS accepts it.",
}


def _claims(payload: Mapping[str, Any]) -> Finding:
    try:
        mapping = get_claims_map()
    except ValueError:
        return error(
            "Whether the token has its claims cannot be told: CLERK_CLAIMS does not parse.",
            why="No server starts with it.",
            to_do="Correct it first, as said above.",
        )
    states = {field: _state(payload, names) for field, names in mapping.items()}
    missing = [field for field, state in states.items() if state == "absent"]
    listed = ", ".join(f"{field} {state}" for field, state in states.items())
    if not missing:
        return ok(f"The token carries what rows are made of: {listed}.")
    wanted = {mapping[field][0]: SHORTCODES[field] for field in missing}
    return warning(
        f"Claims of the token: {listed}.",
        why="Rows made at a first request lack these fields until a webhook or a backfill brings them.",
        to_do="In Clerk's dashboard, Sessions, Customize session token, add: " + json.dumps(wanted),
    )


def _state(payload: Mapping[str, Any], names: tuple[str, ...]) -> str:
    values = [payload[name] for name in names if name in payload]
    if not values:
        return "absent"
    return "null (none, or a misspelt shortcode)" if values[0] in (None, "null") else "present"


def _size(payload: Mapping[str, Any]) -> Finding:
    custom = {name: value for name, value in payload.items() if name not in OWN_CLAIMS}
    used = (
        len(json.dumps(custom, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace"))
        if custom
        else 0
    )
    left = CUSTOM_BYTES - used
    what = f"Custom claims: {used:,} bytes used, {left:,} left of {CUSTOM_BYTES:,}."
    if left >= LITTLE_LEFT:
        return ok(what)
    return warning(
        what,
        why="A session token travels in a cookie of 4 KB; browsers drop a greater one: nobody is signed in.",
        to_do="Take claims out in Clerk's dashboard, Sessions, Customize session token.",
    )
