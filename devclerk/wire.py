"""The shapes in which Clerk's Backend API and webhooks speak of people."""

from __future__ import annotations

import secrets
from typing import Any

from devclerk.events import Change
from devclerk.people import Person, steady_id


def user_object(person: Person) -> dict[str, Any]:
    """Give the whole user, as the Backend API and `user.created` and `user.updated` hold it."""
    addresses = [_email_address(person)] if person.email is not None else []
    return {
        "object": "user",
        "id": person.id,
        "external_id": person.external_id,
        "primary_email_address_id": addresses[0]["id"] if addresses else None,
        "primary_phone_number_id": None,
        "primary_web3_wallet_id": None,
        "username": None,
        "first_name": person.first_name,
        "last_name": person.last_name,
        "locale": None,
        "profile_image_url": person.image_url,
        "image_url": person.image_url,
        "has_image": bool(person.image_url),
        "email_addresses": addresses,
        **{name: [] for name in ("phone_numbers", "web3_wallets", "passkeys", "external_accounts")},
        **{name: [] for name in ("saml_accounts", "enterprise_accounts", "organization_memberships")},
        **{name: {} for name in ("public_metadata", "private_metadata", "unsafe_metadata")},
        **dict.fromkeys(("password_enabled", "two_factor_enabled", "totp_enabled"), False),
        "backup_code_enabled": False,
        **dict.fromkeys(("mfa_enabled_at", "mfa_disabled_at", "password_last_updated_at")),
        **dict.fromkeys(("last_sign_in_at", "last_active_at", "legal_accepted_at")),
        "banned": person.banned,
        "locked": person.locked,
        "deprovisioned": person.deprovisioned,
        "lockout_expires_in_seconds": 3600 if person.locked else None,
        "verification_attempts_remaining": 0 if person.locked else 100,
        "delete_self_enabled": True,
        "create_organization_enabled": True,
        "create_organizations_limit": None,
        "created_at": person.created_at,
        "updated_at": person.updated_at,
        **person.raw,
    }


def deleted_object(person: Person) -> dict[str, Any]:
    """Give what is left of a user after the deletion."""
    return {"object": "user", "id": person.id, "deleted": True, "external_id": person.external_id}


def event_object(change: Change, *, instance_id: str) -> dict[str, Any]:
    """Give the envelope of a webhook."""
    gone = change.type == "user.deleted"
    return {
        "object": "event",
        "type": change.type,
        "timestamp": change.at,
        "instance_id": instance_id,
        "data": deleted_object(change.person) if gone else user_object(change.person),
        "event_attributes": {"http_request": {"client_ip": "192.0.2.1", "user_agent": "devclerk"}},
    }


def error_object(code: str, *, message: str) -> dict[str, Any]:
    """Give the body of a refusal."""
    return {
        "errors": [{"code": code, "message": message, "long_message": message, "meta": {}}],
        "clerk_trace_id": secrets.token_hex(16),
    }


def _email_address(person: Person) -> dict[str, Any]:
    return {
        "object": "email_address",
        "id": steady_id(f"{person.id} {person.email}", prefix="idn"),
        "email_address": person.email,
        "reserved": False,
        "verification": {
            "object": "verification_otp",
            "status": "verified" if person.email_verified else "unverified",
            "strategy": "email_code",
            "attempts": 1,
            "expire_at": person.created_at + 600_000,
        },
        "linked_to": [],
        "matches_sso_connection": False,
        "created_at": person.created_at,
        "updated_at": person.updated_at,
    }
