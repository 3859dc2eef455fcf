"""Clerk's keys of an instance: the address in a publishable key, and the form of a secret key.

The formats are Clerk's. A publishable key is `pk_live_` or `pk_test_`, then base64 of the frontend API's host
and a dollar sign.
"""

from __future__ import annotations

import base64
import re

KEY = re.compile(r"pk_(?:live|test)_([A-Za-z0-9+/_-]+)={0,2}")
HOST = re.compile(
    r"(?=.{1,253}\$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]\$", re.ASCII
)
# As an HTTP header can carry it.
SECRET_KEY = re.compile(r"sk_(?:live|test)_[!-~]+")


def frontend_api(key: str) -> str:
    """Return the address of the frontend API, also the issuer of its tokens; "" if the key is malformed."""
    match = KEY.fullmatch(key)
    if not match:
        return ""
    encoded = match[1].replace("-", "+").replace("_", "/")
    try:
        decoded = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True).decode("ascii")
    except ValueError:
        return ""
    return f"https://{decoded.removesuffix('$')}" if HOST.fullmatch(decoded) else ""


def is_secret_key(key: str) -> bool:
    """Return whether the text has the form of a secret key; others may be secrets of another system."""
    return SECRET_KEY.fullmatch(key) is not None
