"""GET /api/v1/session."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from devclerk.fixtures import LocalClerk
from tests.api.conftest import Ask, error_of

pytestmark = pytest.mark.django_db


def test_body_has_exactly_the_documented_keys(ask: Ask) -> None:
    body = ask("/api/v1/session", by="user_ada").json()

    assert list(body) == ["session_id", "user_id", "issued_at", "expires_at", "authorized_party", "actor"]


def test_session_is_that_of_the_token(ask: Ask) -> None:
    body = ask("/api/v1/session", by="user_ada", claims={"sid": "sess_named"}).json()

    assert body["session_id"] == "sess_named"
    assert body["user_id"] == "user_ada"
    assert body["actor"] is None


def test_times_are_utc_with_a_z(ask: Ask) -> None:
    body = ask("/api/v1/session", by="user_ada").json()
    issued, expires = body["issued_at"], body["expires_at"]

    assert issued.endswith("Z")
    assert expires.endswith("Z")
    assert abs((datetime.now(UTC) - datetime.fromisoformat(issued)).total_seconds()) < 30
    assert datetime.fromisoformat(expires) > datetime.fromisoformat(issued)


def test_authorized_party_is_returned(ask: Ask, clerk: LocalClerk) -> None:
    assert ask("/api/v1/session", by="user_ada").json()["authorized_party"] == clerk.azp


def test_actor_is_returned(ask: Ask) -> None:
    body = ask("/api/v1/session", by="user_ada", actor="user_support").json()

    assert body["actor"] == "user_support"


def test_request_without_a_token_is_401(ask: Ask) -> None:
    response = ask("/api/v1/session")

    assert response.status_code == 401
    assert error_of(response)["code"] == "not_authenticated"
