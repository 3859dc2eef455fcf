"""Authentication classes written for comparison: minimal, sync on every request, and none."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from accounts.clerk.profiles import CLAIM_FIELDS
from accounts.models import is_user_model, opaque_username

COLUMNS = (
    "id, clerk_id, email, email_verified, first_name, last_name, image_url, is_active, is_staff"
    f"{', banned, created_at, updated_at' if is_user_model() else ''}"
)
SELECT = (
    f"SELECT {COLUMNS} FROM {get_user_model()._meta.db_table} WHERE clerk_id = %s"  # noqa: S608 - constants
    f"{' AND deleted_at IS NULL' if is_user_model() else ''}"
)


@dataclass(frozen=True, slots=True)
class Row:
    """The attributes of a user that the view needs."""

    clerk_id: str
    is_authenticated: bool = True


class NoAuthentication(BaseAuthentication):
    """Accept every request as the same user, without any check."""

    def authenticate(self, request: Request) -> tuple[Row, None]:
        """Return that user."""
        return Row("user_anonymous"), None


class MinimalAuthentication(BaseAuthentication):
    """The minimum that still checks: signature, expiry, issuer, one prepared SELECT, no model."""

    def __init__(self) -> None:
        self._key = _public_key()

    def authenticate(self, request: Request) -> tuple[Row, None]:
        """Return the row; raise AuthenticationFailed for an invalid token or an unknown user."""
        signed, _, signature = request.META["HTTP_AUTHORIZATION"][7:].rpartition(".")
        try:
            self._key.verify(_decode(signature), signed.encode(), PKCS1v15(), SHA256())
        except Exception:  # noqa: BLE001 - any failure is the same refusal
            raise AuthenticationFailed from None
        payload = json.loads(_decode(signed.partition(".")[2]))
        if payload["exp"] < time.time() or payload["iss"] != settings.CLERK_ISSUER:
            raise AuthenticationFailed
        connection.ensure_connection()
        row = connection.connection.execute(SELECT, (payload["sub"],), prepare=True).fetchone()
        if row is None:
            raise AuthenticationFailed
        return Row(row[1]), None

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge that lets DRF answer 401."""
        return "Bearer"


class SyncOnEveryRequest(BaseAuthentication):
    """Sync on every request, taken literally: PyJWT, then update_or_create."""

    def authenticate(self, request: Request) -> tuple[Any, None]:
        """Return the updated row; raise AuthenticationFailed for an invalid token."""
        try:
            payload = jwt.decode(
                request.META["HTTP_AUTHORIZATION"][7:],
                _public_key(),
                algorithms=["RS256"],
                issuer=settings.CLERK_ISSUER,
            )
        except jwt.InvalidTokenError:
            raise AuthenticationFailed from None
        values = {name: payload[name] for name in CLAIM_FIELDS}
        with transaction.atomic():
            user, _ = get_user_model().objects.update_or_create(
                clerk_id=payload["sub"],
                defaults=values,
                create_defaults={**values, "username": opaque_username()},
            )
        return user, None

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge that lets DRF answer 401."""
        return "Bearer"


_keys: dict[str, RSAPublicKey] = {}


def _public_key() -> RSAPublicKey:
    pem = settings.CLERK_JWT_KEY
    if pem not in _keys:
        key = load_pem_public_key(pem.encode())
        if not isinstance(key, RSAPublicKey):
            raise TypeError("CLERK_JWT_KEY is not an RSA key")
        _keys[pem] = key
    return _keys[pem]


def _decode(segment: str) -> bytes:
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
