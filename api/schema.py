"""The OpenAPI schema: the error envelope, its codes and the response headers."""

from __future__ import annotations

from http import HTTPStatus
from itertools import starmap
from typing import Any

from drf_spectacular.utils import Direction, OpenApiExample, OpenApiParameter, extend_schema_serializer
from drf_standardized_errors.openapi import AutoSchema as StandardizedAutoSchema
from rest_framework import serializers

from accounts.permissions import SessionPermission

ERROR_TYPES = ("client_error", "server_error", "validation_error")
METHODS_WITH_BODY = {"POST", "PUT", "PATCH"}


# Status, code and detail of each example of an error.
ERRORS = (
    (400, "parse_error", "Malformed request."),
    (401, "not_authenticated", "Authentication credentials were not provided."),
    (401, "token_expired", "The session token has expired: request a new one."),
    (403, "user_inactive", "This user may not sign in."),
    (403, "impersonation_of_staff", "Users who are staff or have permissions cannot be impersonated."),
    (403, "https_required", "Credentials must not be sent over plain http: use https."),
    (403, "permission_denied", "You do not have permission to perform this action."),
    (404, "not_found", "Not found."),
    (405, "method_not_allowed", 'Method "POST" not allowed.'),
    (415, "unsupported_media_type", 'Unsupported media type "text/plain" in request.'),
    (429, "throttled", "Request was throttled."),
    (500, "error", "Server Error (500)"),
    (503, "keys_unavailable", "No verification key is available now."),
    (503, "sync_unavailable", "The user cannot be read or saved now."),
)


def _example(status: int, code: str, detail: str, **keys: object) -> OpenApiExample:
    kind = "server_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "client_error"
    return OpenApiExample(
        code,
        value={"type": kind, "errors": [{"code": code, "detail": detail, "attr": None}], **keys},
        response_only=True,
        status_codes=[str(status)],
    )


def _hint(permission: SessionPermission) -> dict[str, object]:
    hint = getattr(permission, "hint", None)
    return {"clerk_error": hint} if hint else {}


class ErrorSerializer(serializers.Serializer[object]):
    """One error."""

    code = serializers.CharField(help_text="A stable code for programs.")
    detail = serializers.CharField(help_text="A message for developers; it may change.")
    attr = serializers.CharField(allow_null=True, help_text="The invalid field, if the error is about one.")


@extend_schema_serializer(examples=list(starmap(_example, ERRORS)))
class ErrorResponseSerializer(serializers.Serializer[object]):
    """The body of every error response."""

    type = serializers.ChoiceField(choices=ERROR_TYPES)
    # Hides `Serializer.errors`, which is unused: the serializer only describes the response.
    errors = ErrorSerializer(many=True)  # type: ignore[assignment]
    clerk_error = serializers.DictField(
        required=False,
        help_text="Only with the code `reverification_required`: what Clerk's frontend hook looks for.",
    )


class AutoSchema(StandardizedAutoSchema):
    """Describe only the errors that this API can return."""

    def get_override_parameters(self) -> list[Any]:
        """Return the parameters, with the response headers."""
        return [
            *super().get_override_parameters(),
            OpenApiParameter(
                "X-Request-ID",
                location=OpenApiParameter.HEADER,
                description="The id of this request in the logs; a well-formed inbound id is kept.",
                response=True,
            ),
            OpenApiParameter(
                "WWW-Authenticate",
                location=OpenApiParameter.HEADER,
                description='`Bearer` without a token, `Bearer error="invalid_token"` for an invalid token.',
                response=[401],
            ),
            OpenApiParameter(
                "Retry-After",
                type=int,
                location=OpenApiParameter.HEADER,
                description="Seconds to wait before the next attempt.",
                response=[503],
            ),
        ]

    def _get_error_response_examples(self) -> list[OpenApiExample]:
        # The codes of all views are on the serializer; these are the codes of this view's permissions.
        return [
            _example(403, permission.code, permission.message, **_hint(permission))
            for permission in self.view.get_permissions()
            if isinstance(permission, SessionPermission)
        ]

    def _get_response_for_code(
        self,
        serializer: object,
        status_code: str,
        media_types: list[str] | None = None,
        direction: Direction = "response",
    ) -> dict[str, Any]:
        response: dict[str, Any] = super()._get_response_for_code(  # type: ignore[no-untyped-call]
            serializer, status_code, media_types, direction
        )
        response["description"] = response["description"] or HTTPStatus(int(status_code)).phrase
        return response

    def _should_add_http403_error_response(self) -> bool:
        # Every view that reads a token answers an inactive user with `user_inactive`.
        return self._should_add_http401_error_response() or super()._should_add_http403_error_response()

    def _should_add_http415_error_response(self) -> bool:
        return self.method in METHODS_WITH_BODY and super()._should_add_http415_error_response()
