"""Deliveries with real signatures, as Svix sends them."""

from __future__ import annotations

import base64
import itertools
import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.test import Client
from svix.webhooks import Webhook

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse

    Response = _MonkeyPatchedWSGIResponse

INSTANCE = "ins_2abcDEF"
_numbers = itertools.count(1)


def make_secret(seed: str = "first") -> str:
    """Return the signing secret of the seed."""
    return "whsec_" + base64.b64encode(seed.encode().ljust(24, b"-")).decode()


SECRET = make_secret()


def next_id() -> str:
    """Return an id that is unique in this run."""
    return f"msg_{next(_numbers):06d}"


def signed_headers(
    body: bytes, *, secret: str = SECRET, svix_id: str | None = None, at: float | None = None
) -> dict[str, str]:
    """Return the three headers of `body`, signed at `at` (seconds, default now)."""
    svix_id = next_id() if svix_id is None else svix_id
    seconds = int(time.time() if at is None else at)
    signature = Webhook(secret).sign(svix_id, datetime.fromtimestamp(seconds, UTC), body.decode())
    return {"svix-id": svix_id, "svix-timestamp": str(seconds), "svix-signature": signature}


def user_data(clerk_id: str = "user_1", *, updated_at: int | None = None, **fields: Any) -> dict[str, Any]:
    """Return the data of a user event; `fields` override, and `email=None` means no address."""
    email = fields.pop("email", "ada@example.test")
    verified = fields.pop("email_verified", True)
    status = "verified" if verified else "unverified"
    addresses = [
        {"id": "idn_1", "email_address": email, "verification": {"status": status, "strategy": "admin"}}
    ]
    return {
        "id": clerk_id,
        "object": "user",
        "external_id": None,
        "primary_email_address_id": "idn_1" if email else None,
        "first_name": "Ada",
        "last_name": "Lovelace",
        "image_url": "https://img.example.test/ada.png",
        "email_addresses": addresses if email else [],
        "public_metadata": {},
        "banned": False,
        "locked": False,
        "deprovisioned": False,
        "created_at": 1_700_000_000_000,
        "updated_at": now() if updated_at is None else updated_at,
    } | fields


def envelope(event_type: str, data: object, *, at: int | None = None, **fields: object) -> dict[str, object]:
    """Return the event with `data`; `at` is in milliseconds, default now."""
    return {
        "object": "event",
        "type": event_type,
        "timestamp": now() if at is None else at,
        "instance_id": INSTANCE,
        "data": data,
    } | fields


def encoded(event: object) -> bytes:
    """Return the raw body of an event."""
    return json.dumps(event).encode()


def now() -> int:
    """Return the current time in milliseconds."""
    return time.time_ns() // 1_000_000


def deliver(
    event: object, *, client: Client | None = None, svix_id: str | None = None, path: str = "/webhooks/clerk"
) -> Response:
    """Post one signed delivery; another delivery with the same `svix_id` is a repeat."""
    body = event if isinstance(event, bytes) else encoded(event)
    headers = signed_headers(body, svix_id=svix_id)
    return (client or Client()).post(path, body, content_type="application/json", headers=headers)


def outcome_of(event: object, *, svix_id: str | None = None) -> str:
    """Deliver the event and return the outcome; the response must be 200."""
    response = deliver(event, svix_id=svix_id)
    assert response.status_code == 200, response.content
    outcome: str = response.json()["outcome"]
    return outcome


def code_of(response: Response) -> str:
    """Return the error code of a refusal."""
    (error,) = json.loads(response.content)["errors"]
    code: str = error["code"]
    return code
