"""The description of `ClerkAuthentication` in the OpenAPI schema of drf-spectacular."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension

from accounts.authentication import ClerkAuthentication

if TYPE_CHECKING:
    from drf_spectacular.openapi import AutoSchema


class ClerkAuthenticationScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """A bearer token, which Swagger UI asks for under Authorize."""

    target_class = ClerkAuthentication
    name = "ClerkSession"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        """Return the security scheme of OpenAPI 3."""
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "A Clerk session token, as `getToken()` gives it. It lives for 60 seconds.",
        }
