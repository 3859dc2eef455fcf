"""The response bodies of the API."""

from __future__ import annotations

from datetime import UTC, datetime

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from accounts.clerk.tokens import SessionClaims
from accounts.models import User

_ADA = "user_25Q5d23pXbSh1vWkN8mKtGfYcLz"


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "A user",
            value={
                "id": "9cab1d33-5c1e-4f0e-8f43-1b1c6f1f2f10",
                "clerk_id": _ADA,
                "email": "ada@example.test",
                "email_verified": True,
                "first_name": "Ada",
                "last_name": "Lovelace",
                "image_url": "https://img.example.test/ada.png",
                "created_at": "2026-01-05T09:30:00Z",
                "updated_at": "2026-01-05T09:30:00.250000Z",
            },
            response_only=True,
        )
    ]
)
class UserSerializer(serializers.Serializer[User]):
    """A user, as stored in this database."""

    # Not a ModelSerializer, which derives the fields again for each request and takes twice the time.
    id = serializers.UUIDField(read_only=True)
    clerk_id = serializers.CharField(allow_null=True, read_only=True, help_text="Null for local staff.")
    # Clerk accepts addresses that Django's validators and `format: email` refuse.
    email = serializers.CharField(allow_null=True, read_only=True)
    email_verified = serializers.BooleanField(read_only=True)
    first_name = serializers.CharField(read_only=True)
    last_name = serializers.CharField(read_only=True)
    image_url = serializers.CharField(read_only=True)
    created_at = serializers.DateTimeField(default_timezone=UTC, read_only=True)
    updated_at = serializers.DateTimeField(default_timezone=UTC, read_only=True)


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "A session",
            value={
                "session_id": "sess_2f3Gh8KpQrStUvWxYz0123456789",
                "user_id": _ADA,
                "issued_at": "2026-01-05T09:30:00Z",
                "expires_at": "2026-01-05T09:31:00Z",
                "authorized_party": "https://app.example.test",
                "actor": None,
            },
            response_only=True,
        )
    ]
)
class SessionSerializer(serializers.Serializer[SessionClaims]):
    """The verified session of the request."""

    session_id = serializers.CharField(
        allow_null=True, read_only=True, help_text="Null for a token of a JWT template."
    )
    user_id = serializers.CharField(read_only=True, help_text="The Clerk id.")
    issued_at = serializers.SerializerMethodField()
    expires_at = serializers.SerializerMethodField()
    authorized_party = serializers.CharField(
        allow_null=True, read_only=True, help_text="The origin that the token was issued for."
    )
    actor = serializers.CharField(
        allow_null=True,
        read_only=True,
        help_text="The Clerk id of the impersonator, if there is one.",
    )

    def get_issued_at(self, claims: SessionClaims) -> datetime:
        """Return when the token was issued."""
        return datetime.fromtimestamp(claims.issued_at, tz=UTC)

    def get_expires_at(self, claims: SessionClaims) -> datetime:
        """Return when the token expires."""
        return datetime.fromtimestamp(claims.expires_at, tz=UTC)
