"""The JSON formats of Clerk's Backend API and webhooks."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Any

from devclerk.events import Change
from devclerk.users import ClerkUser, stable_id


def user_object(user: ClerkUser) -> dict[str, Any]:
    """Return the whole user, as the Backend API, `user.created` and `user.updated` contain it."""
    addresses = [_email_address(user)] if user.email is not None else []
    phone_numbers = [_phone_number(user)] if user.phone_number is not None else []
    return {
        "object": "user",
        "id": user.id,
        "external_id": user.external_id,
        "primary_email_address_id": addresses[0]["id"] if addresses else None,
        "primary_phone_number_id": phone_numbers[0]["id"] if phone_numbers else None,
        "primary_web3_wallet_id": None,
        "username": user.username,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "locale": user.locale,
        "timezone": user.timezone,
        "profile_image_url": user.image_url,
        "image_url": user.image_url,
        "has_image": bool(user.image_url),
        "email_addresses": addresses,
        "phone_numbers": phone_numbers,
        **{name: [] for name in ("web3_wallets", "passkeys", "external_accounts")},
        **{name: [] for name in ("saml_accounts", "enterprise_accounts", "organization_memberships")},
        "public_metadata": user.public_metadata,
        "private_metadata": user.private_metadata,
        "unsafe_metadata": user.unsafe_metadata,
        **dict.fromkeys(("password_enabled", "two_factor_enabled", "totp_enabled"), False),
        "backup_code_enabled": False,
        **dict.fromkeys(("mfa_enabled_at", "mfa_disabled_at", "password_last_updated_at")),
        **dict.fromkeys(("last_sign_in_at", "last_active_at", "legal_accepted_at")),
        "banned": user.banned,
        "locked": user.locked,
        "deprovisioned": user.deprovisioned,
        "lockout_expires_in_seconds": 3600 if user.locked else None,
        "verification_attempts_remaining": 0 if user.locked else 100,
        "delete_self_enabled": True,
        "create_organization_enabled": True,
        "create_organizations_limit": None,
        "created_at": user.created_at,
        "updated_at": user.updated_at,
        **user.raw,
    }


def deleted_object(user: ClerkUser) -> dict[str, Any]:
    """Return the object of a deleted user."""
    return {"object": "user", "id": user.id, "deleted": True, "external_id": user.external_id}


def other_object(event_type: str, *, name: str, at: int) -> dict[str, Any]:
    """Return the data of an event that is not about a user: an organization, or what all objects have."""
    kind = event_type.partition(".")[0]
    times = {"created_at": at, "updated_at": at}
    if kind != "organization":
        return {"object": re.sub("([A-Z])", r"_\1", kind).lower(), "id": name, **times}
    slug = name.removeprefix("org_")
    known = {"object": kind, "id": f"org_{slug}"}
    if event_type == "organization.deleted":
        return known | {"deleted": True}
    return known | {
        "name": slug.title(),
        "slug": slug,
        "image_url": "",
        "has_image": False,
        "max_allowed_memberships": 5,
        "admin_delete_enabled": True,
        "public_metadata": {},
        "private_metadata": {},
        **times,
    }


def event_object(change: Change, *, instance_id: str) -> dict[str, Any]:
    """Return the envelope of the webhook of a change."""
    data = deleted_object(change.user) if change.type == "user.deleted" else user_object(change.user)
    return envelope(change.type, at=change.at, instance_id=instance_id, data=data)


def envelope(event_type: str, *, at: int, instance_id: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of a webhook."""
    return {
        "object": "event",
        "type": event_type,
        "timestamp": at,
        "instance_id": instance_id,
        "data": data,
        "event_attributes": {"http_request": {"client_ip": "192.0.2.1", "user_agent": "devclerk"}},
    }


def error_object(code: str, *, message: str) -> dict[str, Any]:
    """Return the body of an error."""
    return {
        "errors": [{"code": code, "message": message, "long_message": message, "meta": {}}],
        "clerk_trace_id": secrets.token_hex(16),
    }


def _email_address(user: ClerkUser) -> dict[str, Any]:
    return {
        "object": "email_address",
        "id": stable_id(f"{user.id} {user.email}", prefix="idn"),
        "email_address": user.email,
        "reserved": False,
        "verification": _verification(user, is_verified=user.email_verified, strategy="email_code"),
        "linked_to": [],
        "matches_sso_connection": False,
        "created_at": user.created_at,
        "updated_at": user.updated_at,
    }


def _phone_number(user: ClerkUser) -> dict[str, Any]:
    return {
        "object": "phone_number",
        "id": stable_id(f"{user.id} {user.phone_number}", prefix="idn"),
        "phone_number": user.phone_number,
        "reserved_for_second_factor": False,
        "default_second_factor": False,
        "reserved": False,
        "verification": _verification(user, is_verified=user.phone_number_verified, strategy="phone_code"),
        "linked_to": [],
        "backup_codes": None,
        "created_at": user.created_at,
        "updated_at": user.updated_at,
    }


def _verification(user: ClerkUser, *, is_verified: bool, strategy: str) -> dict[str, Any]:
    return {
        "object": "verification_otp",
        "status": "verified" if is_verified else "unverified",
        "strategy": strategy,
        "attempts": 1,
        "expire_at": user.created_at + 600_000,
    }
