"""Base64url as JSON Web Tokens and JSON Web Keys write it."""

from __future__ import annotations

import base64


def decode_base64url(text: str) -> bytes:
    """Decode base64url without padding (RFC 7515, section 2); raise ValueError if it is not canonical.

    The standard library ignores foreign characters and unused bits: two texts would be one token.
    """
    decoded = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if base64.urlsafe_b64encode(decoded).rstrip(b"=") != text.encode():
        raise ValueError("not canonical base64url")
    return decoded
