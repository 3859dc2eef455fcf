"""GET /api/v1/session."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import pytest
from pytest_django import Settings

from devclerk.fixtures import LocalClerk
from tests.api.conftest import Ask, error_of

pytestmark = pytest.mark.django_db
EMAIL = "operator@example.test"


def test_body_has_exactly_the_documented_keys(ask: Ask) -> None:
    body = ask("/api/v1/session", by="user_ada").json()

    assert list(body) == [
        *("session_id", "user_id", "issued_at", "expires_at", "authorized_party"),
        *("actor", "actor_kind", "organization"),
    ]


def test_session_is_that_of_the_token(ask: Ask) -> None:
    body = ask("/api/v1/session", by="user_ada", claims={"sid": "sess_named"}).json()

    assert body["session_id"] == "sess_named"
    assert body["user_id"] == "user_ada"
    assert (body["actor"], body["actor_kind"], body["organization"]) == (None, None, None)


def test_times_are_utc_with_a_z(ask: Ask) -> None:
    body = ask("/api/v1/session", by="user_ada").json()
    issued, expires = body["issued_at"], body["expires_at"]

    assert issued.endswith("Z")
    assert expires.endswith("Z")
    assert abs((datetime.now(UTC) - datetime.fromisoformat(issued)).total_seconds()) < 30
    assert datetime.fromisoformat(expires) > datetime.fromisoformat(issued)


def test_authorized_party_is_returned(ask: Ask, clerk: LocalClerk) -> None:
    assert ask("/api/v1/session", by="user_ada").json()["authorized_party"] == clerk.azp


@pytest.mark.parametrize(
    ("act", "actor", "kind"),
    [
        ({"sub": "user_support"}, "user_support", "user"),
        ({"sub": "user_agent", "type": "agent"}, "user_agent", "agent"),
        ({"sub": "agent_1", "type": "agent"}, None, "agent"),
        ({"sub": EMAIL, "type": "agent"}, None, "agent"),
        ({"sub": f"cli:{EMAIL}"}, None, "cli"),
        ({"sub": f"cli:{EMAIL}+deploy"}, None, "cli"),
        ({"sub": EMAIL}, None, "other"),
        ({"sub": f"user_{EMAIL}"}, None, "other"),
        ({"sub": "user_support", "act": {"sub": f"cli:{EMAIL}"}}, "user_support", "user"),
    ],
)
def test_actor_is_returned_if_it_is_a_clerk_user_and_an_email_never(
    ask: Ask, caplog: pytest.LogCaptureFixture, act: dict[str, object], actor: str | None, kind: str
) -> None:
    with caplog.at_level(logging.DEBUG):
        response = ask("/api/v1/session", by="user_ada", claims={"act": act})

    assert (response.json()["actor"], response.json()["actor_kind"]) == (actor, kind)
    logged = "".join(str(vars(record)) for record in caplog.records)
    assert "api.request" in logged
    assert EMAIL not in response.content.decode() + logged


@pytest.mark.parametrize("kind", ["user", "agent", "cli"])
def test_no_actor_is_accepted_where_impersonation_is_not_allowed(
    ask: Ask, clerk_settings: Settings, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    clerk_settings.CLERK_ALLOW_IMPERSONATION = False
    with caplog.at_level(logging.DEBUG):
        response = ask("/api/v1/session", by="user_ada", actor_kind=kind, actor=EMAIL)

    assert (response.status_code, error_of(response)["code"]) == (401, "impersonation_refused")
    assert EMAIL not in response.content.decode() + "".join(str(vars(record)) for record in caplog.records)


@pytest.mark.parametrize("version", [1, 2])
def test_organization_is_returned(ask: Ask, version: int) -> None:
    # So many that a set has them in another order than the alphabet's.
    names = [f"reports:p{letter}" for letter in "hgfedcba"]
    acme = {"slug": "acme", "role": "admin", "permissions": names, "id": "org_1"}
    body = ask("/api/v1/session", by="user_ada", organization=acme, version=version).json()

    assert body["organization"] == {
        "id": "org_1",
        "slug": "acme",
        "role": "admin",
        "permissions": [f"org:reports:p{letter}" for letter in "abcdefgh"],
    }


def test_organization_without_slug_and_role_has_null(ask: Ask) -> None:
    body = ask("/api/v1/session", by="user_ada", claims={"o": {"id": "org_1"}}).json()

    assert body["organization"] == {"id": "org_1", "slug": None, "role": None, "permissions": []}


def test_request_without_a_token_is_401(ask: Ask) -> None:
    response = ask("/api/v1/session")

    assert response.status_code == 401
    assert error_of(response)["code"] == "not_authenticated"
