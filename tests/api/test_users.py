"""GET /api/v1/users and /api/v1/users/{id}."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from tests.api.conftest import Answer, Ask, error_of
from tests.api.test_me import KEYS
from tests.factories import UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("staff")]

LIST = "/api/v1/users"
NOBODY = UUID("00000000-0000-4000-8000-000000000000")


def clerk_ids(response: Answer) -> list[str | None]:
    assert response.status_code == 200
    return [row["clerk_id"] for row in response.json()["results"]]


# Who may


@pytest.mark.parametrize("address", [LIST, f"{LIST}/{NOBODY}"])
def test_a_stranger_is_asked_to_sign_in(ask: Ask, address: str) -> None:
    response = ask(address)

    assert response.status_code == 401
    assert error_of(response)["code"] == "not_authenticated"


@pytest.mark.parametrize("address", [LIST, f"{LIST}/{NOBODY}", f"{LIST}/nonsense"])
def test_a_person_who_is_not_staff_is_refused(ask: Ask, address: str) -> None:
    response = ask(address, by="user_ada")

    assert response.status_code == 403
    assert error_of(response)["code"] == "permission_denied"


@pytest.mark.parametrize("suffix", ["", "/{id}"])
def test_a_session_with_an_actor_is_never_staff(ask: Ask, staff: User, suffix: str) -> None:
    response = ask(LIST + suffix.format(id=staff.id), by="user_staff", actor="user_support")

    assert response.status_code == 403
    assert error_of(response)["code"] == "impersonation_of_staff"


def test_an_admin_session_does_not_open_it(admin_client: Client) -> None:
    assert admin_client.get(LIST).status_code == 401


# The list


def test_staff_see_live_people_in_pages(ask: Ask) -> None:
    body = ask(LIST, by="user_staff").json()

    assert list(body) == ["count", "next", "previous", "results"]
    assert (body["count"], body["next"], body["previous"]) == (1, None, None)


def test_each_row_has_the_shape_of_me(ask: Ask) -> None:
    [row] = ask(LIST, by="user_staff").json()["results"]

    assert list(row) == KEYS
    assert row == ask("/api/v1/me", by="user_staff").json()


def test_local_staff_are_listed_without_a_clerk_id(ask: Ask) -> None:
    UserFactory.create(clerk_id=None, is_staff=True)

    assert None in clerk_ids(ask(LIST, by="user_staff"))


def test_deleted_people_are_neither_listed_nor_found(ask: Ask) -> None:
    gone = UserFactory.create(clerk_id="user_gone", deleted_at=datetime.now(UTC), deleted_by="clerk")

    assert clerk_ids(ask(LIST, by="user_staff")) == ["user_staff"]
    assert ask(f"{LIST}/{gone.id}", by="user_staff").status_code == 404


def test_pages_hold_everybody_exactly_once_though_born_at_the_same_moment(ask: Ask) -> None:
    UserFactory.create_batch(24)
    User.objects.update(created_at=datetime(2026, 1, 1, tzinfo=UTC))

    seen, address = [], f"{LIST}?page_size=7"
    while address:
        body = ask(address, by="user_staff").json()
        seen += [row["id"] for row in body["results"]]
        address = body["next"]

    assert len(seen) == 25
    assert len(set(seen)) == 25


@pytest.mark.parametrize(
    ("asked", "given"), [("1", 1), ("100", 100), ("101", 100), ("0", 50), ("-1", 50), ("x", 50)]
)
def test_a_page_is_as_long_as_asked_within_bounds(ask: Ask, asked: str, given: int) -> None:
    UserFactory.create_batch(104)

    assert len(clerk_ids(ask(f"{LIST}?page_size={asked}", by="user_staff"))) == given


@pytest.mark.parametrize("page", ["0", "-1", "2", "x", "9" * 40, "%00"])
def test_a_page_that_is_not_there_is_404(ask: Ask, page: str) -> None:
    response = ask(f"{LIST}?page={page}", by="user_staff")

    assert response.status_code == 404
    assert error_of(response)["code"] == "not_found"


@pytest.mark.parametrize(
    "search",
    ["ada@example", "ADA", "lovelace", "ada lovelace", "user_4d4", "%C3%A9milie"],
)
def test_search_looks_at_e_mail_names_and_clerk_id(ask: Ask, search: str) -> None:
    UserFactory.create(
        clerk_id="user_4d4", email="ada@example.test", first_name="Ada émilie", last_name="Lovelace"
    )

    assert clerk_ids(ask(f"{LIST}?search={search}", by="user_staff")) == ["user_4d4"]


@pytest.mark.parametrize("search", ["nobody", "%25", "'nobody", "100%25_"])
def test_search_for_what_nobody_has_finds_nobody(ask: Ask, search: str) -> None:
    assert clerk_ids(ask(f"{LIST}?search={search}", by="user_staff")) == []


def test_a_search_that_cannot_be_text_is_a_bad_request(ask: Ask) -> None:
    response = ask(f"{LIST}?search=a%00b", by="user_staff")

    assert response.status_code == 400
    assert response.json()["type"] == "validation_error"
    assert error_of(response)["code"] == "null_characters_not_allowed"


def test_a_search_that_no_one_types_is_a_bad_request(ask: Ask) -> None:
    assert ask(f"{LIST}?search={'a+' * 100}", by="user_staff").status_code == 200

    response = ask(f"{LIST}?search={'a+' * 1500}", by="user_staff")

    assert response.status_code == 400
    assert response.json()["type"] == "validation_error"
    assert (error_of(response)["code"], error_of(response)["attr"]) == ("max_length", "search")


def test_a_page_costs_the_look_up_a_count_and_one_select(
    ask: Ask, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    UserFactory.create_batch(20)
    ask(LIST, by="user_staff")

    with django_assert_num_queries(3):
        ask(LIST, by="user_staff")


# One person


def test_staff_see_one_person(ask: Ask) -> None:
    person = UserFactory.create()

    response = ask(f"{LIST}/{person.id}", by="user_staff")

    assert response.status_code == 200
    assert list(response.json()) == KEYS
    assert response.json()["id"] == str(person.id)


@pytest.mark.parametrize(
    "name", [str(NOBODY), "nonsense", "1", "a.b", "%00", "user_staff", "%F0%9F%98%80", "9" * 400]
)
def test_whoever_is_not_there_is_404_and_so_is_a_malformed_id(ask: Ask, name: str) -> None:
    response = ask(f"{LIST}/{name}", by="user_staff")

    assert response.status_code == 404
    assert error_of(response)["code"] == "not_found"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_people_cannot_be_changed_here(ask: Ask, staff: User, method: str) -> None:
    for address in (LIST, f"{LIST}/{staff.id}"):
        response = ask(address, by="user_staff", method=method)
        assert response.status_code == 405
        assert response.headers["Allow"] == "GET, HEAD"
