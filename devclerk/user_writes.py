"""What a request to the Backend API changes about a user."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from devclerk.refusals import Refused, refuse_parameter
from devclerk.users import ClerkUser
from devclerk.web import Request

WRITABLE = {"first_name", "last_name", "external_id", "username", "locale"}
METADATA = ("public_metadata", "private_metadata", "unsafe_metadata")
# Endpoints without a body: POST /v1/users/{id}/ban and so on
ACTIONS: Mapping[str, Mapping[str, Any]] = {
    "ban": {"banned": True},
    "unban": {"banned": False},
    "lock": {"locked": True},
    "unlock": {"locked": False},
}


def profile_changes(request: Request) -> dict[str, Any]:
    """Return the fields that the body sets. Raise `Refused` for others, and for an unusable body."""
    fields = _body(request)
    for name, value in fields.items():
        if name not in WRITABLE or not isinstance(value, str | None):
            refuse_parameter(name, "cannot be set to this value.")
    return fields


def metadata_changes(request: Request, user: ClerkUser) -> dict[str, Any]:
    """Return the metadata that the body sets: a PATCH merges, a PUT replaces each that is named.

    Raise `Refused` for another field, a value that is no object, and an unusable body.
    """
    fields = _body(request)
    for name, value in fields.items():
        if name not in METADATA or not isinstance(value, dict):
            refuse_parameter(name, "must be metadata, a JSON object.")
    if request.method == "PUT":
        return fields
    return {name: _merged(getattr(user, name), value) for name, value in fields.items()}


def _merged(stored: object, patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object after a merge at every depth; null removes a key (RFC 7396)."""
    result = dict(stored) if isinstance(stored, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, Mapping):
            result[name] = _merged(result.get(name), value)
        else:
            result[name] = value
    return result


def _body(request: Request) -> dict[str, Any]:
    try:
        return request.json_object()
    except ValueError:
        message = "The body must be a JSON object."
        raise Refused(HTTPStatus.BAD_REQUEST, "request_body_invalid", message) from None
