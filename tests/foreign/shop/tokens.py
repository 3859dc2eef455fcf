"""The project's other way to sign in: a bearer token of its own, for services."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request


class ServiceTokenAuthentication(BaseAuthentication):
    """Accept `Bearer service-<key of the user>`."""

    def authenticate(self, request: Request) -> tuple[Any, str] | None:
        """Return the user of the token."""
        _, _, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        key = token.removeprefix("service-")
        users: Any = get_user_model()._default_manager
        user = users.filter(pk=key).first() if key.isdigit() else None
        if user is None:
            raise AuthenticationFailed("This service token is not known.", "unknown_service")
        return user, token
