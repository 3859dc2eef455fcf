"""The shapes that leave the API."""

from __future__ import annotations

from datetime import UTC, datetime

from rest_framework import serializers

from accounts.clerk.tokens import SessionClaims
from accounts.models import User


class UserSerializer(serializers.Serializer[User]):
    """A person: the local row.

    The fields are written out: a ModelSerializer works them out anew for each request, at twice the cost.
    """

    id = serializers.UUIDField(read_only=True)
    clerk_id = serializers.CharField(allow_null=True, read_only=True, help_text="Null for local staff.")
    # Clerk knows addresses that Django's validators and `format: email` refuse.
    email = serializers.CharField(allow_null=True, read_only=True)
    email_verified = serializers.BooleanField(read_only=True)
    first_name = serializers.CharField(read_only=True)
    last_name = serializers.CharField(read_only=True)
    image_url = serializers.CharField(read_only=True)
    created_at = serializers.DateTimeField(default_timezone=UTC, read_only=True)
    updated_at = serializers.DateTimeField(default_timezone=UTC, read_only=True)


class SessionSerializer(serializers.Serializer[SessionClaims]):
    """The verified session that a request came with."""

    session_id = serializers.CharField(
        allow_null=True, read_only=True, help_text="Null for a token made from a JWT template."
    )
    user_id = serializers.CharField(read_only=True, help_text="The Clerk id.")
    issued_at = serializers.SerializerMethodField()
    expires_at = serializers.SerializerMethodField()
    authorized_party = serializers.CharField(
        allow_null=True, read_only=True, help_text="The origin that the token was made for."
    )
    actor = serializers.CharField(
        allow_null=True, read_only=True, help_text="The Clerk id of whoever impersonates the user."
    )

    def get_issued_at(self, claims: SessionClaims) -> datetime:
        """Return when the token was made."""
        return datetime.fromtimestamp(claims.issued_at, tz=UTC)

    def get_expires_at(self, claims: SessionClaims) -> datetime:
        """Return when the token ends."""
        return datetime.fromtimestamp(claims.expires_at, tz=UTC)
