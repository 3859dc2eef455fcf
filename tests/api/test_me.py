"""GET /api/v1/me."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from tests.api.conftest import Ask, error_of
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db

KEYS = [
    "id",
    "clerk_id",
    "email",
    "email_verified",
    "first_name",
    "last_name",
    "image_url",
    "created_at",
    "updated_at",
]


def test_the_first_request_answers_with_a_row_that_is_saved(ask: Ask) -> None:
    response = ask("/api/v1/me", by="user_ada")

    assert response.status_code == 200
    assert response.json()["clerk_id"] == "user_ada"
    assert User.objects.get(id=response.json()["id"]).clerk_id == "user_ada"


def test_the_second_request_answers_with_the_same_row(ask: Ask) -> None:
    first = ask("/api/v1/me", by="user_ada").json()

    assert ask("/api/v1/me", by="user_ada").json() == first
    assert User.objects.count() == 1


def test_the_body_holds_the_promised_keys_and_no_others(ask: Ask) -> None:
    assert list(ask("/api/v1/me", by="user_ada").json()) == KEYS


def test_the_values_are_those_of_the_row(ask: Ask) -> None:
    user = UserFactory.create(
        clerk_id="user_row",
        email="row@example.test",
        email_verified=True,
        first_name="Zoë",
        last_name="Ångström",
        image_url="https://img.example.test/row.png",
    )

    body = ask("/api/v1/me", by="user_row").json()

    assert UUID(body["id"]) == user.id
    assert body["email"] == "row@example.test"
    assert body["email_verified"] is True
    assert (body["first_name"], body["last_name"]) == ("Zoë", "Ångström")
    assert body["image_url"] == "https://img.example.test/row.png"


def test_nobody_s_address_is_null_and_not_an_empty_text(ask: Ask) -> None:
    UserFactory.create(clerk_id="user_row", email=None)

    assert ask("/api/v1/me", by="user_row").json()["email"] is None


def test_an_address_that_django_s_validators_refuse_is_shown_as_it_is(ask: Ask) -> None:
    UserFactory.create(clerk_id="user_row", email="jürgen@straße")

    assert ask("/api/v1/me", by="user_row").json()["email"] == "jürgen@straße"


@pytest.mark.parametrize("field", ["created_at", "updated_at"])
def test_times_are_utc_with_a_z(ask: Ask, field: str) -> None:
    user = UserFactory.create(clerk_id="user_row")
    text = ask("/api/v1/me", by="user_row").json()[field]

    assert text.endswith("Z")
    assert datetime.fromisoformat(text) == getattr(user, field)


def test_a_warm_request_is_exactly_one_statement(
    ask: Ask, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    ask("/api/v1/me", by="user_ada")

    with django_assert_num_queries(1):
        assert ask("/api/v1/me", by="user_ada").status_code == 200


def test_no_cookie_is_set(ask: Ask) -> None:
    assert not ask("/api/v1/me", by="user_ada").cookies


def test_a_stranger_is_asked_for_a_bearer_token(ask: Ask) -> None:
    response = ask("/api/v1/me")

    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert error_of(response)["code"] == "not_authenticated"


def test_an_admin_session_is_no_credential_here(admin_client: Client) -> None:
    assert admin_client.get("/api/v1/me").status_code == 401


def test_head_answers_without_a_body(ask: Ask) -> None:
    response = ask("/api/v1/me", by="user_ada", method="HEAD")

    assert (response.status_code, response.content) == (200, b"")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_other_methods_are_refused_and_tell_nothing(ask: Ask, method: str) -> None:
    response = ask("/api/v1/me", by="user_ada", method=method)

    assert response.status_code == 405
    assert error_of(response)["code"] == "method_not_allowed"
    assert response.headers["Allow"] == "GET, HEAD"


def test_a_slash_at_the_end_is_another_address(ask: Ask) -> None:
    assert ask("/api/v1/me/", by="user_ada").status_code == 404
