"""Deliveries as Svix makes them: real signatures over real bytes."""

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
    """Make a signing secret, the same for the same seed."""
    return "whsec_" + base64.b64encode(seed.encode().ljust(24, b"-")).decode()


SECRET = make_secret()


def next_id() -> str:
    """Give an id that no other delivery of this run has."""
    return f"msg_{next(_numbers):06d}"


def signed_headers(
    body: bytes, *, secret: str = SECRET, svix_id: str | None = None, at: float | None = None
) -> dict[str, str]:
    """Give the three headers for `body`, signed at `at` (seconds; now)."""
    svix_id = next_id() if svix_id is None else svix_id
    seconds = int(time.time() if at is None else at)
    signature = Webhook(secret).sign(svix_id, datetime.fromtimestamp(seconds, UTC), body.decode())
    return {"svix-id": svix_id, "svix-timestamp": str(seconds), "svix-signature": signature}


def person(clerk_id: str = "user_1", *, updated_at: int | None = None, **fields: Any) -> dict[str, Any]:
    """Give a user as Clerk's webhooks hold it; `fields` override, `email=None` leaves no address."""
    email = fields.pop("email", "ada@example.test")
    verified = fields.pop("email_verified", True)
    moment = now() if updated_at is None else updated_at
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
        "updated_at": moment,
    } | fields


def envelope(kind: str, data: object, *, at: int | None = None, **fields: object) -> dict[str, object]:
    """Give the event around `data`; `at` in milliseconds."""
    stamp = now() if at is None else at
    return {
        "object": "event",
        "type": kind,
        "timestamp": stamp,
        "instance_id": INSTANCE,
        "data": data,
    } | fields


def encoded(event: object) -> bytes:
    """Give the bytes that go over the wire."""
    return json.dumps(event).encode()


def now() -> int:
    """Give the time in milliseconds."""
    return time.time_ns() // 1_000_000


def deliver(
    event: object, *, client: Client | None = None, svix_id: str | None = None, path: str = "/webhooks/clerk"
) -> Response:
    """Post one signed delivery; the same `svix_id` again is a repeat."""
    body = event if isinstance(event, bytes) else encoded(event)
    headers = signed_headers(body, svix_id=svix_id)
    return (client or Client()).post(path, body, content_type="application/json", headers=headers)


def outcome_of(event: object, *, svix_id: str | None = None) -> str:
    """Deliver, expect 200, and give the outcome."""
    response = deliver(event, svix_id=svix_id)
    assert response.status_code == 200, response.content
    outcome: str = response.json()["outcome"]
    return outcome


def code_of(response: Response) -> str:
    """Give the one error code in the body of a refusal."""
    (error,) = json.loads(response.content)["errors"]
    code: str = error["code"]
    return code
