"""Clerk's SDK for Python as in its README, without network, with the row that a Django view needs."""

from __future__ import annotations

from typing import Any

from clerk_backend_api.security import AuthenticateRequestOptions, authenticate_request
from django.conf import settings
from django.contrib.auth import get_user_model
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from accounts.models import opaque_username


class SDKAuthentication(BaseAuthentication):
    """Verify the token with the SDK, then get_or_create."""

    def authenticate(self, request: Request) -> tuple[Any, None]:
        """Return the row; raise AuthenticationFailed if the SDK refuses the token."""
        state = authenticate_request(
            request,
            AuthenticateRequestOptions(
                jwt_key=settings.CLERK_JWT_KEY,
                authorized_parties=list(settings.CLERK_AUTHORIZED_PARTIES or ()),
            ),
        )
        if not state.is_signed_in or state.payload is None:
            raise AuthenticationFailed
        user, _ = get_user_model().objects.get_or_create(
            clerk_id=state.payload["sub"], defaults={"username": opaque_username()}
        )
        return user, None

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge that lets DRF answer 401."""
        return "Bearer"
