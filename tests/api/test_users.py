"""GET /api/v1/users and /api/v1/users/{id}."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from tests.api.conftest import Ask, Response, error_of
from tests.api.test_me import KEYS
from tests.factories import UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("staff")]

LIST = "/api/v1/users"
UNKNOWN_ID = UUID("00000000-0000-4000-8000-000000000000")


def clerk_ids(response: Response) -> list[str | None]:
    assert response.status_code == 200
    return [row["clerk_id"] for row in response.json()["results"]]


# Permissions


@pytest.mark.parametrize("path", [LIST, f"{LIST}/{UNKNOWN_ID}"])
def test_request_without_a_token_is_401(ask: Ask, path: str) -> None:
    response = ask(path)

    assert response.status_code == 401
    assert error_of(response)["code"] == "not_authenticated"


@pytest.mark.parametrize("path", [LIST, f"{LIST}/{UNKNOWN_ID}", f"{LIST}/nonsense"])
def test_user_who_is_not_staff_is_403(ask: Ask, path: str) -> None:
    response = ask(path, by="user_ada")

    assert response.status_code == 403
    assert error_of(response)["code"] == "permission_denied"


@pytest.mark.parametrize("suffix", ["", "/{id}"])
def test_session_with_an_actor_is_403(ask: Ask, staff: User, suffix: str) -> None:
    response = ask(LIST + suffix.format(id=staff.id), by="user_staff", actor="user_support")

    assert response.status_code == 403
    assert error_of(response)["code"] == "impersonation_of_staff"


def test_admin_session_is_401(admin_client: Client) -> None:
    assert admin_client.get(LIST).status_code == 401


# The list


def test_list_has_pages(ask: Ask) -> None:
    body = ask(LIST, by="user_staff").json()

    assert list(body) == ["count", "next", "previous", "results"]
    assert (body["count"], body["next"], body["previous"]) == (1, None, None)


def test_each_row_is_the_same_as_in_me(ask: Ask) -> None:
    [row] = ask(LIST, by="user_staff").json()["results"]

    assert list(row) == KEYS
    assert row == ask("/api/v1/me", by="user_staff").json()


def test_local_staff_have_no_clerk_id(ask: Ask) -> None:
    UserFactory.create(clerk_id=None, is_staff=True)

    assert None in clerk_ids(ask(LIST, by="user_staff"))


def test_deleted_user_is_neither_listed_nor_found(ask: Ask) -> None:
    deleted = UserFactory.create(clerk_id="user_deleted", deleted_at=datetime.now(UTC), deleted_by="clerk")

    assert clerk_ids(ask(LIST, by="user_staff")) == ["user_staff"]
    assert ask(f"{LIST}/{deleted.id}", by="user_staff").status_code == 404


def test_pages_have_users_of_equal_creation_time_once(ask: Ask) -> None:
    UserFactory.create_batch(24)
    User.objects.update(created_at=datetime(2026, 1, 1, tzinfo=UTC))

    seen, path = [], f"{LIST}?page_size=7"
    while path:
        body = ask(path, by="user_staff").json()
        seen += [row["id"] for row in body["results"]]
        path = body["next"]

    assert len(seen) == 25
    assert len(set(seen)) == 25


@pytest.mark.parametrize(
    ("page_size", "length"), [("1", 1), ("100", 100), ("101", 100), ("0", 50), ("-1", 50), ("x", 50)]
)
def test_page_size_has_limits(ask: Ask, page_size: str, length: int) -> None:
    UserFactory.create_batch(104)

    assert len(clerk_ids(ask(f"{LIST}?page_size={page_size}", by="user_staff"))) == length


@pytest.mark.parametrize("page", ["0", "-1", "2", "x", "9" * 40, "%00"])
def test_unknown_page_is_404(ask: Ask, page: str) -> None:
    response = ask(f"{LIST}?page={page}", by="user_staff")

    assert response.status_code == 404
    assert error_of(response)["code"] == "not_found"


@pytest.mark.parametrize(
    "search",
    ["ada@example", "ADA", "lovelace", "ada lovelace", "user_4d4", "%C3%A9milie"],
)
def test_search_matches_email_names_and_clerk_id(ask: Ask, search: str) -> None:
    UserFactory.create(
        clerk_id="user_4d4", email="ada@example.test", first_name="Ada émilie", last_name="Lovelace"
    )

    assert clerk_ids(ask(f"{LIST}?search={search}", by="user_staff")) == ["user_4d4"]


@pytest.mark.parametrize("search", ["unknown", "%25", "'unknown", "100%25_"])
def test_search_without_a_match_is_empty(ask: Ask, search: str) -> None:
    assert clerk_ids(ask(f"{LIST}?search={search}", by="user_staff")) == []


def test_search_with_nul_is_400(ask: Ask) -> None:
    response = ask(f"{LIST}?search=a%00b", by="user_staff")

    assert response.status_code == 400
    assert response.json()["type"] == "validation_error"
    assert error_of(response)["code"] == "null_characters_not_allowed"


def test_too_long_search_is_400(ask: Ask) -> None:
    assert ask(f"{LIST}?search={'a+' * 100}", by="user_staff").status_code == 200

    response = ask(f"{LIST}?search={'a+' * 1500}", by="user_staff")

    assert response.status_code == 400
    assert response.json()["type"] == "validation_error"
    assert (error_of(response)["code"], error_of(response)["attr"]) == ("max_length", "search")


def test_list_runs_three_statements(ask: Ask, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    UserFactory.create_batch(20)
    ask(LIST, by="user_staff")

    with django_assert_num_queries(3):
        ask(LIST, by="user_staff")


# One user


def test_staff_may_read_one_user(ask: Ask) -> None:
    user = UserFactory.create()

    response = ask(f"{LIST}/{user.id}", by="user_staff")

    assert response.status_code == 200
    assert list(response.json()) == KEYS
    assert response.json()["id"] == str(user.id)


@pytest.mark.parametrize(
    "name", [str(UNKNOWN_ID), "nonsense", "1", "a.b", "%00", "user_staff", "%F0%9F%98%80", "9" * 400]
)
def test_unknown_or_malformed_id_is_404(ask: Ask, name: str) -> None:
    response = ask(f"{LIST}/{name}", by="user_staff")

    assert response.status_code == 404
    assert error_of(response)["code"] == "not_found"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_other_methods_are_405(ask: Ask, staff: User, method: str) -> None:
    for path in (LIST, f"{LIST}/{staff.id}"):
        response = ask(path, by="user_staff", method=method)
        assert response.status_code == 405
        assert response.headers["Allow"] == "GET, HEAD"
