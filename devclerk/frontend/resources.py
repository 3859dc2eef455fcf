"""The JSON formats of Clerk's Frontend API, as far as clerk-js reads them."""

from __future__ import annotations

from typing import Any

from devclerk.directory import now_ms
from devclerk.frontend.clients import BrowserClient, ClientSession
from devclerk.tokens import LIFETIME_SECONDS
from devclerk.users import ClerkUser, new_id
from devclerk.wire import user_object

DAY_MS = 86_400_000
EXPIRES_AFTER_MS = 7 * DAY_MS
# What only the Backend API shows
PRIVATE = ("private_metadata", "banned", "locked", "deprovisioned", "lockout_expires_in_seconds")


def environment_object(*, sign_in_url: str, home_url: str) -> dict[str, Any]:
    """Return the settings of the instance: several sessions, users sign in with an e-mail address."""
    organizations = {"enabled": True, "max_allowed_memberships": 5, "actions": {"admin_delete": True}}
    return {
        "object": "environment",
        "id": "env_devclerk",
        "auth_config": {
            "object": "auth_config",
            "id": "aac_devclerk",
            "single_session_mode": False,
            "claimed_at": None,
            "reverification": True,
            "session_minter": False,
        },
        "display_config": _display_config(sign_in_url=sign_in_url, home_url=home_url),
        "user_settings": {
            "attributes": {"email_address": _email_attribute()},
            "social": {},
            "actions": {"delete_self": False, "create_organization": True},
            "sign_in": {"second_factor": {"required": False, "enabled": False}},
            "sign_up": {"mode": "public", "progressive": True, "captcha_enabled": False},
            "password_settings": {},
            "passkey_settings": {"allow_autofill": False, "show_sign_in_button": False},
            "enterprise_sso": {"enabled": False},
            "saml": {"enabled": False},
        },
        "organization_settings": organizations | {"domains": {"enabled": False, "enrollment_modes": []}},
        "commerce_settings": {"billing": {"user": {"enabled": False}, "organization": {"enabled": False}}},
        "api_keys_settings": {"enabled": False},
        "maintenance_mode": False,
        "partitioned_cookies": False,
    }


def client_object(client: BrowserClient, sessions: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a client with the objects of its sessions."""
    return {
        "object": "client",
        "id": client.id,
        "sessions": sessions,
        "sign_in": None,
        "sign_up": None,
        "last_active_session_id": client.active_session_id,
        "last_authentication_strategy": None,
        "cookie_expires_at": None,
        "captcha_bypass": True,
        "created_at": client.created_at,
        "updated_at": client.updated_at,
    }


def session_object(session: ClientSession, *, user: ClerkUser, token: str) -> dict[str, Any]:
    """Return an active session with its user and a fresh token."""
    return {
        "object": "session",
        "id": session.id,
        "status": "active",
        "expire_at": session.created_at + EXPIRES_AFTER_MS,
        "abandon_at": session.created_at + 4 * EXPIRES_AFTER_MS,
        "last_active_at": session.last_active_at,
        "last_active_organization_id": session.organization_id,
        "last_active_token": token_object(token),
        "factor_verification_age": list(factor_ages(session)),
        "actor": None,
        "tasks": None,
        "user": browser_user_object(user),
        "public_user_data": {
            "first_name": user.first_name,
            "last_name": user.last_name,
            "image_url": user.image_url,
            "has_image": bool(user.image_url),
            "identifier": user.email or user.id,
            "user_id": user.id,
        },
        "created_at": session.created_at,
        "updated_at": session.last_active_at,
    }


def factor_ages(session: ClientSession) -> tuple[int, int]:
    """Return the minutes since the sign-in, and -1: no second factor."""
    return (now_ms() - session.created_at) // 60_000, -1


def token_object(token: str) -> dict[str, Any]:
    """Return a token."""
    return {"object": "token", "jwt": token}


def browser_user_object(user: ClerkUser) -> dict[str, Any]:
    """Return a user as the user's own browser sees it."""
    return {name: value for name, value in user_object(user).items() if name not in PRIVATE}


def ended_session_object(session: ClientSession, *, user: ClerkUser, status: str) -> dict[str, Any]:
    """Return a session that has just ended, without a token."""
    return session_object(session, user=user, token="") | {"status": status, "last_active_token": None}


def sign_in_object(*, identifier: str, session_id: str) -> dict[str, Any]:
    """Return a complete sign-in."""
    return {
        "object": "sign_in",
        "id": new_id("sia"),
        "status": "complete",
        "identifier": identifier,
        "supported_identifiers": ["email_address"],
        "supported_first_factors": [],
        "supported_second_factors": None,
        "first_factor_verification": None,
        "second_factor_verification": None,
        "user_data": None,
        "created_session_id": session_id,
        "abandon_at": now_ms() + LIFETIME_SECONDS * 1000,
    }


def _display_config(*, sign_in_url: str, home_url: str) -> dict[str, Any]:
    return {
        "object": "display_config",
        "id": "display_config_devclerk",
        "instance_environment_type": "production",
        "application_name": "devclerk",
        "home_url": home_url,
        "sign_in_url": sign_in_url,
        "sign_up_url": sign_in_url,
        "user_profile_url": home_url,
        "after_sign_in_url": home_url,
        "after_sign_up_url": home_url,
        "after_sign_out_one_url": home_url,
        "after_sign_out_all_url": home_url,
        "after_switch_session_url": home_url,
        "branded": False,
        "captcha_public_key": None,
        "captcha_widget_type": None,
        "preferred_sign_in_strategy": "otp",
        "theme": {},
    }


def _email_attribute() -> dict[str, Any]:
    return {
        "enabled": True,
        "required": True,
        "used_for_first_factor": True,
        "first_factors": ["email_code"],
        "used_for_second_factor": False,
        "second_factors": [],
        "verifications": ["email_code"],
        "verify_at_sign_up": True,
        "name": "email_address",
    }
