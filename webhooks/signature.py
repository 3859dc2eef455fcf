"""Verification of deliveries. Svix signs and sends webhooks for Clerk; only this module depends on it."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence

MAX_ID_LENGTH = 255
SECRET_PREFIX = "whsec_"  # noqa: S105 - the public prefix of a secret


class InvalidSignature(Exception):
    """The signature is missing, malformed, too old, or made with an unknown secret."""


class NoUsableSecret(Exception):
    """No signing secret is configured, so no signature can be verified. The delivery may be genuine."""


def verify(body: bytes, *, headers: Mapping[str, str], secrets: Sequence[str]) -> str:
    """Return the `svix-id` of the delivery if one of the secrets signed this raw body.

    Svix signs `id.timestamp.body` with HMAC-SHA256; the timestamp may differ from our clock by five minutes.
    Raises InvalidSignature, or NoUsableSecret.
    """
    keys = [key for key in map(_decode_secret, secrets) if key]
    if not keys:
        raise NoUsableSecret
    # Only these three: svix falls back to `webhook-*` for each header, which could mix two deliveries.
    signed = {name: headers.get(name, "") for name in ("svix-id", "svix-timestamp", "svix-signature")}
    if not _is_well_formed(signed["svix-id"], timestamp=signed["svix-timestamp"]):
        raise InvalidSignature
    if not any(_is_signed_with(key, body, headers=signed) for key in keys):
        raise InvalidSignature
    return signed["svix-id"]


def _decode_secret(secret: str) -> bytes:
    """Return the key of a `whsec_...` secret, or an empty one if the secret is malformed."""
    try:
        return base64.b64decode(secret.strip().removeprefix(SECRET_PREFIX) + "==")
    except ValueError:
        return b""


def _is_well_formed(svix_id: str, *, timestamp: str) -> bool:
    """Return whether the ledger can store the id, and the time is all digits (svix accepts `1e9`)."""
    if not 0 < len(svix_id) <= MAX_ID_LENGTH or not svix_id.isascii() or not svix_id.isprintable():
        return False
    return timestamp.isascii() and timestamp.isdigit()


def _is_signed_with(key: bytes, body: bytes, *, headers: dict[str, str]) -> bool:
    # Imported late: svix costs 0.3 s and 28 MiB, and most processes never see a webhook.
    from svix.webhooks import Webhook, WebhookVerificationError  # noqa: PLC0415

    try:
        Webhook(key).verify(body, headers)
    except (WebhookVerificationError, ValueError):
        # svix does not catch the ValueError of malformed input, such as binascii.Error.
        return False
    return True
