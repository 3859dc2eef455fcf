"""The response bodies of the API."""

from __future__ import annotations

from datetime import UTC, datetime

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from accounts.clerk.ids import is_clerk_id
from accounts.clerk.session import ActorKind, Organization
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


class OrganizationSerializer(serializers.Serializer[Organization]):
    """The active organization of the session."""

    id = serializers.CharField(read_only=True, help_text="The Clerk id.")
    slug = serializers.CharField(allow_null=True, read_only=True)
    role = serializers.CharField(
        allow_null=True, read_only=True, help_text="Without the prefix `org:`, such as `admin`."
    )
    permissions = serializers.SerializerMethodField(help_text="Full names: `org:feature:permission`.")

    def get_permissions(self, organization: Organization) -> list[str]:
        """Return the permissions in a fixed order."""
        return sorted(organization.permissions)


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
                "actor_kind": None,
                "organization": {
                    "id": "org_2b7Gh8KpQrStUvWxYz0123456789",
                    "slug": "acme",
                    "role": "admin",
                    "permissions": ["org:reports:read"],
                },
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
    actor = serializers.SerializerMethodField(
        help_text="The Clerk id of the user who impersonates. Null for any other actor."
    )
    actor_kind = serializers.ChoiceField(
        choices=[(str(kind), str(kind)) for kind in ActorKind],
        allow_null=True,
        read_only=True,
        help_text="Who acts for the user, or null if the user does.",
    )
    organization = OrganizationSerializer(allow_null=True, read_only=True)

    def get_issued_at(self, claims: SessionClaims) -> datetime:
        """Return when the token was issued."""
        return datetime.fromtimestamp(claims.issued_at, tz=UTC)

    def get_expires_at(self, claims: SessionClaims) -> datetime:
        """Return when the token expires."""
        return datetime.fromtimestamp(claims.expires_at, tz=UTC)

    def get_actor(self, claims: SessionClaims) -> str | None:
        """Return the actor if it is a Clerk user: another text may contain an e-mail address."""
        return claims.actor if is_clerk_id(claims.actor) else None
