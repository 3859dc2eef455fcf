"""Is this delivery Clerk's? The one module that knows Svix, which signs and sends for Clerk."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence

MAX_ID_LENGTH = 255
SECRET_PREFIX = "whsec_"  # noqa: S105 - the public prefix of a secret


class InvalidSignature(Exception):
    """Nobody who holds a signing secret sent these bytes just now."""


class NoUsableSecret(Exception):
    """No configured secret can check a signature: the delivery may well be genuine, the fault is ours."""


def verify(body: bytes, *, headers: Mapping[str, str], secrets: Sequence[str]) -> str:
    """Return the delivery's `svix-id` once one of the secrets has signed these raw bytes.

    Svix: HMAC-SHA256 over `id.timestamp.body`, at most five minutes from our clock either way.
    Raises `InvalidSignature`, or `NoUsableSecret` when there is nothing to check with.
    """
    keys = [key for key in map(_key, secrets) if key]
    if not keys:
        raise NoUsableSecret
    # Only these three: svix falls back to `webhook-*` header by header, which would let two senders be mixed.
    signed = {name: headers.get(name, "") for name in ("svix-id", "svix-timestamp", "svix-signature")}
    if not _is_sane(signed["svix-id"], timestamp=signed["svix-timestamp"]):
        raise InvalidSignature
    if not any(_signed_with(key, body, headers=signed) for key in keys):
        raise InvalidSignature
    return signed["svix-id"]


def _key(secret: str) -> bytes:
    """Return the key inside a `whsec_...` secret; empty when there is none to be read."""
    try:
        return base64.b64decode(secret.strip().removeprefix(SECRET_PREFIX) + "==")
    except ValueError:
        return b""


def _is_sane(svix_id: str, *, timestamp: str) -> bool:
    """Tell whether the id fits the ledger and the time is plain digits (svix reads `1_7` and `1e9` too)."""
    if not 0 < len(svix_id) <= MAX_ID_LENGTH or not svix_id.isascii() or not svix_id.isprintable():
        return False
    return timestamp.isascii() and timestamp.isdigit()


def _signed_with(key: bytes, body: bytes, *, headers: dict[str, str]) -> bool:
    # Imported late: svix costs 0.3 s and 28 MiB, and most processes never see a webhook.
    from svix.webhooks import Webhook, WebhookVerificationError  # noqa: PLC0415

    try:
        Webhook(key).verify(body, headers)
    except (WebhookVerificationError, ValueError):
        # ValueError is what svix lets slip on junk: failed unpacking, binascii.Error, UnicodeDecodeError.
        return False
    return True
